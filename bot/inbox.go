package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"keyturn/bot/approval"
)

// This file works what was received. A row of the inbox stays until its move is made or
// refused, and recorded; then it is marked. What fails in passing is tried again, and a row
// that cannot be worked at all is set aside with an alarm. The person is told beside it
// (answers.go): an answer that Slack does not take holds no row.
//
// One goroutine, workInbox, knows all rows that are not at their end, and decides what is
// worked next. Each of the others works one press (moves.go) and reports what came of it.
// If we die, the next start reads the rows anew. Working one twice is harmless: each move
// has a cause that the trail takes once.

const (
	maxKnown   = 5000            // rows in memory; the rest wait on the disk
	readEvery  = 5 * time.Second // for whatever woke nobody
	firstRetry = time.Second     // after a failure; it doubles
	lastRetry  = 5 * time.Second // up to this
	markWithin = 5 * time.Second // for the mark alone, whatever the move took
	spacing    = 2 * time.Second // before the same press is judged again after a refusal
)

// row is a row of the inbox, and how far it is.
type row struct {
	id       string
	received time.Time
	act      received
	broken   error // why it cannot be read; nil: it can

	kept   bool // the person knows that it is kept for later
	often  bool // they pressed so often that no user group is read for it
	tries  int  // that failed, of its group
	worked bool // only the mark is missing
	held   bool // refused like others before it, and counted with them
}

// group names what is one press, made again and again: it is judged once for all.
func (r *row) group() string {
	if r.act.Verb == "" || r.worked {
		return r.id
	}
	return fmt.Sprint(r.act.Who.User, " ", r.act.Verb, " ", r.act.Request, " ", r.act.Channel)
}

// result is what came of working the rows of a group. The zero result: they are worked and
// marked.
type result struct {
	rows     []*row
	again    time.Time         // when to try once more
	refused  *approval.Refusal // recorded at once
	held     *approval.Refusal // to be recorded with a count
	press    approval.Press    // that was refused or held
	unmarked bool              // worked, and the mark was not kept
}

// wait is until when a group waits that failed in passing, with all that comes to it
// meanwhile, and how often it failed.
type wait struct {
	until time.Time
	tries int
}

// inboxWork is what workInbox knows. Nobody else touches it.
type inboxWork struct {
	*Bot
	named   []string // ids that the policy names
	rows    map[string]*row
	newest  time.Time              // of the rows that were read
	full    time.Time              // when all unworked rows were last read
	groups  map[string]rowKind     // that are at work
	waits   map[string]wait        // of groups that failed in passing
	refused map[string]*refusedLot // by group
	often   *budget                // by person: pressing again what was refused
	others  *rate.Limiter          // of presses that were refused before, by anybody
	results chan result
}

func newInboxWork(b *Bot) *inboxWork {
	return &inboxWork{
		Bot: b, named: b.configured(), rows: map[string]*row{}, groups: map[string]rowKind{},
		waits: map[string]wait{}, refused: map[string]*refusedLot{},
		often: newBudget(againBudget, b.Now),
		// Slack takes a hundred users.info a minute: two thirds stay for who may decide.
		others: rate.NewLimiter(rate.Every(2*time.Second), 10), results: make(chan result),
	}
}

// workInbox works what was received until ctx ends. What a process before us received and
// did not work is found at the start.
func (b *Bot) workInbox(ctx context.Context) {
	w := newInboxWork(b)
	for w.read(ctx); ctx.Err() == nil; {
		w.start(ctx)
		select {
		case <-b.arrived:
			w.read(ctx)
		case r := <-w.results:
			w.settle(r)
		case <-time.After(w.pause()):
			if w.Now().Sub(w.full).Abs() >= readEvery {
				w.read(ctx) // whatever woke nobody
			}
		case <-ctx.Done():
		}
	}
	for len(w.groups) > 0 {
		w.settle(<-w.results)
	}
	w.recordAll(context.WithoutCancel(ctx))
}

