package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file works one row of the inbox: it establishes who and where, makes the person's
// move on the desk, and queues what they are told.

// askWithin is how long a submitted form is tried before the words go back to the person.
const askWithin = 30 * time.Second

// work works the rows of one group, which are one press that was made often, and marks them
// right after the move.
func (w *inboxWork) work(ctx context.Context, rows []*row, again, often bool) (got result) {
	newest := rows[len(rows)-1]
	if !newest.worked {
		got = w.move(ctx, rows, again, often)
		if !got.again.IsZero() || got.held != nil {
			return got
		}
	}
	if err := w.mark(ctx, rows); err != nil {
		w.Log.Error().Str("envelope_id", newest.id).Err(err).
			Msg("what was worked cannot be marked yet")
		got.unmarked = true
	}
	return got
}

func (w *inboxWork) move(ctx context.Context, rows []*row, again, often bool) result {
	newest := rows[len(rows)-1]
	switch act := newest.act; {
	case newest.broken != nil:
		return w.setAside(ctx, rows, fmt.Errorf("reading a row of the inbox: %w", newest.broken))
	case act.Verb != "":
		return w.press(ctx, rows, again, often)
	case act.Ask != nil:
		return w.ask(ctx, newest)
	case act.Explain != "":
		return w.explain(ctx, newest)
	}
	return w.setAside(ctx, rows, errors.New("a row of the inbox of no known kind"))
}

// press makes the move of a press. Refused once more within a minute, it is counted.
func (w *inboxWork) press(ctx context.Context, rows []*row, again, often bool) result {
	newest := rows[len(rows)-1]
	p := approval.Press{
		Request: newest.act.Request, Verb: newest.act.Verb, Received: newest.received, Cause: rows[0].id,
	}
	w.adoptAll(ctx, rows, false) // before the move: its line belongs in this card's thread
	act := newest.act
	act.Who.often, act.Who.again = often, again
	now, same, err := w.decide(ctx, act, &p)
	if !w.Now().Before(newest.until()) {
		err = givenUp(err)
	}
	var no *approval.Refusal
	switch {
	case err == nil:
		w.Log.Info().Str("envelope_id", newest.id).Str("request_id", string(p.Request)).
			Str("actor", newest.act.Who.User).Str("verb", string(p.Verb)).Bool("again", same).
			Msg("pressed")
		w.confirm(ctx, newest, now, same)
		return result{}
	case !errors.As(err, &no):
		return w.tryAgain(ctx, newest, err, newest.until())
	}
	if no.Why == approval.Over || no.Why == approval.PastExpiry {
		w.adoptAll(ctx, rows, true)
	}
	if again {
		w.answer(ctx, newest.id, newest.act, err)
		return result{held: no, press: p}
	}
	if err := w.Desk.Refuse(ctx, p, no.Why, len(rows)); err != nil {
		return w.tryAgain(ctx, newest, err, newest.until())
	}
	w.answer(ctx, newest.id, newest.act, err)
	return result{refused: no, press: p}
}

// adoptAll adopts each message on which the rows of one press were made.
func (w *inboxWork) adoptAll(ctx context.Context, rows []*row, old bool) {
	seen := map[string]bool{}
	for _, r := range rows {
		if !seen[r.act.Message] {
			seen[r.act.Message] = true
			w.adopt(ctx, r.act, old)
		}
	}
}

// decide establishes who pressed and where, in 3 s at most, and makes their move. Where
// they pressed is asked only about somebody who may decide.
func (w *inboxWork) decide(
	ctx context.Context, act received, p *approval.Press,
) (now approval.Request, same bool, err error) {
	judging, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	rights, err := w.rightsFor(judging, act)
	if err != nil {
		return now, false, err
	}
	p.Person, err = w.people.judge(judging, act.Who, p.Received, rights...)
	if err != nil {
		return now, false, err
	}
	p.Where = func(context.Context) error { return w.people.place(judging, act.Channel, w.Channels) }
	return w.Desk.Press(ctx, *p)
}

// rightsFor returns the lists of users and user groups that a press depends on.
// Without them an approver would be refused, so what cannot be read is tried again.
func (b *Bot) rightsFor(ctx context.Context, r received) ([][]string, error) {
	req, err := b.Trail.Request(ctx, r.Request)
	switch {
	case errors.Is(err, approval.ErrUnknown):
		return nil, nil // the desk says so
	case err != nil:
		return nil, fmt.Errorf("whose move it is: %w", err)
	}
	switch r.Verb {
	case approval.Cancel:
		return nil, nil // the requester's, whatever groups there are
	case approval.TookEffect, approval.DidNot:
		return [][]string{b.Policy.Requesters, b.Policy.ApproversOf(req.Tenant)}, nil
	}
	return [][]string{b.Policy.ApproversOf(req.Tenant)}, nil
}

// confirm tells a person that their press counts, and lets whoever denied or cancelled say
// why.
func (b *Bot) confirm(ctx context.Context, r *row, now approval.Request, same bool) {
	verb := r.act.Verb
	blocks := []slack.Block{section(pressWords(verb, same, now))}
	if !same && (verb == approval.Deny || verb == approval.Cancel) {
		why := slack.NewButtonBlockElement(actExplain, string(r.act.Request), plain("Say why…", 75))
		blocks = append(blocks, slack.NewActionBlock("explain", why))
	}
	b.tell(ctx, r.id, r.act.Channel, r.act.Who.User, blocks...)
}

