package approval_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt/auth0sim"
)

func TestEachActionIsCarriedOut(t *testing.T) {
	for _, tc := range []struct {
		action           approval.Action
		rotates, revokes int
		want             []audit.Kind
	}{
		{approval.Revoke, 0, 1, []audit.Kind{audit.Asked, audit.Approved, audit.Began, audit.Intended, audit.Answered, audit.Revoked, audit.Done}},
		{approval.Rotate, 1, 0, []audit.Kind{audit.Asked, audit.Approved, audit.Began, audit.Intended, audit.Answered, audit.Rotated, audit.Done}},
		{approval.RotateAndRevoke, 1, 1, []audit.Kind{audit.Asked, audit.Approved, audit.Began, audit.Intended, audit.Answered, audit.Rotated, audit.Intended, audit.Answered, audit.Revoked, audit.Done}},
	} {
		t.Run(string(tc.action), func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				kid := h.kid("current")
				if tc.action == approval.Revoke {
					kid = h.kid("previous")
				}
				next := h.kid("next")
				began := time.Now()
				r := h.ask(tc.action, kid)
				h.approve(r.ID)
				h.await(r.ID, approval.Done)
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %v where nothing went wrong", took)
				}
				h.wantEffects(tc.rotates, tc.revokes)
				if diff := cmp.Diff(tc.want, h.kinds(r.ID)); diff != "" {
					t.Errorf("the story (-want +got):\n%s", diff)
				}
				if tc.rotates > 0 && h.kid("current") != next {
					t.Errorf("the current key is %s, want %s", h.kid("current"), next)
				}
				for _, c := range h.tenant.History() {
					if c.Effect && c.Correlation != string(r.ID) {
						t.Errorf("a write has the correlation id %q, want %q", c.Correlation, r.ID)
					}
				}
				story := h.story(r.ID)
				if done := story[len(story)-1]; done.Look == nil || done.Look.Token != h.kid("current") {
					t.Errorf("done was not proven with a token of the current key: %+v", done.Look)
				}
			})
		})
	}
}

func TestIntentIsInTheTrailBeforeEachWrite(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.ask(approval.RotateAndRevoke, "")
		for _, op := range []string{"rotate", "revoke"} {
			h.tenant.Fault(auth0sim.Fault{Op: op, Times: 1, Delay: time.Second})
		}
		h.approve(r.ID)
		for _, op := range []string{"rotate", "revoke"} {
			time.Sleep(500 * time.Millisecond) // of the bubble: the write is on its way now
			story := h.story(r.ID)
			e := story[len(story)-1]
			if e.Kind != audit.Intended || e.Step.Write != op || e.Change.Approver == nil || e.Change.Requester.User != "UALICE" {
				t.Errorf("while the %s is on its way, the last entry is %+v", op, e)
			}
			time.Sleep(700 * time.Millisecond)
		}
		h.await(r.ID, approval.Done)
	})
}