// read takes in what is new. What is known is passed over: no row holds up a later one.
func (w *inboxWork) read(ctx context.Context) {
	from := w.newest
	all := w.Now().Sub(w.full).Abs() >= readEvery // also where the clock was set
	if all {
		from = time.Time{}
	}
	known := 0 // refused presses that are being counted leave room for others
	for _, r := range w.rows {
		if !r.held {
			known++
		}
	}
	err := w.Inbox.Unworked(ctx, from, func(id, payload string, received time.Time) bool {
		if w.rows[id] == nil {
			known++
			r := &row{id: id, received: received}
			r.broken = json.Unmarshal([]byte(payload), &r.act)
			w.rows[id] = r
		}
		if received.After(w.newest) {
			w.newest = received
		}
		return known < maxKnown
	})
	switch {
	case err != nil && ctx.Err() == nil:
		w.Log.Error().Err(err).Msg("the inbox cannot be read")
		// What waits in it is not known, so it is counted as waiting since the last look.
		w.find(findInbox, w.Now().Sub(w.full) >= waitsTooLong, "the inbox cannot be read")
		return
	case err == nil && all:
		w.full = w.Now()
	}
	w.noteOldest()
}

const (
	waitsLong    = 10 * time.Second // of a row: a warning
	waitsTooLong = time.Minute      // of one who may decide, or a form: keyturn is not ready
)

// noteOldest finds how long rows wait. Refused presses that are being counted wait for
// nothing, and those of people who may not decide make nobody not ready.
func (w *inboxWork) noteOldest() {
	var longest time.Duration
	blocks := false
	for _, r := range w.rows {
		if r.held {
			continue
		}
		waits := w.Now().Sub(r.received)
		longest = max(longest, waits)
		blocks = blocks || waits >= waitsTooLong && w.kindOf(r) != ofOthers
	}
	if longest < waitsLong {
		w.find(findInbox, false, "")
		return
	}
	w.find(findInbox, blocks, "what people did waits to be worked")
}

// start begins to work what is due: first of those who may decide, then the oldest.
func (w *inboxWork) start(ctx context.Context) {
	w.recordDue(ctx)
	atWork := map[rowKind]int{}
	for _, kind := range w.groups {
		atWork[kind]++
	}
	for _, t := range w.due() {
		if atWork[t.kind] >= maxOf[t.kind] {
			continue
		}
		lot, tries := w.refused[t.group], w.waits[t.group].tries
		if (lot != nil || tries > 0) && t.kind == ofOthers && !w.others.AllowN(w.Now(), 1) {
			continue
		}
		atWork[t.kind]++
		w.begin(ctx, t, lot != nil)
	}
}

// turn is a group whose rows may be worked now.
type turn struct {
	group string
	kind  rowKind
	rows  []*row // the oldest first
}

// due returns what may be worked now, in the order of its turn.
func (w *inboxWork) due() []*turn {
	now, byGroup := w.Now(), map[string]*turn{}
	for _, r := range w.rows {
		group := r.group()
		_, atWork := w.groups[group]
		lot := w.refused[group]
		spaced := lot != nil && lot.last.Add(spacing).After(now)
		if atWork || r.held || spaced || w.waits[group].until.After(now) {
			continue
		}
		if byGroup[group] == nil {
			byGroup[group] = &turn{group: group, kind: w.kindOf(r)}
		}
		byGroup[group].rows = append(byGroup[group].rows, r)
	}
	var out []*turn
	for _, t := range byGroup {
		slices.SortFunc(t.rows, func(a, b *row) int { return a.received.Compare(b.received) })
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *turn) int {
		x, y := a.rows[0], b.rows[0]
		return cmp.Or(cmp.Compare(a.kind, b.kind),
			x.received.Compare(y.received), cmp.Compare(x.id, y.id))
	})
	return out
}

// rowKind is whose turn a row has. Each kind has places of its own, so that none holds up
// another.
type rowKind int

const (
	ofDeciders rowKind = iota // presses of people who may decide, as far as is known
	ofAskers                  // submitted forms, which wait for Auth0
	ofOthers
)

// maxOf is how many presses of a kind are worked at once.
var maxOf = map[rowKind]int{ofDeciders: 16, ofAskers: 8, ofOthers: 8}

