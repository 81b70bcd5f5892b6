package approval

import (
	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// This file is the table that decides by looking. It is pure: what the trail says
// was tried, what the list shows now, and whether the quiet time is over. No
// outcome is concluded from the status of an answer; a status only chooses the
// words.

// verdict is what follows from a look.
type verdict int

const (
	mayWrite    verdict = iota // write, after one more intent
	mustWait                   // an attempt may still land: look again after the quiet time
	applied                    // it took effect: go on
	changed                    // nothing was tried, and the keys are not as pinned
	refused                    // not applied: Auth0 said no
	notTaken                   // not applied: every answer was lost, and there is no further try
	unexplained                // something was tried, and what is true fits no explanation
)

const (
	// rotateTries is how many rotates may be sent for one request, the second only
	// after a quiet time and a look that shows that the first did nothing.
	rotateTries = 2
	// revokeTries is more, since a revoke names its key and cannot hit another.
	revokeTries = 3
	// maxIntents bounds the intents of one write, with those that were never sent.
	maxIntents = 6
)

// attempts is what the trail says was tried of one write.
type attempts struct {
	intents int
	tries   int           // those that were sent, or may have been
	open    int           // those of them that were not refused: each may have an effect, or get one
	took    bool          // Auth0 answered one with success
	last    *audit.Answer // to the last intent; nil: none was recorded
}

// unsent reports whether the last attempt never left.
func (a attempts) unsent() bool { return a.last != nil && !a.last.Sent }

// succeeded reports whether Auth0 answered the last attempt with success. It is a
// reason to believe a look that shows the effect, and never one to go without.
func (a attempts) succeeded() bool { return a.last != nil && a.last.Sent && a.last.Status/100 == 2 }

// attemptsOf reads what was tried of a write ("rotate" or "revoke").
func attemptsOf(story []audit.Entry, write Action) attempts {
	var a attempts
	for _, e := range story {
		if e.Step == nil || e.Step.Write != string(write) {
			continue
		}
		switch e.Kind {
		case audit.Intended:
			a.intents++
			a.tries++
			a.open++
			a.last = nil
		case audit.Answered:
			a.last = e.Answer
			a.took = a.took || a.succeeded()
			switch {
			case e.Answer == nil:
			case !e.Answer.Sent:
				a.tries--
				a.open--
			case e.Answer.Refused:
				a.open--
			}
		}
	}
	return a
}

// decideRotate says what follows for a rotate, from pins of the current key K and
// the next key N.
func decideRotate(p audit.Pins, a attempts, keys mgmt.Keys, quiet bool) verdict {
	if a.intents == 0 {
		if hold(p, keys) {
			return mayWrite
		}
		return changed
	}
	took := has(keys, *p.Current, mgmt.RolePrevious) && has(keys, *p.Next, mgmt.RoleCurrent) && namedNext(a, keys)
	switch {
	case took && (quiet || a.succeeded()):
		return applied
	case !quiet && !a.unsent():
		// It may still land. The list may also lag behind an answer of success.
		return mustWait
	case standsBefore(p, keys) && !a.succeeded():
		return again(a, rotateTries, hold(p, keys))
	}
	return unexplained
}

// namedNext reports whether the answer's kid, if there was one, is the new next
// key. If it is not, there was a rotation besides ours.
func namedNext(a attempts, keys mgmt.Keys) bool {
	if a.last == nil || a.last.KID == "" {
		return true
	}
	next, ok := keys.Next()
	return ok && next.KID == a.last.KID
}

// decideRevoke says what follows for the revoke of key. current, if not nil, must
// be the currently used key before anything is written: after a rotation that is
// the pinned next one, and anything else is a second rotation that nobody approved.
func decideRevoke(key audit.Pin, current *audit.Pin, a attempts, keys mgmt.Keys, quiet bool) verdict {
	asPinned := has(keys, key, mgmt.RolePrevious) && (current == nil || has(keys, *current, mgmt.RoleCurrent))
	revoked := has(keys, key, mgmt.RoleRevoked)
	if a.intents == 0 {
		switch {
		case asPinned:
			return mayWrite
		case revoked && current != nil:
			return applied // by somebody else; after our rotation that is all there is left to want
		}
		return changed
	}
	switch {
	case revoked:
		return applied
	case !has(keys, key, mgmt.RolePrevious):
		return unexplained
	}
	if a.succeeded() && !quiet {
		return mustWait // the list may lag behind the answer
	}
	v := again(a, revokeTries, asPinned)
	switch {
	case v == mayWrite:
	case a.open > 0 && !quiet:
		return mustWait // an earlier try may still land, and "nothing was applied" must be true
	case a.took:
		return unexplained
	}
	return v
}

// again says what follows where a look shows that what was tried did nothing.
func again(a attempts, tries int, asPinned bool) verdict {
	switch {
	case a.last != nil && a.last.Refused:
		return refused
	case a.tries < tries && a.intents < maxIntents && asPinned:
		return mayWrite
	}
	return notTaken
}
