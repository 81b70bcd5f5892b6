package bot

import (
	"strings"
	"testing"

	"keyturn/bot/approval"
)

// What is filled into an input is never longer than the input takes: Slack refuses the form.
func TestALinkFillsItsInput(t *testing.T) {
	m := resolve(typed{text: "https://a.example/" + strings.Repeat("😀", 900)}, nil)
	if n := units(m.link); n > 1000 {
		t.Errorf("the link has %d units, and the input takes 1000", n)
	}
}

// A reason that nobody can see is none.
func TestTheReasonOfZeroWidthIsNone(t *testing.T) {
	for _, reason := range []string{"\u200b", "\u2800", "\u3164 \u200d", "\u00ad"} {
		if approval.CheckWords(reason, "") == nil {
			t.Errorf("%q is taken as a reason", reason)
		}
	}
}
