package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
)

// workInbox works what was received, each on its own, until ctx ends. What a
// process before us received and did not work is found again at the start.
func (b *Bot) workInbox(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	started := map[string]bool{} // one of each; a few bytes a press
	for ctx.Err() == nil {
		ids, err := b.Inbox.Received(ctx)
		if err != nil && ctx.Err() == nil {
			b.Log.Error().Err(err).Msg("the inbox cannot be read")
		}
		for _, id := range ids {
			if started[id] {
				continue
			}
			started[id] = true
			wg.Go(func() {
				work, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
				defer cancel()
				b.workReceived(work, id)
			})
		}
		select {
		case <-b.received:
		case <-time.After(5 * time.Second): // whatever woke nobody
		case <-ctx.Done():
		}
	}
}

// workReceived works one row of the inbox and marks it. If we die before the mark,
// it is worked again, and the cause of each move makes that harmless.
func (b *Bot) workReceived(ctx context.Context, id string) {
	payload, at, err := b.Inbox.Payload(ctx, id)
	if err != nil {
		b.Log.Error().Str("envelope_id", id).Err(err).Msg("the inbox cannot be read")
		return
	}
	var r received
	err = json.Unmarshal([]byte(payload), &r)
	switch {
	case err != nil:
		b.Log.Error().Str("envelope_id", id).Err(err).Msg("what was received is not ours")
	case r.Verb != "":
		b.workPress(ctx, id, r, at)
	case r.Ask != nil:
		b.workAsk(ctx, id, r)
	case r.Explain != "":
		b.workExplain(ctx, id, r)
	}
	if err := b.Inbox.Worked(ctx, id); err != nil {
		b.Log.Error().Str("envelope_id", id).Err(err).Msg("what was worked cannot be marked")
	}
}

func (b *Bot) workPress(ctx context.Context, id string, r received, at time.Time) {
	p := approval.Press{Request: r.Request, Verb: r.Verb, Received: at, Cause: id}
	b.adopt(ctx, r, false) // before the move: its line belongs in the thread of the card that was pressed
	now, again, err := b.decide(ctx, r, &p)
	var no *approval.Refusal
	if errors.As(err, &no) {
		if err := b.Desk.Refuse(ctx, p, no.Why); err != nil {
			b.Log.Error().Str("envelope_id", id).Err(err).Msg("a refused press is not in the trail")
		}
	}
	if no != nil && (no.Why == approval.Over || no.Why == approval.PastExpiry) {
		b.adopt(ctx, r, true)
	}
	if err != nil {
		b.answer(ctx, id, r, err)
		return
	}
	b.Log.Info().Str("envelope_id", id).Str("request_id", string(r.Request)).Str("actor", r.Who.User).
		Str("verb", string(r.Verb)).Bool("again", again).Msg("pressed")
	words := section(pressWords(r.Verb, again, now))
	if again || r.Verb != approval.Deny && r.Verb != approval.Cancel {
		b.tellBlocks(ctx, r.Channel, r.Who.User, words)
		return
	}
	b.tellBlocks(ctx, r.Channel, r.Who.User, words, slack.NewActionBlock("explain",
		slack.NewButtonBlockElement(actExplain, string(r.Request), plain("Say why…", 75))))
}

// decide establishes who pressed and where, in 3 s at most, and makes their move.
func (b *Bot) decide(ctx context.Context, r received, p *approval.Press) (now approval.Request, again bool, err error) {
	judging, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	if p.Person, err = b.people.judge(judging, r.Who, b.rightsFor(judging, r)...); err != nil {
		return now, false, err
	}
	if err := b.people.place(judging, r.Channel, b.Channels); errors.As(err, &p.Where) {
		b.Log.Debug().Str("actor", r.Who.User).Str("channel", r.Channel).Err(err).Msg("pressed where nothing may be approved")
	}
	return b.Desk.Press(ctx, *p)
}

// rightsFor returns the lists of users and user groups that a press depends on.
func (b *Bot) rightsFor(ctx context.Context, r received) [][]string {
	req, err := b.Trail.Request(ctx, r.Request)
	if err != nil {
		return nil // the desk says what is wrong with it
	}
	switch r.Verb {
	case approval.Cancel:
		return nil // the requester's, whatever groups there are
	case approval.TookEffect, approval.DidNot:
		return [][]string{b.Policy.Requesters, b.Policy.ApproversOf(req.Tenant)}
	}
	return [][]string{b.Policy.ApproversOf(req.Tenant)}
}

