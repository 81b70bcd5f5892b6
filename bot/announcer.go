package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/panics"
)

const (
	// A channel waits one turn of Config.Pace after the first failure, one more after each
	// that follows, and retryPosts turns at most; parkedFor turns where Slack takes nothing.
	retryPosts = 5
	parkedFor  = 60
	// lostFor is how long a call that was given up may still arrive at Slack: longer than
	// one is waited for, by us or by a process before us.
	lostFor = 30 * time.Second
	// recent is how old an end may be for its card to be drawn once more after a start.
	recent = 15 * time.Minute
)

// announcer is what announcing knows beside the store. All of it may be forgotten.
type announcer struct {
	wake chan struct{} // holds one: there may be more to show, without a commit

	mu     sync.Mutex
	parked map[string]*parked        // by channel
	posted map[string]int64          // how far the posts of a channel are, where that could not be kept
	cards  map[approval.ID]string    // cards that were posted, where that could not be kept
	lost   map[approval.ID]time.Time // since when a drawing of a request's card may still arrive
	half   map[string]int64          // by channel: the entry that was posted, and its line was not
	joined map[int64]bool            // entries that were posted with others, in the audit channel
	rested map[approval.ID]time.Time // until when a card that cannot be drawn is left alone
}

func newAnnouncer() *announcer {
	return &announcer{
		wake: make(chan struct{}, 1), parked: map[string]*parked{}, posted: map[string]int64{},
		cards: map[approval.ID]string{}, lost: map[approval.ID]time.Time{},
		rested: map[approval.ID]time.Time{}, joined: map[int64]bool{},
		half: map[string]int64{},
	}
}

// isHalf reports whether an entry was posted in a channel, and its line there was not.
func (a *announcer) isHalf(channel string, seq int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.half[channel] == seq
}

func (a *announcer) setHalf(channel string, seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.half[channel] = seq
}

// rest leaves the card of a request alone until a time.
func (a *announcer) rest(id approval.ID, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rested[id] = until
}

// rests reports whether the card of a request is left alone.
func (a *announcer) rests(id approval.ID, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.rested[id]
	if ok && !now.Before(until) {
		delete(a.rested, id)
		return false
	}
	return ok
}

// cardOf returns the card of a request that was posted and could not be kept.
func (a *announcer) cardOf(id approval.ID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cards[id]
}

func (a *announcer) setCard(id approval.ID, ts string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cards[id] = ts; ts == "" {
		delete(a.cards, id)
	}
}

// postedIn returns how far the posts of a channel are, if that is further than what was kept.
func (a *announcer) postedIn(channel string, kept int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(kept, a.posted[channel])
}

func (a *announcer) setPosted(channel string, seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.posted[channel] = seq
}