// kindOf decides who is asked about first, and never who counts.
func (w *inboxWork) kindOf(r *row) rowKind {
	switch {
	case r.act.Verb == "":
		return ofAskers
	case w.people.mayDecide(r.act.Who.User, w.named):
		return ofDeciders
	}
	return ofOthers
}

// begin works the rows of one group. again says that the same was refused a moment ago.
func (w *inboxWork) begin(ctx context.Context, t *turn, again bool) {
	rows := t.rows
	verb, newest := rows[0].act.Verb, rows[len(rows)-1]
	kept := slices.ContainsFunc(rows, func(r *row) bool { return r.kept })
	for _, r := range rows {
		r.kept, r.tries = kept, w.waits[t.group].tries
	}
	often := newest.often
	if newest.tries == 0 { // what we try again is nobody's click
		often = again && verb != approval.Deny && verb != approval.Cancel &&
			!newest.worked && !w.often.take(newest.act.Who.User)
		newest.often = often
	}
	w.groups[t.group] = t.kind
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
		defer cancel()
		var got result
		err := w.caught(func() error { got = w.work(ctx, rows, again, often); return nil })
		if err != nil {
			err = w.caught(func() error { got = w.setAside(ctx, rows, err); return nil })
		}
		if err != nil { // even that
			w.Log.Error().Str("envelope_id", rows[0].id).Err(err).Msg("a row cannot be set aside")
			got = result{again: w.Now().Add(lastRetry)}
		}
		got.rows = rows
		w.results <- got
	}()
}

// settle takes note of what came of rows. They are let go here alone, after a read that
// may have seen them unmarked.
func (w *inboxWork) settle(got result) {
	group := got.rows[0].group()
	failed := wait{got.again, w.waits[group].tries + 1}
	delete(w.groups, group)
	delete(w.waits, group)
	w.noteRefused(group, got)
	if !got.again.IsZero() {
		w.waits[group] = failed
	}
	for _, r := range got.rows {
		switch {
		case got.held != nil:
			r.held = true
		case !got.again.IsZero():
		case got.unmarked:
			r.worked = true
			w.waits[r.id] = wait{w.Now().Add(w.retryAfter(failed.tries)), failed.tries}
		default:
			delete(w.rows, r.id)
		}
	}
}

// pause is how long there is nothing to do.
func (w *inboxWork) pause() time.Duration {
	next := w.Now().Add(readEvery)
	sooner := func(at time.Time) {
		if at.Before(next) {
			next = at
		}
	}
	for _, r := range w.rows {
		if lot := w.refused[r.group()]; lot != nil {
			sooner(lot.since.Add(countFor))
			if !r.held {
				sooner(lot.last.Add(spacing))
			}
		}
		if until := w.waits[r.group()].until; !r.held && until.After(w.Now()) {
			sooner(until)
		}
	}
	return max(next.Sub(w.Now()), 100*time.Millisecond)
}

// until is when a row that cannot be worked is given up. An approval is for its moment;
// whoever denies or cancels harms nobody by being late.
func (r *row) until() time.Time {
	switch r.act.Verb {
	case approval.Deny, approval.Cancel:
		return r.received.Add(30 * time.Minute)
	}
	return r.received.Add(approval.StaleAfter)
}

// retry is when a row is tried again that failed just now.
func (w *inboxWork) retry(r *row) time.Time { return w.Now().Add(w.retryAfter(r.tries)) }

func (w *inboxWork) retryAfter(tries int) time.Duration {
	return min(lastRetry, firstRetry<<min(tries, 3))
}

// mark marks rows as worked, with a time of its own, whatever the work took.
func (w *inboxWork) mark(ctx context.Context, rows []*row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWithin)
	defer cancel()
	for part := range slices.Chunk(rows, 500) { // a statement takes so many, and more
		var ids []string
		for _, r := range part {
			ids = append(ids, r.id)
		}
		if err := w.Inbox.Worked(ctx, ids...); err != nil {
			return err
		}
	}
	return nil
}
