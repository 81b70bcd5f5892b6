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
	if !b.commands.take(c.User) {
		b.tell(ctx, id, c.Channel, c.User, section("You type many commands, so I left some out. "+
			"Wait a moment, then type the one that you need."))
		return
	}
	w, err := parse(c.Text, b.Names, b.sawSlash(c.Command))
	var m misread
	if errors.As(err, &m) {
		b.respond(ctx, id, c, slack.NewSectionBlock(plain(string(m), maxSection), nil, nil))
		return
	}
	switch action := approval.Action(w.verb); action {
	case approval.Revoke, approval.Rotate, approval.RotateAndRevoke:
		b.openAsk(ctx, id, c.TriggerID, c.presser(), c.Channel,
			target{Tenant: w.tenant, Action: action, typed: w.typed, slash: w.slash})
		return
	}
	if w.verb != "help" { // which anybody may have
		asked, often := b.Now(), !b.reads.take(c.User)
		err = b.patiently(ctx, func(ctx context.Context) error {
			return b.mayRead(ctx, c.presser(), asked, often)
		})
	}
	var blocks []slack.Block
	if err == nil {
		blocks, err = b.look(ctx, w)
	}
	var no *approval.Refusal
	switch {
	case errors.As(err, &no):
		blocks = []slack.Block{section(refusalWords(w.slash, no, b.cardLink(ctx)))}
	case err != nil:
		b.Log.Error().Str("envelope_id", id).Str("reference", refer(id)).Err(err).
			Msg("a command went wrong")
		blocks = []slack.Block{section("I could not read that now. Try again in a moment; " +
			"the operator finds it in the log under " + code(refer(id)) + ".")}
	}
	b.respond(ctx, id, c, blocks...)
}

// maxReading is how many commands look at something at once. The others wait.
const maxReading = 16

// look answers a command that only looks. It gives up when keyturn stops.
func (b *Bot) look(ctx context.Context, w words) ([]slack.Block, error) {
	ctx, cancel := b.untilStop(ctx)
	defer cancel()
	select {
	case b.reading <- struct{}{}:
		defer func() { <-b.reading }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for other commands: %w", ctx.Err())
	}
	return b.shown(ctx, w)
}

// shown is what a command that only looks is answered with.
func (b *Bot) shown(ctx context.Context, w words) ([]slack.Block, error) {
	switch w.verb {
	case "list":
		return b.list(ctx, w.tenant, true)
	case "requests":
		open, err := b.Trail.OpenRequests(ctx)
		return b.noteFrozen(openBlocks(open, b.cardLink(ctx)), b.Names...), err
	case "certificate":
		_, keys, err := b.Desk.Look(ctx, w.tenant, false)
		return certificateBlocks(w.tenant, w.role, keys, w.slash), err
	case "audit":
		return b.trailOf(ctx, w)
	}
	return []slack.Block{section(helpWords(w.slash, b.Names))}, nil
}

// trailOf answers the audit command: with the last entries, or with those of a request.
func (b *Bot) trailOf(ctx context.Context, w words) ([]slack.Block, error) {
	if w.request != "" {
		story, err := b.Trail.Story(ctx, w.request)
		switch {
		case errors.Is(err, audit.ErrForged):
			no := &approval.Refusal{Why: approval.TrailForged}
			return []slack.Block{section(refusalWords(w.slash, no, nil))}, nil
		case err != nil:
			return nil, err
		case len(story) == 0:
			return []slack.Block{section("The trail has no request " + code(string(w.request)) +
				". Type " + w.slash.code("audit") + " for the last entries.")}, nil
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
	look, _, err := b.Desk.Look(ctx, tenant, true)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of %s: %w", tenant, err)
	}
	blocks := keyBlocks(tenant, look, b.Now(), share)
	if words := skewWords(b.Tenants[tenant].Reader.Skew()); words != "" {
		blocks = append(blocks, contextLine(words))
	}
	return b.noteFrozen(blocks, tenant), nil
}

// share posts the list for all to see, after what the channel needs more.
func (b *Bot) share(ctx context.Context, id string, i interaction, tenant string) {
	who := received{Who: i.presser(), Channel: i.channel()}
	if _, ok := b.Tenants[tenant]; !ok {
		b.answer(ctx, id, who, &approval.Refusal{Why: approval.UnknownTenant})
		return
	}
	if !b.shares.take(i.User.ID) { // before anything is asked of Slack or Auth0
		b.tell(ctx, id, i.channel(), i.User.ID,
			section("You shared the keys in the last minute. Wait a moment, then press again."))
		return
	}
	looking, cancel := b.untilStop(ctx)
	defer cancel()
	pressed, often := b.Now(), !b.reads.take(i.User.ID)
	err := b.patiently(looking, func(ctx context.Context) error {
		if err := b.mayRead(ctx, i.presser(), pressed, often); err != nil {
			return err
		}
		return b.people.place(ctx, i.channel(), b.Channels)
	})
	if err != nil {
		b.answer(ctx, id, who, err)
		return
	}
	blocks, err := b.list(looking, tenant, false)
	if err == nil {
		if !b.pace.turn(ctx, i.channel(), restRank, b.stopping) {
			err = errors.New("other messages of this channel came first for too long")
		} else {
			_, err = b.post(ctx, i.channel(), fallback(blocks), blocks)
		}
	}
	if err != nil {
		b.answer(ctx, id, who, err)
	}
}

// respond answers a command, to its asker alone: over the response URL, which works also
// where the bot is not in the channel.
func (b *Bot) respond(ctx context.Context, id string, c command, blocks ...slack.Block) {
	text, marked := b.marked(fallback(blocks), blocks)
	direct := func(ctx context.Context) error {
		err := slack.PostWebhookCustomHTTPContext(ctx, c.ResponseURL, b.http, &slack.WebhookMessage{
			Text: text, Blocks: &slack.Blocks{BlockSet: marked}, ResponseType: slack.ResponseTypeEphemeral,
		})
		return withoutURL(err)
	}
	if c.ResponseURL == "" {
		direct = nil
	}
	b.say(ctx, &answer{
		envelope: id, person: c.User, channel: c.Channel, direct: direct, blocks: blocks,
	})
}

// withoutURL is an error of a response URL that does not name it: whoever has the URL can
// speak as keyturn for half an hour. What Slack refuses for good keeps a code.
func withoutURL(err error) error {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return limited
	case errors.As(err, &status) && status.Code/100 == 4:
		return slack.SlackErrorResponse{Err: "response_url_closed"}
	case errors.As(err, &status):
		return fmt.Errorf("the response URL answered %d", status.Code)
	}
	return errors.New("the response URL could not be reached")
}
