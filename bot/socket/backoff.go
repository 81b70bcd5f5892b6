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
	// tooManyWait is waited at least after too_many_websockets: the connections that are
	// too many have to go first.
	tooManyWait = 30 * time.Second
)

// backoff counts connections that did not last, over all connects.
type backoff struct{ short int }

// next returns how long to wait after a connection that was good for lasted, 0 if it
// never was, and ended with err. The wait has full jitter, so that many do not come at
// once, and what Slack asked for comes on top.
func (b *backoff) next(lasted time.Duration, err error) time.Duration {
	if lasted >= stable {
		b.short = 0
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
