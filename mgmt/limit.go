package mgmt

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// limit is what is known of the tenant's rate limit, and who may use what is left of it.
type limit struct {
	mu    sync.Mutex
	until time.Time     // Auth0 takes no reads before it; zero: it takes them
	first int           // how many go first
	idle  chan struct{} // closed once nobody goes first; nil: nobody ever did
}

// maxLimited bounds what Limited returns, from the answer that said so on: whoever waits
// until then loses little where Auth0 erred.
const maxLimited = time.Minute

// Limited returns until when Auth0 takes no reads, as the last one said that needed a
// token; zero: it takes them, or did not say when it will again. That is a minute after
// that answer at the most.
func (r *Reader) Limited() time.Time {
	r.limit.mu.Lock()
	defer r.limit.mu.Unlock()
	if !time.Now().Before(r.limit.until) {
		return time.Time{}
	}
	return r.limit.until
}

// heed takes in what a read came to that needed a token.
func (l *limit) heed(err error, now time.Time) {
	var said *Error
	answered := errors.As(err, &said)
	if err != nil && !answered {
		return // it says nothing about the limit
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	if answered && said.Status == http.StatusTooManyRequests && !said.Reset.IsZero() {
		l.until = now.Add(min(maxLimited, said.Reset.Sub(now)))
	}
}

// GoFirst lets Yield wait until done was called: what is left of the tenant's rate limit
// is the caller's. It limits nobody else.
func (r *Reader) GoFirst() (done func()) {
	l := r.limit
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == 0 {
		l.idle = make(chan struct{})
	}
	l.first++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.first--; l.first == 0 {
			close(l.idle)
		}
	})
}

// Yield returns once nobody goes first, or after patience, or once ctx ends.
func (r *Reader) Yield(ctx context.Context, patience time.Duration) {
	r.limit.mu.Lock()
	idle := r.limit.idle
	r.limit.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	case <-ctx.Done():
	}
}
