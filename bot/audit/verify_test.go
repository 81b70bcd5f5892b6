package audit_test

import (
	"testing"

	"keyturn/bot/audit"
)

// numbered is an empty trail beside which hashes of these numbers are stored.
type numbered []int64

func (numbered) Size() (int64, error)              { return 0, nil }
func (numbered) Each(func(audit.Kept) error) error { return nil }

func (n numbered) EachHash(f func(int64, string) error) error {
	for _, index := range n {
		if err := f(index, "x"); err != nil {
			return err
		}
	}
	return nil
}

func TestVerifyTakesHashesOfAnyNumber(t *testing.T) {
	for _, tc := range []struct {
		hashes numbered
		faults bool
	}{
		{nil, false},
		{numbered{0}, true},
		{numbered{-1}, true},
		{numbered{-5, -4, 0}, true},
		{numbered{1<<63 - 1}, true},
	} {
		v, err := audit.Verify(tc.hashes, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := len(v.Faults) > 0; got != tc.faults {
			t.Errorf("hashes %v: faults %v", tc.hashes, v.Faults)
		}
	}
}

func TestVerifyRefusesWhatIsNoKey(t *testing.T) {
	if v, err := audit.Verify(numbered{}, "keyturn/abcdefgh"); err == nil {
		t.Errorf("verified by no key: %+v", v)
	}
}
