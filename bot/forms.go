package bot

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
)

// This file opens the form in which a change is asked for, and refuses what could only fail
// before anything is typed.

// openAsk opens the asking modal: at once, with a loading view, since the trigger
// lives for 3 s; then with what there is to fill in, or with why there is nothing.
func (b *Bot) openAsk(
	ctx context.Context, id, trigger string, who presser, channel string, t target,
) {
	t.slash = cmp.Or(t.slash, b.slash())
	a := act{id, who.User, channel}
	if !b.forms.take(who.User) {
		b.tell(ctx, id, channel, who.User, withWords(t.typed.text, section("You open many forms, "+
			"so this one did not open. Wait a moment, then do it again."))...)
		return
	}
	if err := b.openView(ctx, trigger, id, loadingModal(t.Action)); err != nil {
		b.notOpened(ctx, a, err, t.typed.text)
		return
	}
	looking, cancel := b.untilStop(ctx)
	defer cancel()
	view, err := b.prepareAsk(looking, who, channel, t)
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
	b.fill(looking, a, view, t)
}

// fill fills in a form that is open. Whoever closed it wants nothing more; where Slack does
// not take it, the person is told, and gets back what they typed.
func (b *Bot) fill(ctx context.Context, a act, view slack.ModalViewRequest, t target) {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := b.insist(within, time.Second, func() error {
		return b.updateView(within, a.envelope, view)
	})
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

// notOpened tells a person that their form did not open.
func (b *Bot) notOpened(ctx context.Context, a act, err error, typed string) {
	words := "Slack gave me no time to open the form, so nothing was asked for. Do it once more."
	if concernOf(err) != aboutTrigger {
		words = "Slack did not open the form, so nothing was asked for. Try again in a moment; " +
			"the operator finds it in the log under " + code(refer(a.envelope)) + "."
	}
	b.Log.Warn().Str("reference", refer(a.envelope)).Str("envelope_id", a.envelope).
		Str("actor", a.user).Err(err).Msg("a form was not opened")
	b.tell(ctx, a.envelope, a.channel, a.user, withWords(typed, section(words))...)
}

// prepareAsk refuses what could only fail, before anything is typed.
func (b *Bot) prepareAsk(
	ctx context.Context, who presser, channel string, t target,
) (slack.ModalViewRequest, error) {
	none := slack.ModalViewRequest{}
	asked := b.Now()
	who.again = true // it is asked anew when the form is submitted
	err := b.patiently(ctx, func(ctx context.Context) error {
		_, _, err := b.mayAsk(ctx, who, asked, t.Tenant, func(ctx context.Context) error {
			return b.people.placeForForm(ctx, channel, b.Channels)
		})
		return err
	})
	if err != nil {
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

// mayAsk establishes who wants to ask, and who could approve. It takes 3 s at most; who asks
// is looked at before where. received is when keyturn got the command, the press or the
// form. An error is an *approval.Refusal, or *later.
func (b *Bot) mayAsk(
	ctx context.Context, who presser, received time.Time, tenant string,
	where func(context.Context) error,
) (person approval.Person, approvers []approval.Candidate, err error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	if person, err = b.people.judge(ctx, who, received, b.Policy.Requesters); err != nil {
		return person, nil, err
	}
	if no := b.Policy.MayAsk(person); no != nil {
		return person, nil, no
	}
	if err = where(ctx); err != nil {
		return person, nil, err
	}
	approvers = b.people.approversBesides(ctx, person.Actor, b.Policy.ApproversOf(tenant))
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
