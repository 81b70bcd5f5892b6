package panics_test

import (
	"errors"
	"strings"
	"testing"

	"keyturn/bot/panics"
)

func TestAPanicIsAnError(t *testing.T) {
	err := panics.Caught(func() error {
		var none []int
		return errors.New(strings.Repeat("x", none[0]))
	})
	var p *panics.Error
	if !errors.As(err, &p) || !strings.Contains(err.Error(), "panics_test.go") {
		t.Errorf("got %v, want a panic with where it happened", err)
	}
}

func TestWhatDoesNotPanicIsLeftAlone(t *testing.T) {
	sorry := errors.New("sorry")
	if err := panics.Caught(func() error { return sorry }); err != sorry {
		t.Errorf("got %v, want the error of the work", err)
	}
	if err := panics.Caught(func() error { return nil }); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
