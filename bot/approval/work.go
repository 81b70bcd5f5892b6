package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/audit"
)

// turn makes the next turn. It returns how long to pause before another, or that the
// request is let go: it is at its end, or due at another time.
func (w *work) turn(ctx context.Context) (pause time.Duration, over bool, err error) {
	r, err := w.Store.Request(ctx, w.id)
	if err != nil {
		return 0, false, fmt.Errorf("reading the row: %w", err)
	}
	if r.Epoch != w.epoch {
		return 0, true, nil
	}
	t := &turn{work: w, r: r}
	if r.State == Pending {
		return t.pend(ctx)
	}
	t.story, err = w.Store.Story(ctx, w.id)
	switch {
	case errors.Is(err, audit.ErrForged):
		return t.disbelieve(ctx, err)
	case err != nil:
		return 0, false, fmt.Errorf("reading the story: %w", err)
	case r.State.IsFinal():
		return t.lookLate(ctx)
	}
	if err := believe(r, t.story); err != nil {
		return t.disbelieve(ctx, err)
	}
	if t.last(audit.Intended) == nil && w.Now().Sub(t.last(audit.Approved).Time) > w.Timing.NeverBegun {
		return t.end(ctx, Expired, "Approved, and never begun. No key was touched; ask again.")
	}
	return t.carryOn(ctx)
}

// pend lets a request expire that nobody decided on, reminds of it at half time, and
// voids one whose pins no longer hold since another change of the tenant ended.
func (t *turn) pend(ctx context.Context) (time.Duration, bool, error) {
	if !t.Now().Before(t.r.ExpiresAt) {
		return t.end(ctx, Expired, "Nobody decided in time. No key was touched.")
	}
	due := t.r.halfTime()
	if !t.Now().Before(due) {
		due = t.r.ExpiresAt
		e := t.entry(t.r, audit.Reminded, "Half of the time is over, and nobody decided.")
		if err := t.move(ctx, Pending, e); err != nil { // the same cause once more: nothing
			return 0, false, err
		}
	}
	if _, ok := t.Tenants[t.r.Tenant]; ok {
		if err := t.see(ctx, false); err != nil {
			return 0, false, err // approving it looks again, so nothing is lost by waiting
		}
		if !hold(t.r.Pins, t.keys) {
			return t.end(ctx, Voided, "Another change came first, and the keys are no longer as they were shown. Nothing was applied; ask again.")
		}
	}
	return t.letGo(ctx, due)
}

// disbelieve ends a request whose row or entries are not what was sealed. Once something
// was tried only people can say what is true.
func (t *turn) disbelieve(ctx context.Context, err error) (time.Duration, bool, error) {
	t.report(ctx, t.id, err)
	note := "The database was changed from outside: " + err.Error() + ". Nothing more was sent; look at the tenant's Dashboard."
	switch {
	case t.r.State.IsFinal():
		return t.letGo(ctx, time.Time{})
	case t.r.State == Approved || t.story != nil && t.last(audit.Intended) == nil:
		return t.end(ctx, Failed, note)
	}
	return t.doubt(ctx, note)
}

// phase is which of the three parts of a carrying-out comes next.
type phase int

const (
	rotating phase = iota
	revoking
	proving
)

func (t *turn) phase() phase {
	rotated, revoked := t.last(audit.Rotated) != nil, t.last(audit.Revoked) != nil
	switch {
	case t.r.Action != Revoke && !rotated:
		return rotating
	case t.r.Action != Rotate && !revoked:
		return revoking
	}
	return proving
}

// carryOn looks, and does what follows.
func (t *turn) carryOn(ctx context.Context) (time.Duration, bool, error) {
	tenant, ok := t.Tenants[t.r.Tenant]
	if !ok {
		return t.unreadable(ctx, fmt.Errorf("tenant %q is not configured", t.r.Tenant))
	}
	at, revokes := t.phase(), attemptsOf(t.story, Revoke)
	if at == revoking && t.r.Action == RotateAndRevoke && revokes.intents == 0 {
		switch halts, err := t.between(ctx); {
		case halts != "":
			return t.halt(ctx, halts)
		case err != nil:
			return 0, false, err
		}
	}
	if at == proving && !t.fresh {
		tenant.Reader.DropToken()
		t.fresh = true
	}
	if err := t.see(ctx, at == proving); err != nil {
		return t.unreadable(ctx, err)
	}
	if t.r.State == Approved {
		return t.begin(ctx)
	}
	quiet := t.quiet() || t.r.State == InDoubt
	switch at {
	case rotating:
		a := attemptsOf(t.story, Rotate)
		return t.follow(ctx, Rotate, a, decideRotate(t.r.Pins, a, t.keys, quiet))
	case revoking:
		return t.follow(ctx, Revoke, revokes, decideRevoke(*t.r.Pins.Target(), t.r.Pins.Next, revokes, t.keys, quiet))
	}
	return t.prove(ctx)
}

// begin moves an approved request on, if the keys still are what was approved.
func (t *turn) begin(ctx context.Context) (time.Duration, bool, error) {
	if !hold(t.r.Pins, t.keys) {
		return t.end(ctx, Voided, notAsShown)
	}
	e := t.entry(t.r, audit.Began, "The keys are as they were shown.")
	e.Look = t.look
	return 0, false, t.move(ctx, Working, e)
}

const notAsShown = "The keys are not as they were when this was asked for. Nothing was applied; ask again."

// follow does what the table says.
func (t *turn) follow(ctx context.Context, write Action, a attempts, v verdict) (time.Duration, bool, error) {
	if t.r.State == InDoubt && v == mayWrite {
		v = notTaken // what is in doubt is looked at, and not tried again
	}
	afterRotation := write == Revoke && t.r.Action == RotateAndRevoke
	switch v {
	case mayWrite:
		return t.write(ctx, write, a)
	case mustWait:
		pause := max(t.quietIn(), 0)
		if a.succeeded() {
			pause = min(pause, t.Timing.Backoff) // any moment now
		}
		return pause, false, nil
	case applied:
		kind, note := audit.Rotated, "The next key is in use, and the key before it is previously used."
		if write == Revoke {
			kind, note = audit.Revoked, "The list shows the key as revoked."
			if a.intents == 0 {
				note += " Somebody else revoked it; this request sent no revoke."
			}
		}
		e := t.entry(t.r, kind, note)
		e.Look, e.Step = t.look, &audit.Step{Write: string(write), KID: t.r.KID}
		t.fresh = false
		return 0, false, t.move(ctx, t.r.State, e)
	case changed:
		if afterRotation {
			return t.end(ctx, Halted, "Rotated. The key is not revoked, because the keys changed since.")
		}
		return t.end(ctx, Voided, notAsShown)
	case refused, notTaken:
		why := "Auth0 did not take it; the answers were lost."
		switch {
		case v == refused:
			why = refusalWords(a.last)
		case a.tries == 0:
			why = "It could not be sent to Auth0."
		}
		if afterRotation {
			return t.end(ctx, Halted, "Rotated. The key is not revoked: "+why)
		}
		return t.end(ctx, Failed, why+" Nothing was applied.")
	}
	return t.doubt(ctx, "The keys are in a state that this request does not explain. Look at the tenant's Dashboard.")
}

func refusalWords(a *audit.Answer) string {
	if a.Words == "" {
		return fmt.Sprintf("Auth0 refused it (%d).", a.Status)
	}
	return fmt.Sprintf("Auth0 refused it (%d: %s).", a.Status, a.Words)
}
