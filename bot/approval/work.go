package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// backoff grows from 1 s to 30 s while turns fail.
func (w *work) backoff() time.Duration {
	w.failures++
	return min(30*time.Second, time.Second<<min(w.failures-1, 5))
}

// quiet reports whether what was written can have no effect any more that the list
// does not show.
// It is counted anew from each claim: the process before may have died with its
// write still on the way.
func (w *work) quiet() bool { return w.quietIn() <= 0 }

func (w *work) quietIn() time.Duration {
	from := w.claimed
	if w.wrote.After(from) {
		from = w.wrote
	}
	return w.Timing.Quiet - w.Now().Sub(from)
}

// turn reads what is on disk, looks, and makes one move. It returns how long to
// pause before the next, or that there is none.
func (w *work) turn(ctx context.Context) (pause time.Duration, over bool, err error) {
	r, err := w.Store.Request(ctx, w.id)
	if err != nil {
		return 0, false, fmt.Errorf("reading the row: %w", err)
	}
	if r.Epoch != w.epoch || r.State.IsFinal() {
		return 0, true, nil
	}
	if r.State == Pending {
		return w.end(ctx, r, Expired, nil, "Nobody decided in time. No key was touched.")
	}
	story, err := w.Store.Story(ctx, w.id)
	if errors.Is(err, audit.ErrForged) {
		return w.end(ctx, r, Failed, nil, "An entry of this request is not the one that was sealed. Nothing more was sent; look at the tenant's Dashboard.")
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the story: %w", err)
	}
	if err := believe(r, story); err != nil {
		to := Failed
		if last(story, audit.Rotated) != nil && phaseOf(r, story) == revoking {
			to = Halted
		}
		return w.end(ctx, r, to, nil, "The database was changed from outside: "+err.Error()+". Nothing more was sent.")
	}
	if approved := last(story, audit.Approved); last(story, audit.Intended) == nil && w.Now().Sub(approved.Time) > w.Timing.NeverBegun {
		return w.end(ctx, r, Expired, nil, "Approved, and never begun. No key was touched; ask again.")
	}
	return w.carryOn(ctx, r, story)
}

// phase is which of the three parts of a carrying-out comes next.
type phase int

const (
	rotating phase = iota
	revoking
	proving
)

func phaseOf(r Request, story []audit.Entry) phase {
	rotated, revoked := last(story, audit.Rotated) != nil, last(story, audit.Revoked) != nil
	switch {
	case r.Action != Revoke && !rotated:
		return rotating
	case r.Action != Rotate && !revoked:
		return revoking
	}
	return proving
}

func (w *work) carryOn(ctx context.Context, r Request, story []audit.Entry) (time.Duration, bool, error) {
	tenant, ok := w.Tenants[r.Tenant]
	if !ok {
		return w.unreadable(ctx, r, story, fmt.Errorf("tenant %q is not configured", r.Tenant))
	}
	at := phaseOf(r, story)
	if at == revoking && r.Action == RotateAndRevoke && last(story, audit.Intended).Step.Write == string(Rotate) {
		if over, err := w.between(ctx, r, story); over || err != nil {
			return 0, over, err
		}
	}
	if at == proving && !w.fresh {
		tenant.Reader.DropToken()
		w.fresh = true
	}
	look, keys, err := tenant.Look(ctx, w.Now(), at == proving)
	if err != nil {
		return w.unreadable(ctx, r, story, err)
	}
	if r.State == Approved {
		return w.begin(ctx, r, look, keys)
	}
	switch at {
	case rotating:
		a := attemptsOf(story, Rotate)
		return w.follow(ctx, r, Rotate, a, decideRotate(r.Pins, a, keys, w.quiet() || r.State == InDoubt), look)
	case revoking:
		a := attemptsOf(story, Revoke)
		key, current := r.Pins.Key, (*audit.Pin)(nil)
		if r.Action == RotateAndRevoke {
			key, current = r.Pins.Current, r.Pins.Next
		}
		return w.follow(ctx, r, Revoke, a, decideRevoke(*key, current, a, keys, w.quiet() || r.State == InDoubt), look)
	}
	return w.prove(ctx, r, story, look, keys)
}

// begin moves an approved request on, if the keys still are what was approved.
func (w *work) begin(ctx context.Context, r Request, look *audit.Look, keys mgmt.Keys) (time.Duration, bool, error) {
	if !hold(r.Pins, keys) {
		return w.end(ctx, r, Voided, look, "The keys are not as they were when this was asked for. Nothing was applied; ask again.")
	}
	e := w.entry(r, audit.Began, "The keys are as they were shown.")
	e.Look = look
	return 0, false, w.move(ctx, r, Working, e)
}

