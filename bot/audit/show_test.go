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

// TestNoTimeIsNegative where the clock was put back between two entries.
func TestNoTimeIsNegative(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	bob := &audit.Actor{User: "U2", Name: "bob"}
	got := audit.Show([]audit.Entry{
		{
			Seq: 1, Time: at, Kind: audit.Asked, Tenant: "prod", Request: "kt-1", Actor: bob,
			Change: &audit.Change{Action: "revoke", Pins: audit.Pins{Key: &audit.Pin{KID: "k"}}},
		},
		{Seq: 2, Time: at.Add(-3 * time.Hour), Kind: audit.Approved, Actor: bob},
		{Seq: 3, Time: at.Add(-2 * time.Hour), Kind: audit.Done},
	}, nil)
	for _, words := range []string{
		"0.0 s later", "0.0 s after it was asked for", "1 h 0 min after it was approved",
	} {
		if !strings.Contains(got, words) {
			t.Errorf("the story lacks %q:\n%s", words, got)
		}
	}
	if strings.Contains(got, " -3") || strings.Contains(got, " -1") {
		t.Errorf("a time is negative:\n%s", got)
	}
}
