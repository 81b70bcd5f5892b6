//go:build failpoint

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// TestRandomKills kills keyturn from outside, again and again at a random moment,
// while people go on asking and deciding, and while Auth0 and Slack are rude now and
// then; then it lets them rest and looks whether what came of it is true. KILLS is how
// often, 200 where it is not set; SEED repeats the choices of a run, though not its
// moments.
func TestRandomKills(t *testing.T) {
	kills := int(number64(t, "KILLS", 200))
	seed := uint64(number64(t, "SEED", time.Now().UnixNano()))
	t.Logf("SEED=%d KILLS=%d", seed, kills)

	// The simulated bucket allows five rotations a day, so a world is not used for long.
	var worlds []uint64
	for i := range (kills + killsAWorld - 1) / killsAWorld {
		worlds = append(worlds, uint64(i))
	}
	var mu sync.Mutex
	total, acts, ends := 0, 0, map[approval.State]int{}
	began := time.Now()
	parallel(2, worlds, func(n uint64) {
		w := newWorld(t, tenants[:]...)
		defer w.Close()
		m := min(killsAWorld, kills-int(n)*killsAWorld)
		did, states := w.storm(m, seed, n)
		mu.Lock()
		defer mu.Unlock()
		total += m
		acts += len(did)
		for _, s := range states {
			ends[s]++
		}
		w.report(t, fmt.Sprintf("SEED=%d, world %d", seed, n))
	})
	t.Logf("%d kills in %s; %d presses and submissions were acknowledged; the requests ended as %v", total, time.Since(began).Round(time.Second), acts, ends)
	if ends[approval.Done] < total/25 {
		t.Errorf("%d requests were carried out under %d kills: too few to show anything", ends[approval.Done], total)
	}
}

const killsAWorld = 25

var tenants = [2]string{"prod", "staging"}

func number64(t *testing.T, name string, otherwise int64) int64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		t.Fatalf("%s is %q, want a number above 0", name, text)
	}
	return n
}

// storm lets people act while keyturn is killed some times, and then everything come
// to rest. It returns what Slack took from them, and how the requests stand.
func (w *world) storm(kills int, seed, n uint64) (did []act, states []approval.State) {
	var mu sync.Mutex
	note := func(a act, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if ok {
			did = append(did, a)
		}
	}
	over := make(chan struct{})
	var people sync.WaitGroup
	person := func(i uint64, act func(*rand.Rand)) {
		r := rand.New(rand.NewPCG(seed, n*10+i))
		people.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					act(r)
				}
			}
		})
	}
	w.run()
	w.await(20*time.Second, w.up)
	person(1, func(r *rand.Rand) { note(w.asksSomething("U0ALICE", r)) })
	person(2, func(r *rand.Rand) { note(w.asksSomething("U0CAROL", r)) })
	person(3, func(r *rand.Rand) { note(w.decides("U0BOB", r)) })
	person(4, func(r *rand.Rand) { note(w.decides("U0DORA", r)) })
	w.killOften(kills, rand.New(rand.NewPCG(seed, n*10)))
	close(over)
	people.Wait()
	w.settle()
	states = w.check()
	w.checkActs(did)
	return did, states
}

// killOften kills keyturn: while it starts, or soon after it can be reached. Now and
// then it is let live for as long as a rotation that is followed up takes.
func (w *world) killOften(kills int, r *rand.Rand) {
	for range kills {
		starts := w.started()
		life := time.Duration(r.IntN(600)) * time.Millisecond
		if r.IntN(3) == 0 {
			w.rude(r)
		}
		switch r.IntN(8) {
		case 0:
			life /= 3 // most likely before it is ready
		case 1, 2:
			life *= 4
			fallthrough
		default:
			w.await(20*time.Second, w.up)
		}
		w.await(life, func() bool { return w.started() > starts }) // false: the moment has come
		w.kill()
		if !w.await(20*time.Second, func() bool { return w.started() > starts }) {
			w.fault("keyturn is not started again")
			return
		}
	}
}

// rude spoils one call to come of some tenant, and one of Slack's.
func (w *world) rude(r *rand.Rand) {
	w.tenants[tenants[r.IntN(2)]].tenant.Fault(auth0sim.Fault{
		Op: []string{"rotate", "revoke", "list", "token"}[r.IntN(4)], Times: 1,
		Lose: []auth0sim.Lose{auth0sim.LoseBefore, auth0sim.LoseAfter, auth0sim.LandLate}[r.IntN(3)], Delay: late,
	})
	w.slack.Fault(slacksim.Fault{
		Method: []string{"chat.postMessage", "chat.update"}[r.IntN(2)], Times: 1,
		Status: []int{0, 429, 503}[r.IntN(3)], Error: "internal_error", RetryAfter: time.Second,
	})
}