// follow does what the table says.
func (w *work) follow(ctx context.Context, r Request, write Action, a attempts, v verdict, look *audit.Look) (time.Duration, bool, error) {
	if r.State == InDoubt && v == mayWrite {
		v = notTaken // what is in doubt is looked at, and not tried again
	}
	afterRotation := write == Revoke && r.Action == RotateAndRevoke
	switch v {
	case mayWrite:
		return w.write(ctx, r, write, a)
	case mustWait:
		pause := max(w.quietIn(), 0)
		if a.succeeded() {
			pause = min(pause, time.Second) // any moment now
		}
		return pause, false, nil
	case applied:
		kind, note := audit.Rotated, "The next key is in use, and the key before it is previously used."
		if write == Revoke {
			kind, note = audit.Revoked, "The list shows the key as revoked."
		}
		e := w.entry(r, kind, note)
		e.Look, e.Step = look, &audit.Step{Write: string(write), KID: r.KID}
		w.fresh = false
		// An effect found while in doubt is recorded as it is seen; from there the
		// request is carried on only where nothing is left to write.
		if r.State == InDoubt && phaseAfter(r, write) != proving {
			if err := w.move(ctx, r, InDoubt, e); err != nil {
				return 0, false, err
			}
			return w.end(ctx, r, Halted, look, "The rotation took effect, as was seen late. The key is not revoked.")
		}
		return 0, false, w.move(ctx, r, r.State, e)
	case changed:
		if afterRotation {
			return w.end(ctx, r, Halted, look, "Rotated. The key is not revoked, because the keys changed since.")
		}
		return w.end(ctx, r, Voided, look, "The keys are not as they were when this was asked for. Nothing was applied; ask again.")
	case refused, notTaken:
		why := "Auth0 did not take it; the answers were lost."
		switch {
		case v == refused:
			why = refusalWords(a.last)
		case a.tries == 0:
			why = "It could not be sent to Auth0."
		}
		if afterRotation {
			return w.end(ctx, r, Halted, look, "Rotated. The key is not revoked: "+why)
		}
		return w.end(ctx, r, Failed, look, why+" Nothing was applied.")
	}
	return w.doubt(ctx, r, look, "The keys are in a state that this request does not explain. Look at the tenant's Dashboard.")
}

func phaseAfter(r Request, write Action) phase {
	if write == Rotate && r.Action == RotateAndRevoke {
		return revoking
	}
	return proving
}

func refusalWords(a *audit.Answer) string {
	words := fmt.Sprintf("Auth0 refused it (%d", a.Status)
	if a.Words != "" {
		words += ": " + a.Words
	}
	words += ")."
	if !a.Reset.IsZero() {
		words += " It says to come back at " + a.Reset.UTC().Format(time.RFC3339) + "."
	}
	return words
}

// end makes the last move.
func (w *work) end(ctx context.Context, r Request, to State, look *audit.Look, note string) (time.Duration, bool, error) {
	e := w.entry(r, audit.Kind(to), note)
	e.Look = look
	if e.Change = r.change(); e.Change.Approver == nil {
		e.Change = nil // nothing was agreed on; the asked entry has it all
	}
	err := w.move(ctx, r, to, e)
	return 0, err == nil, err
}

// doubt leaves the request to be looked at again; people end it.
func (w *work) doubt(ctx context.Context, r Request, look *audit.Look, note string) (time.Duration, bool, error) {
	m := Move{ID: r.ID, From: []State{r.State}, Epoch: w.epoch, To: InDoubt, DueAt: w.Now().Add(w.Timing.Doubt), Release: true}
	if r.State != InDoubt {
		m.Entry = w.entry(r, audit.InDoubt, note)
		m.Entry.Look, m.Entry.Change = look, r.change()
	}
	_, err := w.Store.Move(ctx, m)
	return 0, err == nil, err
}

// move makes a move of the carrier's, fenced by the claim.
func (w *work) move(ctx context.Context, r Request, to State, e audit.Entry) error {
	m := Move{ID: r.ID, From: []State{r.State}, Epoch: w.epoch, To: to, Release: to.IsFinal(), Entry: e}
	if !to.IsFinal() {
		m.DueAt = w.Now() // if we die here, the next claim goes on at once
	}
	_, err := w.Store.Move(ctx, m)
	var recorded *Recorded
	if errors.As(err, &recorded) {
		return nil // we were not told that it was kept
	}
	if err != nil {
		return fmt.Errorf("recording %s: %w", e.Kind, err)
	}
	return nil
}

// last returns the last entry of a kind, or nil.
func last(story []audit.Entry, kind audit.Kind) *audit.Entry {
	for _, e := range slices.Backward(story) {
		if e.Kind == kind {
			return &e
		}
	}
	return nil
}
