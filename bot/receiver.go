package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/panics"
	"keyturn/bot/socket"
)

// isCommand reports whether envelopes of a type are acknowledged before receive gets
// them: a command changes nothing, and its answer goes to its response URL.
func isCommand(envelopeType string) bool { return envelopeType == "slash_commands" }

// receive decides on the ack of an envelope. Whatever changes a request is on disk
// before it is acknowledged: Slack delivers a press once and never again. The rest
// is worked at once, beside the ack.
func (b *Bot) receive(ctx context.Context, e socket.Envelope) (ack any, err error) {
	if no := b.refusal(); no != nil {
		return nil, no
	}
	log := b.Log.With().Str("envelope_id", e.ID).Str("type", e.Type).Logger()
	switch e.Type {
	case "slash_commands":
		var c command
		if err := json.Unmarshal(e.Payload, &c); err != nil {
			log.Error().Err(err).Msg("a command that cannot be read")
			// What is of another type does not keep the response URL from being read.
			b.respond(ctx, e.ID, c, section("I could not read this command."))
			return nil, nil
		}
		log.Info().Str("actor", c.User).Str("channel", c.Channel).Msg("command")
		b.start(ctx, act{e.ID, c.User, c.Channel}, func(ctx context.Context) { b.command(ctx, e.ID, c) })
		return nil, nil
	case "interactive":
		var i interaction
		if err := json.Unmarshal(e.Payload, &i); err != nil {
			// Withholding the ack makes Slack show the person that nothing came of it.
			return nil, fmt.Errorf("reading an interaction: %w", err)
		}
		log.Info().Str("actor", i.User.ID).Str("interaction", i.Type).Msg("interaction")
		switch i.Type {
		case "block_actions":
			return nil, b.receivePress(ctx, e.ID, i)
		case "view_submission":
			return b.receiveView(ctx, e, i), nil
		}
	}
	return nil, nil
}

// act is what somebody did, as far as the log and an answer need to know.
type act struct{ envelope, user, channel string }

// start works a thing beside the ack, with a time of its own: being stopped lets it
// finish. If it panics, the person is told.
func (b *Bot) start(ctx context.Context, a act, work func(context.Context)) {
	b.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
		defer cancel()
		if err := b.caught(func() error { work(ctx); return nil }); err != nil {
			b.trip(ctx, a.envelope, a.channel, a.user, err)
		}
	})
}

// Panics returns how many pieces of work of the bot's panicked since the start.
func (b *Bot) Panics() int { return int(b.panicked.Load()) }

// caught is panics.Caught, and counts a panic for the metrics.
func (b *Bot) caught(work func() error) error {
	err := panics.Caught(work)
	if panics.Is(err) {
		b.panicked.Add(1)
	}
	return err
}

// guarded does work that is repeated anyway. If it panics, that is logged, and the next turn
// tries again.
func (b *Bot) guarded(work func()) {
	if err := b.caught(func() error { work(); return nil }); err != nil {
		b.Log.Error().Err(err).Msg("repeated work panicked; the next turn tries again")
	}
}

