package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// command works a slash command. Its answers go to the response URL, which works
// also where the bot is not in the channel.
func (b *Bot) command(ctx context.Context, id string, c command) {
	w, err := parse(c.Text, b.Names)
	var m misread
	if errors.As(err, &m) {
		b.respond(ctx, id, c, slack.NewSectionBlock(plain(string(m), maxSection), nil, nil))
		return
	}
	switch action := approval.Action(w.verb); action {
	case approval.Revoke, approval.Rotate, approval.RotateAndRevoke:
		b.openAsk(ctx, id, c.TriggerID, c.presser(), c.Channel,
			target{Tenant: w.tenant, Action: action, KID: w.kid, Reason: w.reason})
		return
	}
	blocks, err := b.shown(ctx, w)
	if err != nil {
		reference := id[:min(len(id), 8)]
		b.Log.Error().Str("envelope_id", id).Str("reference", reference).Err(err).Msg("a command went wrong")
		blocks = []slack.Block{section("I could not read that now. Try again in a moment; the operator finds it in the log under " + code(reference) + ".")}
	}
	b.respond(ctx, id, c, blocks...)
}

// shown is what a command that only looks is answered with.
func (b *Bot) shown(ctx context.Context, w words) ([]slack.Block, error) {
	switch w.verb {
	case "list":
		return b.list(ctx, w.tenant, true)
	case "requests":
		open, err := b.Trail.OpenRequests(ctx)
		return openBlocks(open, b.cardLink(ctx)), err
	case "certificate":
		keys, err := b.Tenants[w.tenant].Reader.Keys(ctx)
		return certificateBlocks(w.tenant, w.role, keys), err
	case "audit":
		return b.trailOf(ctx, w)
	}
	return []slack.Block{section(helpWords(b.Names))}, nil
}

// trailOf answers the audit command: with the last entries, or with those of a request.
func (b *Bot) trailOf(ctx context.Context, w words) ([]slack.Block, error) {
	if w.request != "" {
		story, err := b.Trail.Story(ctx, w.request)
		switch {
		case errors.Is(err, audit.ErrForged):
			return []slack.Block{section(refusalWords(&approval.Refusal{Why: approval.TrailForged}, nil))}, nil
		case err != nil:
			return nil, err
		case len(story) == 0:
			return []slack.Block{section("The trail has no request " + code(string(w.request)) + ". Type `/signing-keys audit` for the last entries.")}, nil
		}
		return trailBlocks("The trail of "+string(w.request), story, "For a post-mortem, with all that was typed: "+code("keyturn audit show "+string(w.request))), nil
	}
	size, err := b.Trail.Size(ctx)
	if err != nil {
		return nil, err
	}
	root, err := b.Trail.Root(ctx, size)
	if err != nil {
		return nil, err
	}
	entries, err := b.Trail.Entries(ctx, max(0, size-int64(w.n)), w.n)
	if errors.Is(err, audit.ErrForged) {
		return []slack.Block{section("🚨 An entry among them is not the one that was sealed: " + escape(err.Error()) + ". Tell the operator, who runs `keyturn audit verify`.")}, nil
	}
	return trailBlocks("The trail", entries, witness{size: size, root: root}.words()), err
}

func (b *Bot) list(ctx context.Context, tenant string, share bool) ([]slack.Block, error) {
	look, _, err := b.Tenants[tenant].Look(ctx, b.Now(), true)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of %s: %w", tenant, err)
	}
	return keyBlocks(tenant, look, b.Now(), share), nil
}

// share posts the list for all to see.
func (b *Bot) share(ctx context.Context, id string, i interaction, tenant string) {
	if _, ok := b.Tenants[tenant]; !ok {
		b.tell(ctx, i.channel(), i.User.ID, refusalWords(&approval.Refusal{Why: approval.UnknownTenant}, nil))
		return
	}
	if err := b.people.place(ctx, i.channel(), b.Channels); err != nil {
		b.answer(ctx, id, received{Who: i.presser(), Channel: i.channel()}, err)
		return
	}
	blocks, err := b.list(ctx, tenant, false)
	if err == nil {
		b.takeTurn(ctx, i.channel())
		_, err = b.post(ctx, i.channel(), fallback(blocks), blocks)
	}
	if err != nil {
		b.trip(ctx, id, i.channel(), i.User.ID, err)
	}
}

