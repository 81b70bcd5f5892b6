package audit_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/bot/audit"
)

var kinds = []audit.Kind{
	audit.Asked, audit.Approved, audit.Denied, audit.Cancelled, audit.Expired, audit.Reminded, audit.Explained, audit.Refused,
	audit.Began, audit.Waiting, audit.Intended, audit.Answered, audit.Rotated, audit.Revoked,
	audit.Done, audit.Voided, audit.Failed, audit.Halted, audit.InDoubt, audit.Stated, audit.Unlisted, audit.StillListed,
	audit.Started, audit.Stopped, audit.PolicyChanged, audit.Checkpointed, audit.Watched, audit.Alarmed, audit.Traced, audit.Overdue,
}

func TestEveryKindHasASentence(t *testing.T) {
	seen := map[string]audit.Kind{}
	for _, k := range kinds {
		// A sentence must come also where what it names is missing: somebody may have forged it.
		for _, e := range []audit.Entry{{Kind: k}, {Kind: k, Actor: &audit.Actor{User: "U1", Name: "alice"}, Note: "So it is."}} {
			s := audit.Sentence(e)
			if !strings.HasSuffix(s, ".") || strings.Contains(s, "\n") {
				t.Errorf("%s: %q is no sentence", k, s)
			}
			if e.Note == "" && seen[s] != "" {
				t.Errorf("%s and %s say the same: %q", k, seen[s], s)
			}
			seen[s] = k
		}
	}
}

func TestSentences(t *testing.T) {
	alice, bob := &audit.Actor{User: "U0ALICE", Name: "alice"}, &audit.Actor{User: "U0BOB"}
	for _, tc := range []struct {
		e    audit.Entry
		want string
	}{
		{audit.Entry{Kind: audit.Asked, Actor: alice, Change: &audit.Change{Action: "rotate-and-revoke", Reason: "leak", Pins: audit.Pins{Current: &audit.Pin{KID: "kid1"}}}},
			"alice (U0ALICE) asked for a rotation, and the revocation of the key kid1."},
		{audit.Entry{Kind: audit.Approved, Actor: bob}, "U0BOB approved it."},
		{audit.Entry{Kind: audit.Refused, Actor: bob, Press: &audit.Press{Verb: "approve", Why: "is_requester"}}, "U0BOB pressed “approve”, and it did not count (is requester)."},
		{audit.Entry{Kind: audit.Intended, Step: &audit.Step{Write: "revoke", KID: "kid1", Attempt: 2}}, "keyturn is about to revoke the key kid1, attempt 2."},
		{audit.Entry{Kind: audit.Answered, Step: &audit.Step{Write: "rotate"}, Answer: &audit.Answer{Sent: true, Status: 201, KID: "kid3"}}, "Auth0 answered 201. It named the key kid3 as the next."},
		{audit.Entry{Kind: audit.Answered, Answer: &audit.Answer{Sent: true, Status: 429, Words: "too many", Reset: time.Now()}}, "Auth0 answered 429 (too many)."},
		{audit.Entry{Kind: audit.Answered, Answer: &audit.Answer{Words: "not sent: too late"}}, "It was not sent: too late."},
		{audit.Entry{Kind: audit.Done, Note: "The key is revoked.", Actor: bob, Says: "took_effect"}, "Done. U0BOB says the same: it took effect. The key is revoked."},
		{audit.Entry{Kind: audit.StillListed, Note: "Still listed by x."}, "Still listed. Still listed by x."},
	} {
		if got := audit.Sentence(tc.e); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.e.Kind, got, tc.want)
		}
	}
}
