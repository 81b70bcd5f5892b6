package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// This file is the one way out for everything that is said to one person. An answer goes
// the way it was asked for: into the open form, or to the command's response URL. Where
// Slack does not take it, it is shown in the channel to that person alone, and else posted
// in their conversation with keyturn. Each way is tried again while Slack is in trouble.
//
// Nobody waits for an answer: neither the inbox nor another person. Slack does not promise
// to show one, so it is never the only place of a decision: the card is.

const (
	answerWithin = 10 * time.Second // for each way but the last
	answerAtLast = 3 * time.Minute  // for the last way; Slack holds a method for two at most
	answerAtStop = 2 * time.Second  // for all that is left when keyturn stops
	answerEvery  = time.Second      // between two answers to one person
	sameAgain    = 5 * time.Second  // before the same words are said to somebody again
	maxAnswers   = 8                // that wait for one person; of more the oldest is dropped
)

// answer is something to say to one person.
type answer struct {
	envelope string // of what is answered, for the log
	person   string
	channel  string                          // where they are; "": nowhere
	direct   func(ctx context.Context) error // the way it was asked for; nil: there is none
	blocks   []slack.Block
}

// words tells answers apart.
func (a *answer) words() string { return encode(a.blocks) }

// answers holds what waits to be said, and what was said last, by person.
type answers struct {
	mu    sync.Mutex
	queue map[string][]*answer // present: somebody is saying it
	last  map[string]lastSaid
}

// lastSaid is what somebody was told last.
type lastSaid struct {
	words string
	at    time.Time
}

// say says an answer beside its caller. A direct way waits for nothing else that is said; what
// it does not take goes the other ways.
func (b *Bot) say(ctx context.Context, a *answer) {
	if a.direct == nil {
		b.queue(ctx, a)
		return
	}
	ctx = context.WithoutCancel(ctx)
	b.working.Go(func() {
		direct, cancel := b.untilStop(ctx)
		defer cancel()
		err := b.caught(func() error { return b.within(direct, answerWithin, a.direct) })
		if err != nil {
			b.Log.Info().Str("envelope_id", a.envelope).Str("actor", a.person).Err(err).
				Msg("an answer goes another way")
			b.queue(ctx, a)
		}
	})
}

// queue queues an answer for the ways that all have. One that waits already, of the same
// words for the same channel, is left out: whoever presses ten times is told once.
func (b *Bot) queue(ctx context.Context, a *answer) {
	b.answers.mu.Lock()
	defer b.answers.mu.Unlock()
	queue, busy := b.answers.queue[a.person]
	same := func(other *answer) bool {
		return other.channel == a.channel && other.words() == a.words()
	}
	if slices.ContainsFunc(queue, same) {
		return
	}
	if len(queue) == maxAnswers {
		b.Log.Warn().Str("envelope_id", queue[0].envelope).Str("actor", a.person).
			Msg("an answer was not shown: too many wait for this person")
		queue = queue[1:]
	}
	b.answers.queue[a.person] = append(queue, a)
	if !busy {
		ctx = context.WithoutCancel(ctx)
		b.working.Go(func() { b.sayAll(ctx, a.person) })
	}
}

// sayAll says what waits for a person, one after the other, until nothing does. When
// keyturn stops, what is left has a moment.
func (b *Bot) sayAll(ctx context.Context, person string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-b.stopping:
			sleep(ctx, answerAtStop)
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		a, pause := b.nextAnswer(person)
		if a == nil {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-b.stopping:
		}
		err := b.caught(func() error { return b.deliver(ctx, a) })
		if err != nil {
			b.Log.Warn().Str("envelope_id", a.envelope).Str("actor", a.person).
				Str("channel", a.channel).Err(err).Msg("an answer was not shown")
		}
		b.answers.note(a, b.Now())
	}
}

// nextAnswer takes the next answer for a person, and says how long it waits; nil: there is
// none.
func (b *Bot) nextAnswer(person string) (next *answer, pause time.Duration) {
	b.answers.mu.Lock()
	defer b.answers.mu.Unlock()
	queue := b.answers.queue[person]
	if len(queue) == 0 {
		delete(b.answers.queue, person)
		return nil, 0
	}
	next, b.answers.queue[person] = queue[0], queue[1:]
	last := b.answers.last[person]
	every := answerEvery
	if last.words == next.words() {
		every = sameAgain
	}
	return next, last.at.Add(every).Sub(b.Now())
}

// note remembers what was said, for as long as that matters.
func (all *answers) note(a *answer, now time.Time) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.last) >= maxCounted {
		maps.DeleteFunc(all.last, func(_ string, s lastSaid) bool { return now.Sub(s.at) > sameAgain })
	}
	all.last[a.person] = lastSaid{a.words(), now}
}

// within tries a way again while Slack is in trouble, for d at most.
func (b *Bot) within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return b.insist(ctx, time.Second, func() error { return do(ctx) })
}

// deliver shows an answer in the channel, or else in the person's conversation.
func (b *Bot) deliver(ctx context.Context, a *answer) error {
	text := fallback(a.blocks)
	if a.channel != "" && !strings.HasPrefix(a.channel, "D") {
		err := b.within(ctx, answerWithin, func(ctx context.Context) error {
			return b.call(ctx, methodEphemeral, func() error {
				content := b.content(text, a.blocks)
				_, err := b.client().PostEphemeralContext(ctx, a.channel, a.person, content...)
				return err
			})
		})
		if err == nil {
			return nil
		}
	}
	err := b.within(ctx, answerAtLast, func(ctx context.Context) error {
		if !b.pace.turn(ctx, a.person, restRank, nil) {
			return ctx.Err()
		}
		_, err := b.post(ctx, a.person, text, a.blocks)
		return err
	})
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// tell says words to a person where they are.
func (b *Bot) tell(ctx context.Context, envelope, channel, person string, blocks ...slack.Block) {
	b.say(ctx, &answer{envelope: envelope, person: person, channel: channel, blocks: blocks})
}

// withWords adds what somebody typed, if anything, so that they need not type it again.
func withWords(typed string, blocks ...slack.Block) []slack.Block {
	if typed == "" {
		return blocks
	}
	return append(blocks, contextLine("Your words were:"), quoteTyped(typed))
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