// TestLostAnswers plays every way in which an answer to a write can be lost, or be a
// wrong one. What happened is what the list shows, whatever was answered.
func TestLostAnswers(t *testing.T) {
	badGateway := auth0sim.Fault{Status: http.StatusBadGateway}
	for _, tc := range []struct {
		name             string
		action           approval.Action
		fault            auth0sim.Fault
		want             approval.State
		rotates, revokes int
		calls            int // writes that arrived at the faulty end
		note             string
	}{
		{"rotate lost after", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}, approval.Done, 1, 0, 1, ""},
		{"rotate lost before", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore}, approval.Done, 1, 0, 2, ""},
		{"rotate always lost before", approval.Rotate, auth0sim.Fault{Op: "rotate", Lose: auth0sim.LoseBefore}, approval.Failed, 0, 0, 2, "Nothing was applied"},
		{"rotate lands late", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 12 * time.Second}, approval.Done, 1, 0, 1, ""},
		{"rotate never answered", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1, Delay: 20 * time.Second}, approval.Done, 1, 0, 1, ""},
		{"rotate 502", approval.Rotate, with(badGateway, "rotate", 1), approval.Done, 1, 0, 2, ""},
		{"rotate 307", approval.Rotate, auth0sim.Fault{Op: "rotate", Times: 1, Status: 307, Header: http.Header{"Location": {"/api/v2/keys/signing/rotate"}}}, approval.Done, 1, 0, 2, ""},
		{"rotate 429", approval.Rotate, auth0sim.Fault{Op: "rotate", Status: 429, Header: http.Header{"X-RateLimit-Reset": {"946702800"}}}, approval.Failed, 0, 0, 1, "Auth0 refused it (429"},
		{"rotate 403", approval.RotateAndRevoke, auth0sim.Fault{Op: "rotate", Status: 403}, approval.Failed, 0, 0, 1, "Auth0 refused it (403"},
		{"both, rotate lost after", approval.RotateAndRevoke, auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}, approval.Done, 1, 1, 1, ""},
		{"both, revoke lost after", approval.RotateAndRevoke, auth0sim.Fault{Op: "revoke", Times: 1, Lose: auth0sim.LoseAfter}, approval.Done, 1, 1, 1, ""},
		{"both, revoke lost before", approval.RotateAndRevoke, auth0sim.Fault{Op: "revoke", Times: 2, Lose: auth0sim.LoseBefore}, approval.Done, 1, 1, 3, ""},
		{"both, revoke always lost", approval.RotateAndRevoke, auth0sim.Fault{Op: "revoke", Lose: auth0sim.LoseBefore}, approval.Halted, 1, 0, 3, "not revoked"},
		{"both, revoke refused", approval.RotateAndRevoke, auth0sim.Fault{Op: "revoke", Status: 400}, approval.Halted, 1, 0, 1, "Auth0 refused it (400"},
		{"revoke lost after", approval.Revoke, auth0sim.Fault{Op: "revoke", Times: 1, Lose: auth0sim.LoseAfter}, approval.Done, 0, 1, 1, ""},
		{"revoke refused", approval.Revoke, auth0sim.Fault{Op: "revoke", Status: 403}, approval.Failed, 0, 0, 1, "Nothing was applied"},
		{"revoke always lost", approval.Revoke, auth0sim.Fault{Op: "revoke", Lose: auth0sim.LoseBefore}, approval.Failed, 0, 0, 3, "Nothing was applied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				h.tenant.Fault(tc.fault)
				r := h.ask(tc.action, h.kid("previous"))
				h.approve(r.ID)
				h.await(r.ID, tc.want)
				h.wantEffects(tc.rotates, tc.revokes)
				if _, calls := h.effects(tc.fault.Op); calls != tc.calls {
					t.Errorf("%d calls to %s arrived, want %d", calls, tc.fault.Op, tc.calls)
				}
				story := h.story(r.ID)
				end := story[len(story)-1]
				if !strings.Contains(end.Note, tc.note) {
					t.Errorf("the end says %q, want %q in it", end.Note, tc.note)
				}
				var intents int
				for _, e := range story {
					if e.Kind == audit.Intended {
						intents++
					}
				}
				if end.Account == nil || len(end.Account.Tried) != intents {
					t.Errorf("the end accounts for %+v, want each of %d tries", end.Account, intents)
				}
				if reset := end.Account.Reset; !reset.IsZero() != (tc.name == "rotate 429") {
					t.Errorf("the end says to come back at %v", reset)
				}
			})
		})
	}
}

func with(f auth0sim.Fault, op string, times int) auth0sim.Fault {
	f.Op, f.Times = op, times
	return f
}

func TestAnEffectAfterTheQuietTimeIsSeenBeforeTheRevoke(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 15*time.Second + 500*time.Millisecond})
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Delay: 2 * time.Second})
		r := h.ask(approval.RotateAndRevoke, "")
		h.approve(r.ID)
		h.await(r.ID, approval.InDoubt)
		h.wantEffects(2, 0)
	})
}

func TestDoneWaitsForTheKeySets(t *testing.T) {
	for lag, want := range map[time.Duration]struct {
		from, to time.Duration
		words    string
	}{
		15 * time.Second: {15 * time.Second, 25 * time.Second, "is gone from the JWKS of acme.test"},
		time.Hour:        {time.Minute, 70 * time.Second, "still lists the key"},
	} {
		inHouse(t, auth0sim.Config{Previous: 1, JWKSMaxAge: lag}, func(t *testing.T, h *house) {
			r := h.ask(approval.Revoke, h.kid("previous"))
			began := time.Now()
			h.approve(r.ID)
			h.awaitEntry(r.ID, audit.Revoked)
			if d := time.Since(began); d > time.Second {
				t.Errorf("lag %v: revoked was said after %v, want at once", lag, d)
			}
			h.await(r.ID, approval.Done)
			if d := time.Since(began); d < want.from || d > want.to {
				t.Errorf("lag %v: done after %v, want %v to %v", lag, d, want.from, want.to)
			}
			story := h.story(r.ID)
			if note := story[len(story)-1].Note; !strings.Contains(note, want.words) {
				t.Errorf("lag %v: done says %q", lag, note)
			}
		})
	}
}

