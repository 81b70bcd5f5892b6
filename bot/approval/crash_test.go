package approval_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt/auth0sim"
)

// This file breaks every write to the store and every call to Auth0, one at a time, at
// the timing that keyturn runs with. cmd/keyturn does the same to the real program, with
// SIGKILL.

// mode is what happens at a point.
type mode string

const (
	failBefore mode = "fails before it is kept"
	failAfter  mode = "fails after it was kept"
	goneBefore mode = "the process is gone before"
	goneAfter  mode = "the process is gone after"
)

var errBroken = errors.New("switched on")

// breaker is a store, and a way to Auth0, that break at one write.
type breaker struct {
	*store.Store
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	points []string // the writes so far, by name
	at     int      // which of them breaks, from 0; -1: none, or the first of this name
	name   string
	mode   mode
	gone   bool // nothing gets out of the process any more
}

// through makes a write, or breaks.
func (b *breaker) through(name string, write func() error) error {
	b.mu.Lock()
	if b.gone {
		b.mu.Unlock()
		return errBroken
	}
	hit := len(b.points) == b.at || b.at < 0 && name == b.name && !slices.Contains(b.points, name)
	b.points = append(b.points, name)
	if hit && b.mode == goneBefore {
		b.gone = true
	}
	b.mu.Unlock()
	if hit && (b.mode == failBefore || b.mode == goneBefore) {
		return errBroken
	}
	err := write()
	if !hit {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = b.mode == goneAfter
	return errBroken
}

func (b *breaker) isGone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gone
}

func (b *breaker) Create(ctx context.Context, r approval.Request, e audit.Entry) (out approval.Request, err error) {
	err = b.through("create", func() error { out, err = b.Store.Create(ctx, r, e); return err })
	return out, err
}

func (b *breaker) Move(ctx context.Context, m approval.Move) (out approval.Request, err error) {
	name := "move " + string(m.Entry.Kind)
	if m.Entry.Step != nil {
		name += " " + m.Entry.Step.Write
	}
	err = b.through(name, func() error { out, err = b.Store.Move(ctx, m); return err })
	return out, err
}

func (b *breaker) Claim(ctx context.Context, owner string, lease time.Duration) (out approval.Request, err error) {
	if due, err := b.Store.NextDue(ctx); err == nil && (due.IsZero() || due.After(time.Now())) {
		return out, approval.ErrUnknown // it would write nothing
	}
	err = b.through("claim", func() error { out, err = b.Store.Claim(ctx, owner, lease); return err })
	return out, err
}

func (b *breaker) Renew(ctx context.Context, id approval.ID, epoch int64, lease time.Duration) error {
	return b.through("renew", func() error { return b.Store.Renew(ctx, id, epoch, lease) })
}

func (b *breaker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if b.isGone() {
		return nil, errBroken
	}
	return b.dial(ctx, network, addr)
}

// breakAt starts keyturn over a breaker.
func (h *house) breakAt(at int, m mode) *breaker {
	h.t.Helper()
	return h.startOver(&breaker{at: at, mode: m})
}

func (h *house) startOver(b *breaker) *breaker {
	h.t.Helper()
	h.close()
	b.dial = h.tenant.Dial
	h.start(b.Dial, func(s *store.Store) approval.Store { b.Store = s; return b })
	return b
}

// insist does what a person does to whom something went wrong: it again, after keyturn
// was started again where it is gone.
func (h *house) insist(b *breaker, do func() error) {
	h.t.Helper()
	for range 3 {
		err := do()
		if b.isGone() {
			h.again(b)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, errBroken) {
			h.t.Fatal(err)
		}
	}
	h.t.Fatal("it goes wrong each time")
}

// again starts keyturn after it was gone.
func (h *house) again(b *breaker) {
	h.close()
	b.mu.Lock()
	b.gone, b.at, b.name = false, -1, ""
	b.mu.Unlock()
	h.open()
}

// play has a change asked for, approved and carried out, with a store that breaks, and
// returns the request at its end.
func (h *house) play(b *breaker, action approval.Action) approval.Request {
	h.t.Helper()
	var r approval.Request
	kid := h.kid("previous")
	h.insist(b, func() (err error) {
		r, err = h.desk.Ask(h.t.Context(), asking(action, kid))
		return err
	})
	h.insist(b, func() error { return h.press(approval.Approve, r.ID, "UBOB") })
	for limit := time.After(2 * time.Hour); ; {
		changed := h.store.Changed()
		if b.isGone() {
			h.again(b)
		}
		if r = h.request(r.ID); r.State.IsFinal() {
			return r
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-limit:
			h.t.Fatalf("request stays %s; story: %v; reports: %v", r.State, h.kinds(r.ID), h.reports)
		}
	}
}

// wantDoneOnce checks that r was carried out, once, and as the trail says.
func (h *house) wantDoneOnce(r approval.Request) {
	h.t.Helper()
	if r.State != approval.Done {
		h.t.Errorf("it is %s; story: %v; reports: %v", r.State, h.kinds(r.ID), h.reports)
	}
	h.wantEffects(wanted(r.Action))
	h.wantIntents(r.ID)
}