// ask makes a request of a submitted form.
func (w *inboxWork) ask(ctx context.Context, r *row) result {
	a := r.act.Ask
	where := func(ctx context.Context) error {
		return w.people.placeToAsk(ctx, a.Channel, w.Channels)
	}
	person, approvers, err := w.mayAsk(ctx, r.act.Who, r.received, a.Tenant, where)
	var req approval.Request
	if err == nil {
		req, err = w.Desk.Ask(ctx, approval.Ask{
			Cause: a.Cause, Person: person, Tenant: a.Tenant, Action: a.Action, KID: a.KID,
			Shown: a.Shown, Reason: a.Reason, Link: a.Link, Prepared: a.Prepared,
			Channel: a.Channel, Approvers: approvers,
		})
	}
	if again, ok := w.passes(ctx, r, err, r.received.Add(askWithin)); ok {
		return again
	}
	if err = givenUp(err); err != nil {
		w.answer(ctx, r.id, r.act, err)
		return result{}
	}
	w.Log.Info().Str("envelope_id", r.id).Str("request_id", string(req.ID)).
		Str("actor", r.act.Who.User).Str("kid", req.KID).Msg("asked")
	return result{}
}

// explain keeps why somebody denied or cancelled.
func (w *inboxWork) explain(ctx context.Context, r *row) result {
	person, err := w.people.judge(ctx, r.act.Who, r.received)
	if err == nil {
		_, err = w.Desk.Explain(ctx, r.act.Request, person, r.act.Explain)
	}
	if again, ok := w.passes(ctx, r, err, r.until()); ok {
		return again
	}
	if err = givenUp(err); err != nil {
		w.answer(ctx, r.id, r.act, err)
		return result{}
	}
	w.tell(ctx, r.id, r.act.Channel, r.act.Who.User,
		section("Your words are in the trail and in the thread of the card."))
	return result{}
}

// passes reports whether an error may be over in a moment, and there is time to see.
func (w *inboxWork) passes(
	ctx context.Context, r *row, err error, until time.Time,
) (again result, ok bool) {
	var no *approval.Refusal
	refused := errors.As(err, &no) && no.Why != approval.Auth0Limits // which is over in a moment
	if err == nil || refused || !w.Now().Before(until) {
		return result{}, false
	}
	return w.tryAgain(ctx, r, err, until), true
}

// tryAgain keeps a row for later, and tells the person so. After until it is given up.
func (w *inboxWork) tryAgain(ctx context.Context, r *row, err error, until time.Time) result {
	if !w.Now().Before(until) {
		w.answer(ctx, r.id, r.act, err)
		return result{}
	}
	at := w.retry(r)
	var not *later
	if errors.As(err, &not) && not.until.After(at) {
		at = not.until
	}
	if at.After(until) {
		at = until
	}
	w.Log.Warn().Str("envelope_id", r.id).Str("request_id", string(r.act.Request)).
		Str("actor", r.act.Who.User).Time("again", at).Err(err).Msg("a press is kept for later")
	if !r.kept && (r.tries > 0 || at.Sub(w.Now()) > 2*firstRetry) {
		r.kept = true
		w.tell(ctx, r.id, r.act.Channel, r.act.Who.User, section(keptWords(r.act, until)))
	}
	return result{again: at}
}

// setAside raises an alarm for rows that cannot be worked, tells the person, and marks them.
func (w *inboxWork) setAside(ctx context.Context, rows []*row, err error) (got result) {
	newest := rows[len(rows)-1]
	w.Log.Error().Str("envelope_id", newest.id).Str("actor", newest.act.Who.User).Err(err).
		Msg("a row of the inbox is set aside")
	note := fmt.Sprintf("What came in envelope %s cannot be worked. If it counted, the "+
		"trail has an entry of it. Nothing else is held up. The log says why.", newest.id)
	alarm := audit.Alarm{What: audit.RowSetAside, Channel: newest.act.Channel}
	if err := w.raise(ctx, "aside:"+newest.id, alarm, note); err != nil {
		w.Log.Error().Str("envelope_id", newest.id).Err(err).Msg("an alarm is not in the trail yet")
		return result{again: w.retry(newest)}
	}
	if who := newest.act.Who.User; who != "" {
		w.tell(ctx, newest.id, newest.act.Channel, who, section(troubleWords(refer(newest.id))))
	}
	if err := w.mark(ctx, rows); err != nil {
		got.unmarked = true
	}
	return got
}

// answer tells the person of an error: a refusal in its words, anything else with a
// reference for the operator. What was typed is not lost.
func (b *Bot) answer(ctx context.Context, envelope string, r received, err error) {
	var no *approval.Refusal
	var blocks []slack.Block
	if errors.As(err, &no) {
		b.Log.Info().Str("envelope_id", envelope).Str("request_id", string(r.Request)).
			Str("actor", r.Who.User).Err(err).Msg("refused")
		blocks = append(blocks, section(refusalWords(b.slash(), no, b.cardLink(ctx))))
		if no.Look != nil && r.Ask != nil {
			blocks = append(blocks, keyBlocks(r.Ask.Tenant, no.Look, b.Now(), false)...)
		}
	} else {
		b.Log.Error().Str("envelope_id", envelope).Str("reference", refer(envelope)).
			Str("actor", r.Who.User).Err(err).Msg("work went wrong")
		blocks = append(blocks, section(troubleWords(refer(envelope))))
	}
	typed := r.Explain
	if r.Ask != nil {
		typed = r.Ask.Reason
	}
	b.tell(ctx, envelope, r.Channel, r.Who.User, withWords(typed, blocks...)...)
}

// trip logs what went wrong and tells the person under which reference.
func (b *Bot) trip(ctx context.Context, envelope, channel, user string, err error) {
	b.answer(ctx, envelope, received{Who: presser{User: user}, Channel: channel}, err)
}

// refer returns what a person names to the operator, who finds it in the log.
func refer(envelope string) string { return envelope[:min(len(envelope), 8)] }
