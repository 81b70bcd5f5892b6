package approval_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// seen is what came of a person's look.
type seen struct {
	look  *audit.Look
	err   error
	asked time.Time
	took  time.Duration
}

// look asks for a look beside the test.
func (h *house) look(ctx context.Context) <-chan seen {
	out := make(chan seen, 1)
	go func() {
		s := seen{asked: time.Now()}
		s.look, _, s.err = h.desk.Look(ctx, "prod", false)
		s.took = time.Since(s.asked)
		out <- s
	}()
	synctest.Wait()
	return out
}

// lists counts how often the keys were listed.
func (h *house) lists() (n int) {
	for _, c := range h.tenant.History() {
		if c.Op == "list" {
			n++
		}
	}
	return n
}

func TestManyAskersShareALook(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "list", Delay: 300 * time.Millisecond})
		var all []<-chan seen
		for range 100 {
			all = append(all, h.look(t.Context()))
		}
		for i, one := range all {
			s := <-one
			if s.err != nil || len(s.look.Keys) != 3 {
				t.Fatalf("asker %d got %v, %v", i, s.look, s.err)
			}
			if s.look.At.Before(s.asked) {
				t.Fatalf("asker %d got a look from %v before the asking", i, s.asked.Sub(s.look.At))
			}
			s.look.Rotations = i // is nobody else's
		}
		if n := h.lists(); n > 2 {
			t.Errorf("100 askers at once were %d looks, want 2 at the most", n)
		}
	})
}

// What somebody asks for during a look may be younger than what that look will show.
func TestAskersDuringALookGetTheNext(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{
			Op: "list", Times: 1, Delay: 2 * time.Second,
			Status: http.StatusOK, Body: list(h.tenant),
		})
		first := h.look(t.Context())
		time.Sleep(time.Second)
		rotated := h.tenant.Rotate()
		second := h.look(t.Context())
		if s := <-first; s.err != nil || s.took != 2*time.Second {
			t.Errorf("the first asker got %v after %v", s.err, s.took)
		}
		s := <-second
		if s.err != nil || s.look.At.Before(s.asked) {
			t.Fatalf("the second asker got a look of %v, asked at %v: %v", s.look, s.asked, s.err)
		}
		if _, ok := s.look.Key(rotated); !ok {
			t.Error("the second asker does not see the rotation before the asking")
		}
		if n := h.lists(); n != 2 {
			t.Errorf("%d looks, want 2", n)
		}
	})
}

func TestLooksArePaced(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		if s := <-h.look(t.Context()); s.took != 0 {
			t.Errorf("the first look came after %v, want it at once", s.took)
		}
		time.Sleep(time.Minute)
		if s := <-h.look(t.Context()); s.took != 0 {
			t.Errorf("after a quiet minute a look came after %v, want it at once", s.took)
		}
		before := h.lists()
		for range 60 * 15 {
			one := h.look(t.Context())
			time.Sleep(time.Second / 15)
			t.Cleanup(func() { <-one })
		}
		if n := h.lists() - before; n < 55 || n > 62 {
			t.Errorf("%d looks in a minute of 15 askers a second, want one a second", n)
		}
	})
}

// One error is for those who waited for it: whoever asks afterwards gets a new look.
func TestAnErrorReachesThoseWhoWait(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		slow := auth0sim.Fault{Op: "list", Times: 1, Delay: time.Second}
		h.tenant.Fault(slow)
		first := h.look(t.Context())
		broken := slow
		broken.Status = http.StatusForbidden
		h.tenant.Fault(broken)
		var waiting []<-chan seen
		for range 10 {
			waiting = append(waiting, h.look(t.Context()))
		}
		if s := <-first; s.err != nil {
			t.Errorf("who asked before got %v", s.err)
		}
		time.Sleep(500 * time.Millisecond)
		after := h.look(t.Context())
		for _, one := range waiting {
			if s := <-one; s.err == nil || !strings.Contains(s.err.Error(), "403") {
				t.Errorf("who waited got %v, want the 403", s.err)
			}
		}
		if s := <-after; s.err != nil {
			t.Errorf("who asked after that got %v", s.err)
		}
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := approval.NewDesk(nil, policy, map[string]approval.Tenant{"prod": {Name: "prod"}},
			time.Hour, "test", time.Now) // without a Reader to look with
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, _, err := desk.Look(t.Context(), "prod", true)
				if err == nil || !strings.Contains(err.Error(), "panicked") {
					t.Errorf("got %v, want that it panicked", err)
				}
			})
		}
		wg.Wait()
	})
}

func TestWhoGivesUpEndsNobodysLook(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "list", Times: 2, Delay: 4 * time.Second})
		first := h.look(t.Context())
		hurried, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		second := h.look(hurried) // they begin the round
		third := h.look(t.Context())
		<-first
		if s := <-second; !errors.Is(s.err, context.DeadlineExceeded) || s.took != 6*time.Second {
			t.Errorf("who was in a hurry got %v after %v", s.err, s.took)
		}
		if s := <-third; s.err != nil || s.took != 8*time.Second {
			t.Errorf("who waited on got %v after %v", s.err, s.took)
		}
		if n := h.lists(); n != 2 {
			t.Errorf("%d looks, want 2", n)
		}

		// Where nobody waits any more the look ends, and is in nobody's way.
		h.tenant.Fault(auth0sim.Fault{Op: "list", Times: 1, Delay: 4 * time.Second})
		alone, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		<-h.look(alone)
		if s := <-h.look(t.Context()); s.err != nil || s.took > time.Second {
			t.Errorf("who asked after everybody had gone got %v after %v", s.err, s.took)
		}
		// Also where it did not begin.
		gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		before := h.lists()
		<-h.look(gone)
		time.Sleep(5 * time.Second)
		if n := h.lists(); n != before {
			t.Errorf("%d looks for nobody", n-before)
		}
	})
}

