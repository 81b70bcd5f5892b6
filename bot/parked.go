package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file is what becomes of a channel that Slack takes nothing for: it was archived,
// or the bot was thrown out. It is parked, and tried again now and then; the others go
// on. An alarm is in the trail, and with it in the audit channel; channels in which a
// request is open are told, too.

type parked struct {
	code string          // Slack's word for it
	told map[string]bool // the channels that know, and the requests whose requester does
}

// park parks a channel.
func (b *Bot) park(ctx context.Context, channel, code string) {
	b.announcer.mu.Lock()
	known := b.announcer.parked[channel]
	if known == nil || known.code != code {
		b.announcer.parked[channel] = &parked{code: code, told: map[string]bool{b.AuditChannel: true}}
	}
	b.announcer.mu.Unlock()
	if known == nil {
		b.Log.Error().Str("channel", channel).Str("code", code).Msg("Slack takes nothing for a channel; what is to be shown there waits")
		// How far its posts are names the outage: a start finds the same.
		at, err := b.Posts.Posted(ctx, channel)
		if err == nil {
			err = b.raise(ctx, fmt.Sprintf("parked:%s:%d", channel, at), audit.Alarm{What: audit.ChannelParked, Channel: channel},
				parkedWords(channel, code, channel == b.AuditChannel))
		}
		if err != nil {
			b.Log.Error().Str("channel", channel).Err(err).Msg("the alarm of a channel is not in the trail")
		}
	}
	b.tellRequesters(ctx, channel, code)
	b.announcer.nudge()
}

// tellRequesters tells whoever asked for something in a parked channel that their card
// cannot be shown there: the form closed, and else they would hear nothing.
func (b *Bot) tellRequesters(ctx context.Context, channel, code string) {
	open, err := b.Trail.OpenRequests(ctx)
	if err != nil {
		b.Log.Error().Str("channel", channel).Err(err).Msg("the open requests cannot be read")
		return
	}
	for _, r := range open {
		if r.Channel != channel || r.State != approval.Pending {
			continue
		}
		if cards, err := b.Posts.Cards(ctx, r.ID); err != nil || len(cards) > 0 {
			continue
		}
		b.announcer.mu.Lock()
		p := b.announcer.parked[channel]
		first := p != nil && !p.told[string(r.ID)]
		if first {
			p.told[string(r.ID)] = true
		}
		b.announcer.mu.Unlock()
		if first {
			b.tell(ctx, string(r.ID), "", r.Requester.User, section(cardlessWords(b.slash(), r, code)))
		}
	}
}

// cardlessWords tells a requester that their card cannot be shown.
func cardlessWords(s slash, r approval.Request, why string) string {
	return "Your request " + code(string(r.ID)) + " is kept, but I cannot show its card in <#" +
		escape(r.Channel) + ">: Slack says " + code(why) + ". " + adviceFor(why) +
		" Until then " + s.code("requests") + " has its buttons, in any channel that I am in."
}

// raise notes an alarm, once for each cause; its post follows like that of any entry.
func (b *Bot) raise(ctx context.Context, cause string, alarm audit.Alarm, note string) error {
	return b.Trail.Note(ctx, audit.Entry{Kind: audit.Alarmed, Cause: cause, Alarm: &alarm, Note: note})
}

// unpark lets a channel be like the others again.
func (b *Bot) unpark(channel string) {
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	if b.announcer.parked[channel] != nil {
		delete(b.announcer.parked, channel)
		b.Log.Info().Str("channel", channel).Msg("Slack takes what is to be shown in a channel again")
	}
}

// alarmed returns the channels that have to be told of a parked one: those in which a
// request is open.
func (b *Bot) alarmed(ctx context.Context) ([]string, error) {
	b.announcer.mu.Lock()
	none := len(b.announcer.parked) == 0
	b.announcer.mu.Unlock()
	if none {
		return nil, nil
	}
	open, err := b.Trail.OpenRequests(ctx)
	if err != nil {
		return nil, err
	}
	var channels []string
	for _, r := range open {
		if !slices.Contains(channels, r.Channel) {
			channels = append(channels, r.Channel)
		}
	}
	return slices.DeleteFunc(channels, func(channel string) bool {
		_, _, ok := b.alarm(channel)
		return !ok
	}), nil
}

// alarm returns a parked channel that another one has to be told of, and why it is.
func (b *Bot) alarm(channel string) (other, code string, ok bool) {
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	if b.announcer.parked[channel] != nil {
		return "", "", false
	}
	for _, other := range slices.Sorted(maps.Keys(b.announcer.parked)) {
		if p := b.announcer.parked[other]; !p.told[channel] {
			return other, p.code, true
		}
	}
	return "", "", false
}

// postAlarm tells a channel of a parked one.
func (b *Bot) postAlarm(ctx context.Context, channel, other, code string) error {
	words := "⚠️ " + parkedWords("<#"+escape(other)+">", escape(code), other == b.AuditChannel)
	if _, err := b.post(ctx, channel, words, []slack.Block{section(words)}); err != nil {
		return err
	}
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	if p := b.announcer.parked[other]; p != nil {
		p.told[channel] = true
	}
	return nil
}

// parkedWords says that Slack takes nothing for a channel.
func parkedWords(channel, why string, isAudit bool) string {
	words := "Slack takes nothing from me for " + channel + " (" + why + "). "
	if isAudit {
		words += "It is the channel of the trail: what is recorded is kept, and posted there once it can be. "
	} else {
		words += "Cards there are not up to date; the command's word requests shows what is open. "
	}
	return words + adviceFor(why)
}