func TestADifferenceVoids(t *testing.T) {
	for name, change := range map[string]func(h *house){
		"rotated behind our back": func(h *house) { h.tenant.Rotate() },
		"a previous key revoked":  func(h *house) { h.tenant.Revoke(h.kid("previous")) },
	} {
		for _, action := range approval.Actions {
			if action == approval.Revoke && name == "rotated behind our back" {
				continue // a previously used key stays one
			}
			t.Run(name+"/"+string(action), func(t *testing.T) {
				inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
					r := h.ask(action, h.kid("previous"))
					change(h)
					h.approve(r.ID)
					h.await(r.ID, approval.Voided)
					h.wantEffects(0, 0)
					if diff := cmp.Diff([]audit.Kind{audit.Asked, audit.Approved, audit.Voided}, h.kinds(r.ID)); diff != "" {
						t.Errorf("the story (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

func TestARotationBetweenTheEffectsHalts(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.ask(approval.RotateAndRevoke, "")
		h.tenant.Fault(auth0sim.Fault{Op: "token", Status: 503}) // holds the request up between the effects
		h.approve(r.ID)
		h.awaitEntry(r.ID, audit.Rotated)
		h.tenant.Rotate()
		h.tenant.ClearFaults()
		h.await(r.ID, approval.Halted)
		h.wantEffects(1, 0)
	})
}

// TestSomebodyRevokesTheKeyBetweenTheEffects has the key revoked in the Dashboard after
// our rotation, while keyturn is gone: for a minute, or for longer than it would go on.
// The key is revoked, so that is what is said.
func TestSomebodyRevokesTheKeyBetweenTheEffects(t *testing.T) {
	for _, gone := range []time.Duration{time.Minute, 20 * time.Minute} {
		inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
			b := h.startOver(&breaker{at: -1, name: "move rotated rotate", mode: goneAfter})
			r := h.ask(approval.RotateAndRevoke, "")
			h.approve(r.ID)
			h.awaitEntry(r.ID, audit.Rotated)
			if err := h.tenant.Revoke(r.KID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(gone)
			h.again(b)
			h.await(r.ID, approval.Done)
			h.wantEffects(1, 0)
			if _, calls := h.effects("revoke"); calls != 0 {
				t.Errorf("%d revokes were sent for a key that was revoked", calls)
			}
			if !slices.ContainsFunc(h.story(r.ID), func(e audit.Entry) bool {
				return e.Kind == audit.Revoked && strings.Contains(e.Note, "Somebody else revoked it")
			}) {
				t.Errorf("nothing says who revoked it: %v", h.kinds(r.ID))
			}
		})
	}
}

// TestARefusalAfterALostRevokeIsWaitedOut has a first revoke that lands after a second
// one was refused: until it can land no more, nobody says that it did not.
func TestARefusalAfterALostRevokeIsWaitedOut(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "revoke", Times: 1, Lose: auth0sim.LandLate, Delay: 9 * time.Second})
		h.tenant.Fault(auth0sim.Fault{Op: "revoke", Times: 1, Status: http.StatusForbidden})
		r := h.ask(approval.Revoke, h.kid("previous"))
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		h.wantEffects(0, 1)
	})
}

func TestATokenOfTheNewKeyComesBeforeTheRevoke(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.ask(approval.RotateAndRevoke, "")
		h.tenant.Fault(auth0sim.Fault{Op: "token", Status: 500}) // the token at hand lasts until the rotation
		began := time.Now()
		h.approve(r.ID)
		h.await(r.ID, approval.Halted)
		h.wantEffects(1, 0)
		if d := time.Since(began); d < 2*time.Minute || d > 3*time.Minute {
			t.Errorf("halted after %v, want about 2 minutes", d)
		}
	})
}

