package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyturn/bot/audit"
)

// This file ends what is in doubt. Where no look decides, two people who looked at the
// tenant's Dashboard say the same of it: the first as somebody who may ask, the second
// as an approver who is not the first. Nothing is written to Auth0 for it.

// settle takes a person's word on how a request in doubt came out. It only stands in the
// trail until another person's word is the same; that one ends the request.
func (d *Desk) settle(ctx context.Context, r Request, p Press) (now Request, again bool, err error) {
	if no := d.policy.MayAsk(p.Person); no != nil {
		no.Request = &r
		return r, false, no
	}
	const tries = 3 // another person's word may come in between
	for try := 1; ; try++ {
		m, no, err := d.word(ctx, r, p)
		if err != nil {
			return r, false, fmt.Errorf("%s %s: %w", p.Verb, r.ID, err)
		}
		if no != nil {
			return r, false, no
		}
		now, err := d.store.Move(ctx, m)
		var recorded *Recorded
		var moved *Moved
		switch {
		case err == nil:
			return now, false, nil
		case errors.As(err, &recorded):
			return recorded.Now, true, nil
		case errors.As(err, &moved) && moved.Now.State == InDoubt && try < tries:
			r = moved.Now
		case errors.As(err, &moved):
			return moved.Now, false, d.tooLate(ctx, moved.Now)
		default:
			return r, false, fmt.Errorf("%s %s: %w", p.Verb, r.ID, err)
		}
	}
}

// word is the move that a person's word makes. It is fenced by the row's revision: two
// first words at once must not pass each other by.
func (d *Desk) word(ctx context.Context, r Request, p Press) (Move, *Refusal, error) {
	story, err := d.store.Story(ctx, r.ID)
	if errors.Is(err, audit.ErrForged) {
		return Move{}, &Refusal{Why: TrailForged, Request: &r}, nil
	}
	if err != nil {
		return Move{}, nil, err
	}
	to := lastWord(story, p.Person.Actor)
	if to == nil {
		return Move{}, d.tooLate(ctx, r), nil
	}
	// The word answers what somebody else said last: pressed again, it is the same.
	cause := fmt.Sprintf("%s:%d", p.Verb.Cause(r.ID, p.Person.Actor), to.Seq)
	m := Move{ID: r.ID, From: []State{InDoubt}, Revision: r.Revision, To: InDoubt, DueAt: r.DueAt}
	if d.isStale(p) && r.State == InDoubt {
		return m, &Refusal{Why: Stale, Request: &r}, nil
	}
	if to.Kind != audit.Stated || to.Says != string(p.Verb) {
		m.Entry = d.entry(r, audit.Stated, cause, p.Person)
		m.Entry.Says = string(p.Verb)
		return m, nil, nil
	}
	if !names(d.policy.ApproversOf(r.Tenant), p.Person) {
		return m, &Refusal{Why: NotApprover, Request: &r}, nil
	}
	end, note := settled(story, p.Verb)
	m.To, m.Recheck = end, true
	if end == Done && approvedAction(story) != Rotate {
		m.DueAt = d.now() // nobody looked at the key sets yet
	}
	m.Entry = d.entry(r, audit.Kind(end), cause, p.Person)
	m.Entry.Change = r.change()
	m.Entry.Note = note + " " + to.Actor.Name + " and " + p.Person.Name + " say so, who looked."
	m.Entry.Account = account(end, r.KID, story, nil, d.now())
	return m, nil, nil
}

// lastWord returns the last entry that person can answer: that the request is in doubt,
// or what somebody else said of it. nil: it never was in doubt. The user id alone is
// enough to be the same person, as in MayDecide.
func lastWord(story []audit.Entry, person audit.Actor) *audit.Entry {
	for _, e := range slices.Backward(story) {
		if e.Kind == audit.InDoubt || e.Kind == audit.Stated && e.Actor.User != person.User {
			return &e
		}
	}
	return nil
}

// settled is what follows from what two people say.
func settled(story []audit.Entry, says Verb) (end State, note string) {
	action := approvedAction(story)
	rotation := action == Rotate || action == RotateAndRevoke && last(story, audit.Rotated) == nil
	switch {
	case rotation && says == TookEffect && action == RotateAndRevoke:
		return Halted, "The rotation took effect, and the key is not revoked."
	case rotation && says == TookEffect:
		return Done, "The rotation took effect."
	case rotation:
		return Failed, "The rotation did not take effect. Nothing was applied."
	case says == TookEffect:
		return Done, "The key is revoked."
	case action == RotateAndRevoke:
		return Halted, "Rotated. The key is not revoked."
	}
	return Failed, "The key is not revoked. Nothing was applied."
}

// approvedAction is what was approved, by the trail; "" where nothing was.
func approvedAction(story []audit.Entry) Action {
	if e := last(story, audit.Approved); e != nil && e.Change != nil {
		return Action(e.Change.Action)
	}
	return ""
}
