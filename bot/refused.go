package bot

import (
	"context"
	"maps"
	"slices"
	"time"

	"keyturn/bot/approval"
)

// This file counts presses that did not count. The first of a person on a request is an
// entry at once; the same again within a minute become one entry, with how often. Until
// that entry is in the trail their rows stay in the inbox: if we die, nothing is lost.

// countFor is how long refused presses are counted before they become an entry.
const countFor = time.Minute

// refusedLot is one press that was refused, made again and again.
type refusedLot struct {
	since time.Time // the first of this minute
	last  time.Time
	lots  map[approval.Why]*counted
}

// counted are the presses of a lot that were refused for one reason.
type counted struct {
	press approval.Press // the last of them
	rows  []*row
}

// noteRefused takes note of a refusal, or that the same press counts by now.
func (w *inboxWork) noteRefused(group string, got result) {
	no := got.refused
	if got.held != nil {
		no = got.held
	}
	if no == nil {
		return
	}
	lot := w.refused[group]
	if lot == nil {
		lot = &refusedLot{since: w.Now(), lots: map[approval.Why]*counted{}}
		w.refused[group] = lot
	}
	lot.last = w.Now()
	if got.held == nil {
		return
	}
	if lot.lots[no.Why] == nil {
		lot.lots[no.Why] = &counted{}
	}
	c := lot.lots[no.Why]
	c.press, c.rows = got.press, append(c.rows, got.rows...)
}

// recordDue records the lots whose minute is over. A lot without a count is forgotten.
func (w *inboxWork) recordDue(ctx context.Context) {
	for group, lot := range w.refused {
		if _, atWork := w.groups[group]; !atWork && w.Now().Sub(lot.since) >= countFor {
			w.recordGuarded(ctx, group, lot)
		}
	}
}

// recordAll records all lots, before a stop.
func (w *inboxWork) recordAll(ctx context.Context) {
	for group, lot := range w.refused {
		w.recordGuarded(ctx, group, lot)
	}
}

// recordGuarded lets a lot that panics rest, and the others go on.
func (w *inboxWork) recordGuarded(ctx context.Context, group string, lot *refusedLot) {
	err := w.caught(func() error { w.record(ctx, group, lot); return nil })
	if err != nil {
		w.Log.Error().Err(err).Msg("refused presses cannot be recorded")
		lot.since = w.Now()
	}
}

// record makes one entry for each reason of a lot, and marks its rows. What fails is tried
// again at the next turn: the cause of the entry is its first row.
func (w *inboxWork) record(ctx context.Context, group string, lot *refusedLot) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	for _, why := range slices.Sorted(maps.Keys(lot.lots)) {
		c := lot.lots[why]
		p := c.press
		p.Cause = c.rows[0].id
		err := w.Desk.Refuse(ctx, p, why, len(c.rows))
		if err == nil {
			err = w.mark(ctx, c.rows)
		}
		if err != nil {
			w.Log.Error().Str("request_id", string(p.Request)).Err(err).
				Msg("refused presses are not in the trail yet")
			lot.since = w.Now().Add(readEvery - countFor)
			return
		}
		for _, r := range c.rows {
			delete(w.rows, r.id)
		}
		delete(lot.lots, why)
	}
	delete(w.refused, group)
}