func (a *announcer) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// announce shows in each channel what there is to show, until ctx ends. It never asks
// what happened, only what is shown: after a crash, or an hour without Slack, it catches
// up by itself. No channel waits for another, and nothing waits for a channel.
func (b *Bot) announce(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	busy, free := map[string]bool{}, make(chan string)
	for ctx.Err() == nil {
		changed := b.Trail.Changed()
		behind, err := b.Posts.ChannelsBehind(ctx, b.AuditChannel)
		alarmed, alarmErr := b.alarmed(ctx)
		var retry <-chan time.Time
		if err = errors.Join(err, alarmErr); err != nil && ctx.Err() == nil {
			b.Log.Error().Err(err).Msg("what is to be shown cannot be read")
			retry = time.After(retryPosts * b.Pace)
		}
		for _, channel := range append(behind, alarmed...) {
			if busy[channel] {
				continue
			}
			busy[channel] = true
			workers.Go(func() {
				err := b.caught(func() error { b.catchUp(ctx, channel); return nil })
				if err != nil {
					b.Log.Error().Str("channel", channel).Err(err).Msg("a channel cannot be shown")
					sleep(ctx, parkedFor*b.Pace)
				}
				select {
				case free <- channel:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-changed:
		case channel := <-free:
			delete(busy, channel)
		case <-b.announcer.wake:
		case <-retry:
		case <-ctx.Done():
		}
	}
}

// catchUp shows what a channel lacks, until it lacks nothing.
func (b *Bot) catchUp(ctx context.Context, channel string) {
	failures := 0
	for first := true; ; first = false {
		more, err := b.show(ctx, channel)
		if ctx.Err() != nil {
			return
		}
		switch concernOf(err) {
		case aboutNothing:
			failures = 0
		case aboutPassing, aboutMessage, aboutGone, aboutToken:
			b.Log.Warn().Str("channel", channel).Err(err).Msg("a channel is behind")
			failures = min(failures+1, retryPosts)
			sleep(ctx, time.Duration(failures)*b.Pace)
			continue
		default:
			b.park(ctx, channel, said(err))
			sleep(ctx, parkedFor*b.Pace)
			continue
		}
		switch {
		case more:
		case first:
			sleep(ctx, retryPosts*b.Pace) // it is said to lack something, and nothing can be shown
			return
		default:
			return
		}
	}
}

// show shows the next things that a channel lacks: all cards, which is what people
// decide on, and one post. more is false where there was nothing.
func (b *Bot) show(ctx context.Context, channel string) (more bool, err error) {
	changed := b.Trail.Changed()
	ids, err := b.Posts.CardsBehind(ctx, channel)
	if err != nil {
		return false, err
	}
	tried := 0
	for _, id := range ids {
		if b.announcer.rests(id, b.Now()) {
			continue
		}
		tried++
		// One card must not hold up the others.
		err = errors.Join(err, b.drawOne(ctx, channel, id))
	}
	// What is next is only looked for when it may go: reading proves each entry.
	if !b.pace.turn(ctx, channel, postRank, changed) {
		return true, err // cards come first
	}
	next, passed, nextErr := b.nextPost(ctx, channel)
	if err = errors.Join(err, nextErr); next == nil {
		b.pace.giveBack(channel)
		return passed || tried > 0, err
	}
	return true, errors.Join(err, b.finish(ctx, next))
}

// finish does one thing to its end even where ctx ends meanwhile: a message that was
// posted and not noted would be posted again.
func (b *Bot) finish(ctx context.Context, one func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
	defer cancel()
	return b.caught(func() error { return one(ctx) })
}

// drawOne draws the card of one request. A card that panics, or that Slack takes in no shape,
// is an alarm, and is tried again seldom: it would fail each time.
func (b *Bot) drawOne(ctx context.Context, channel string, id approval.ID) error {
	err := b.finish(ctx, func(ctx context.Context) error { return b.draw(ctx, channel, id) })
	switch {
	case err == nil:
		return nil
	case !panics.Is(err) && concernOf(err) != aboutMessage:
		return fmt.Errorf("the card of %s: %w", id, err)
	}
	b.announcer.rest(id, b.Now().Add(lostFor))
	b.Log.Error().Str("request_id", string(id)).Err(err).Msg("a card cannot be drawn")
	return b.raise(ctx, "undrawn:"+string(id), audit.Alarm{What: audit.RowSetAside, Channel: channel},
		"The card of "+string(id)+" cannot be drawn. Do not decide on what it shows; the log says why.")
}

// draw posts a request's card, or draws anew each message that shows the request.
func (b *Bot) draw(ctx context.Context, channel string, id approval.ID) error {
	r, err := b.Trail.Request(ctx, id)
	if err != nil {
		return err
	}
	cards, err := b.Posts.Cards(ctx, id)
	if err != nil {
		return err
	}
	story, err := b.Trail.Story(ctx, id)
	forged := errors.Is(err, audit.ErrForged)
	if err != nil && !forged {
		return err
	}
	text, blocks := card(r, until(story, r.Revision),
		board{approvers: b.Policy.ApproversOf(r.Tenant), mention: b.Mention,
			frozen: b.Tenants[r.Tenant].Frozen})
	if forged {
		text, blocks = forgedCard(r, b.slash())
	}
	if len(cards) == 0 {
		// Where the disk took nothing it was posted, and has to be drawn anew once it is kept.
		ts, shown := b.announcer.cardOf(id), int64(0)
		if ts == "" {
			if !b.pace.turn(ctx, channel, cardRank, nil) {
				return ctx.Err()
			}
			if ts, err = b.post(ctx, channel, text, blocks); err != nil {
				return err
			}
			b.announcer.setCard(id, ts)
			shown = r.Revision
		}
		// If we die here, it is posted again, and its entry's number shows that it is
		// the same. Whoever presses a button of this one makes it known again (adopt).
		if err := b.Posts.SetCard(ctx, id, ts, shown); err != nil {
			return err
		}
		b.announcer.setCard(id, "")
		return nil
	}
	for _, ts := range cards {
		err := b.update(ctx, channel, ts, text, blocks)
		switch {
		case concernOf(err) == aboutGone:
			b.Log.Info().Str("request_id", string(id)).Str("ts", ts).Err(err).Msg("a card is there no more")
			err = b.Posts.DropCard(ctx, id, ts) // where it was the last, the next turn posts one
		case err == nil:
			err = b.Posts.SetCard(ctx, id, ts, r.Revision)
		case concernOf(err) == aboutOther: // this message alone; others show the same
			b.Log.Warn().Str("request_id", string(id)).Str("ts", ts).Err(err).
				Msg("a card cannot be drawn anew")
			b.announcer.rest(id, b.Now().Add(parkedFor*b.Pace))
			continue
		case said(err) == "":
			b.lose(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// adopt makes the message whose button was pressed one that is drawn with its request.
// It mostly is known. Where it is not, it was left behind by a crash, or somebody
// deleted the one that was known. old says that it showed what is so no more, and has to
// be drawn though it is known.
func (b *Bot) adopt(ctx context.Context, p received, old bool) {
	if p.Message == "" {
		return
	}
	r, err := b.Trail.Request(ctx, p.Request)
	if err != nil || r.Channel != p.Channel {
		return
	}
	known, err := b.Posts.Cards(ctx, r.ID)
	if err == nil && (old || !slices.Contains(known, p.Message)) {
		err = b.Posts.SetCard(ctx, r.ID, p.Message, 0)
		b.announcer.nudge()
	}
	if err != nil {
		b.Log.Warn().Str("request_id", string(r.ID)).Err(err).Msg("a card that was pressed is not drawn anew")
	}
}

// lose notes that a drawing of a card may arrive at Slack later than one that follows,
// and leave it at what is so no more.
func (b *Bot) lose(id approval.ID) {
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	b.announcer.lost[id] = b.Now()
}

// drawAgain draws cards once more of which a drawing was lost, as soon as that cannot
// arrive any more. At the start these are all that moved lately, since the process before us
// may have been killed in a call, and all that are open: their approvers may be others now.
func (b *Bot) drawAgain(ctx context.Context) {
	ids, err := b.Trail.MovedSince(ctx, b.Now().Add(-recent))
	open, openErr := b.Trail.OpenRequests(ctx)
	if err = errors.Join(err, openErr); err != nil {
		b.Log.Error().Err(err).Msg("the cards of before the start cannot be read")
	}
	for _, r := range open {
		b.lose(r.ID)
	}
	for _, id := range ids {
		b.lose(id)
	}
	for sleep(ctx, lostFor) {
		b.guarded(func() { b.drawLost(ctx) })
		b.announcer.nudge()
	}
}

func (b *Bot) drawLost(ctx context.Context) {
	for _, id := range b.takeLost() {
		cards, err := b.Posts.Cards(ctx, id)
		for _, ts := range cards {
			err = errors.Join(err, b.Posts.SetCard(ctx, id, ts, 0))
		}
		if err != nil {
			b.Log.Warn().Str("request_id", string(id)).Err(err).Msg("a card is not drawn once more")
		}
	}
}

// takeLost returns the requests whose lost drawings can arrive no more.
func (b *Bot) takeLost() (ids []approval.ID) {
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	for id, at := range b.announcer.lost {
		if b.Now().Sub(at) >= lostFor {
			delete(b.announcer.lost, id)
			ids = append(ids, id)
		}
	}
	return ids
}
