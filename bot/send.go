package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"
)

// This file is how messages and forms go out over the Web API. When they may is in
// pace.go, what an error is about in codes.go.

// post posts a message and returns its ts. What Slack cannot show as blocks goes out as
// its text alone: a post that is dropped would be missed by nobody.
func (b *Bot) post(ctx context.Context, channel, text string, blocks []slack.Block, more ...slack.MsgOption) (ts string, err error) {
	try := func(options []slack.MsgOption) error {
		return b.call(ctx, methodPost, func() error {
			_, ts, err = b.client().PostMessageContext(ctx, channel, append(options, more...)...)
			return err
		})
	}
	if err = try(b.content(text, blocks)); concernOf(err) == aboutMessage {
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
			_, _, _, err := b.client().UpdateMessageContext(ctx, channel, ts, b.content(text, blocks)...)
			return err
		})
	}
	err := try(blocks)
	if concernOf(err) == aboutMessage {
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

// triggerLives is how long a trigger opens a modal (facts: slack.md 3.2).
const triggerLives = 3 * time.Second

// openView opens a modal for whoever did what the trigger is of. It is known as name from
// then on: an answer of Slack's that is lost does not say its id.
func (b *Bot) openView(ctx context.Context, trigger, name string, m slack.ModalViewRequest) error {
	ctx, cancel := context.WithTimeout(ctx, triggerLives)
	defer cancel()
	m = b.markedView(m)
	m.ExternalID = name
	again := false
	err := b.insist(ctx, triggerLives/10, func() error {
		err := b.call(ctx, methodOpen, func() error {
			_, err := b.client().OpenViewContext(ctx, trigger, m)
			return err
		})
		switch said(err) {
		case "exchanged_trigger_id", "duplicate_external_id":
			if again {
				return nil // the try before opened it, and its answer was lost
			}
		}
		again = true
		return err
	})
	if err != nil {
		return fmt.Errorf("opening a form: %w", err)
	}
	return nil
}

// updateView lets the modal of a name show another.
func (b *Bot) updateView(ctx context.Context, name string, m slack.ModalViewRequest) error {
	m = b.markedView(m)
	m.ExternalID = name
	err := b.call(ctx, methodFill, func() error {
		_, err := b.client().UpdateViewContext(ctx, m, name, "", "")
		return err
	})
	if err != nil {
		return fmt.Errorf("filling in a form: %w", err)
	}
	return nil
}