// asksSomething lets somebody ask for a change of some tenant, while few wait.
func (w *world) asksSomething(who string, r *rand.Rand) (act, bool) {
	if !w.await(patience/10, func() bool { return len(w.pending()) < 4 }) {
		return act{}, false
	}
	line := "/signing-keys " + string(approval.Actions[r.IntN(3)]) + " " + tenants[r.IntN(2)]
	before := w.told(who)
	a, ok := w.ask(who, line)
	if ok { // whoever asked looks what came of it before they ask again
		cards := len(w.cards())
		w.await(patience/5, func() bool { return len(w.cards()) > cards || w.told(who) > before })
	}
	return a, ok
}

// decides lets an approver look at what waits: they mostly approve; sometimes they
// deny, or the requester withdraws it.
func (w *world) decides(who string, r *rand.Rand) (act, bool) {
	if !w.await(patience/10, func() bool { return len(w.pending()) > 0 }) {
		return act{}, false
	}
	waiting := w.pending()
	if len(waiting) == 0 {
		return act{}, false
	}
	id, verb := waiting[r.IntN(len(waiting))], approval.Approve
	switch r.IntN(12) {
	case 0:
		verb = approval.Deny
	case 1:
		verb = approval.Cancel
		who = "U0ALICE"
		if !strings.Contains(w.cards()[id].Shows(), "@U0ALICE asks") {
			who = "U0CAROL"
		}
	}
	before := w.told(who)
	a, ok := w.press(who, verb, id)
	if ok {
		w.await(patience/5, func() bool { return w.told(who) > before || !slices.Contains(w.pending(), id) })
	}
	return a, ok
}

// checkActs: what Slack took was kept and worked; it is in the trail, or whoever did
// it was told why not; and nobody was told that something counts which did not.
func (w *world) checkActs(did []act) {
	worked, err := texts(w, `SELECT id FROM inbox WHERE worked_at > 0`)
	if err != nil {
		w.fault("reading the inbox: %v", err)
	}
	var causes []string
	for _, e := range w.trail {
		causes = append(causes, e.Cause)
	}
	// An answer holds no row, so a kill may take it. A press that did not count is in the trail.
	refused := func(a act) bool {
		return slices.ContainsFunc(w.trail, func(e audit.Entry) bool {
			return e.Kind == audit.Refused && e.Request == a.about && e.Actor.User == a.who &&
				e.Press.Verb == string(a.verb) && e.Time.After(a.at)
		})
	}
	for _, a := range did {
		if !slices.Contains(worked, a.envelope) {
			w.fault("%s was acknowledged, and not worked", a)
		}
		cause := "ask:" + a.about
		if a.verb != "" {
			cause = a.verb.Cause(approval.ID(a.about), audit.Actor{Team: slacksim.TeamID, User: a.who})
		}
		told := slices.ContainsFunc(w.slack.Ephemerals(a.who, room), func(m slacksim.Message) bool { return said(m).After(a.at) })
		if !slices.Contains(causes, cause) && !told && !refused(a) {
			w.fault("%s was acknowledged, is not in the trail, and nobody told %s why", a, a.who)
		}
	}
	for verb, words := range map[approval.Verb]string{approval.Approve: "You approved it", approval.Deny: "You denied it", approval.Cancel: "You cancelled it"} {
		for _, who := range []string{"U0ALICE", "U0BOB", "U0CAROL", "U0DORA"} {
			told, recorded := 0, 0
			for _, m := range w.slack.Ephemerals(who, room) {
				if strings.Contains(m.Shows(), words) {
					told++
				}
			}
			for _, c := range causes {
				if strings.HasPrefix(c, string(verb)+":") && strings.HasSuffix(c, ":"+who) {
					recorded++
				}
			}
			if told > recorded {
				w.fault("%s was told %q %d times, and the trail has %d", who, words, told, recorded)
			}
		}
	}
}

// said is when a message was posted.
func said(m slacksim.Message) time.Time {
	micros, _ := strconv.ParseInt(strings.Replace(m.TS, ".", "", 1), 10, 64)
	return time.UnixMicro(micros)
}
