package mgmt

import (
	"net/http"
	"time"
)

// MaxSkew is by how much this machine's clock may differ from Auth0's unnoticed. The Date
// header has whole seconds, and an answer may take some.
const MaxSkew = time.Minute

// Skew returns how far Auth0's clock is ahead of this machine's, as its last answer said;
// less than 0: behind it. It is right to some seconds. 0: no answer said.
func (r *Reader) Skew() time.Duration { return time.Duration(r.skew.Load()) }

// measure takes in what an answer said of Auth0's clock. It was written at some time from
// sent to now: half the way is right for most.
func (r *Reader) measure(res *http.Response, sent, now time.Time) {
	if skew, ok := skewOf(res, sent.Add(now.Sub(sent)/2)); ok {
		r.skew.Store(int64(skew))
	}
}

// skewOf returns how far the clock that wrote an answer was ahead of ours at our time at.
func skewOf(res *http.Response, at time.Time) (time.Duration, bool) {
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0, false // absent or garbled
	}
	return date.Add(time.Second / 2).Sub(at), true // seconds are cut, not rounded
}

// ours turns a time by the clock that wrote an answer into one of this machine's. Where the
// two agree it stays as it is.
func ours(t time.Time, res *http.Response, now time.Time) time.Time {
	if skew, ok := skewOf(res, now); ok && skew.Abs() > MaxSkew {
		return t.Add(-skew)
	}
	return t
}