func wanted(a approval.Action) (rotates, revokes int) {
	switch a {
	case approval.Rotate:
		return 1, 0
	case approval.Revoke:
		return 0, 1
	}
	return 1, 1
}

// wantIntents checks that each write that arrived had its own intent before it.
func (h *house) wantIntents(id approval.ID) {
	h.t.Helper()
	story := h.story(id)
	for _, op := range []string{"rotate", "revoke"} {
		var intents []time.Time
		for _, e := range story {
			if e.Kind == audit.Intended && e.Step.Write == op {
				intents = append(intents, e.Time)
			}
		}
		n := 0
		for _, c := range h.tenant.History() {
			if c.Op != op || c.Correlation != string(id) {
				continue
			}
			if n >= len(intents) || intents[n].After(c.At) {
				h.t.Errorf("%s %d arrived at %v; intents: %v", op, n+1, c.At, intents)
			}
			n++
		}
	}
}

// isSkipped leaves three cells of four out with -short, which is for the race detector:
// that makes SQLite take minutes for all of them.
func isSkipped(cells *int) bool {
	*cells++
	return testing.Short() && *cells%4 != 0
}

func TestEveryWriteToTheStoreBreaks(t *testing.T) {
	cells := 0
	for _, action := range approval.Actions {
		var points []string
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			b := h.breakAt(-1, "")
			h.tenant.Fault(slowRotate)
			h.wantDoneOnce(h.play(b, action))
			points = b.points
		})
		for at, name := range points {
			for _, m := range []mode{failBefore, failAfter, goneBefore, goneAfter} {
				if isSkipped(&cells) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d %s/%s", action, at, name, m), func(t *testing.T) {
					t.Parallel() // they wait for the disk
					inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
						b := h.breakAt(at, m)
						h.tenant.Fault(slowRotate)
						h.wantDoneOnce(h.play(b, action))
					})
				})
			}
		}
	}
}

// slowRotate has a lost answer in every history, so that leases are renewed in each.
var slowRotate = auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}

func TestEveryCallToAuth0Breaks(t *testing.T) {
	cells := 0
	for _, action := range approval.Actions {
		calls := map[string]int{}
		inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
			h.wantDoneOnce(h.play(h.breakAt(-1, ""), action))
			for _, c := range h.tenant.History() {
				calls[c.Op]++
			}
		})
		for op, n := range calls {
			for nth := range n {
				faults := map[string]auth0sim.Fault{"lost before": {Lose: auth0sim.LoseBefore}, "502": {Status: 502}, "never answers": {Delay: time.Hour}}
				if op == "rotate" || op == "revoke" {
					faults["lost after"] = auth0sim.Fault{Lose: auth0sim.LoseAfter}
					faults["lands late"] = auth0sim.Fault{Lose: auth0sim.LandLate, Delay: 12 * time.Second}
				}
				for name, f := range faults {
					if isSkipped(&cells) {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s %d/%s", action, op, nth, name), func(t *testing.T) {
						t.Parallel()
						inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
							b := h.breakAt(-1, "")
							f.Op, f.After, f.Times = op, nth, 1
							h.tenant.Fault(f)
							var r approval.Request
							for r = h.playOn(b, action); r.ID == ""; { // asking needs a look; the person asks again
								r = h.playOn(b, action)
							}
							h.wantDoneOnce(r)
						})
					})
				}
			}
		}
	}
}

// playOn is play, where asking may be refused for want of a look.
func (h *house) playOn(b *breaker, action approval.Action) approval.Request {
	h.t.Helper()
	if _, err := h.desk.Ask(h.t.Context(), asking(action, h.kid("previous"))); err != nil {
		return approval.Request{}
	}
	return h.play(b, action)
}

// TestTheQuietTimeIsCountedInFull loses a rotate that nobody can know the fate of. The
// next one comes after the whole quiet time, from giving up on it, or from the claim of
// a process that did not see what became of it.
func TestTheQuietTimeIsCountedInFull(t *testing.T) {
	for _, m := range []mode{failAfter, goneBefore} {
		inHouse(t, auth0sim.Config{}, func(t *testing.T, h *house) {
			b := h.startOver(&breaker{at: -1, name: "move answered rotate", mode: m})
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore, Delay: 20 * time.Second})
			r := h.play(b, approval.Rotate)
			h.wantDoneOnce(r)
			var intents []time.Time
			for _, e := range h.story(r.ID) {
				if e.Kind == audit.Intended {
					intents = append(intents, e.Time)
				}
			}
			timing := approval.DefaultTiming()
			if want := timing.WriteTimeout + timing.Quiet; len(intents) != 2 || intents[1].Sub(intents[0]) < want {
				t.Errorf("mode %q: intents at %v, want the second %v after the first", m, intents, want)
			}
		})
	}
}
