package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"keyturn/bot/slacksim"
)

// round is one request, from what is typed to what the card says at the end.
type round struct {
	name    string // unique
	asker   string
	line    string // what is typed
	decider string
	verb    string // approve, deny or cancel
	kind    string // of the entry that the press makes
	title   string // of the card at the end
}

// rounds lets people ask and decide until ctx ends, with a pause between two rounds. In one
// line of rounds a change is approved and carried out, one at a time, since a tenant takes
// no two at once; in the other requests are denied and cancelled beside it.
func (l *long) rounds(ctx context.Context, running *sync.WaitGroup, pause time.Duration) {
	for _, next := range []func(n int) round{l.approved, l.notApproved} {
		running.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				after := time.After(pause)
				r := next(n)
				if !l.play(r) {
					return // it is said why
				}
				l.mu.Lock()
				l.figures.ended[r.title]++
				l.mu.Unlock()
				select {
				case <-after:
				case <-ctx.Done():
				}
			}
		})
	}
}

// approved is the n-th round that is carried out: a rotation now and then, which Auth0
// allows five times a day, and a revocation otherwise.
func (l *long) approved(n int) round {
	r := round{
		name: fmt.Sprint("A", n), asker: "U0ALICE", decider: "U0BOB",
		verb: "approve", kind: "approved", title: "Done",
	}
	if n%2 == 0 {
		r.decider = "U0DORA"
	}
	if n%20 == 3 && n < 80 {
		r.line = "rotate"
	} else {
		r.line = "revoke " + l.revocable()
	}
	return r
}

// revocable returns the kid of a previously used key that nobody asked for. Where there is
// none an administrator rotates in the Dashboard.
func (l *long) revocable() (kid string) {
	if len(l.spare) == 0 {
		for _, k := range l.tenant.Keys() {
			if k.Role == "current" {
				kid = k.KID
			}
		}
		l.tenant.Rotate()
		return kid
	}
	kid, l.spare = l.spare[0], l.spare[1:]
	return kid
}

// notApproved is the n-th round that comes to nothing.
func (l *long) notApproved(n int) round {
	r := round{name: fmt.Sprint("B", n), asker: "U0CAROL", line: "revoke " + l.toys[1]}
	if n%2 == 1 {
		r.decider, r.verb, r.kind, r.title = "U0DORA", "deny", "denied", "Denied"
	} else {
		r.decider, r.verb, r.kind, r.title = "U0CAROL", "cancel", "cancelled", "Cancelled"
	}
	return r
}

// play plays a round, and reports whether all of it came as it has to.
func (l *long) play(r round) bool {
	reason := fmt.Sprintf("round %s, pasted in a build log", r.name)
	id := l.ask(r, reason)
	if id == "" {
		return false
	}
	var card slacksim.Message
	if !l.await(func() bool { card = l.cardOf(id); return card.TS != "" }) {
		l.t.Errorf("round %s: %s is in the trail, and %s later it has no card", r.name, id, patient)
		return false
	}
	l.newest.Store(card)
	return l.decide(r, id, card)
}

// ask asks, again where the asker is told to, and returns the request that is in the trail;
// "": there is none, and it is said why.
func (l *long) ask(r round, reason string) (id string) {
	for range 5 {
		if !l.types(r) || l.hasForm(r.asker) && !l.submits(r, reason) {
			return ""
		}
		if id := l.requestOf(reason); id != "" {
			return id
		}
		l.mu.Lock()
		l.figures.retyped++
		l.mu.Unlock()
	}
	l.t.Errorf("round %s: %s asked five times, and was told to do so again each time; last %q, %q",
		r.name, r.asker, l.last(r.asker), l.modal(r.asker))
	return ""
}

// types types the command, and reports whether a form or a word came of it.
func (l *long) types(r round) bool {
	before := len(l.words(r.asker))
	l.slack.CloseView(r.asker)
	out, err := l.slack.Slash(r.asker, room, "/signing-keys "+r.line)
	if err != nil || !out.Acked {
		l.t.Errorf("round %s: %s typed %s, and it was not acknowledged: %s, %v",
			r.name, r.asker, r.line, out.Warning, err)
		return false
	}
	answered := l.await(func() bool {
		return l.hasForm(r.asker) || len(l.words(r.asker)) > before || l.isRefused(r.asker)
	})
	if !answered {
		l.t.Errorf("round %s: %s typed %s; %s later there is no form and no word; the modal shows %q",
			r.name, r.asker, r.line, patient, l.modal(r.asker))
	}
	return answered
}

