package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// This file is when anything may go out: one post a second in each channel, as Slack asks,
// those that matter most first; and nothing before Slack says after it said 429.

// DefaultPace is the time between two posts in one channel. Slack allows one message a
// second (facts: chat.postMessage), and may silently not keep what comes faster.
const DefaultPace = time.Second

// longestHold is how long one 429 holds a method back. Slack asks for seconds; a longer
// time is a mistake of somebody's, and one such answer must not silence keyturn.
const longestHold = 2 * time.Minute

// rank is the order in which posts wait for their turn in a channel.
type rank int

const (
	cardRank rank = iota // what people decide on
	postRank             // what follows the trail
	restRank             // what somebody asked to be shown, and answers
)

// pace knows when the next call may be made.
type pace struct {
	*holds
	every time.Duration

	mu   sync.Mutex
	next map[string]time.Time // of posts, by channel
	wait map[string][]*waiter // by channel: who waits for a turn, the next one first
}

type waiter struct {
	rank rank
	head chan struct{} // closed when it is the first
}

func newPace(every time.Duration, now func() time.Time) *pace {
	return &pace{
		holds: newHolds(longestHold, now), every: every, next: map[string]time.Time{},
		wait: map[string][]*waiter{},
	}
}

// turn waits until the next post in a channel may go, and reports whether it may: it does
// not where ctx ended, or stop was closed while it waited. Who waits goes by rank, then by
// arrival.
func (p *pace) turn(ctx context.Context, channel string, r rank, stop <-chan struct{}) bool {
	w := p.join(channel, r)
	defer p.leave(channel, w)
	for {
		left, first := p.take(channel, w)
		if first && left <= 0 {
			return true
		}
		var timer <-chan time.Time
		head := w.head
		if first {
			timer, head = time.After(left), nil
		}
		select {
		case <-head:
		case <-timer:
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// join queues a waiter behind those of its rank.
func (p *pace) join(channel string, r rank) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, queue := &waiter{rank: r, head: make(chan struct{})}, p.wait[channel]
	i := slices.IndexFunc(queue, func(other *waiter) bool { return other.rank > r })
	if i < 0 {
		i = len(queue)
	}
	p.wait[channel] = slices.Insert(queue, i, w)
	if i == 0 {
		close(w.head)
	}
	return w
}

// leave takes a waiter out of the queue and lets the next one be the first.
func (p *pace) leave(channel string, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := slices.DeleteFunc(p.wait[channel], func(other *waiter) bool { return other == w })
	if p.wait[channel] = queue; len(queue) == 0 {
		delete(p.wait, channel)
		return
	}
	if !queue[0].passed() {
		close(queue[0].head)
	}
}

// take takes the turn for w if it is the first, and the time has come. Otherwise it returns
// how long that takes, and whether w is the first.
func (p *pace) take(channel string, w *waiter) (left time.Duration, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if queue := p.wait[channel]; queue[0] != w {
		if w.passed() { // somebody of a higher rank came before it
			w.head = make(chan struct{})
		}
		return 0, false
	}
	if left = max(p.next[channel].Sub(p.now()), p.heldFor(methodPost)); left <= 0 {
		p.next[channel] = p.now().Add(p.every)
	}
	return left, true
}

// passed reports whether w was told that it is the first.
func (w *waiter) passed() bool {
	select {
	case <-w.head:
		return true
	default:
		return false
	}
}

// giveBack undoes a turn in which nothing was posted.
func (p *pace) giveBack(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[channel] = p.now()
}

// holds are the methods that Slack wants no call of, after a 429: it is for the whole
// workspace.
type holds struct {
	longest time.Duration // that one 429 holds a method back
	now     func() time.Time

	mu    sync.Mutex
	until map[string]time.Time // by method
}

func newHolds(longest time.Duration, now func() time.Time) *holds {
	return &holds{longest: longest, now: now, until: map[string]time.Time{}}
}

// heldFor returns how long Slack wants no call of a method; 0 or less: it may go.
func (h *holds) heldFor(method string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until[method].Sub(h.now())
}

// heed remembers what a 429 asks for, and reports where that is longer than is believed.
func (h *holds) heed(method string, err error) (capped bool) {
	var limited *slack.RateLimitedError
	if !errors.As(err, &limited) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[method] = h.now().Add(min(max(limited.RetryAfter, 0), h.longest))
	return limited.RetryAfter > h.longest
}

// The methods that are held apart.
const (
	methodPost      = "chat.postMessage"
	methodUpdate    = "chat.update"
	methodEphemeral = "chat.postEphemeral"
	methodOpen      = "views.open"
	methodFill      = "views.update"
	methodRespond   = "response_url"
)

// errHeld is returned for a call that Slack wants not yet, and that nobody waits for so
// long. It is passing.
var errHeld = errors.New("this method is limited by Slack, for longer than this call has")

// call calls a method of Slack's, once it is not held. It is the one way out: each error
// is looked at here.
func (b *Bot) call(ctx context.Context, method string, do func() error) error {
	wait := b.pace.heldFor(method)
	if end, ok := ctx.Deadline(); ok && b.Now().Add(wait).After(end) {
		return fmt.Errorf("%s: %w", method, errHeld)
	}
	if !sleep(ctx, wait) {
		return ctx.Err()
	}
	err := do()
	b.suspect(err)
	if b.pace.heed(method, err) {
		b.Log.Warn().Str("method", method).Err(err).Dur("heeded", longestHold).
			Msg("slack asked for a longer pause than is heeded")
	}
	return err
}

// insist tries until it is done, Slack refuses it for good, or ctx ends.
func (b *Bot) insist(ctx context.Context, every time.Duration, do func() error) error {
	for {
		err := do()
		if concernOf(err) != aboutPassing || errors.Is(err, errHeld) || !sleep(ctx, every) {
			return err
		}
	}
}
