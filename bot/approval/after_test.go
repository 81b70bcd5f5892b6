package approval_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// This file tests what comes after an end, and what is said while one waits.

func TestPendingRequestsAreVoidedWhenTheirPinsNoLongerHold(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
		previous := h.kids("previous")
		first := h.ask(approval.Revoke, previous[0])
		other := h.ask(approval.Revoke, previous[1]) // depends on another key
		rotate := h.ask(approval.Rotate, "")         // depends on which keys are unrevoked
		h.approve(first.ID)
		h.await(first.ID, approval.Done)
		h.await(rotate.ID, approval.Voided)
		synctest.Wait()
		if r := h.request(other.ID); r.State != approval.Pending || !r.DueAt.Equal(r.AskedAt.Add(15*time.Minute)) {
			t.Errorf("one whose pins hold is %s, due %v", r.State, r.DueAt)
		}
		h.wantEffects(0, 1)
		h.approve(other.ID)
		h.await(other.ID, approval.Done)
	})
}

func TestAPendingRequestStillExpiresAfterItWasLookedAt(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
		previous := h.kids("previous")
		first, other := h.ask(approval.Revoke, previous[0]), h.ask(approval.Revoke, previous[1])
		h.approve(first.ID)
		h.await(first.ID, approval.Done)
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: 503}) // and while it cannot be looked at
		h.await(other.ID, approval.Expired)
		if d := time.Since(other.ExpiresAt); d > time.Minute {
			t.Errorf("expired %v late", d)
		}
	})
}

func TestAKeySetThatIsLateGetsALateEntry(t *testing.T) {
	for lag, want := range map[time.Duration]audit.Kind{10 * time.Minute: audit.Unlisted, 3 * time.Hour: audit.StillListed} {
		inHouse(t, auth0sim.Config{Previous: 1, JWKSMaxAge: lag}, func(t *testing.T, h *house) {
			r := h.ask(approval.Revoke, h.kid("previous"))
			h.approve(r.ID)
			h.await(r.ID, approval.Done)
			done := time.Now()
			h.awaitEntry(r.ID, want)
			if d := time.Since(done); want == audit.Unlisted && (d < 5*time.Minute || d > 15*time.Minute) || want == audit.StillListed && (d < time.Hour || d > 70*time.Minute) {
				t.Errorf("%s came %v after done", want, d)
			}
			story := h.story(r.ID)
			end, late := story[len(story)-2], story[len(story)-1]
			if end.Kind != audit.Done || len(end.Account.Unproven) != 1 || !strings.Contains(end.Account.Unproven[0], "acme.test still lists") {
				t.Errorf("%s does not say what it does not prove: %+v", end.Kind, end.Account)
			}
			if !late.Account.CachedUntil.After(end.Account.CachedUntil) && want == audit.StillListed {
				t.Errorf("caches end %v, and %v is still listed", late.Account.CachedUntil, end.Account.CachedUntil)
			}
			if row := h.request(r.ID); row.State != approval.Done || !row.DueAt.IsZero() {
				t.Errorf("the row is %s, due %v; want it at rest", row.State, row.DueAt)
			}
		})
	}
}

func TestDoneSaysUntilWhenVerifiersMayCache(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		var revoked time.Time
		for _, e := range h.story(r.ID) {
			if e.Kind == audit.Revoked {
				revoked = e.Time
			}
			if e.Kind == audit.Done && !e.Account.CachedUntil.Equal(revoked.Add(approval.LongestCache)) {
				t.Errorf("caches end %v, want %v after %v", e.Account.CachedUntil, approval.LongestCache, revoked)
			}
		}
		if row := h.request(r.ID); !row.DueAt.IsZero() {
			t.Errorf("it is due %v; the key sets were clean", row.DueAt)
		}
	})
}

func TestRotationsOfTheDayAreCounted(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		h.tenant.Rotate() // in the Dashboard
		for n := range 2 {
			r := h.askAnew(approval.Rotate)
			if got := h.story(r.ID)[0].Look.Rotations; got != n+1 {
				t.Errorf("asked after %d rotations: %d known", n+1, got)
			}
			h.approve(r.ID)
			h.await(r.ID, approval.Done)
			story := h.story(r.ID)
			if got := story[len(story)-1].Look.Rotations; got != n+2 {
				t.Errorf("done after %d rotations: %d known", n+2, got)
			}
		}
		time.Sleep(25 * time.Hour)
		r := h.askAnew(approval.Rotate)
		if got := h.story(r.ID)[0].Look.Rotations; got != 0 {
			t.Errorf("a day later: %d known", got)
		}
	})
}

func TestPeopleAreToldOnceWhyNothingGoesOn(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.tenant.Fault(auth0sim.Fault{Op: "list", After: 2, Times: 30, Status: 503}) // from after the write on
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		var waiting []audit.Entry
		for _, e := range h.story(r.ID) {
			if e.Kind == audit.Waiting {
				waiting = append(waiting, e)
			}
		}
		if len(waiting) != 1 || !strings.Contains(waiting[0].Note, "503") {
			t.Errorf("%d entries say that it waits: %v", len(waiting), waiting)
		}
	})
}

