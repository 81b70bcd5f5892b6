package approval

import (
	"fmt"
	"slices"
	"time"

	"keyturn/bot/audit"
)

// Caches are how long verifiers keep a key set by default, the longest last (their own
// sources; Auth0 itself advises 5 to 10 minutes). Until then a verifier may accept a key
// that was revoked.
var Caches = []struct {
	Names string
	For   time.Duration
}{
	{"node-jwks-rsa, auth0-python", 10 * time.Minute},
	{"go-jwt-middleware", 15 * time.Minute},
	{"jwks-rsa-java", 10 * time.Hour},
	{".NET", LongestCache},
}

// LongestCache is the longest of them.
const LongestCache = 12 * time.Hour

// account says what was tried of what story is about, and what an end does not prove.
// nil: nothing was tried.
func account(end State, kid string, story []audit.Entry, look *audit.Look, now time.Time) *audit.Account {
	if audit.Last(story, audit.Intended) == nil {
		return nil
	}
	a := &audit.Account{Tried: tried(story)}
	if end == Done && approvedAction(story) != Rotate {
		from := now
		if e := audit.Last(story, audit.Revoked); e != nil && unlisted(kid, look) {
			from = e.Time
		}
		a.CachedUntil = from.Add(LongestCache).UTC().Truncate(time.Microsecond)
	}
	if e := audit.Last(story, audit.Answered); e != nil && e.Answer != nil {
		a.Reset = e.Answer.Reset
	}
	a.Unproven = unproven(end, kid, story, look)
	return a
}

// tried puts each write in words, with what came back.
func tried(story []audit.Entry) []string {
	var out []string
	for i, e := range story {
		if e.Kind != audit.Intended || e.Step == nil {
			continue
		}
		words := "No answer was recorded: keyturn stopped while it was under way."
		for _, later := range story[i+1:] {
			if later.Kind == audit.Intended {
				break
			}
			if later.Kind == audit.Answered {
				words = answerWords(later.Answer)
				break
			}
		}
		out = append(out, fmt.Sprintf("%s, attempt %d, %s: %s", e.Step.Write, e.Step.Attempt, e.Time.UTC().Format("15:04:05 MST"), words))
	}
	return out
}

func answerWords(a *audit.Answer) string {
	switch {
	case a == nil || !a.Sent:
		return "It was never sent."
	case a.Status == 0:
		return "The answer was lost."
	case a.Words != "":
		return fmt.Sprintf("Auth0 answered %d (%s).", a.Status, a.Words)
	}
	return fmt.Sprintf("Auth0 answered %d.", a.Status)
}

// unproven says what people would otherwise take for certain.
func unproven(end State, kid string, story []audit.Entry, look *audit.Look) []string {
	var out []string
	switch {
	case end == InDoubt && audit.Last(story, audit.Rotated) == nil && approvedAction(story) != Revoke:
		out = append(out, "Whether our rotation took effect, and once only.")
	case end == InDoubt && audit.Last(story, audit.Revoked) == nil:
		out = append(out, "Whether the key is revoked.")
	case len(story) > 0 && story[len(story)-1].Says != "":
		out = append(out, "That it came out so: people said it, and no look showed it.")
	case end == Failed && slices.ContainsFunc(story, func(e audit.Entry) bool {
		return e.Kind == audit.Answered && e.Answer != nil && e.Answer.Sent && !e.Answer.Refused
	}):
		out = append(out, "That what was lost on its way never lands: the list did not show it through the quiet time, and Auth0 promises nothing beyond.")
	}
	if end != Done || approvedAction(story) == Rotate {
		return out
	}
	if look == nil {
		return append(out, "Whether public key sets still list the key.")
	}
	for _, p := range look.JWKS {
		switch {
		case p.Err != "":
			out = append(out, "Whether the JWKS of "+p.Domain+" still lists the key: it could not be read.")
		case slices.Contains(p.KIDs, kid):
			out = append(out, "That verifiers can know of it: the JWKS of "+p.Domain+" still lists the key.")
		}
	}
	return out
}