// submits submits the form, and reports whether a request or a word came of it.
func (l *long) submits(r round, reason string) bool {
	before := len(l.words(r.asker))
	out, err := l.slack.Submit(r.asker, map[string]any{"reason": reason})
	if err != nil || !out.Acked {
		l.t.Errorf("round %s: the form was not acknowledged: %s, %v", r.name, out.Warning, err)
		return false
	}
	answered := l.await(func() bool {
		// What is kept is still tried, and no answer yet.
		told := len(l.words(r.asker)) > before && !strings.Contains(l.last(r.asker), "is kept")
		return l.requestOf(reason) != "" || told || len(out.Payload) > 0
	})
	if !answered {
		l.t.Errorf("round %s: the form was acknowledged; %s later no request is in the trail, "+
			"and %s was told nothing", r.name, patient, r.asker)
	}
	return answered
}

// decide presses the button on the card, and reports whether the press was acknowledged,
// kept, answered and carried out, and whether the card says so.
func (l *long) decide(r round, id string, card slacksim.Message) bool {
	before, at := len(l.words(r.decider)), time.Now()
	wrong := func(format string, args ...any) bool {
		l.t.Errorf("round %s: %s pressed %s on %s %s ago: %s; told %q", r.name, r.decider, r.verb, id,
			time.Since(at).Round(time.Second), fmt.Sprintf(format, args...), l.last(r.decider))
		return false
	}
	out, err := l.slack.Press(r.decider, room, card.TS, slacksim.Button{Action: r.verb}, card)
	if err != nil || !out.Acked {
		return wrong("it was not acknowledged: %s, %v", out.Warning, err)
	}
	var line string
	var kept time.Time
	if !l.await(func() (is bool) { kept, line, is = l.entry(id, r.kind); return is }) {
		return wrong("it is not in the trail as %s", r.kind)
	}
	if !strings.Contains(line, r.decider) {
		return wrong("the entry is not theirs: %s", line)
	}
	var wrote time.Time
	if r.verb == "approve" && !l.await(func() (is bool) { wrote, is = l.wrote(id); return is }) {
		return wrong("it is in the trail, and nothing was written at Auth0; the card shows %q",
			l.shown(card.TS))
	}
	if !l.await(func() bool { return len(l.words(r.decider)) > before }) {
		return wrong("it counts, and nobody told them")
	}
	if !l.await(func() bool { return strings.Contains(l.shown(card.TS), r.title) }) {
		return wrong("the card does not say %s: %q", r.title, l.shown(card.TS))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.toEntry = max(l.figures.toEntry, kept.Sub(at))
	if !wrote.IsZero() {
		l.figures.toWrite = max(l.figures.toWrite, wrote.Sub(at))
	}
	return true
}

// words are all that somebody alone was told: in the channel, and in their conversation
// with keyturn.
func (l *long) words(who string) []slacksim.Message {
	return append(l.slack.Ephemerals(who, room), l.slack.Messages("D"+who)...)
}

// last is what somebody was told last, in the channel.
func (l *long) last(who string) string {
	all := l.slack.Ephemerals(who, room)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].Shows()
}

// modal is what the modal of somebody shows.
func (l *long) modal(who string) string { return modalOf(l.stage, who)() }

// hasForm reports whether somebody has a form before them that can be submitted.
func (l *long) hasForm(who string) bool {
	v, open := l.slack.View(who)
	return open && v.Submit != ""
}

// isRefused reports whether somebody has a modal before them that says why not.
func (l *long) isRefused(who string) bool {
	v, open := l.slack.View(who)
	return open && v.Submit == "" && !strings.Contains(l.modal(who), "Reading the keys")
}

// requestOf returns the request that was asked for with a reason, by the trail; "": none.
func (l *long) requestOf(reason string) (id string) {
	const query = `SELECT request FROM trail WHERE kind = 'asked' AND instr(line, ?) > 0`
	l.rows.QueryRow(query, reason).Scan(&id) // an error is as none yet
	return id
}

// entry returns when the first entry of a kind was made for a request, and its line.
func (l *long) entry(id, kind string) (at time.Time, line string, is bool) {
	var micros int64
	const query = `SELECT at, line FROM trail WHERE request = ? AND kind = ? ORDER BY seq`
	err := l.rows.QueryRow(query, id, kind).Scan(&micros, &line)
	return time.UnixMicro(micros), line, err == nil
}

// wrote returns when Auth0 first took a write of a request.
func (l *long) wrote(id string) (at time.Time, is bool) {
	for _, c := range l.tenant.History() {
		if c.Effect && c.Correlation == id {
			return c.At, true
		}
	}
	return time.Time{}, false
}

var cardLine = regexp.MustCompile(`kt-[a-z0-9]{8}\W+entry #\d+ of the trail`)

// cardOf returns the newest card of a request.
func (l *long) cardOf(id string) (card slacksim.Message) {
	for _, m := range l.slack.Messages(room) {
		if bytes.Contains(m.Blocks, []byte(id)) && cardLine.MatchString(m.Shows()) {
			card = m
		}
	}
	return card
}

// shown is what a message in the channel shows now.
func (l *long) shown(ts string) string {
	for _, m := range l.slack.Messages(room) {
		if m.TS == ts {
			return m.Shows()
		}
	}
	return ""
}
