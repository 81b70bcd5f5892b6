package bot_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// crowd are people who type and press without pause, while sockets come and go: alice
// asks and cancels, bob denies and approves, dave presses what he may not, and others type
// commands. Each press and each command is answered once, to them alone, and each press
// is in the trail once.
type crowd struct {
	*house
	pause atomic.Int64 // the longest between two acts of one person
	card  atomic.Pointer[slacksim.Message]
	over  chan struct{}
	wg    sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int // by person: what they are owed
	underway map[string]int // acts that Slack took and heard no ack of
	missed   int            // acts that Slack did not take
	did      map[audit.Kind]int
}

func gather(h *house) *crowd {
	c := &crowd{
		house: h, over: make(chan struct{}),
		answers: map[string]int{}, underway: map[string]int{}, did: map[audit.Kind]int{},
	}
	c.pause.Store(int64(time.Second))
	card := h.ask("rotate")
	c.did[audit.Asked]++
	c.card.Store(&card)
	c.wg.Go(c.decide)
	c.wg.Go(func() { c.repeat(3, "UDAVE", c.pressCard) })
	c.wg.Go(func() { c.repeat(1, "UGINA", c.typeHelp) })
	c.wg.Go(func() { c.repeat(1, "UGUS", c.typeHelp) })
	return c
}

func (c *crowd) repeat(moments int64, user string, do func(user string) (slacksim.Outcome, error)) {
	for c.goesOn(moments) {
		c.act(user, do)
	}
}

// goesOn pauses for so many moments, and reports whether there is more to do.
func (c *crowd) goesOn(moments int64) bool {
	longest := time.Duration(moments * c.pause.Load())
	select {
	case <-c.over:
		return false
	case <-time.After(longest/10 + rand.N(longest*9/10)):
		return true
	}
}

func (c *crowd) pressCard(user string) (slacksim.Outcome, error) { return c.pressOn(user, "approve") }

func (c *crowd) pressOn(user, action string) (slacksim.Outcome, error) {
	card := *c.card.Load()
	return c.slack.Press(user, card.Channel, card.TS, slacksim.Button{Action: action}, card)
}

func (c *crowd) typeHelp(user string) (slacksim.Outcome, error) {
	return c.slack.Slash(user, room, "/signing-keys help")
}

// act does one thing that is answered once, and reports whether it was acknowledged.
func (c *crowd) act(user string, do func(user string) (slacksim.Outcome, error)) bool {
	return c.actFor(1, user, do)
}

func (c *crowd) actFor(answers int, user string, do func(user string) (slacksim.Outcome, error)) bool {
	out, err := do(user)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, slacksim.ErrNotConnected):
		c.missed++
	case err != nil:
		c.t.Errorf("%s acts: %v", user, err)
	case out.Acked:
		c.answers[user] += answers
	default:
		c.underway[user] += answers
	}
	return err == nil && out.Acked
}

// decide has alice ask for one change after the other, and she or bob end each.
func (c *crowd) decide() {
	for n := 0; c.goesOn(16); n++ {
		user, action, kind := "UBOB", "deny", audit.Denied
		switch {
		case n%20 == 9:
			action, kind = "approve", audit.Approved
		case n%2 == 0:
			user, action, kind = "UALICE", "cancel", audit.Cancelled
		}
		for !c.act(user, func(user string) (slacksim.Outcome, error) { return c.pressOn(user, action) }) {
			if !c.goesOn(1) {
				return
			}
		}
		c.did[kind]++
		over := c.until("the end of the request", func() bool {
			open, err := c.store.OpenRequests(context.Background())
			return err == nil && len(open) == 0
		})
		if !over || !c.askAgain() {
			return
		}
		c.did[audit.Asked]++
	}
}

