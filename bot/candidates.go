package bot

import (
	"context"
	"errors"
	"slices"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file counts who could approve, before somebody waits for nobody. It decides nothing:
// what cannot be established in time is taken for a yes, since each press is judged anew.

const (
	goodFor       = 10 * time.Minute // how long a yes is remembered here
	maxCandidates = 20               // of whom Slack is asked each time
)

// approversBesides returns the people of ids who are not asker: where somebody could
// approve, that one alone, and otherwise each with why they could not. A yes may be up to
// ten minutes old, and a no never is.
func (pp *people) approversBesides(
	ctx context.Context, asker audit.Actor, ids []string,
) []approval.Candidate {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	if c, ok := pp.knownGood(asker, ids); ok {
		return []approval.Candidate{c}
	}
	users, cannot, sure := pp.expand(ctx, ids)
	for i, id := range users {
		if asker.Has(id) {
			continue
		}
		if i >= maxCandidates {
			return []approval.Candidate{unknown(id)}
		}
		c := pp.candidate(ctx, id)
		if c.Why == "" && !c.SharesID(asker) {
			return []approval.Candidate{c}
		}
		cannot = append(cannot, c)
	}
	if !sure {
		return append(cannot, unknown(""))
	}
	return cannot
}

// knownGood returns one of ids who was a full member within the last ten minutes, and whom
// the groups listed then.
func (pp *people) knownGood(asker audit.Actor, ids []string) (approval.Candidate, bool) {
	var users []string
	for _, id := range ids {
		if !isGroup(id) {
			users = append(users, id)
		} else if in, ok := pp.lately(id, goodFor); ok {
			users = append(users, in...)
		}
	}
	pp.mu.Lock()
	defer pp.mu.Unlock()
	for _, id := range users {
		f, ok := pp.good[id]
		if ok && pp.now().Sub(f.at) < goodFor && !f.person.SharesID(asker) {
			return approval.Candidate{Person: f.person}, true
		}
	}
	return approval.Candidate{}, false
}

// expand returns the users among ids and then those of its groups, as they are now. A group
// that no retry mends is a candidate who could not; sure says that there is no other that
// could not be read.
func (pp *people) expand(
	ctx context.Context, ids []string,
) (users []string, cannot []approval.Candidate, sure bool) {
	n := need{received: pp.now(), spare: groupSpare}
	sure = true
	var members []string
	for _, id := range ids {
		if !isGroup(id) {
			users = append(users, id)
			continue
		}
		in, err := pp.membersOf(ctx, id, n)
		switch {
		case isLater(err):
			sure = false
		case err != nil:
			no := approval.Candidate{Person: named(id), Why: approval.GroupUnreadable}
			cannot = append(cannot, no)
		}
		members = append(members, in...)
	}
	for _, id := range members {
		if !slices.Contains(users, id) {
			users = append(users, id)
		}
	}
	return users, cannot, sure
}

// candidate asks Slack whether somebody could approve.
func (pp *people) candidate(ctx context.Context, id string) approval.Candidate {
	person, err := pp.who(ctx, id)
	var no *approval.Refusal
	switch {
	case isLater(err):
		return unknown(id)
	case errors.As(err, &no):
		return approval.Candidate{Person: named(id), Why: no.Why}
	}
	c := approval.Candidate{Person: person}
	if no := approval.FullMember(person); no != nil {
		c.Why = no.Why
	}
	return c
}

// unknown is somebody of whom it could not be established that they could not approve.
func unknown(id string) approval.Candidate { return approval.Candidate{Person: named(id)} }

func named(id string) approval.Person { return approval.Person{Actor: audit.Actor{User: id}} }