// receivePress keeps a press on a request, or starts what another button opens. An
// error leaves the press unacknowledged: Slack then shows its warning.
func (b *Bot) receivePress(ctx context.Context, envelope string, i interaction) error {
	a := act{envelope, i.User.ID, i.channel()}
	if id, verb, ok := i.press(); ok {
		err := b.keep(ctx, envelope, received{
			Who: i.presser(), Channel: i.channel(), Request: id, Verb: verb, Message: i.card(),
		})
		if err != nil {
			b.tell(ctx, envelope, a.channel, a.user, section("Your press could not be kept, "+
				"so it did *not* count, and no change is made. Press again in a moment; "+
				"if it stays so, tell the operator that the trail cannot be written."))
		}
		return err
	}
	if len(i.Actions) != 1 {
		return fmt.Errorf("a press of %d actions", len(i.Actions))
	}
	button := i.Actions[0]
	switch name, _, _ := strings.Cut(button.Action, ":"); {
	case name == actAsk:
		var t target
		if err := json.Unmarshal([]byte(button.Value), &t); err != nil {
			return fmt.Errorf("reading a button: %w", err)
		}
		b.start(ctx, a, func(ctx context.Context) {
			b.openAsk(ctx, envelope, i.TriggerID, i.presser(), a.channel, t)
		})
	case button.Action == actShare:
		b.start(ctx, a, func(ctx context.Context) { b.share(ctx, envelope, i, button.Value) })
	case button.Action == actExplain:
		b.start(ctx, a, func(ctx context.Context) {
			form := explainModal(approval.ID(button.Value), a.channel)
			if err := b.openView(ctx, i.TriggerID, envelope, form); err != nil {
				b.notOpened(ctx, a, err, "")
			}
		})
	case i.View.ID != "":
		// An input of a modal that tells of each change: nothing to do before it is
		// submitted.
	default:
		b.tell(ctx, envelope, a.channel, a.user, section("I do not know this button; "+
			"it may be from an older keyturn. Type "+b.slash().code("requests")+" for what is open."))
	}
	return nil
}

// receiveView keeps a submitted modal and lets it close, or keeps it open with what
// is wrong beside the input. The words are never lost.
func (b *Bot) receiveView(ctx context.Context, e socket.Envelope, i interaction) (ack any) {
	r := received{Who: i.presser()}
	wrong := b.readView(&i, &r)
	if len(wrong) == 0 && r.Ask != nil && !b.asks.take(i.User.ID) {
		wrong = map[string]string{reasonBlock: "You asked for many changes in the last minute. " +
			"Your words stay here: wait a moment, then submit it again."}
	}
	if len(wrong) == 0 && (r.Ask != nil || r.Explain != "") {
		if err := b.keep(ctx, e.ID, r); err != nil {
			b.Log.Error().Str("envelope_id", e.ID).Err(err).Msg("a submission could not be kept")
			wrong = map[string]string{reasonBlock: "This could not be kept, so nothing was done. Submit it again in a moment; if it stays so, tell the operator that the trail cannot be written."}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	if !e.AcceptsPayload {
		// Slack says that the modal closes whatever we answer, so the words go another way.
		b.returnWords(ctx, e.ID, i, r, wrong)
		return nil
	}
	return slack.NewErrorsViewSubmissionResponse(wrong)
}

// readView reads a submitted modal into r, and returns what is wrong with it by block.
func (b *Bot) readView(i *interaction, r *received) (wrong map[string]string) {
	older := map[string]string{reasonBlock: "This form is from an older keyturn. Copy your words and open it anew."}
	switch i.View.Callback {
	case askCallback:
		a, wrong, err := i.readAsk()
		if err != nil {
			return older
		}
		r.Ask, r.Channel = &a, a.Channel
		return wrong
	case explainCallback:
		var about received
		if json.Unmarshal([]byte(i.View.Metadata), &about) != nil {
			return older
		}
		r.Request, r.Channel, r.Explain = about.Request, about.Channel, i.input(reasonBlock).Value
		if no := approval.CheckWords(r.Explain, ""); no != nil {
			return map[string]string{reasonBlock: refusalWords(b.slash(), no, nil)}
		}
	}
	return nil
}

// returnWords tells a person what is wrong with their submission, with their words.
func (b *Bot) returnWords(
	ctx context.Context, envelope string, i interaction, r received, wrong map[string]string,
) {
	var blocks []slack.Block
	for _, words := range wrong {
		blocks = append(blocks, section(words))
	}
	blocks = withWords(i.input(reasonBlock).Value, blocks...)
	b.tell(ctx, envelope, r.Channel, i.User.ID, blocks...)
}

// keep puts what was received on disk, and wakes whoever works it.
func (b *Bot) keep(ctx context.Context, envelope string, r received) error {
	if err := b.Inbox.Receive(ctx, envelope, encode(r)); err != nil {
		return err
	}
	select {
	case b.arrived <- struct{}{}:
	default: // it is awake already
	}
	return nil
}
