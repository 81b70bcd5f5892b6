//go:build failpoint

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/mgmt/auth0sim"
)

// cell is one thing that goes wrong once, in one action.
type cell struct {
	action approval.Action
	point  string // of the store; "": a call to Auth0
	op     string // of Auth0
	nth    int
	mode   string
}

var (
	modes     = []string{"fail-before", "fail-after", "kill-before", "kill-after"}
	lateModes = []string{"fail-late", "kill-late"} // of the writes to Auth0
)

// late is how long after its answer was lost a write takes effect: within the quiet
// time, when keyturn may be looking again already.
const late = 400 * time.Millisecond

func (c cell) String() string {
	if c.point != "" {
		return fmt.Sprintf("%s, %s:%s", c.action, c.point, c.mode)
	}
	return fmt.Sprintf("%s, %s#%d:%s", c.action, c.op, c.nth, c.mode)
}

// TestCrashMatrix carries each action out once for every write to the store and every
// call to Auth0, and each time lets that one fail, before or after it took effect, or
// kills keyturn there; and then looks whether what came of it is true. A write to
// Auth0 also takes effect when nobody waits for its answer any more.
//
// What there is to fail is learnt from a run in which nothing does.
func TestCrashMatrix(t *testing.T) {
	var cells []cell
	for _, a := range approval.Actions {
		points, calls := rehearse(t, a)
		t.Logf("%s: %d writes to the store, %d calls to Auth0", a, len(points), sum(calls))
		for _, p := range points {
			for _, mode := range modes {
				cells = append(cells, cell{action: a, point: p, mode: mode})
			}
		}
		for _, op := range slices.Sorted(maps.Keys(calls)) {
			all := modes
			if op == "rotate" || op == "revoke" {
				all = slices.Concat(modes, lateModes)
			}
			for n := range calls[op] {
				for _, mode := range all {
					cells = append(cells, cell{action: a, op: op, nth: n + 1, mode: mode})
				}
			}
		}
	}

	var mu sync.Mutex
	fired, ends, idle := 0, map[approval.State]int{}, []string{}
	began := time.Now()
	parallel(8, cells, func(c cell) {
		w := newWorld(t, "prod")
		defer w.Close()
		hit, states := c.play(w)
		mu.Lock()
		defer mu.Unlock()
		if hit {
			fired++
		} else {
			idle = append(idle, c.String())
		}
		for _, s := range states {
			ends[s]++
		}
		w.report(t, c.String())
	})
	t.Logf("%d cells, of which %d fired, in %s; the requests ended as %v", len(cells), fired, time.Since(began).Round(time.Second), ends)
	t.Logf("not reached: %s", strings.Join(idle, "; "))
	if fired*10 < len(cells)*9 {
		t.Errorf("%d of %d cells fired; the rest showed nothing", fired, len(cells))
	}
	// One fault always leaves an explanation. A machine that hangs longer than a
	// shortened quiet time can make a few cells look otherwise.
	if n := ends[approval.InDoubt]; n*100 > len(cells) {
		t.Errorf("%d requests ended in doubt, where one fault each explains all", n)
	}
}

func sum(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// parallel does each with a few at once: they mostly wait.
func parallel[T any](n int, all []T, do func(T)) {
	next := make(chan T)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for v := range next {
				do(v)
			}
		})
	}
	for _, v := range all {
		next <- v
	}
	close(next)
	wg.Wait()
}

// renewSlow is longer than the time between two renewals of a lease.
const renewSlow = 700 * time.Millisecond

// rehearse plays an action without any fault, and returns the points that the store
// passed and how many calls of each operation came. It is slow enough that the lease
// is renewed.
func rehearse(t *testing.T, a approval.Action) (points []string, calls map[string]int) {
	w := newWorld(t, "prod")
	defer w.Close()
	w.run("FAILPOINT_LOG=" + w.passed())
	w.request(a, true)
	w.settle()
	if states := w.check(); len(w.faults) > 0 || !slices.Equal(states, []approval.State{approval.Done}) {
		t.Fatalf("%s without a fault: %v %v", a, states, w.faults)
	}
	g := w.tenants["prod"]
	g.mu.Lock()
	defer g.mu.Unlock()
	return w.points(), maps.Clone(g.seen)
}

func (w *world) passed() string { return filepath.Join(w.dir, "passed") }

// points returns the lines that keyturn wrote for the points it passed.
func (w *world) points() []string {
	b, err := os.ReadFile(w.passed())
	if err != nil {
		w.fault("reading what was passed: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// request lets alice ask for an action and bob approve it.
func (w *world) request(a approval.Action, slow bool) {
	if !w.await(20*time.Second, w.up) {
		w.fault("keyturn does not come up:\n%s", w.log.String())
	}
	if !w.asks("U0ALICE", "/signing-keys "+string(a)) {
		w.fault("alice asks and asks, and there is no card:\n%s", w.log.String())
		return
	}
	if slow {
		w.tenants["prod"].slowNext(renewSlow)
	}
	if !w.approves("U0BOB") {
		w.fault("bob approves and approves, and the card waits:\n%s", w.log.String())
	}
}

// play plays the cell, and reports whether what should go wrong did, and how the
// requests ended.
func (c cell) play(w *world) (fired bool, states []approval.State) {
	g := w.tenants["prod"]
	switch {
	case c.point != "":
		w.run("FAILPOINT="+c.point+":"+c.mode, "FAILPOINT_LOG="+w.passed())
	default:
		f := auth0sim.Fault{Op: c.op, After: c.nth - 1, Times: 1}
		switch c.mode {
		case "fail-before":
			f.Lose = auth0sim.LoseBefore
		case "fail-after":
			f.Lose = auth0sim.LoseAfter
		case "fail-late":
			f.Lose, f.Delay = auth0sim.LandLate, late
		default:
			g.op, g.nth, g.after = c.op, c.nth, c.mode != "kill-before"
			if c.mode == "kill-late" {
				g.late = late
			}
		}
		if f.Lose != auth0sim.LoseNothing {
			g.tenant.Fault(f)
		}
		w.run()
	}
	// Steps that need no post pass a channel's position together where nothing is slow.
	w.request(c.action, strings.HasPrefix(c.point, "renew") || strings.HasPrefix(c.point, "posted"))
	w.settle()
	states = w.check()
	if c.point == "" {
		return g.calls(c.op) >= c.nth, states
	}
	return slices.Contains(w.points(), c.point+":"+c.mode), states
}
