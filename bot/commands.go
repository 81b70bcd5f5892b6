package bot

import (
	"cmp"
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
	blocks, err := b.look(ctx, w)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case b.reading <- struct{}{}:
		defer func() { <-b.reading }()
	case <-b.stopping:
		return nil, errStopping
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for other commands: %w", ctx.Err())
	}
	looked := make(chan struct{})
	defer close(looked)
	go func() {
		select {
		case <-b.stopping:
			cancel()
		case <-looked:
		}
	}()
	return b.shown(ctx, w)
}

var errStopping = errors.New("keyturn is stopping")

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
	if err := b.people.place(ctx, i.channel(), b.Channels); err != nil {
		b.answer(ctx, id, who, err)
		return
	}
	blocks, err := b.list(ctx, tenant, false)
	if err == nil {
		if !b.pace.turn(ctx, i.channel(), restRank, b.stopping) {
			err = errors.New("other messages of this channel came first for too long")
		} else {
			_, err = b.post(ctx, i.channel(), fallback(blocks), blocks)
		}
	}
	if err != nil {
		b.answer(ctx, id, received{Who: i.presser(), Channel: i.channel()}, err)
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
	b.say(ctx, &answer{envelope: id, person: c.User, channel: c.Channel, direct: direct, blocks: blocks})
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

// openAsk opens the asking modal: at once, with a loading view, since the trigger
// lives for 3 s; then with what there is to fill in, or with why there is nothing.
func (b *Bot) openAsk(ctx context.Context, id, trigger string, who presser, channel string, t target) {
	t.slash = cmp.Or(t.slash, b.slash())
	a := act{id, who.User, channel}
	form, err := b.openView(ctx, trigger, loadingModal(t.Action))
	if err != nil {
		b.notOpened(ctx, a, err, t.typed.text)
		return
	}
	view, err := b.prepareAsk(ctx, who, channel, t)
	var no *approval.Refusal
	switch {
	case errors.As(err, &no):
		b.Log.Info().Str("envelope_id", id).Str("actor", who.User).Err(err).Msg("refused")
		view = noModal(t.Action, refusalWords(t.slash, no, b.cardLink(ctx)), t.typed.text)
	case err != nil:
		b.Log.Error().Str("envelope_id", id).Str("reference", refer(id)).Err(err).
			Msg("a form could not be filled in")
		view = noModal(t.Action, "Auth0 could not be read, so nothing can be asked for now. "+
			"Try again in a moment; the operator finds it in the log under "+code(refer(id))+".",
			t.typed.text)
	}
	b.fill(ctx, a, form, view, t)
}

// fill fills in a form that is open. Whoever closed it wants nothing more; where Slack does
// not take it, the person is told, and gets back what they typed.
func (b *Bot) fill(ctx context.Context, a act, form string, view slack.ModalViewRequest, t target) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := b.insist(within, func() error { return b.updateView(within, form, view) })
	switch concernOf(err) {
	case aboutNothing:
		return
	case aboutGone:
		b.Log.Info().Str("envelope_id", a.envelope).Str("actor", a.user).Err(err).
			Msg("a form was closed before it was filled in")
		return
	}
	b.Log.Warn().Str("envelope_id", a.envelope).Str("actor", a.user).Err(err).
		Msg("a form could not be shown")
	b.tell(ctx, a.envelope, a.channel, a.user, withWords(t.typed.text,
		section("Slack did not let me fill in the form. Close it, and type the command again."))...)
}

// withWords adds what somebody typed, if anything, so that they need not type it again.
func withWords(typed string, blocks ...slack.Block) []slack.Block {
	if typed == "" {
		return blocks
	}
	return append(blocks, contextLine("Your words were:"), quoteTyped(typed))
}

// notOpened tells a person that their form did not open.
func (b *Bot) notOpened(ctx context.Context, a act, err error, typed string) {
	words := "Slack gave me no time to open the form, so nothing was asked for. Do it once more."
	if concernOf(err) != aboutTrigger {
		words = "Slack did not open the form, so nothing was asked for. Try again in a moment; " +
			"the operator finds it in the log under " + code(refer(a.envelope)) + "."
	}
	b.Log.Warn().Str("reference", refer(a.envelope)).Str("envelope_id", a.envelope).Str("actor", a.user).Err(err).
		Msg("a form was not opened")
	b.tell(ctx, a.envelope, a.channel, a.user, withWords(typed, section(words))...)
}

// prepareAsk refuses what could only fail, before anything is typed.
func (b *Bot) prepareAsk(ctx context.Context, who presser, channel string, t target) (slack.ModalViewRequest, error) {
	none := slack.ModalViewRequest{}
	if _, _, err := b.mayAsk(ctx, who, channel, t.Tenant); err != nil {
		return none, err
	}
	look, keys, err := b.Desk.Look(ctx, t.Tenant, false)
	if err != nil {
		return none, err
	}
	if no := b.Tenants[t.Tenant].Grants(ctx, t.Action); no != nil {
		return none, no
	}
	view, kid, no := fillAsk(t, channel, look, keys, b.Now())
	if no != nil {
		no.Look = look
		return none, no
	}
	if kid != "" {
		if err := b.isOpen(ctx, t.Tenant, t.Action, kid); err != nil {
			return none, err
		}
	}
	view.Blocks.BlockSet = b.noteFrozen(view.Blocks.BlockSet, t.Tenant)
	return view, nil
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