// tooMany answers a list with 429, and says when to come back.
func tooMany(times int, in time.Duration) auth0sim.Fault {
	f := auth0sim.Fault{Op: "list", Times: times, Status: http.StatusTooManyRequests}
	if in != 0 {
		f.Header = http.Header{"Retry-After": {strconv.Itoa(int(in / time.Second))}}
	}
	return f
}

func TestAuth0sLimitIsHeeded(t *testing.T) {
	t.Run("soon", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.tenant.Fault(tooMany(1, 2*time.Second))
			s := <-h.look(t.Context())
			if s.err != nil || s.took < 2*time.Second || s.took > 3*time.Second {
				t.Errorf("got %v after %v, want the keys after 2 s", s.err, s.took)
			}
		})
	})
	t.Run("later", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.tenant.Fault(tooMany(1, 20*time.Second))
			began := time.Now()
			for range 15 * 15 { // and nobody asks again
				s := <-h.look(t.Context())
				var no *approval.Refusal
				if !errors.As(s.err, &no) || no.Why != approval.Auth0Limits ||
					no.Until.Sub(began) != 20*time.Second {
					t.Fatalf("got %v, want to be told when", s.err)
				}
				time.Sleep(time.Second / 15)
			}
			if n := h.lists(); n != 1 {
				t.Errorf("Auth0 was asked %d times before it wanted to be", n)
			}
			time.Sleep(time.Until(began.Add(18 * time.Second)))
			if s := <-h.look(t.Context()); s.err != nil || time.Since(began) < 20*time.Second {
				t.Errorf("got %v after %v, want the keys after 20 s", s.err, time.Since(began))
			}
		})
	})
	t.Run("told to somebody else", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.tenant.Fault(tooMany(1, 20*time.Second))
			if _, err := h.reader.Keys(t.Context()); err == nil {
				t.Fatal("the limit did not refuse")
			}
			got := why(t, (<-h.look(t.Context())).err)
			if got != approval.Auth0Limits || h.lists() != 1 {
				t.Errorf("got %s after %d calls", got, h.lists())
			}
			// The carrier goes by its own rules, and what it finds counts for people too.
			if _, err := h.reader.Keys(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := <-h.look(t.Context()); s.err != nil {
				t.Errorf("after a read that Auth0 took: %v", s.err)
			}
		})
	})
	t.Run("in a year", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.tenant.Fault(tooMany(1, 300*24*time.Hour))
			if got := why(t, (<-h.look(t.Context())).err); got != approval.Auth0Limits {
				t.Errorf("got %s", got)
			}
			time.Sleep(time.Minute)
			if s := <-h.look(t.Context()); s.err != nil {
				t.Errorf("a minute later: %v", s.err)
			}
		})
	})
	t.Run("without a time", func(t *testing.T) {
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.tenant.Fault(tooMany(0, 0))
			s := <-h.look(t.Context())
			var no *approval.Refusal
			if !errors.As(s.err, &no) || no.Why != approval.Auth0Limits || !no.Until.IsZero() {
				t.Errorf("got %v", s.err)
			}
		})
	})
}

// A guest who types list 15 times a second keeps no approved change from being carried
// out, where Auth0 takes 2 calls a second.
func TestPeopleDoNotUseUpAuth0(t *testing.T) {
	for _, action := range approval.Actions {
		t.Run(string(action), func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1, Rate: 2, Burst: 10}, func(t *testing.T, h *house) {
				ctx, stop := context.WithCancel(t.Context())
				var guest sync.WaitGroup
				defer guest.Wait()
				defer stop()
				guest.Go(func() {
					for ctx.Err() == nil {
						guest.Go(func() { h.desk.Look(ctx, "prod", true) })
						time.Sleep(time.Second / 15)
					}
				})
				time.Sleep(10 * time.Second)
				kid := ""
				if action == approval.Revoke {
					kid = h.kid("previous")
				}
				r := h.ask(action, kid)
				h.approve(r.ID)
				h.await(r.ID, approval.Done)
				if s := <-h.look(t.Context()); s.err != nil {
					t.Errorf("people are not shown the keys afterwards: %v", s.err)
				}
			})
		})
	}
}

// While a request is carried out people wait, but not for ever.
func TestTheCarrierGoesFirst(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		done := h.reader.GoFirst()
		if s := <-h.look(t.Context()); s.err != nil || s.took != 5*time.Second {
			t.Errorf("got %v after %v, want the keys after 5 s", s.err, s.took)
		}
		waiting := h.look(t.Context())
		time.Sleep(2 * time.Second)
		done()
		if s := <-waiting; s.err != nil || s.took != 2*time.Second {
			t.Errorf("got %v after %v, want the keys once the carrier is done", s.err, s.took)
		}

		r := h.ask(approval.Rotate, "")
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Delay: 3 * time.Second})
		h.approve(r.ID)
		time.Sleep(time.Second)
		waiting = h.look(t.Context())
		h.await(r.ID, approval.Done)
		s := <-waiting
		if _, ok := s.look.Key(h.kid("next")); !ok || s.took < 2*time.Second {
			t.Errorf("during a carrying-out the keys were shown after %v: %v", s.took, s.err)
		}
	})
}