func (b *Bot) workAsk(ctx context.Context, id string, r received) {
	a := r.Ask
	person, approvers, err := b.mayAsk(ctx, r.Who, a.Channel, a.Tenant)
	if err != nil {
		b.answer(ctx, id, r, err)
		return
	}
	req, err := b.Desk.Ask(ctx, approval.Ask{
		Cause: a.Cause, Person: person, Tenant: a.Tenant, Action: a.Action, KID: a.KID, Shown: a.Shown,
		Reason: a.Reason, Link: a.Link, Prepared: a.Prepared, Channel: a.Channel, Approvers: approvers,
	})
	if err != nil {
		b.answer(ctx, id, r, err)
		return
	}
	b.Log.Info().Str("envelope_id", id).Str("request_id", string(req.ID)).Str("actor", r.Who.User).Str("kid", req.KID).Msg("asked")
}

func (b *Bot) workExplain(ctx context.Context, id string, r received) {
	person, err := b.people.judge(ctx, r.Who, nil)
	if err == nil {
		_, err = b.Desk.Explain(ctx, r.Request, person, r.Explain)
	}
	if err != nil {
		b.answer(ctx, id, r, err)
		return
	}
	b.tell(ctx, r.Channel, r.Who.User, "Your words are in the trail and in the thread of the card.")
}

// answer tells the person of an error: a refusal in its words, anything else with a
// reference for the operator.
func (b *Bot) answer(ctx context.Context, id string, r received, err error) {
	var no *approval.Refusal
	if !errors.As(err, &no) {
		b.trip(ctx, id, r.Channel, r.Who.User, err)
		return
	}
	b.Log.Info().Str("envelope_id", id).Str("request_id", string(r.Request)).Str("actor", r.Who.User).Err(err).Msg("refused")
	blocks := []slack.Block{section(refusalWords(no, b.cardLink(ctx)))}
	if no.Look != nil && r.Ask != nil {
		blocks = append(blocks, keyBlocks(r.Ask.Tenant, no.Look, b.Now(), false)...)
	}
	if r.Ask != nil { // what was typed is not lost
		blocks = append(blocks, contextLine("Your reason was:"), quote(r.Ask.Reason))
	}
	b.tellBlocks(ctx, r.Channel, r.Who.User, blocks...)
}

// trip logs what went wrong and tells the person under which reference.
func (b *Bot) trip(ctx context.Context, id, channel, user string, err error) {
	reference := id[:min(len(id), 8)]
	b.Log.Error().Str("envelope_id", id).Str("reference", reference).Str("actor", user).Err(err).Msg("work went wrong")
	b.tell(ctx, channel, user, troubleWords(reference))
}

func (b *Bot) tell(ctx context.Context, channel, user, words string) {
	b.tellBlocks(ctx, channel, user, section(words))
}

// tellBlocks shows something to one person: where they are, or, where Slack does not
// take that, in the conversation that they have with keyturn. It tries until ctx ends.
// Slack does not promise to show it, so it is never the only place of a decision: the
// card is.
func (b *Bot) tellBlocks(ctx context.Context, channel, user string, blocks ...slack.Block) {
	text := fallback(blocks)
	here := func() error {
		return b.call(ctx, methodEphemeral, func() error {
			_, err := b.api.PostEphemeralContext(ctx, channel, user, b.content(text, blocks)...)
			return err
		})
	}
	apart := func() error {
		_, err := b.post(ctx, user, text, blocks)
		return err
	}
	var err error
	if channel != "" {
		err = b.insist(ctx, here)
	}
	if channel == "" || said(err) != "" {
		err = b.insist(ctx, apart)
	}
	if err != nil {
		b.Log.Warn().Str("actor", user).Str("channel", channel).Err(fmt.Errorf("answering: %w", err)).Msg("an answer was not shown")
	}
}

// fallback is the text of a message whose blocks cannot be shown, as in a
// notification: that of the first block.
func fallback(blocks []slack.Block) string {
	if len(blocks) > 0 {
		switch first := blocks[0].(type) {
		case *slack.SectionBlock:
			if first.Text != nil && first.Text.Type == slack.MarkdownType {
				return first.Text.Text
			}
		case *slack.HeaderBlock:
			return escape(first.Text.Text)
		}
	}
	return "keyturn"
}
