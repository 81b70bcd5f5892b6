package auth0sim

import (
	"net/http"
	"strconv"
	"time"
)

// bucket is a token bucket: burst calls at once, and one more each refill. Instead of
// the calls that are left it keeps the time that refilling it would take, so that
// nothing is ever rounded.
type bucket struct {
	burst  int
	refill time.Duration
	owed   time.Duration // at the time at
	at     time.Time
}

// rotationBucket is full. Five at once and five a day is Auth0's documented limit of
// rotations on every plan; that it refills steadily is an assumption.
var rotationBucket = bucket{burst: 5, refill: 24 * time.Hour / 5}

// take takes a call out of the bucket, unless none is left.
func (b *bucket) take(now time.Time) bool {
	b.owed = max(0, b.owed-max(0, now.Sub(b.at)))
	b.at = now
	if b.owed+b.refill > time.Duration(b.burst)*b.refill {
		return false
	}
	b.owed += b.refill
	return true
}

// tell writes the headers as of the last take. The time of Reset is when one call
// more will be left, rounded up: Auth0 documents it as seconds since 1970, and not
// what it is of.
func (b *bucket) tell(h http.Header) {
	left := (time.Duration(b.burst)*b.refill - b.owed) / b.refill
	untilNext := b.owed % b.refill
	if untilNext == 0 {
		untilNext = min(b.owed, b.refill)
	}
	reset := b.at.Add(untilNext + time.Second - time.Nanosecond)
	h.Set("X-RateLimit-Limit", strconv.Itoa(b.burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(int(left)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// limits are the general limits, which are told; Config.Rate says of the Management API's
// whether it refuses. Their numbers are documented ones: the Management API's of the
// Enterprise plan, the others of Free.
type limits struct{ api, token, public bucket }

func newLimits() limits {
	return limits{
		api:    bucket{burst: 50, refill: time.Second / 16},
		token:  bucket{burst: 30, refill: time.Second / 30},
		public: bucket{burst: 20, refill: time.Second / 20},
	}
}

func apiLimit(l *limits) *bucket    { return &l.api }
func tokenLimit(l *limits) *bucket  { return &l.token }
func publicLimit(l *limits) *bucket { return &l.public }
