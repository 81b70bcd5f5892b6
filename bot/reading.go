package bot

import (
	"context"
	"errors"
	"slices"
	"time"

	"keyturn/bot/approval"
)

// This file says who may read: the keys, what is open, certificates and the trail, in which
// are names, addresses and people's words. Whoever may ask, or approve for some tenant, may
// read; whoever is no full member reads nothing.

// readFor is how old what is known of somebody may be by which they may read, once they read
// often: that they are a full member, and in a group. A no is never by what is old.
const readFor = time.Minute

// mayRead returns nil if who may read; often: they read so often that what is known of them
// will do. An error is an *approval.Refusal, or *later.
func (b *Bot) mayRead(ctx context.Context, who presser, received time.Time, often bool) error {
	who.again = true
	var person approval.Person
	known := false
	if often {
		person, known = b.people.goodLately(who, readFor)
	}
	if !known {
		var err error
		if person, err = b.people.judge(ctx, who, received); err != nil {
			return err
		}
	}
	if no := approval.FullMember(person); no != nil {
		return no
	}
	ids := slices.Concat(b.readers()...)
	if slices.Contains(ids, "*") || slices.ContainsFunc(ids, person.Has) {
		return nil
	}
	for _, id := range ids {
		if in, ok := b.people.lately(id, readFor); ok && slices.ContainsFunc(in, person.Has) {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	n := need{received: received, often: who.often, spare: groupSpare}
	switch err := b.people.join(ctx, &person, n, [][]string{ids}); {
	case err != nil:
		return err
	case len(person.Groups) == 0:
		return &approval.Refusal{Why: approval.MayNotRead}
	}
	return nil
}

// readers are the lists of those who may ask, or approve for some tenant.
func (b *Bot) readers() [][]string {
	lists := [][]string{b.Policy.Requesters}
	for _, tenant := range b.Names {
		lists = append(lists, b.Policy.ApproversOf(tenant))
	}
	return lists
}

// patience is how long a person who waits for an answer waits for Slack to say who they are.
const patience = 8 * time.Second

// patiently asks again where Slack could not be asked just now, for a while: a command and a
// form are not kept, and would have to be typed again. Then it is a refusal.
func (b *Bot) patiently(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask(ctx)
		var not *later
		if !errors.As(err, &not) {
			return err
		}
		wait := max(not.until.Sub(b.Now()), firstRetry/2)
		if end, _ := ctx.Deadline(); b.Now().Add(wait).After(end) || !sleep(ctx, wait) {
			return givenUp(err)
		}
	}
}

// untilStop is a context that ends when keyturn is to stop: what only looks need not be
// finished.
func (b *Bot) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-b.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