func TestATokenOfTheOldKeyIsWaitedOut(t *testing.T) {
	for lag, want := range map[time.Duration]approval.State{40 * time.Second: approval.Done, 10 * time.Minute: approval.Halted} {
		inHouse(t, auth0sim.Config{TokenLag: lag}, func(t *testing.T, h *house) {
			r := h.ask(approval.RotateAndRevoke, "")
			h.approve(r.ID)
			h.await(r.ID, want)
			var rotated, revoking time.Time
			for _, e := range h.story(r.ID) {
				switch {
				case e.Kind == audit.Rotated:
					rotated = e.Time
				case e.Kind == audit.Intended && e.Step.Write == string(approval.Revoke):
					revoking = e.Time
				}
			}
			if want == approval.Halted {
				h.wantEffects(1, 0)
			} else if d := revoking.Sub(rotated); d < lag {
				t.Errorf("the revoke was intended %v after the rotation, and tokens were signed by the old key for %v", d, lag)
			}
		})
	}
}

func TestAnApprovalDoesNotOutliveItsMoment(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: 503})
		h.approve(r.ID)
		began := time.Now()
		h.await(r.ID, approval.Expired)
		if d := time.Since(began); d < 5*time.Minute || d > 6*time.Minute {
			t.Errorf("expired after %v, want about 5 minutes", d)
		}
		h.wantEffects(0, 0)
	})
}

func TestUnreadableAfterTheWriteIsInDoubtAndEndsByItself(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter})
		h.approve(r.ID)
		if err := h.tenant.Await(context.Background(), func() bool { n, _ := h.effects("rotate"); return n == 1 }); err != nil {
			t.Fatal(err)
		}
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: 503})
		began := time.Now()
		h.await(r.ID, approval.InDoubt)
		if d := time.Since(began); d < 30*time.Minute || d > 32*time.Minute {
			t.Errorf("in doubt after %v, want about 30 minutes", d)
		}
		h.tenant.ClearFaults()
		h.await(r.ID, approval.Done)
		h.wantEffects(1, 0)
	})
}

func TestRequestsExpire(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		began := time.Now()
		h.await(r.ID, approval.Expired)
		if d := time.Since(began); d < 30*time.Minute || d > 31*time.Minute {
			t.Errorf("expired after %v, want 30 minutes", d)
		}
		if err := h.press(approval.Approve, r.ID, "UBOB"); why(t, err) != approval.Over {
			t.Errorf("approving what expired: %v", err)
		}
		h.wantEffects(0, 0)
	})
}

func TestAForgedRowCarriesNothingOut(t *testing.T) {
	for name, forgery := range map[string]string{
		"approved by nobody":   `UPDATE requests SET state = 'approved', due_at = 1, approver = '{"team":"T1","user":"UBOB","name":"UBOB"}'`,
		"another key":          `UPDATE requests SET kid = 'other', due_at = 1, state = 'approved'`,
		"another tenant's row": `UPDATE requests SET tenant = 'staging', due_at = 1, state = 'approved'`,
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				r := h.ask(approval.Revoke, h.kid("previous"))
				h.forge(forgery)
				h.await(r.ID, approval.Failed)
				h.wantEffects(0, 0)
			})
		})
	}
	t.Run("approved, and then another key's", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
			previous := h.kids("previous")
			r, other := h.ask(approval.Revoke, previous[0]), h.ask(approval.Revoke, previous[1])
			h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable}) // holds it up
			h.approve(r.ID)
			h.forge(fmt.Sprintf(`UPDATE requests SET (kid, pins) = (SELECT kid, pins FROM requests WHERE id = '%s') WHERE id = '%s'`, other.ID, r.ID))
			h.tenant.ClearFaults()
			h.await(r.ID, approval.Failed)
			h.wantEffects(0, 0)
		})
	})
	t.Run("done made approved again", func(t *testing.T) {
		inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
			r := h.ask(approval.Rotate, "")
			h.approve(r.ID)
			h.await(r.ID, approval.Done)
			h.forge(`UPDATE requests SET state = 'approved', due_at = 1`)
			h.await(r.ID, approval.Failed)
			h.wantEffects(1, 0)
		})
	})
	t.Run("an entry changed", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			r := h.ask(approval.Revoke, h.kid("previous"))
			h.forge(`UPDATE trail SET line = replace(line, 'UALICE', 'UCAROL') WHERE kind = 'asked'`)
			h.approve(r.ID)
			h.awaitRow(r.ID, approval.Failed)
			h.wantEffects(0, 0)
		})
	})
}

