//go:build failpoint

package main

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"keyturn/bot/approval"
)

// around is where keyturn dies, or the store fails, while it has a press. The modal was
// received before it, so that the press is the second thing that is kept.
var around = []struct{ name, point, mode string }{
	{"between receipt and insert", "receive#2", "kill-before"},
	{"the insert fails", "receive#2", "fail-before"},
	{"the insert is kept, and fails", "receive#2", "fail-after"},
	{"between insert and ack", "receive#2", "kill-after"},
	{"between ack and work", "%s#1", "kill-before"},
	{"the work fails", "%s#1", "fail-before"},
	{"after the work", "%s#1", "kill-after"},
	{"before it is marked as worked", "worked#2", "kill-before"},
	{"after it is marked as worked", "worked#2", "kill-after"},
}

// TestKilledAroundAPress kills keyturn between receipt, insert, ack and work of each
// kind of press. Whoever pressed presses again only where Slack showed its warning, or
// keyturn told them to: and then it was worked, once.
func TestKilledAroundAPress(t *testing.T) {
	type press struct {
		who   string
		verb  approval.Verb
		point string // of its work
		ends  approval.State
	}
	type cell struct {
		press
		name, point, mode string
	}
	var cells []cell
	for _, p := range []press{
		{"U0BOB", approval.Approve, "move approved", approval.Done},
		{"U0BOB", approval.Deny, "move denied", approval.Denied},
		{"U0ALICE", approval.Cancel, "move cancelled", approval.Cancelled},
		{"U0ALICE", approval.Approve, "note refused", approval.Pending}, // who asked
	} {
		for _, a := range around {
			point := a.point
			if point == "%s#1" {
				point = fmt.Sprintf(point, p.point)
			}
			cells = append(cells, cell{p, a.name, point, a.mode})
		}
	}
	var mu sync.Mutex
	parallel(4, cells, func(c cell) {
		w := newWorld(t, "prod")
		defer w.Close()
		w.run("FAILPOINT="+c.point+":"+c.mode, "FAILPOINT_LOG="+w.passed())
		did := w.pressesOnce(c.who, c.verb)
		w.settle()
		states := w.check()
		w.checkActs(did)
		mu.Lock()
		defer mu.Unlock()
		what := fmt.Sprintf("%s by %s, %s", c.verb, c.who, c.name)
		if !slices.Contains(w.points(), c.point+":"+c.mode) {
			t.Errorf("%s: it was not reached", what)
		}
		if !slices.Equal(states, []approval.State{c.ends}) {
			t.Errorf("%s: the request ended as %v, want %s", what, states, c.ends)
		}
		w.report(t, what)
	})
}

// pressesOnce lets alice ask for a revocation and somebody press, and again where that
// came to nothing, until they were told what came of it. It returns what Slack took.
func (w *world) pressesOnce(who string, verb approval.Verb) (did []act) {
	if !w.await(20*time.Second, w.up) || !w.asks("U0ALICE", "/signing-keys revoke") {
		w.fault("there is no card:\n%s", w.log.String())
		return nil
	}
	id := w.pending()[0]
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		before := w.told(who)
		a, ok := w.press(who, verb, id)
		if !ok {
			if !slices.Contains(w.pending(), id) {
				return did // the one before it counted
			}
			continue
		}
		did = append(did, a)
		over := func() bool { return !slices.Contains(w.pending(), id) }
		w.await(patience, func() bool { return over() || w.told(who) > before })
		if over() || w.told(who) > before && !w.tripped(who) {
			return did
		}
	}
	w.fault("%s presses %s and presses, and nothing comes of it:\n%s", who, verb, w.log.String())
	return did
}

var retold = regexp.MustCompile(`Press again|Try again`)

// tripped reports whether the last thing that somebody was told is to try again.
func (w *world) tripped(who string) bool {
	all := w.slack.Ephemerals(who, room)
	return len(all) > 0 && retold.MatchString(all[len(all)-1].Shows())
}
