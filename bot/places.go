package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
)

// This file establishes where something may happen.

// place returns nil if requests may be asked for, and approved, in channel. An error is an
// *approval.Refusal, or *later.
func (pp *people) place(ctx context.Context, channel string, allowed []string) error {
	_, err := pp.look(ctx, channel, allowed)
	return err
}

// openFor is how old a yes of placeToAsk may be by which a form is opened: it is asked anew
// when the form is submitted.
const openFor = 10 * time.Second

// placeForForm is placeToAsk, by a yes of a moment ago where there is one.
func (pp *people) placeForForm(ctx context.Context, channel string, allowed []string) error {
	pp.mu.Lock()
	at, ok := pp.open[channel]
	pp.mu.Unlock()
	if ok && pp.now().Sub(at) < openFor {
		return nil
	}
	err := pp.placeToAsk(ctx, channel, allowed)
	if err == nil {
		pp.mu.Lock()
		defer pp.mu.Unlock()
		pp.open[channel] = pp.now()
	}
	return err
}

// placeToAsk is place where a card is to be posted: keyturn has to be able to.
func (pp *people) placeToAsk(ctx context.Context, channel string, allowed []string) error {
	c, err := pp.look(ctx, channel, allowed)
	if err != nil {
		return err
	}
	return c.takesPosts()
}

// look looks at a channel in which something is to happen.
func (pp *people) look(
	ctx context.Context, channel string, allowed []string,
) (conversation, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	no := func(why approval.Why) error { return &approval.Refusal{Why: why} }
	if channel == "" || strings.HasPrefix(channel, "D") { // none: a press in keyturn's own Home
		return conversation{}, no(approval.DirectMessage)
	}
	if len(allowed) > 0 && !slices.Contains(allowed, channel) {
		return conversation{}, no(approval.ChannelNotAllowed)
	}
	c, err := pp.slack.conversation(ctx, channel)
	switch {
	case isOfAFew(channel, err):
		return c, no(approval.DirectMessage)
	case said(err) == "channel_not_found":
		return c, no(approval.BotNotInChannel) // a private channel that does not show itself
	case err != nil:
		return c, pp.unread(fmt.Errorf("reading channel "+
			"%s: %w", channel, err), approval.SlackRefuses)
	case bool(c.IM), bool(c.MPIM):
		return c, no(approval.DirectMessage)
	case bool(c.Shared), bool(c.Pending):
		return c, no(approval.SharedChannel)
	case !bool(c.Member):
		return c, no(approval.BotNotInChannel)
	}
	return c, nil
}

// isOfAFew reports whether an error of conversations.info is about a conversation of a few
// people, which keyturn has no scope for and cannot be invited to. Their ids begin with G,
// as those of old private channels do, or with C.
func isOfAFew(channel string, err error) bool {
	var missing *missingScope
	if errors.As(err, &missing) && missing.needs != "" {
		scopes := strings.Split(missing.needs, ",")
		return !slices.ContainsFunc(scopes, func(s string) bool {
			s = strings.TrimSpace(s)
			return s != "im:read" && s != "mpim:read"
		})
	}
	return said(err) == "channel_not_found" && strings.HasPrefix(channel, "G")
}

// takesPosts returns a refusal where the channel's own fields say that keyturn may not
// post there.
func (c conversation) takesPosts() error {
	for _, not := range []struct {
		so   hint
		code string
	}{
		{c.Archived, "is_archived"}, {c.Frozen, "is_frozen"},
		{c.ReadOnly, "is_read_only"}, {c.ThreadOnly, "is_thread_only"},
	} {
		if not.so {
			return &approval.Refusal{Why: approval.ChannelTakesNone, Code: not.code}
		}
	}
	return nil
}
