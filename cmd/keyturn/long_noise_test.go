package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"keyturn/bot/slacksim"
)

// noise lets people press and type without pause until ctx ends. What becomes of it is
// counted and not asserted.
func (l *long) noise(ctx context.Context, running *sync.WaitGroup) {
	acts := func(who string, times int, act func() (slacksim.Outcome, error)) {
		running.Go(func() {
			var acting sync.WaitGroup
			defer acting.Wait()
			every(ctx, time.Second/time.Duration(times), func() {
				acting.Go(func() { l.acted(who, act) })
			})
		})
	}
	// A guest clicks Approve on whatever card is the newest, also where it is over.
	acts("gina", 4, func() (slacksim.Outcome, error) {
		card, posted := l.newest.Load().(slacksim.Message)
		if !posted {
			return slacksim.Outcome{}, errNothing
		}
		return l.slack.Press("U0GINA", room, card.TS, slacksim.Button{Action: "approve"}, card)
	})
	acts("lena", 15, func() (slacksim.Outcome, error) {
		return l.slack.Slash("U0LENA", room, "/signing-keys list")
	})
	list := l.list("U0SAM")
	acts("sam", 5, func() (slacksim.Outcome, error) {
		return l.slack.Press("U0SAM", room, list.TS, slacksim.Button{Action: "share"}, list)
	})
	running.Go(func() {
		for m := (mort{long: l}); ctx.Err() == nil; {
			next := time.After(time.Second)
			m.act()
			select {
			case <-next:
			case <-ctx.Done():
			}
		}
	})
}

var errNothing = fmt.Errorf("there is nothing to press yet")

// every calls act at once and then again each d, until ctx ends.
func every(ctx context.Context, d time.Duration, act func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		act()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// acted counts what somebody of the noise does.
func (l *long) acted(who string, act func() (slacksim.Outcome, error)) (ok bool) {
	out, err := act()
	if err == errNothing {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.acted[who]++
	if err == nil && out.Acked {
		l.figures.acked[who]++
		return true
	}
	return false
}

// list returns the list of keys as somebody was shown it, which they can share.
func (l *long) list(who string) (list slacksim.Message) {
	if out, err := l.slack.Slash(who, room, "/signing-keys list"); err != nil || !out.Acked {
		l.t.Errorf("%s typed list, and it was not acknowledged: %s, %v", who, out.Warning, err)
	}
	shown := l.await(func() bool {
		for _, m := range l.slack.Ephemerals(who, room) {
			if bytes.Contains(m.Blocks, []byte(`"action_id":"share"`)) {
				list = m
			}
		}
		return list.TS != ""
	})
	if !shown {
		l.t.Errorf("%s typed list, it was acknowledged, and %s later no list was shown", who, patient)
	}
	return list
}

// mort asks for a change and cancels it, again and again.
type mort struct {
	*long
	n  int
	id string // of the request that is to be cancelled; "": there is none
}

// hasty is how long mort waits for what comes next.
const hasty = 10 * time.Second

// act asks, and cancels; what does not come, mort leaves until the next time.
func (m *mort) act() {
	const who = "U0MORT"
	if m.id == "" {
		m.n++
		reason := fmt.Sprintf("mort's %d, again", m.n)
		m.slack.CloseView(who)
		typed := m.acted("mort", func() (slacksim.Outcome, error) {
			return m.slack.Slash(who, room, "/signing-keys revoke "+m.toys[0])
		})
		if !typed || !m.awaitFor(hasty, func() bool { return m.hasForm(who) }) {
			return
		}
		m.acted("mort", func() (slacksim.Outcome, error) {
			return m.slack.Submit(who, map[string]any{"reason": reason})
		})
		m.awaitFor(hasty, func() bool { m.id = m.requestOf(reason); return m.id != "" })
	}
	var card slacksim.Message
	if m.id == "" || !m.awaitFor(hasty, func() bool { card = m.cardOf(m.id); return card.TS != "" }) {
		return
	}
	m.acted("mort", func() (slacksim.Outcome, error) {
		return m.slack.Press(who, room, card.TS, slacksim.Button{Action: "cancel"}, card)
	})
	if m.awaitFor(hasty, func() bool { _, _, is := m.entry(m.id, "cancelled"); return is }) {
		m.id = ""
	}
}
