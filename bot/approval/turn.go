package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// work is one claimed request being carried out. What it holds in memory only makes
// it wait longer; all else is read anew each turn.
type work struct {
	*Carrier
	id       ID
	epoch    int64
	lease    *lease
	claimed  time.Time
	wrote    time.Time // when the last write of this claim ended, with an answer or without
	fresh    bool      // the token in use was fetched since the last effect
	failures int
}

// backoff grows while turns fail.
func (w *work) backoff() time.Duration {
	w.failures++
	return min(w.Timing.BackoffMax, w.Timing.Backoff<<min(w.failures-1, 10))
}

// quiet reports whether what was written can have no effect any more that the list
// does not show. It is counted anew from each claim: the process before may have died
// with its write still on the way.
func (w *work) quiet() bool { return w.quietIn() <= 0 }

func (w *work) quietIn() time.Duration {
	from := w.claimed
	if w.wrote.After(from) {
		from = w.wrote
	}
	return w.Timing.Quiet - w.Now().Sub(from)
}

// turn is what is on disk of a request, what the tenant shows, and the one move that
// follows from the two.
type turn struct {
	*work
	r     Request
	story []audit.Entry
	look  *audit.Look // nil: not looked yet
	keys  mgmt.Keys
}

// see looks at the tenant.
func (t *turn) see(ctx context.Context, published bool) (err error) {
	if t.look, t.keys, err = t.Tenants[t.r.Tenant].Look(ctx, t.Now(), published); err != nil {
		return err
	}
	t.look.Rotations, err = rotations(ctx, t.Store, t.r.Tenant, t.keys, t.Now())
	return err
}

// end makes the last move.
func (t *turn) end(ctx context.Context, to State, note string) (time.Duration, bool, error) {
	e := t.entry(t.r, audit.Kind(to), note)
	e.Look, e.Account = t.look, account(to, t.r.KID, t.story, t.look, t.Now())
	if t.r.Approver.User != "" {
		e.Change = t.r.change()
	}
	m := t.moveTo(to, e)
	m.Release, m.Recheck = true, t.r.State != Pending
	if to == Done && t.r.Action != Rotate && !unlisted(t.r.KID, t.look) {
		m.DueAt = t.Now().Add(t.Timing.LateEvery)
	}
	err := t.commit(ctx, m)
	return 0, err == nil, err
}

// doubt leaves the request to be looked at again. A decisive look ends it, or people do.
func (t *turn) doubt(ctx context.Context, note string) (time.Duration, bool, error) {
	if t.r.State == InDoubt {
		return t.letGo(ctx, t.Now().Add(t.Timing.Doubt))
	}
	e := t.entry(t.r, audit.InDoubt, note)
	e.Look, e.Change, e.Account = t.look, t.r.change(), account(InDoubt, t.r.KID, t.story, t.look, t.Now())
	m := t.moveTo(InDoubt, e)
	m.Release, m.DueAt = true, t.Now().Add(t.Timing.Doubt)
	err := t.commit(ctx, m)
	return 0, err == nil, err
}

// letGo gives the claim up without a word, until the request is due again; zero: never.
func (t *turn) letGo(ctx context.Context, due time.Time) (time.Duration, bool, error) {
	m := t.moveTo(t.r.State, audit.Entry{})
	m.Release, m.DueAt = true, due
	err := t.commit(ctx, m)
	return 0, err == nil, err
}

// move makes a move after which the carrying-out goes on.
func (t *turn) move(ctx context.Context, to State, e audit.Entry) error {
	m := t.moveTo(to, e)
	m.DueAt = t.Now() // if we die here, the next claim goes on at once
	return t.commit(ctx, m)
}

func (t *turn) moveTo(to State, e audit.Entry) Move {
	return Move{ID: t.id, From: []State{t.r.State}, Epoch: t.epoch, To: to, Entry: e}
}

func (t *turn) commit(ctx context.Context, m Move) error {
	_, err := t.Store.Move(ctx, m)
	var recorded *Recorded
	if err != nil && !errors.As(err, &recorded) { // recorded: we were not told that it was kept
		return fmt.Errorf("recording %s: %w", m.Entry.Kind, err)
	}
	return nil
}

func (t *turn) last(kind audit.Kind) *audit.Entry { return audit.Last(t.story, kind) }