// TestPickedUp stops keyturn at moments of a carrying-out and starts it again.
func TestPickedUp(t *testing.T) {
	for _, op := range []string{"list", "token", "rotate", "revoke", "jwks"} {
		t.Run(op, func(t *testing.T) {
			inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
				r := h.ask(approval.RotateAndRevoke, "")
				h.approve(r.ID)
				if err := h.tenant.Await(context.Background(), func() bool {
					return slices.ContainsFunc(h.tenant.History()[1:], func(c auth0sim.Call) bool { return c.Op == op })
				}); err != nil {
					t.Fatal(err)
				}
				h.close()
				h.open()
				h.await(r.ID, approval.Done)
				h.wantEffects(1, 1)
			})
		})
	}
}

// slowStore takes its time to commit the first intents.
type slowStore struct {
	*store.Store
	intents int
	delay   time.Duration
}

func (s *slowStore) Move(ctx context.Context, m approval.Move) (approval.Request, error) {
	r, err := s.Store.Move(ctx, m)
	if m.Entry.Kind == audit.Intended && s.intents > 0 {
		s.intents--
		time.Sleep(s.delay)
	}
	return r, err
}

func TestAnIntentThatIsTooOldIsNotSent(t *testing.T) {
	for intents, want := range map[int]approval.State{1: approval.Done, 100: approval.Failed} {
		inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
			h.restart(func(s *store.Store) approval.Store { return &slowStore{s, intents, 4 * time.Second} })
			r := h.ask(approval.Rotate, "")
			h.approve(r.ID)
			h.await(r.ID, want)
			_, calls := h.effects("rotate")
			if sent := want == approval.Done; calls != map[bool]int{true: 1}[sent] {
				t.Errorf("%d rotates arrived, and the request is %s", calls, want)
			}
			var unsent int
			for _, e := range h.story(r.ID) {
				if e.Kind == audit.Answered && !e.Answer.Sent {
					unsent++
				}
			}
			if unsent == 0 {
				t.Error("no entry says that a write was not sent")
			}
		})
	}
}

// deafStore loses every renewal of a lease.
type deafStore struct{ *store.Store }

func (deafStore) Renew(context.Context, approval.ID, int64, time.Duration) error {
	return errors.New("the disk does not answer")
}

func TestAWriteNeedsALeaseThatWasRenewed(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
		h.restart(func(s *store.Store) approval.Store { return deafStore{s} })
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore})
		h.tenant.Fault(auth0sim.Fault{Op: "list", After: 2, Times: 3, Delay: 3 * time.Second}) // holds the second try up, to 21 s after the claim
		r := h.ask(approval.Rotate, "")
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		h.wantEffects(1, 0)
		var intents []time.Duration
		for _, e := range h.story(r.ID) {
			if e.Kind == audit.Intended {
				intents = append(intents, e.Time.Sub(r.AskedAt).Round(time.Second))
			}
		}
		if len(intents) != 2 || intents[1] < h.carrier.Timing.Lease {
			t.Errorf("intents after %v; the second has to wait for a new claim", intents)
		}
	})
}

// TestTheListMayLagBehindTheAnswer shows the keys as they were for some looks after
// Auth0 said that it did what it was asked.
func TestTheListMayLagBehindTheAnswer(t *testing.T) {
	for _, action := range approval.Actions {
		t.Run(string(action), func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				r := h.ask(action, h.kid("previous"))
				// The looks before the write come first: one to begin, one to decide.
				h.tenant.Fault(auth0sim.Fault{Op: "list", After: 2, Times: 4, Status: http.StatusOK, Body: list(h.tenant)})
				began := time.Now()
				h.approve(r.ID)
				h.await(r.ID, approval.Done)
				if d := time.Since(began); d < 3*time.Second || d > 10*time.Second {
					t.Errorf("done after %v, want soon after the list caught up", d)
				}
				h.wantEffects(map[bool]int{true: 1}[action != approval.Revoke], map[bool]int{true: 1}[action != approval.Rotate])
				if _, calls := h.effects("rotate"); calls > 1 {
					t.Errorf("%d rotates were sent", calls)
				}
			})
		})
	}
}

func TestARevocationThatIsGoneAgainIsInDoubt(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1, JWKSMaxAge: time.Hour}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		before := list(h.tenant)
		h.approve(r.ID)
		h.awaitEntry(r.ID, audit.Revoked) // the proof waits for the key set
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusOK, Body: before})
		h.await(r.ID, approval.InDoubt)
		h.tenant.ClearFaults()
		h.await(r.ID, approval.Done)
	})
}
