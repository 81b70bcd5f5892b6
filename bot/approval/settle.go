package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/audit"
)

// This file ends what is in doubt. Where no look decides, two people who looked at the
// tenant's Dashboard say the same of it: the first as somebody who may ask, the second
// as an approver who is not the first. Nothing is written to Auth0 for it.

// settle takes a person's word on how a request in doubt came out. It only stands in the
// trail until another person's word is the same; that one ends the request. again reports
// that the person's word was this one already.
func (d *Desk) settle(ctx context.Context, r Request, p Press) (now Request, again bool, err error) {
	if no := d.policy.MayAsk(p.Person); no != nil {
		no.Request = &r
		return r, false, no
	}
	const tries = 3 // another person's word may come in between
	for try := 1; ; try++ {
		m, no, err := d.word(ctx, r, p)
		switch {
		case err != nil:
			return r, false, fmt.Errorf("%s %s: %w", p.Verb, r.ID, err)
		case no != nil:
			return r, false, no
		case m == nil:
			return r, true, nil
		}
		now, err := d.store.Move(ctx, *m)
		var recorded *Recorded
		var moved *Moved
		switch {
		case err == nil:
			return now, false, nil
		case errors.As(err, &recorded):
			return recorded.Now, true, nil
		case errors.As(err, &moved) && try < tries:
			r = moved.Now
		case errors.As(err, &moved):
			return moved.Now, false, d.tooLate(ctx, moved.Now)
		default:
			return r, false, fmt.Errorf("%s %s: %w", p.Verb, r.ID, err)
		}
	}
}

// word is the move that a person's word makes; nil: it was their word already. It is
// fenced by the row's revision: two first words at once must not pass each other by.
func (d *Desk) word(ctx context.Context, r Request, p Press) (*Move, *Refusal, error) {
	story, err := d.store.Story(ctx, r.ID)
	if errors.Is(err, audit.ErrForged) {
		return nil, &Refusal{Why: TrailForged, Request: &r}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	own, other := lastWords(story, p.Person.Actor)
	switch {
	case own != nil && own.Says == string(p.Verb):
		return nil, nil, nil
	case r.State != InDoubt:
		return nil, d.tooLate(ctx, r), nil
	case d.isStale(p):
		return nil, &Refusal{Why: Stale, Request: &r}, nil
	}
	if err := p.where(ctx); err != nil {
		return nil, nil, err
	}
	kind, to := audit.Stated, InDoubt
	agrees := other != nil && other.Says == string(p.Verb)
	if agrees {
		if !names(d.policy.ApproversOf(r.Tenant), p.Person) {
			return nil, &Refusal{Why: NotApprover, Request: &r}, nil
		}
		to = settled(story, p.Verb)
		kind = audit.Kind(to)
	}
	// The cause is this press and no other: a person may change their mind and back.
	e := d.entry(r, kind, fmt.Sprintf("%s:%d", p.Verb.Cause(r.ID, p.Person.Actor), p.Received.UnixMicro()), p.Person)
	e.Says = string(p.Verb)
	m := &Move{ID: r.ID, From: []State{InDoubt}, Revision: r.Revision, To: to, DueAt: r.DueAt}
	if agrees {
		e.Change = r.change()
		e.Note = settledWords(story, to) + " " + other.Actor.Name + " and " + p.Person.Name + " say so, who looked."
		e.Account = account(to, r.KID, append(story, e), nil, d.now())
		m.Recheck, m.DueAt = true, time.Time{}
		if to == Done && approvedAction(story) != Rotate {
			m.DueAt = d.now() // nobody looked at the key sets yet
		}
	}
	m.Entry = e
	return m, nil, nil
}

// lastWords returns the last entry in which person says how it came out, and the last
// in which somebody else does. One id in common is enough to be the same person.
func lastWords(story []audit.Entry, person audit.Actor) (own, other *audit.Entry) {
	for i, e := range story {
		switch {
		case e.Says == "" || e.Actor == nil:
		case e.Actor.SharesID(person):
			own = &story[i]
		default:
			other = &story[i]
		}
	}
	return own, other
}

// settled is where a request ends of which two people say the same.
func settled(story []audit.Entry, says Verb) State {
	action := approvedAction(story)
	rotation := isOverRotation(story)
	switch {
	case says == TookEffect && rotation && action == RotateAndRevoke, says == DidNot && !rotation && action == RotateAndRevoke:
		return Halted
	case says == TookEffect:
		return Done
	}
	return Failed
}

// settledWords says what is true at such an end.
func settledWords(story []audit.Entry, end State) string {
	rotation := isOverRotation(story)
	switch {
	case end == Halted:
		return "Rotated. The key is not revoked."
	case end == Done && rotation:
		return "The rotation took effect."
	case end == Done:
		return "The key is revoked."
	case rotation:
		return "The rotation did not take effect. Nothing was applied."
	}
	return "The key is not revoked. Nothing was applied."
}

// isOverRotation reports whether the rotation is what is in doubt, and not the revoke.
func isOverRotation(story []audit.Entry) bool {
	action := approvedAction(story)
	return action == Rotate || action == RotateAndRevoke && audit.Last(story, audit.Rotated) == nil
}

// approvedAction is what was approved, by the trail; "" where nothing was.
func approvedAction(story []audit.Entry) Action {
	if e := audit.Last(story, audit.Approved); e != nil && e.Change != nil {
		return Action(e.Change.Action)
	}
	return ""
}
