package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// This file is how anything goes out over the Web API: one post a second a channel, as
// Slack asks; not before it says after it said 429; and with its errors told apart.

// DefaultPace is the time between two posts in one channel. Slack allows one message a
// second (facts: chat.postMessage), and may silently not keep what comes faster.
const DefaultPace = time.Second

// pace knows when the next call may be made.
type pace struct {
	every time.Duration
	now   func() time.Time

	mu   sync.Mutex
	next map[string]time.Time // of posts, by channel
	held map[string]time.Time // after a 429, by method: it is for the whole workspace
}

// untilPost returns how long to wait before the next post in a channel; 0 or less: it may
// go now.
func (p *pace) untilPost(channel string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until(channel)
}

func (p *pace) until(channel string) time.Duration {
	next := p.next[channel]
	if held := p.held[methodPost]; held.After(next) {
		next = held
	}
	return next.Sub(p.now())
}

// post is untilPost, and where it may go now, it counts as gone.
func (p *pace) post(channel string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := p.until(channel)
	if wait <= 0 {
		p.next[channel] = p.now().Add(p.every)
	}
	return wait
}

// takeTurn waits until the next post in a channel may go, or ctx ends.
func (b *Bot) takeTurn(ctx context.Context, channel string) {
	for wait := b.pace.post(channel); wait > 0; wait = b.pace.post(channel) {
		if !sleep(ctx, wait) {
			return
		}
	}
}

// heldFor returns how long Slack wants no call of a method.
func (p *pace) heldFor(method string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[method].Sub(p.now())
}

// heed remembers what a 429 asks for.
func (p *pace) heed(method string, err error) {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held[method] = p.now().Add(limited.RetryAfter)
	}
}

// The methods that are held apart.
const (
	methodPost      = "chat.postMessage"
	methodUpdate    = "chat.update"
	methodEphemeral = "chat.postEphemeral"
)

// call calls a method of Slack's, once it is not held.
func (b *Bot) call(ctx context.Context, method string, do func() error) error {
	if !sleep(ctx, b.pace.heldFor(method)) {
		return ctx.Err()
	}
	err := do()
	b.pace.heed(method, err)
	return err
}

// insist tries until it is done, Slack refuses it, or ctx ends.
func (b *Bot) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if _, no := refuses(err); err == nil || no || !sleep(ctx, time.Second) {
			return err
		}
	}
}

// post posts a message and returns its ts. What Slack cannot show as blocks goes out as
// its text alone: a post that is dropped would be missed by nobody.
func (b *Bot) post(ctx context.Context, channel, text string, blocks []slack.Block, more ...slack.MsgOption) (ts string, err error) {
	try := func(options []slack.MsgOption) error {
		return b.call(ctx, methodPost, func() error {
			_, ts, err = b.api.PostMessageContext(ctx, channel, append(options, more...)...)
			return err
		})
	}
	if err = try(b.content(text, blocks)); isUnshowable(err) {
		b.Log.Error().Str("channel", channel).Err(err).Msg("Slack cannot show the blocks of a post")
		err = try(b.content(shorten(text, maxSection), nil))
	}
	if err != nil {
		return "", fmt.Errorf("posting in %s: %w", channel, err)
	}
	b.unpark(channel)
	return ts, nil
}

// update draws a message anew.
func (b *Bot) update(ctx context.Context, channel, ts, text string, blocks []slack.Block) error {
	try := func(blocks []slack.Block) error {
		return b.call(ctx, methodUpdate, func() error {
			_, _, _, err := b.api.UpdateMessageContext(ctx, channel, ts, b.content(text, blocks)...)
			return err
		})
	}
	err := try(blocks)
	if isUnshowable(err) {
		b.Log.Error().Str("channel", channel).Err(err).Msg("Slack cannot show the blocks of a message")
		err = try([]slack.Block{section(shorten(text, maxSection))})
	}
	if err != nil {
		return fmt.Errorf("updating a message in %s: %w", channel, err)
	}
	b.unpark(channel)
	return nil
}

// content is what a message is made of. Slack is told to look for nothing in its text,
// which it otherwise does at every update.
func (b *Bot) content(text string, blocks []slack.Block) []slack.MsgOption {
	text, blocks = b.marked(text, blocks)
	return []slack.MsgOption{
		slack.MsgOptionText(text, false), slack.MsgOptionBlocks(blocks...), slack.MsgOptionParse(false),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// openView opens a modal for whoever did what the trigger is of.
func (b *Bot) openView(ctx context.Context, trigger string, m slack.ModalViewRequest) (*slack.ViewResponse, error) {
	return b.api.OpenViewContext(ctx, trigger, b.markedView(m))
}

// updateView lets an open modal show another.
func (b *Bot) updateView(ctx context.Context, id string, m slack.ModalViewRequest) error {
	_, err := b.api.UpdateViewContext(ctx, b.markedView(m), "", "", id)
	return err
}

// said returns the code of an error that is Slack's own answer; "": it is none.
func said(err error) string {
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return said.Err
	}
	return ""
}

// isUnshowable reports whether it is what we sent that Slack does not take.
func isUnshowable(err error) bool {
	return slices.Contains([]string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"}, said(err))
}

// isGone reports whether a message is there no more, or cannot be drawn again.
func isGone(err error) bool {
	return slices.Contains([]string{"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed", "block_mismatch"}, said(err))
}

// refuses returns why Slack takes nothing here, for good as far as can be known: it
// said no, and neither that it is in trouble itself nor that it is too much.
func refuses(err error) (code string, ok bool) {
	code = said(err)
	passing := []string{"", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited", "rate_limited", "team_added_to_org"}
	return code, !slices.Contains(passing, code) && !isGone(err)
}
