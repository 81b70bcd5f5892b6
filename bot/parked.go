package bot

import (
	"context"
	"maps"
	"slices"

	"github.com/slack-go/slack"
)

// This file is what becomes of a channel that Slack takes nothing for: it was archived,
// or the bot was thrown out. It is parked, and tried again now and then; the others go
// on, and are told.

type parked struct {
	code string          // Slack's word for it
	told map[string]bool // the channels that know
}

// park parks a channel.
func (b *Bot) park(channel, code string) {
	b.announcer.mu.Lock()
	known := b.announcer.parked[channel]
	if known == nil || known.code != code {
		b.announcer.parked[channel] = &parked{code: code, told: map[string]bool{}}
	}
	b.announcer.mu.Unlock()
	if known == nil {
		b.Log.Error().Str("channel", channel).Str("code", code).Msg("Slack takes nothing for a channel; what is to be shown there waits")
	}
	b.announcer.nudge()
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

// alarmed returns the channels that have to be told of a parked one: the audit channel,
// and those in which a request is open.
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
	channels := []string{b.AuditChannel}
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
	words := alarmWords(other, code, other == b.AuditChannel)
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
