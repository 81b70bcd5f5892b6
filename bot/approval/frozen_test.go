package approval_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// freeze starts keyturn again with nothing to be written.
func (h *house) freeze() {
	h.t.Helper()
	h.close()
	h.frozen = true
	h.open()
}

// calls counts the writes that arrived.
func (h *house) calls() int {
	_, rotates := h.effects("rotate")
	_, revokes := h.effects("revoke")
	return rotates + revokes
}

// wantWords looks for words in the entry that ended a request.
func (h *house) wantWords(r approval.Request, words string) {
	h.t.Helper()
	story := h.story(r.ID)
	if last := story[len(story)-1]; !strings.Contains(last.Note, words) ||
		!strings.Contains(last.Note, "frozen") {
		h.t.Errorf("it ended %s with %q, want %q", last.Kind, last.Note, words)
	}
}

func TestFrozenRefusesApproveAndTakesAllElse(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.freeze()
		r := h.ask(approval.Rotate, "")
		err := h.press(approval.Approve, r.ID, "UBOB")
		if got := why(t, err); got != approval.Frozen {
			t.Errorf("Approve: %s", got)
		}
		if h.request(r.ID).State != approval.Pending {
			t.Errorf("it is %s", h.request(r.ID).State)
		}
		if err := h.press(approval.Deny, r.ID, "UBOB"); err != nil {
			t.Errorf("Deny: %v", err)
		}
		other := h.ask(approval.Revoke, h.kid("previous"))
		if err := h.press(approval.Cancel, other.ID, "UALICE"); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		h.await(r.ID, approval.Denied)
		h.await(other.ID, approval.Cancelled)
		if h.calls() != 0 {
			t.Errorf("%d writes arrived", h.calls())
		}
	})
}

// TestFrozenWritesNothing freezes each action where it is approved and not begun.
func TestFrozenWritesNothing(t *testing.T) {
	for _, action := range approval.Actions {
		t.Run(string(action), func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				kid := ""
				if action == approval.Revoke {
					kid = h.kid("previous")
				}
				r := h.ask(action, kid)
				h.stop() // the carrier
				h.approve(r.ID)
				h.freeze()
				h.await(r.ID, approval.Failed)
				h.wantWords(r, "Nothing was applied.")
				if h.calls() != 0 || slices.Contains(h.kinds(r.ID), audit.Intended) {
					t.Errorf("%d writes arrived; story: %v", h.calls(), h.kinds(r.ID))
				}
			})
		})
	}
}

func TestFrozenBetweenRotationAndRevoke(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.RotateAndRevoke, "")
		h.tenant.Fault(auth0sim.Fault{Op: "token", After: 1, Status: http.StatusServiceUnavailable})
		h.approve(r.ID)
		h.awaitEntry(r.ID, audit.Rotated)
		h.tenant.ClearFaults()
		h.freeze()
		h.await(r.ID, approval.Halted)
		h.wantWords(r, "Rotated. The key is not revoked:")
		h.wantEffects(1, 0)
		if h.calls() != 1 {
			t.Errorf("%d writes arrived", h.calls())
		}
	})
}

// TestFrozenWithAnOpenIntent: what left before is looked at until a look decides, and is not
// sent again.
func TestFrozenWithAnOpenIntent(t *testing.T) {
	for _, tc := range []struct {
		name   string
		action approval.Action
		fault  auth0sim.Fault
		want   approval.State
	}{
		{"rotate, lost before", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1,
			Lose: auth0sim.LoseBefore}, approval.Failed},
		{"rotate, lost after", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1,
			Lose: auth0sim.LoseAfter}, approval.Done},
		{"rotate, lands late", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1,
			Lose: auth0sim.LandLate, Delay: 10 * time.Second}, approval.Done},
		{"revoke, lost before", approval.Revoke, auth0sim.Fault{Op: "revoke", Times: 1,
			Lose: auth0sim.LoseBefore}, approval.Failed},
		{"revoke, lost after", approval.Revoke, auth0sim.Fault{Op: "revoke", Times: 1,
			Lose: auth0sim.LoseAfter}, approval.Done},
		{"revoke, lands late", approval.Revoke, auth0sim.Fault{Op: "revoke", Times: 1,
			Lose: auth0sim.LandLate, Delay: 10 * time.Second}, approval.Done},
		{"both, rotate lost before", approval.RotateAndRevoke, auth0sim.Fault{Op: "rotate",
			Times: 1, Lose: auth0sim.LoseBefore}, approval.Failed},
		{"both, rotate lost after", approval.RotateAndRevoke, auth0sim.Fault{Op: "rotate", Times: 1,
			Lose: auth0sim.LoseAfter}, approval.Halted},
		{"both, revoke lost before", approval.RotateAndRevoke, auth0sim.Fault{Op: "revoke",
			Times: 1, Lose: auth0sim.LoseBefore}, approval.Halted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				kid := ""
				if tc.action == approval.Revoke {
					kid = h.kid("previous")
				}
				r := h.ask(tc.action, kid)
				h.tenant.Fault(tc.fault)
				h.approve(r.ID)
				answered := func() bool {
					return slices.ContainsFunc(h.story(r.ID), func(e audit.Entry) bool {
						return e.Kind == audit.Answered && e.Step.Write == tc.fault.Op
					})
				}
				for changed := h.store.Changed(); !answered(); changed = h.store.Changed() {
					<-changed
				}
				intents := func() (n int) {
					for _, kind := range h.kinds(r.ID) {
						if kind == audit.Intended {
							n++
						}
					}
					return n
				}
				before := intents()
				h.freeze()
				h.await(r.ID, tc.want)
				if intents() != before || h.calls() != before {
					t.Errorf("%d intents and %d writes, want %d as before it was frozen", intents(),
						h.calls(), before)
				}
				if tc.want != approval.Done {
					h.wantWords(r, "")
				}
			})
		})
	}
}

// TestFrozenLeavesADoubtToPeople: what is in doubt is looked at, and ended by their words.
func TestFrozenLeavesADoubtToPeople(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter})
		h.approve(r.ID)
		h.awaitEntry(r.ID, audit.Answered)
		h.tenant.Rotate() // somebody else, besides
		h.freeze()
		h.await(r.ID, approval.InDoubt)
		before := h.calls()
		for _, user := range []string{"UALICE", "UBOB"} {
			if err := h.press(approval.TookEffect, r.ID, user); err != nil {
				t.Fatal(err)
			}
		}
		h.await(r.ID, approval.Done)
		if h.calls() != before {
			t.Errorf("%d writes arrived after it was frozen", h.calls()-before)
		}
	})
}
