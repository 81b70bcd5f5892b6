package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file looks at what people set up, at the start and every few minutes: scopes, user
// groups, approvers and channels. What could only fail in an incident is said before it.

const (
	standingEvery = 5 * time.Minute
	standingSoon  = 30 * time.Second // where Slack could not be asked
)

// watchStanding looks until ctx ends.
func (b *Bot) watchStanding(ctx context.Context) {
	for {
		pause := standingSoon
		b.guarded(func() {
			if b.lookAtStanding(ctx) {
				pause = standingEvery
			}
		})
		if !sleep(ctx, pause) {
			return
		}
	}
}

// lookAtStanding looks once, and reports whether all of it could be looked at. What could
// not is left as it was found before.
func (b *Bot) lookAtStanding(ctx context.Context) bool {
	if _, err := b.slack.whoAmI(ctx); err == nil {
		b.lookAtScopes()
	}
	groups := b.lookAtGroups(ctx)
	approvers := b.lookAtApprovers(ctx)
	trail := b.lookAtAuditChannel(ctx)
	channels := b.lookAtChannels(ctx)
	return groups && approvers && trail && channels
}

// scopes are what the manifest asks for.
var scopes = []string{
	"commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read",
}

// lookAtScopes compares what Slack named as granted with what is needed. Of the two scopes
// for channels one is enough for an incident, in channels of its kind.
func (b *Bot) lookAtScopes() {
	granted := b.slack.grantedScopes()
	if granted == nil {
		return // Slack did not say
	}
	missing := missingIn(scopes, granted)
	lacks := func(s string) bool { return slices.Contains(missing, s) }
	blocks := slices.ContainsFunc(missing, func(s string) bool {
		switch s {
		case "channels:read", "groups:read":
			return lacks("channels:read") && lacks("groups:read")
		case "usergroups:read":
			return false // who is left without groups is looked at with the approvers
		}
		return true
	})
	words := ""
	if len(missing) > 0 {
		words = "the bot token lacks " + strings.Join(missing, ", ") + "; add them to the Slack " +
			"app and install it again"
	}
	b.find(findScopes, blocks, words)
	words = ""
	if more := missingIn(granted, append(scopes, "identify")); len(more) > 0 {
		words = "the bot token has scopes that keyturn does not need: " + strings.Join(more, ", ")
	}
	b.find(findMoreScopes, false, words)
}

// missingIn returns those of all that some lacks.
func missingIn(all, some []string) (out []string) {
	for _, s := range all {
		if !slices.Contains(some, s) {
			out = append(out, s)
		}
	}
	return out
}

// configured returns all ids that the policy names, each once.
func (b *Bot) configured() (ids []string) {
	for _, list := range b.readers() {
		ids = append(ids, missingIn(list, append(ids, "*"))...)
	}
	return ids
}

func (b *Bot) configuredGroups() []string {
	return slices.DeleteFunc(b.configured(), func(id string) bool { return !isGroup(id) })
}

// lookAtGroups looks whether each configured user group can be read. One that cannot makes
// no other useless, so it is a warning; who is left is looked at with the approvers.
func (b *Bot) lookAtGroups(ctx context.Context) bool {
	var bad []string
	sure := true
	for _, id := range b.configuredGroups() {
		_, err := b.group(ctx, id)
		var no *approval.Refusal
		switch {
		case errors.As(err, &no):
			bad = append(bad, fmt.Sprintf("%s%s", id, plainCode(no)))
		case err != nil:
			sure = false
		}
	}
	if words := strings.Join(bad, ", "); len(bad) > 0 {
		b.find(findGroups, false, "these user groups cannot be read: "+words+"; put them right "+
			"in Slack, or take them out of the configuration")
	} else if sure {
		b.find(findGroups, false, "")
	}
	return sure
}

// group returns the members of a group, and waits while it is keyturn that wants no call.
func (b *Bot) group(ctx context.Context, id string) ([]string, error) {
	for {
		if in, ok := b.people.lately(id, time.Minute); ok {
			return in, nil
		}
		call, cancel := context.WithTimeout(ctx, judgeTimeout)
		in, err := b.people.membersOf(call, id, need{received: b.Now(), spare: groupSpare})
		cancel()
		var not *later
		if !errors.Is(err, errPaced) || !errors.As(err, &not) {
			return in, err
		}
		if !sleep(ctx, not.until.Sub(b.Now())) {
			return nil, err
		}
	}
}

func plainCode(no *approval.Refusal) string {
	switch {
	case no.Needs != "":
		return " (" + no.Code + ": " + no.Needs + ")"
	case no.Code != "":
		return " (" + no.Code + ")"
	}
	return " (" + string(no.Why) + ")"
}

// lookAtChannels looks at the channels where requests may be asked for. Where none can be
// used nobody can ask; where some cannot, the others do.
func (b *Bot) lookAtChannels(ctx context.Context) bool {
	var bad []string
	for _, id := range b.Channels {
		err := b.people.placeToAsk(ctx, id, nil)
		var no *approval.Refusal
		switch {
		case errors.As(err, &no):
			bad = append(bad, id+plainCode(no))
		case err != nil:
			return false
		}
	}
	words := ""
	if len(bad) > 0 {
		words = "these channels of KEYTURN_CHANNELS cannot be used: " + strings.Join(bad, ", ")
	}
	b.find(findChannels, len(bad) > 0 && len(bad) == len(b.Channels), words)
	return true
}

// lookAtAuditChannel looks whether the trail can be posted, and who reads it. An incident
// needs neither: what is recorded is kept and posted later, so it is a warning. That
// outsiders read it is an alarm: names, addresses and reasons are in it.
func (b *Bot) lookAtAuditChannel(ctx context.Context) bool {
	err := b.people.placeToAsk(ctx, b.AuditChannel, nil)
	var no *approval.Refusal
	if err != nil && !errors.As(err, &no) {
		return false
	}
	shared := no != nil && no.Why == approval.SharedChannel
	b.noteShared(ctx, shared)
	switch {
	case no == nil:
		b.find(findAudit, false, "")
	case shared:
		b.find(findAudit, false, "people of another organisation "+
			"read "+b.AuditChannel+", the channel of the trail; take them out, or choose another")
	default:
		b.find(findAudit, false, "the audit channel cannot be "+
			"posted in: "+b.AuditChannel+plainCode(no)+"; invite the bot, or choose another")
	}
	return true
}

// noteShared raises an alarm when the audit channel is found to be shared with outsiders:
// once for a channel that is so at a start, and once each time that it becomes so.
func (b *Bot) noteShared(ctx context.Context, shared bool) {
	was := b.auditShared
	now := "no"
	if shared {
		now = "yes"
	}
	if shared && was != "yes" {
		cause := "shared:" + b.AuditChannel
		if was == "no" {
			cause += ":" + b.Now().UTC().Format(time.RFC3339)
		}
		err := b.raise(ctx, cause, audit.Alarm{What: audit.ChannelShared, Channel: b.AuditChannel},
			"The channel of the trail, "+b.AuditChannel+", is shared with another organisation, "+
				"whose people read it. "+
				"Take them out of it, or choose another channel.")
		if err != nil {
			b.Log.Error().Str("channel", b.AuditChannel).Err(err).Msg("the alarm of a channel " +
				"is not in the trail")
			return // the next look tries again
		}
	}
	b.auditShared = now
}