// askAgain has alice ask for a change, and waits for its card.
func (c *crowd) askAgain() bool {
	cards := len(c.slack.Messages(room))
	for _, do := range []func(user string) (slacksim.Outcome, error){
		func(user string) (slacksim.Outcome, error) {
			return c.slack.Slash(user, room, "/signing-keys rotate")
		},
		func(user string) (slacksim.Outcome, error) {
			c.until("the modal", func() bool { v, ok := c.slack.View(user); return ok && v.Submit != "" })
			return c.slack.Submit(user, map[string]any{"reason": "pasted in a build log"})
		},
	} {
		for !c.actFor(0, "UALICE", do) {
			if !c.goesOn(1) {
				return false
			}
		}
	}
	if !c.until("the card", func() bool { return len(c.slack.Messages(room)) > cards }) {
		return false
	}
	card := c.slack.Messages(room)[cards]
	c.card.Store(&card)
	return true
}

// until waits for what keyturn does by itself, and reports whether it came.
func (c *crowd) until(what string, cond func() bool) bool {
	for range 6000 {
		if cond() {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Errorf("waited ten minutes for %s", what)
	return false
}

// disperse ends the acts, and checks that each that Slack took was worked once.
func (c *crowd) disperse() {
	c.t.Helper()
	close(c.over)
	c.wg.Wait()
	time.Sleep(time.Minute)
	synctest.Wait()
	ctx := context.Background()
	if waiting := c.unworked(); len(waiting) != 0 {
		c.t.Errorf("%d presses are in the inbox still", len(waiting))
	}
	entries, err := c.store.Entries(ctx, 0, 1_000_000)
	if err != nil {
		c.t.Fatal(err)
	}
	got := map[audit.Kind]int{}
	ends, refused := map[string]int{}, map[string]int{}
	for _, e := range entries {
		got[e.Kind]++
		switch e.Kind {
		case audit.Denied, audit.Cancelled, audit.Approved:
			ends[e.Request]++
		case audit.Refused:
			refused[e.Actor.User] += max(1, e.Press.Times)
		}
	}
	for user, owed := range c.answers {
		most, least := owed+c.underway[user], owed
		if user == "UDAVE" || user == "UBERT" {
			least = min(1, owed) // who presses the same again and again is told once
		}
		if got := len(c.slack.Ephemerals(user, room)); got < least || got > most {
			c.t.Errorf("%s was answered %d times, want %d to %d", user, got, least, most)
		}
		if n := refused[user]; (user == "UDAVE" || user == "UBERT") && (n < owed || n > most) {
			c.t.Errorf("%d presses of %s were refused, want %d and up to %d more", n, user, owed, most-owed)
		}
	}
	for kind, want := range c.did {
		if got[kind] != want {
			c.t.Errorf("%d entries are of kind %s, want %d", got[kind], kind, want)
		}
	}
	for id, n := range ends {
		if n != 1 {
			c.t.Errorf("request %s was decided %d times", id, n)
		}
	}
}

// The kinds of sockets that an act can go by.
const (
	newest  = "the newest socket"
	leaving = "one that is to leave, before its successor's hello"
	old     = "one that is to leave, beside its successor"
	left    = "one that keyturn left by itself, beside its successor"
)

func way(a slacksim.Ack) string {
	switch {
	case a.Newest && !a.Leaving:
		return newest
	case a.Newest:
		return leaving
	case a.Leaving:
		return old
	}
	return left
}

// TestNothingIsLostInPlannedDisconnects has 200 sockets end in the ways that Slack
// announces, while people act.
func TestNothingIsLostInPlannedDisconnects(t *testing.T) {
	t.Parallel()
	frames, patient, lives := 188, 4, 8
	if testing.Short() {
		frames, lives = 28, 2
	}
	inHouse(t, func(t *testing.T, h *house) {
		// It takes a while to open a socket.
		h.slack.Fault(slacksim.Fault{Method: "apps.connections.open", Delay: time.Second})
		c := gather(h)
		for i := range frames + patient {
			c.pause.Store(int64(15 * time.Second))
			time.Sleep(10 * time.Second)
			grace := 2*time.Second + rand.N(3*time.Second)
			if i%(frames/patient) == 0 {
				grace = 45 * time.Second // so that keyturn is the one who closes it
			}
			c.pause.Store(int64(1500 * time.Millisecond))
			h.slack.DisconnectWithin([]string{"warning", "refresh_requested"}[i%2], grace)
			time.Sleep(min(grace, 5*time.Second))
		}
		h.slack.SetLifetime(125 * time.Second)
		time.Sleep(time.Minute)
		h.slack.Disconnect("warning")
		c.pause.Store(int64(3 * time.Second))
		h.await("sockets to end by their life time", func() bool { return len(h.slack.Ends()) > frames+patient+lives })
		c.disperse()

		if got := h.slack.LongestGap(); got != 0 {
			t.Errorf("there was no socket for %v, want 0", got)
		}
		if c.missed != 0 {
			t.Errorf("%d acts reached nobody", c.missed)
		}
		ways := map[string]int{}
		for _, a := range h.slack.Acks() {
			ways[way(a)]++
			if !a.Counts() {
				t.Errorf("by %s: %+v does not count", way(a), a)
			}
		}
		closed := 0
		for _, e := range h.slack.Ends() {
			if e.Clean {
				closed++
			}
		}
		t.Logf("%d sockets ended, %d of them by keyturn; acts by %v; entries %v", len(h.slack.Ends()), closed, ways, c.did)
		for kind, least := range map[string]int{newest: 1000, leaving: 10, old: 100, left: 7} {
			if ways[kind] < least*frames/188 {
				t.Errorf("%d acts went by %s: too few to show anything", ways[kind], kind)
			}
		}
		if closed < patient {
			t.Errorf("%d sockets were closed by keyturn, want %d", closed, patient)
		}
	})
}

// TestOnlyTheGapIsLostInUnannouncedOnes cuts sockets without a word, while people act.
func TestOnlyTheGapIsLostInUnannouncedOnes(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		const (
			latency = 700 * time.Millisecond
			backoff = 101 * time.Millisecond // the longest after a connection that was good for 10 s
		)
		h.slack.Fault(slacksim.Fault{Method: "apps.connections.open", Delay: latency})
		c := gather(h)
		for range 15 {
			time.Sleep(11*time.Second + rand.N(3*time.Second))
			var back atomic.Bool
			sent := len(h.slack.Acks())
			c.wg.Go(func() { c.act("UBERT", c.pressCard); back.Store(true) })
			for len(h.slack.Acks()) == sent && !back.Load() {
				runtime.Gosched() // it is cut while bert's press is under way
			}
			h.slack.Drop()
		}
		time.Sleep(5 * time.Second)
		c.disperse()

		if got := h.slack.LongestGap(); got < latency || got > latency+backoff {
			t.Errorf("there was no socket for %v, want one open and one hello: %v and up to %v more", got, latency, backoff)
		}
		cut := map[int]time.Time{}
		for _, e := range h.slack.Ends() {
			cut[e.Socket] = e.At
		}
		lost := 0
		for _, a := range h.slack.Acks() {
			if a.Counts() {
				continue
			}
			lost++
			if !a.Sent.Equal(cut[a.Socket]) {
				t.Errorf("%+v does not count, and its socket was cut at %v", a, cut[a.Socket])
			}
		}
		t.Logf("%d sockets ended, the longest gap was %v; %d acts reached nobody, %d were cut off, %d counted",
			len(h.slack.Ends()), h.slack.LongestGap(), c.missed, lost, len(h.slack.Acks())-lost)
		if c.missed < 20 {
			t.Errorf("%d acts fell into a gap: too few to show anything", c.missed)
		}
	})
}

// TestADeadSocketIsReplaced has a socket stay open and say nothing any more.
func TestADeadSocketIsReplaced(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		opens := func() (n int) {
			for _, c := range h.slack.History() {
				if c.Method == "apps.connections.open" {
					n++
				}
			}
			return n
		}
		time.Sleep(time.Minute + rand.N(30*time.Second))
		before, began := opens(), time.Now()
		h.slack.Stall()
		if out, err := h.slack.Slash("UALICE", room, "/signing-keys help"); err != nil || out.Acked {
			t.Errorf("a command on a dead socket: %+v, %v", out, err)
		}
		h.await("another socket", func() bool { return opens() > before })
		if got := time.Since(began); got > 25*time.Second+101*time.Millisecond {
			t.Errorf("another socket was asked for after %v, want 25s and a moment at the most", got)
		}
		time.Sleep(2 * time.Second) // until the dead one is closed
		for range 4 {
			h.slash("UALICE", "/signing-keys help")
		}
		if err := h.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}
