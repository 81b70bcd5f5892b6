package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyturn/bot/approval"
)

// This file looks at who could approve, and who could ask, before anybody has to.

// maxApprovers is how many people Slack is asked about in one look.
const maxApprovers = 60

// cast is who is who among the ids of one look; Slack is asked once about each.
type cast struct {
	people *people
	asked  map[string]approval.Candidate
	unsure bool // somebody or a group could not be asked about
}

// of returns what Slack says of somebody now.
func (c *cast) of(ctx context.Context, id string) (approval.Candidate, bool) {
	if known, ok := c.asked[id]; ok {
		return known, true
	}
	if len(c.asked) >= maxApprovers {
		return approval.Candidate{}, false // of so many, others could
	}
	call, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	found := c.people.candidate(call, id)
	if found.Why == "" && found.Team == "" { // not known, as after a 429
		c.unsure = true
		return approval.Candidate{}, false
	}
	c.asked[id] = found
	return found, true
}

// able returns up to two different people of ids who are full members. bad names the ids
// of the configuration that could not approve; members of groups are asked about only
// while two are not found.
func (b *Bot) able(
	ctx context.Context, c *cast, ids []string,
) (able []approval.Candidate, bad []string) {
	add := func(id string) string {
		who, ok := c.of(ctx, id)
		switch {
		case !ok:
			return ""
		case who.Why != "":
			return fmt.Sprintf("%s (%s)", id, candidateWords(who.Why))
		}
		if !has(able, who) {
			able = append(able, who)
		}
		return ""
	}
	for _, id := range ids {
		if isGroup(id) || id == "*" {
			continue
		}
		if not := add(id); not != "" {
			bad = append(bad, not)
		}
	}
	for _, id := range ids {
		if !isGroup(id) || len(able) >= 2 {
			continue
		}
		in, err := b.group(ctx, id)
		if isLater(err) {
			c.unsure = true
		}
		for _, member := range in {
			if len(able) < 2 {
				add(member)
			}
		}
	}
	return able, bad
}

// has reports whether who is one of all, by any id.
func has(all []approval.Candidate, who approval.Candidate) bool {
	return slices.ContainsFunc(all, func(a approval.Candidate) bool {
		return a.SharesID(who.Actor)
	})
}

// lookAtApprovers looks whether, for every tenant, somebody could approve what another
// asks. keyturn is not ready where no request at all could be approved: an incident needs it.
// A single approver is a warning where others may ask, since what they ask can be approved.
func (b *Bot) lookAtApprovers(ctx context.Context) bool {
	c := &cast{people: b.people, asked: map[string]approval.Candidate{}}
	askers, bad := b.able(ctx, c, b.Policy.Requesters)
	anybody := slices.Contains(b.Policy.Requesters, "*")
	var wrong []string
	blocks := false
	for _, tenant := range b.Names {
		able, not := b.able(ctx, c, b.Policy.ApproversOf(tenant))
		bad = append(bad, missingIn(not, bad)...)
		others := anybody || len(askers) > 1 || len(askers) == 1 && !has(able, askers[0])
		alone := len(able) == 1 && !others
		switch {
		case len(able) == 0, alone:
			blocks = true
			wrong = append(wrong, "nobody could approve what another person asks for "+tenant)
		case len(able) == 1:
			wrong = append(wrong, fmt.Sprintf("only %s could approve for %s, and nobody what "+
				"they ask themselves", able[0].User, tenant))
		}
	}
	if len(bad) > 0 {
		wrong = append(wrong, "these ids of the configuration count for "+
			"nothing: "+strings.Join(bad, ", "))
	}
	if c.unsure && len(wrong) > 0 || ctx.Err() != nil {
		return false // what could not be asked may be what is missing
	}
	b.find(findApprovers, blocks, strings.Join(wrong, "; "))
	return !c.unsure
}
