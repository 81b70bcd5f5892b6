package socket

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	shortest = 100 * time.Millisecond
	longest  = 30 * time.Second
	// stable is how long a connection must have been good for before the next one is
	// opened without regard to those before.
	stable = 60 * time.Second
	// tooManyWait is at least waited after too_many_websockets: the connections that
	// are too many have to go first.
	tooManyWait = 30 * time.Second
)

// backoff counts connections that did not last, over all connects.
type backoff struct{ short int }

// next returns how long to wait after a connection that lasted so long, or was never
// made, and ended with err: with full jitter, so that many do not come at once.
func (b *backoff) next(lasted time.Duration, err error) time.Duration {
	if lasted >= stable {
		b.short = 0
	}
	limit := min(longest, shortest<<min(b.short, 10))
	b.short++
	wait := rand.N(limit) + time.Millisecond
	var open *OpenError
	switch {
	case errors.Is(err, errTooMany):
		wait += tooManyWait
	case errors.As(err, &open):
		wait += open.RetryAfter
	}
	return wait
}
