package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// write records the intent, sends the write once, and records what came back. What
// follows from it is for the next turn to see.
func (t *turn) write(ctx context.Context, write Action, a attempts) (time.Duration, bool, error) {
	if t.Tenants[t.r.Tenant].Frozen {
		return t.freeze(ctx, write, a)
	}
	// The token has to be at hand before the intent, so that fetching one does not
	// eat the time in which the write must leave. Before a revoke it has to be a new
	// one: the cached one may be signed by the very key.
	reader := t.Tenants[t.r.Tenant].Reader
	if write == Revoke {
		reader.DropToken()
	}
	if _, err := reader.Token(ctx); err != nil {
		return t.unreadable(ctx, fmt.Errorf("fetching a token: %w", err))
	}

	if !t.leased() {
		return t.Timing.Retry, false, errors.New("the lease was not renewed in time") // soon lost, and claimed anew
	}
	step := &audit.Step{Write: string(write), KID: t.r.KID, Attempt: a.intents + 1}
	intent := t.entry(t.r, audit.Intended, "")
	intent.Cause = fmt.Sprintf("intent:%s:%s:%d", t.id, write, step.Attempt)
	intent.Step, intent.Change = step, t.r.change()
	began := t.Now()
	if _, err := t.Store.Move(ctx, Move{ID: t.id, From: []State{Working}, Epoch: t.epoch, To: Working, DueAt: began, Entry: intent}); err != nil {
		// Also where it was recorded already: then an earlier commit of ours went
		// unanswered, and the next turn finds an intent that was never sent.
		return 0, false, fmt.Errorf("recording the intent: %w", err)
	}

	// From here to the answer nothing cuts us short, not even being stopped. If we
	// die, the intent is on disk, and the next claim waits the quiet time and looks.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.Timing.WriteTimeout)
	defer cancel()
	answer := t.send(ctx, write, began)
	t.wrote = t.Now()
	if write == Revoke {
		reader.DropToken()
	}

	e := t.entry(t.r, audit.Answered, "")
	e.Cause = fmt.Sprintf("answer:%s:%s:%d", t.id, write, step.Attempt)
	e.Step, e.Answer = step, answer
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), t.Timing.WriteTimeout)
	defer cancel()
	pause := time.Duration(0)
	if !answer.Sent || write == Revoke && answer.Status/100 != 2 {
		pause = t.Timing.Retry
	}
	return pause, false, t.move(ctx, Working, e)
}

// freeze ends the request in place of a write, where nothing may be written. What was sent
// before may still land: that is waited for, and the next look decides.
func (t *turn) freeze(ctx context.Context, write Action, a attempts) (time.Duration, bool, error) {
	const why = "keyturn is frozen, and writes nothing to Auth0."
	switch {
	case a.open > 0 && !t.quiet():
		return t.quietIn(), false, nil
	case a.took:
		return t.doubt(ctx, "Auth0 took it, but the keys do not show it, and "+why+
			" Look at the tenant's Dashboard.")
	case write == Revoke && t.r.Action == RotateAndRevoke:
		return t.end(ctx, Halted, "Rotated. The key is not revoked: "+why)
	case a.tries > 0:
		return t.end(ctx, Failed, "It was tried, and not once more: "+why+" Nothing was applied.")
	}
	return t.end(ctx, Failed, "It was not sent: "+why+" Nothing was applied.")
}

// send sends the write, unless the claim or the intent is no longer fresh: another
// process may then hold the request, and two writes would be on their way.
func (t *turn) send(ctx context.Context, write Action, intended time.Time) *audit.Answer {
	if !t.leased() {
		return &audit.Answer{Words: "not sent: the lease was not renewed in time"}
	}
	if !within(intended, t.Now(), t.Timing.WriteWithin) {
		return &audit.Answer{Words: "not sent: the intent was too old"}
	}
	// Connecting may take longer than what is left of that.
	ctx = mgmt.LeaveBy(ctx, intended.Add(t.Timing.WriteWithin))
	var answer mgmt.Answer
	var err error
	switch write {
	case Rotate:
		answer, err = t.Writers[t.r.Tenant].Rotate(ctx, string(t.id))
	case Revoke:
		answer, err = t.Writers[t.r.Tenant].Revoke(ctx, t.r.KID, string(t.id))
	}
	var said *mgmt.Error
	switch {
	case err == nil:
		return &audit.Answer{Sent: true, Status: answer.Status, KID: answer.KID}
	case errors.Is(err, mgmt.ErrNotSent):
		return &audit.Answer{Words: "not sent: " + err.Error()}
	case errors.As(err, &said):
		return &audit.Answer{Sent: true, Status: said.Status, Refused: said.Refused(), Words: said.Message, Reset: said.Reset}
	}
	return &audit.Answer{Sent: true, Words: err.Error()}
}

// leased reports whether the claim was renewed recently enough to be sure of it.
func (w *work) leased() bool { return within(w.lease.at(), w.Now(), w.Timing.Lease*2/3) }
