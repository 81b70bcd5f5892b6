package socket

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	shortest = 100 * time.Millisecond
	longest  = 30 * time.Second
	// stable is how long a connection must have been good for before the next is opened
	// without regard to those before it: one in 10 s is no storm (Slack allows 50 a
	// minute), and every wait is one in which a press may find nobody.
	stable = 10 * time.Second
	// plannedPace is the shortest time from one opening to the next in a series of planned
	// ends: 50 a minute, which is what Slack allows.
	plannedPace = 1200 * time.Millisecond
	// tooManyWait is waited at least after too_many_websockets: the connections that are
	// too many have to go first.
	tooManyWait = 30 * time.Second
)

// planned is why a connection is left whose end is known in advance: Slack said that it
// will end it, or most of its life time is over.
type planned string

func (p planned) Error() string { return string(p) }

// backoff is the memory over all connects.
type backoff struct {
	short  int       // connections that did not last, without the planned ends
	opened time.Time // when the last one was asked for; zero: never
}

// next returns how long to wait after a connection that was good for lasted, 0 if it
// never was, and ended with err. The wait has full jitter, so that many do not come at
// once, and what Slack asked for comes on top.
//
// After a planned end the wait is plannedPace at most, however many came before: Slack
// will close that connection in seconds, and then a press finds nobody. It does not count
// as one that did not last, and does not make the others forgotten either: where planned
// ends and failures take turns, the wait after a failure grows as ever.
func (b *backoff) next(lasted time.Duration, err error) time.Duration {
	if lasted >= stable {
		b.short = 0
	}
	var end planned
	if lasted > 0 && errors.As(err, &end) {
		soon := time.Millisecond + rand.N(shortest)
		return max(soon, plannedPace-time.Since(b.opened))
	}
	limit := min(longest, shortest<<min(b.short, 10))
	b.short++
	wait := time.Millisecond + rand.N(limit)
	var open *OpenError
	switch {
	case errors.Is(err, errTooMany):
		wait += tooManyWait
	case errors.As(err, &open):
		wait += max(0, open.RetryAfter)
	}
	return wait
}
