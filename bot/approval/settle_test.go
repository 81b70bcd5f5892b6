package approval_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// doubt brings a request into doubt over its rotation, or over its revocation, with a
// list that explains nothing and stays so.
func (h *house) doubt(action approval.Action, over string) approval.Request {
	h.t.Helper()
	r := h.ask(action, h.kid("previous"))
	h.tenant.Fault(auth0sim.Fault{Op: over, Times: 1, Lose: auth0sim.LoseBefore})
	h.approve(r.ID)
	if err := h.tenant.Await(context.Background(), func() bool { _, calls := h.effects(over); return calls > 0 }); err != nil {
		h.t.Fatal(err)
	}
	h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusOK, Body: "[]"})
	return h.await(r.ID, approval.InDoubt)
}

func TestTwoPeopleEndWhatIsInDoubt(t *testing.T) {
	for _, tc := range []struct {
		action approval.Action
		over   string
		says   approval.Verb
		want   approval.State
		note   string
	}{
		{approval.Rotate, "rotate", approval.TookEffect, approval.Done, "The rotation took effect."},
		{approval.Rotate, "rotate", approval.DidNot, approval.Failed, "Nothing was applied."},
		{approval.RotateAndRevoke, "rotate", approval.TookEffect, approval.Halted, "Rotated. The key is not revoked."},
		{approval.RotateAndRevoke, "rotate", approval.DidNot, approval.Failed, "Nothing was applied."},
		{approval.RotateAndRevoke, "revoke", approval.TookEffect, approval.Done, "The key is revoked."},
		{approval.RotateAndRevoke, "revoke", approval.DidNot, approval.Halted, "Rotated. The key is not revoked."},
		{approval.Revoke, "revoke", approval.TookEffect, approval.Done, "The key is revoked."},
		{approval.Revoke, "revoke", approval.DidNot, approval.Failed, "Nothing was applied."},
	} {
		t.Run(string(tc.action)+"/"+tc.over+"/"+string(tc.says), func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				r := h.doubt(tc.action, tc.over)
				_, before := h.effects(tc.over)
				for range 2 { // pressed twice it is one word
					if err := h.press(tc.says, r.ID, "UDAVE"); err != nil { // no approver, and he may ask
						t.Fatal(err)
					}
				}
				if now := h.request(r.ID); now.State != approval.InDoubt {
					t.Fatalf("one person made it %s", now.State)
				}
				if got := why(t, h.press(tc.says, r.ID, "UEVE")); got != approval.NotApprover {
					t.Errorf("a second one who is no approver: %s", got)
				}
				for range 2 {
					if err := h.press(tc.says, r.ID, "UBOB"); err != nil {
						t.Fatal(err)
					}
				}
				if now := h.request(r.ID); now.State != tc.want {
					t.Fatalf("two people made it %s, want %s", now.State, tc.want)
				}
				story := h.story(r.ID)
				end := story[len(story)-1]
				if end.Kind != audit.Kind(tc.want) || end.Actor == nil || end.Actor.User != "UBOB" || !strings.Contains(end.Note, tc.note) || !strings.Contains(end.Note, "UDAVE and UBOB say so") {
					t.Errorf("the end is %s by %v: %q", end.Kind, end.Actor, end.Note)
				}
				if end.Account == nil || len(end.Account.Tried) == 0 || len(end.Account.Unproven) == 0 {
					t.Errorf("the end accounts for %+v", end.Account)
				}
				if got := why(t, h.press(tc.says, r.ID, "UALICE")); got != approval.Over {
					t.Errorf("a third one: %s", got)
				}
				time.Sleep(2 * time.Hour) // the key sets are looked at, where a key is said to be revoked
				synctest.Wait()
				if now := h.request(r.ID); now.State != tc.want || !now.DueAt.IsZero() {
					t.Errorf("later it is %s, due %v", now.State, now.DueAt)
				}
				if _, after := h.effects(tc.over); after != before {
					t.Errorf("%d calls to %s came after the doubt", after-before, tc.over)
				}
			})
		})
	}
}

