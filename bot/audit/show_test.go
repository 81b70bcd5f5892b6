package audit_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/bot/audit"
)

// TestAStoryIsOnlyText, whatever people typed or called themselves.
func TestAStoryIsOnlyText(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	const bad = "\x1b]0;x\a\x1b[2J\u009b1m\u202egnp\u2066\u200b\r"
	got := audit.Show([]audit.Entry{
		{Seq: 1, Time: at, Kind: audit.Asked, Tenant: "prod", Request: "kt-1", Actor: &audit.Actor{User: "U1", Name: "al" + bad + "\n# ice|[x](y)"},
			Change: &audit.Change{Action: "revoke", Reason: "leak" + bad + "\n````\n# it", Link: "https://x.example/" + bad, Pins: audit.Pins{Key: &audit.Pin{KID: "k"}}}},
		{Seq: 2, Time: at, Kind: audit.Denied, Note: bad},
	}, nil)
	for _, r := range "\x1b\a\u009b\u202e\u2066\u200b\r" {
		if strings.ContainsRune(got, r) {
			t.Errorf("it has %U as it is", r)
		}
	}
	for _, want := range []string{"\\# ice\\|\\[x\\](y)", "`````\nleak"} {
		if !strings.Contains(got, want) {
			t.Errorf("it has no %q:\n%s", want, got)
		}
	}
}