// TestAForgeryAfterAnIntentLeavesItToPeople forges while a rotation may be under way:
// then neither "nothing was applied" nor "done" is known to be true.
func TestAForgeryAfterAnIntentLeavesItToPeople(t *testing.T) {
	for name, forgery := range map[string]string{
		"the row":  `UPDATE requests SET kid = 'other'`,
		"an entry": `UPDATE trail SET line = replace(line, 'UALICE', 'UCAROL') WHERE kind = 'asked'`,
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
				r := h.ask(approval.RotateAndRevoke, "")
				h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter})
				h.approve(r.ID)
				h.awaitEntry(r.ID, audit.Answered)
				h.forge(forgery)
				h.awaitRow(r.ID, approval.InDoubt)
				time.Sleep(time.Hour) // it is looked at, and nothing more is sent
				synctest.Wait()
				if now := h.request(r.ID); now.State != approval.InDoubt {
					t.Errorf("an hour later it is %s", now.State)
				}
				h.wantEffects(1, 0)
				h.mu.Lock()
				defer h.mu.Unlock()
				if !slices.ContainsFunc(h.reports, func(err error) bool {
					return strings.Contains(err.Error(), "not what the trail says") || strings.Contains(err.Error(), "not the one that was sealed")
				}) {
					t.Errorf("the operator was told %v", h.reports)
				}
			})
		})
	}
}

func TestALostAnswerIsNotProvenHarmless(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		for _, fault := range []auth0sim.Fault{{Op: "rotate", Lose: auth0sim.LoseBefore}, {Op: "rotate", Status: http.StatusForbidden}} {
			h.tenant.ClearFaults()
			h.tenant.Fault(fault)
			r := h.askAnew(approval.Rotate)
			h.approve(r.ID)
			h.await(r.ID, approval.Failed)
			story := h.story(r.ID)
			if got := len(story[len(story)-1].Account.Unproven); (got == 1) != (fault.Status == 0) {
				t.Errorf("status %d: %d things are not proven", fault.Status, got)
			}
		}
	})
}

// TestAKeySetThatCannotBeReadProvesNothing has key sets that fail: done is said, and not
// that the key is gone from them, until they are read.
func TestAKeySetThatCannotBeReadProvesNothing(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		h.tenant.Fault(auth0sim.Fault{Op: "jwks", Status: http.StatusServiceUnavailable})
		began := time.Now()
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		if d := time.Since(began); d < time.Minute {
			t.Errorf("done was said after %v, want the key sets tried for a minute", d)
		}
		story := h.story(r.ID)
		if a := story[len(story)-1].Account; len(a.Unproven) != 1 || !strings.Contains(a.Unproven[0], "could not be read") {
			t.Errorf("done does not prove %q", a.Unproven)
		}
		h.tenant.ClearFaults()
		h.awaitEntry(r.ID, audit.Unlisted)
	})
}

func TestATokenOfTheOldKeyIsNotAProof(t *testing.T) {
	const lag = 40 * time.Second
	inHouse(t, auth0sim.Config{TokenLag: lag}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		began := time.Now()
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		if d := time.Since(began); d < lag {
			t.Errorf("done was said after %v, and tokens were signed by the old key for %v", d, lag)
		}
		story := h.story(r.ID)
		if end := story[len(story)-1]; end.Look.Token != h.kid("current") {
			t.Errorf("it was read back with a token of %s", end.Look.Token)
		}
	})
}

// TestApproversAreRemindedOnceAtHalfTime also stops the carrier over half time, for one
// request, and lets another change end after it: neither makes a second reminder.
func TestApproversAreRemindedOnceAtHalfTime(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
		previous := h.kids("previous")
		r := h.ask(approval.Revoke, previous[0])
		h.awaitEntry(r.ID, audit.Reminded)
		if d := time.Since(r.AskedAt); d != 15*time.Minute {
			t.Errorf("reminded after %v, want half of the 30 minutes", d)
		}
		other := h.ask(approval.Revoke, previous[1])
		h.approve(other.ID)
		h.await(other.ID, approval.Done) // the first is looked at again
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: 503})
		h.close()
		h.open()
		h.await(r.ID, approval.Expired)
		if d := time.Since(r.ExpiresAt); d > time.Minute {
			t.Errorf("expired %v late", d)
		}
		want := []audit.Kind{audit.Asked, audit.Reminded, audit.Expired}
		if diff := cmp.Diff(want, h.kinds(r.ID)); diff != "" {
			t.Errorf("the story (-want +got):\n%s", diff)
		}
	})
}

func TestADecisionBeforeHalfTimeNeedsNoReminder(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		if err := h.press(approval.Deny, r.ID, "UBOB"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]audit.Kind{audit.Asked, audit.Denied}, h.kinds(r.ID)); diff != "" {
			t.Errorf("the story (-want +got):\n%s", diff)
		}
	})
}
