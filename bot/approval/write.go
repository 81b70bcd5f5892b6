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

// write records the intent, sends the write once, and records what came back. What
// follows from it is for the next turn to see.
func (w *work) write(ctx context.Context, r Request, write Action, a attempts) (time.Duration, bool, error) {
	// The token has to be at hand before the intent, so that fetching one does not
	// eat the time in which the write must leave. Before a revoke it has to be a new
	// one: the cached one may be signed by the very key.
	reader := w.Tenants[r.Tenant].Reader
	if write == Revoke {
		reader.DropToken()
	}
	if _, err := reader.Token(ctx); err != nil {
		return 0, false, fmt.Errorf("fetching a token: %w", err)
	}

	if !w.leased() {
		return nextTry, false, errors.New("the lease was not renewed in time") // soon lost, and claimed anew
	}
	step := &audit.Step{Write: string(write), KID: r.KID, Attempt: a.intents + 1}
	intent := w.entry(r, audit.Intended, "")
	intent.Cause = fmt.Sprintf("intent:%s:%s:%d", r.ID, write, step.Attempt)
	intent.Step, intent.Change = step, r.change()
	began := w.Now()
	if _, err := w.Store.Move(ctx, Move{ID: r.ID, From: []State{Working}, Epoch: w.epoch, To: Working, DueAt: began, Entry: intent}); err != nil {
		// Also where it was recorded already: then an earlier commit of ours went
		// unanswered, and the next turn finds an intent that was never sent.
		return 0, false, fmt.Errorf("recording the intent: %w", err)
	}

	// From here to the answer nothing cuts us short, not even being stopped. If we
	// die, the intent is on disk, and the next claim waits the quiet time and looks.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Timing.WriteTimeout)
	defer cancel()
	answer := w.send(ctx, r, write, began)
	w.wrote = w.Now()
	if write == Revoke {
		reader.DropToken()
	}

	e := w.entry(r, audit.Answered, "")
	e.Cause = fmt.Sprintf("answer:%s:%s:%d", r.ID, write, step.Attempt)
	e.Step, e.Answer = step, answer
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), w.Timing.WriteTimeout)
	defer cancel()
	pause := time.Duration(0)
	if !answer.Sent || write == Revoke && answer.Status/100 != 2 {
		pause = nextTry
	}
	return pause, false, w.move(ctx, r, Working, e)
}

// nextTry keeps the few tries from being spent within one hiccup.
const nextTry = 2 * time.Second

// send sends the write, unless the claim or the intent is no longer fresh: another
// process may then hold the request, and two writes would be on their way.
func (w *work) send(ctx context.Context, r Request, write Action, intended time.Time) *audit.Answer {
	if !w.leased() {
		return &audit.Answer{Words: "not sent: the lease was not renewed in time"}
	}
	if !within(intended, w.Now(), w.Timing.WriteWithin) {
		return &audit.Answer{Words: "not sent: the intent was too old"}
	}
	var answer mgmt.Answer
	var err error
	switch write {
	case Rotate:
		answer, err = w.Writers[r.Tenant].Rotate(ctx, string(r.ID))
	case Revoke:
		answer, err = w.Writers[r.Tenant].Revoke(ctx, r.KID, string(r.ID))
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

// between waits, after a rotation, for a token that the new key signed, and halts
// if there is none to be had in time: a tenant whose management tokens cannot be
// used is worse than a slow incident.
func (w *work) between(ctx context.Context, r Request, story []audit.Entry) (over bool, err error) {
	since := last(story, audit.Rotated).Time
	if r.State == Working && w.Now().Sub(since) > w.Timing.Between {
		_, over, err = w.end(ctx, r, Halted, nil, "Rotated. The key is not revoked, because too much time went by since.")
		return over, err
	}
	reader := w.Tenants[r.Tenant].Reader
	if !w.fresh {
		reader.DropToken()
	}
	token, err := reader.Token(ctx)
	if err == nil && token.KID == r.Pins.Next.KID {
		w.fresh = true
		return false, nil
	}
	w.fresh = false
	if err == nil {
		err = fmt.Errorf("the token is signed by key %q", token.KID)
	}
	if w.claimed.After(since) {
		since = w.claimed
	}
	if w.Now().Sub(since) > w.Timing.NewToken {
		_, over, err = w.end(ctx, r, Halted, nil, "Rotated. The key is not revoked, because Auth0 gave no token signed by the new key.")
		return over, err
	}
	return false, fmt.Errorf("waiting for a token signed by the new key: %w", err)
}

// prove ends the request as done once a token signed by the current key has read a
// list that shows it.
func (w *work) prove(ctx context.Context, r Request, story []audit.Entry, look *audit.Look, keys mgmt.Keys) (time.Duration, bool, error) {
	if r.Action != Rotate {
		key := r.Pins.Key
		if key == nil {
			key = r.Pins.Current
		}
		if !has(keys, *key, mgmt.RoleRevoked) {
			return w.doubt(ctx, r, look, "The key was seen as revoked, and now it is not.")
		}
	}
	current, ok := keys.Current()
	token, err := w.Tenants[r.Tenant].Reader.Token(ctx)
	if err == nil && (!ok || token.KID != current.KID) {
		err = fmt.Errorf("the token is signed by key %q", token.KID)
	}
	if err != nil {
		w.fresh = false
		return w.unreadable(ctx, r, story, fmt.Errorf("proving with a token signed by the current key: %w", err))
	}
	look.Token = token.KID
	// A key set is cached for some seconds on its way (15 s were seen at Auth0). What
	// is then still listed is said.
	if revoked := last(story, audit.Revoked); revoked != nil && !unlisted(r.KID, look) && w.Now().Sub(revoked.Time) < w.Timing.Proof {
		return proofPause, false, nil
	}
	return w.end(ctx, r, Done, look, doneWords(r, look))
}

const proofPause = 5 * time.Second

// unlisted reports whether every public key set could be read and none lists kid.
func unlisted(kid string, look *audit.Look) bool {
	return !slices.ContainsFunc(look.JWKS, func(p audit.Published) bool { return p.Err != "" || slices.Contains(p.KIDs, kid) })
}

func doneWords(r Request, look *audit.Look) string {
	words := "Read back with a token signed by the key that is currently used."
	if r.Action == Rotate {
		return words
	}
	for _, p := range look.JWKS {
		switch {
		case p.Err != "":
			words += " The JWKS of " + p.Domain + " could not be read."
		case slices.Contains(p.KIDs, r.KID):
			words += " The JWKS of " + p.Domain + " still lists the key, so verifiers may still accept it."
		default:
			words += " The key is gone from the JWKS of " + p.Domain + "."
		}
	}
	return words
}

// unreadable pauses while Auth0 cannot be read or a proof is outstanding, and
// leaves it in doubt when that lasts. Before an intent the approval expires instead.
func (w *work) unreadable(ctx context.Context, r Request, story []audit.Entry, err error) (time.Duration, bool, error) {
	if r.State == InDoubt {
		return w.doubt(ctx, r, nil, "")
	}
	if intent := last(story, audit.Intended); intent != nil && w.Now().Sub(intent.Time) > w.Timing.Unreadable {
		return w.doubt(ctx, r, nil, "What is true could not be read from Auth0: "+err.Error())
	}
	return 0, false, err
}