func TestTwoPeopleWhoDisagreeEndNothing(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.doubt(approval.Rotate, "rotate")
		for _, p := range []struct {
			user string
			verb approval.Verb
		}{{"UALICE", approval.TookEffect}, {"UALICE", approval.DidNot}, {"UALICE", approval.TookEffect}, {"UBOB", approval.DidNot}, {"UALICE", approval.TookEffect}, {"UALICE", approval.TookEffect}} {
			time.Sleep(time.Second)
			if err := h.press(p.verb, r.ID, p.user); err != nil {
				t.Fatal(err)
			}
			if now := h.request(r.ID); now.State != approval.InDoubt {
				t.Fatalf("%s by %s made it %s", p.verb, p.user, now.State)
			}
		}
		if err := h.press(approval.TookEffect, r.ID, "UBOB"); err != nil { // he was convinced
			t.Fatal(err)
		}
		if now := h.request(r.ID); now.State != approval.Done {
			t.Errorf("both say the same, and it is %s", now.State)
		}
	})
}

// TestTwoFirstWordsAtOnce lets two people speak in the same moment: one of them is the
// second, whoever that is.
func TestTwoFirstWordsAtOnce(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.doubt(approval.Rotate, "rotate")
		done := make(chan error)
		for _, user := range []string{"UALICE", "UBOB"} {
			go func() { done <- h.press(approval.DidNot, r.ID, user) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if now := h.request(r.ID); now.State != approval.Failed {
			t.Errorf("two people said the same, and it is %s: %v", now.State, h.kinds(r.ID))
		}
	})
}

func TestWhoMayNotSpeak(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.doubt(approval.Rotate, "rotate")
		for who, want := range map[string]approval.Why{
			"bot": approval.IsBot, "guest": approval.IsGuest, "deactivated": approval.IsDeactivated, "stranger": approval.IsStranger, "nobody": approval.NotEstablished,
		} {
			_, _, err := h.desk.Press(t.Context(), approval.Press{Request: r.ID, Verb: approval.TookEffect, Person: people[who], Received: time.Now()})
			if got := why(t, err); got != want {
				t.Errorf("%s: %s, want %s", who, got, want)
			}
		}
		_, _, err := h.desk.Press(t.Context(), approval.Press{Request: r.ID, Verb: approval.DidNot, Person: person("UBOB"), Received: time.Now().Add(-3 * time.Minute)})
		if got := why(t, err); got != approval.Stale {
			t.Errorf("a word of three minutes ago: %s", got)
		}
		h.forge(`UPDATE trail SET line = replace(line, 'UALICE', 'UCAROL') WHERE kind = 'asked'`)
		if got := why(t, h.press(approval.DidNot, r.ID, "UBOB")); got != approval.TrailForged {
			t.Errorf("on a trail that was forged: %s", got)
		}
	})
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		if got := why(t, h.press(approval.TookEffect, r.ID, "UBOB")); got != approval.PastExpiry && got != approval.Over {
			t.Errorf("of what is not in doubt: %s", got)
		}
		if kinds := h.kinds(r.ID); !slices.Equal(kinds, []audit.Kind{audit.Asked}) {
			t.Errorf("the story is %v", kinds)
		}
	})
}

func TestADecisiveLookEndsADoubt(t *testing.T) {
	for _, tc := range []struct {
		action approval.Action
		lose   auth0sim.Lose
		want   approval.State
	}{
		{approval.Rotate, auth0sim.LoseAfter, approval.Done},
		{approval.Rotate, auth0sim.LoseBefore, approval.Failed},
		{approval.RotateAndRevoke, auth0sim.LoseAfter, approval.Halted}, // never goes on by itself after so long
	} {
		inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
			r := h.ask(tc.action, "")
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: tc.lose})
			h.approve(r.ID)
			if err := h.tenant.Await(context.Background(), func() bool { _, calls := h.effects("rotate"); return calls > 0 }); err != nil {
				t.Fatal(err)
			}
			h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusOK, Body: "[]"})
			h.await(r.ID, approval.InDoubt)
			if err := h.press(approval.TookEffect, r.ID, "UALICE"); err != nil { // and nobody answers
				t.Fatal(err)
			}
			h.tenant.ClearFaults()
			h.await(r.ID, tc.want)
			if _, calls := h.effects("rotate"); calls != 1 {
				t.Errorf("%s: %d rotates arrived, want the one before the doubt", tc.action, calls)
			}
			if _, calls := h.effects("revoke"); calls != 0 {
				t.Errorf("%s: %d revokes arrived after a doubt", tc.action, calls)
			}
		})
	}
}