// respond answers a command, to its asker alone.
func (b *Bot) respond(ctx context.Context, id string, c command, blocks ...slack.Block) {
	text, blocks := b.marked(fallback(blocks), blocks)
	err := slack.PostWebhookCustomHTTPContext(ctx, c.ResponseURL, b.http, &slack.WebhookMessage{
		Text: text, Blocks: &slack.Blocks{BlockSet: blocks}, ResponseType: slack.ResponseTypeEphemeral,
	})
	if err != nil {
		// The error names the response URL, which is a secret: whoever has it can
		// speak as keyturn for half an hour.
		b.Log.Warn().Str("envelope_id", id).Str("actor", c.User).Msg("an answer to a command was not shown")
	}
}

// openAsk opens the asking modal: at once, with a loading view, since the trigger
// lives for 3 s; then with what there is to fill in, or with why there is nothing.
func (b *Bot) openAsk(ctx context.Context, id, trigger string, who presser, channel string, t target) {
	opened, err := b.openView(ctx, trigger, loadingModal(t.Action))
	if err != nil {
		b.trip(ctx, id, channel, who.User, fmt.Errorf("opening a modal: %w", err))
		return
	}
	view, err := b.prepareAsk(ctx, who, channel, t)
	var no *approval.Refusal
	switch {
	case errors.As(err, &no):
		b.Log.Info().Str("envelope_id", id).Str("actor", who.User).Err(err).Msg("refused")
		view = noModal(t.Action, refusalWords(no, b.cardLink(ctx)))
	case err != nil:
		reference := id[:min(len(id), 8)]
		b.Log.Error().Str("envelope_id", id).Str("reference", reference).Err(err).Msg("a modal could not be filled in")
		view = noModal(t.Action, "Auth0 could not be read, so nothing can be asked for now. Try again in a moment; the operator finds it in the log under "+code(reference)+".")
	}
	if err := b.updateView(ctx, opened.View.ID, view); err != nil {
		b.Log.Warn().Str("envelope_id", id).Err(fmt.Errorf("filling in a modal: %w", err)).Msg("a modal was closed, or is not shown")
	}
}

// prepareAsk refuses what could only fail, before anything is typed.
func (b *Bot) prepareAsk(ctx context.Context, who presser, channel string, t target) (slack.ModalViewRequest, error) {
	none := slack.ModalViewRequest{}
	if _, _, err := b.mayAsk(ctx, who, channel, t.Tenant); err != nil {
		return none, err
	}
	look, keys, err := b.Tenants[t.Tenant].Look(ctx, b.Now(), false)
	if err != nil {
		return none, err
	}
	if t.KID != "" || t.Action != approval.Revoke {
		kid, no := approval.Target(t.Action, t.KID, keys)
		if no != nil {
			no.Look = look
			return none, no
		}
		if err := b.isOpen(ctx, t.Tenant, t.Action, kid); err != nil {
			return none, err
		}
	} else if !revocable(look) {
		return noModal(t.Action, "There is no previously used key, and Auth0 revokes no other. Ask for `/signing-keys rotate-and-revoke` instead."), nil
	}
	a := asking{Tenant: t.Tenant, Action: t.Action, Channel: channel, Shown: approval.Shown(look), KID: t.KID}
	return askModal(a, look, t.Reason, b.Now()), nil
}

// mayAsk establishes who wants to ask, and who could approve (ids of users). It takes 3 s
// at most; who asks is looked at before where.
func (b *Bot) mayAsk(ctx context.Context, who presser, channel, tenant string) (person approval.Person, approvers []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	if person, err = b.people.judge(ctx, who, b.Policy.Requesters); err != nil {
		return person, nil, err
	}
	if no := b.Policy.MayAsk(person); no != nil {
		return person, nil, no
	}
	if err = b.people.place(ctx, channel, b.Channels); err != nil {
		return person, nil, err
	}
	if approvers, err = b.people.resolve(ctx, b.Policy.ApproversOf(tenant)); err != nil {
		return person, nil, err
	}
	if no := b.Desk.MayAsk(tenant, person, approvers); no != nil {
		return person, nil, no
	}
	return person, approvers, nil
}

// isOpen returns a refusal if the same is asked for already. The store decides again
// when it is submitted.
func (b *Bot) isOpen(ctx context.Context, tenant string, action approval.Action, kid string) error {
	open, err := b.Trail.OpenRequests(ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.Tenant == tenant && r.Action == action && r.KID == kid {
			return &approval.Refusal{Why: approval.AlreadyOpen, Other: &r}
		}
	}
	return nil
}
