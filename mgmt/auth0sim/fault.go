package auth0sim

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Lose says how an answer is lost.
type Lose int

const (
	LoseNothing Lose = iota
	LoseBefore       // the connection is dropped, and nothing happens
	LoseAfter        // it happens, and the connection is dropped without an answer
	LandLate         // the connection is dropped at once; it happens after Delay
)

// Fault spoils calls.
type Fault struct {
	Op    string // token, list, get, rotate, revoke, jwks or discovery
	After int    // so many calls pass first
	Times int    // so many calls are spoilt; 0: every one until ClearFaults

	// Status is answered instead, and nothing happens. 0: the call is carried out.
	Status int
	Body   string      // with Status; "": an error in Auth0's shape
	Header http.Header // with Status

	// Delay is waited for before anything happens, in real time or a bubble's. A
	// client that goes ends it early, and what it asked for happens all the same. With
	// LandLate it is waited for in full.
	Delay time.Duration
	Lose  Lose
}

// activeFault is a fault that is switched on, with what is left of it.
type activeFault struct {
	Fault
	spoilt int
}

// over reports whether it spoils nothing more.
func (f *activeFault) over() bool { return f.Times > 0 && f.spoilt >= f.Times }

// Fault switches a fault on. Of several that fit a call, the first counts.
func (t *Tenant) Fault(f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, &activeFault{Fault: f})
}

// ClearFaults switches all faults off. Calls that they spoil already stay spoilt.
func (t *Tenant) ClearFaults() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// Faults returns those that are switched on and still spoil something.
func (t *Tenant) Faults() []Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	var on []Fault
	for _, f := range t.faults {
		if !f.over() {
			on = append(on, f.Fault)
		}
	}
	return on
}

// spoils returns the fault that spoils this call; the zero fault: none.
func (t *Tenant) spoils(op string) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		switch {
		case f.Op != op, f.over():
		case f.After > 0:
			f.After--
		default:
			f.spoilt++
			return f.Fault
		}
	}
	return Fault{}
}

// call is a call while it is answered.
type call struct {
	endpoint
	r     *http.Request
	body  []byte
	entry Call
}

// serve answers one call, with whatever fault is switched on.
func (t *Tenant) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	c := &call{endpoint: e, r: r}
	c.entry = Call{Op: e.op, KID: e.kid, Via: "api", Correlation: r.Header.Get("X-Correlation-ID")}
	// Read at once and in full: only then does net/http notice that a client goes. A
	// body that breaks off or is too long is not understood by whoever needs it.
	c.body, _ = io.ReadAll(io.LimitReader(r.Body, 1<<16))

	f := t.spoils(e.op)
	c.entry.Lost = f.Lose != LoseNothing
	if f.Lose == LandLate {
		t.landLate(c, f)
		panic(http.ErrAbortHandler)
	}
	t.wait(r.Context(), f.Delay)
	a := t.perform(c, f)
	if a == nil || f.Lose != LoseNothing {
		panic(http.ErrAbortHandler)
	}
	a.write(w, t.date())
}

// perform carries the call out as far as the fault lets it, and records it in the
// same moment: whoever sees an effect finds it in the history. It returns nil where
// the tenant is closed: then nothing happened.
func (t *Tenant) perform(c *call, f Fault) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	var a *answer
	switch {
	case f.Lose == LoseBefore:
		a = &answer{}
	case f.Status != 0:
		a = spoilt(f)
	default:
		a = t.answer(c)
	}
	t.conclude(c, a)
	return a
}

// answer answers the call as the tenant does by itself. The general limit's headers are
// added where the call has no limit of its own. t.mu is held.
func (t *Tenant) answer(c *call) *answer {
	b := c.limit(&t.limits)
	room := b.take(t.cfg.Now())
	if b == &t.limits.api && t.cfg.Rate > 0 && !room {
		// The words, and that there is no Retry-After, as for the limit of rotations.
		a := failure(http.StatusTooManyRequests, "Global limit has been reached", "too_many_requests")
		b.tell(a.header)
		return a
	}
	a := t.authorize(c)
	if a == nil {
		a = c.work(c)
	}
	if a.header.Get("X-RateLimit-Limit") == "" {
		b.tell(a.header)
	}
	return a
}

// landLate lets the call take effect after the fault's delay, unless the tenant is
// closed by then. Its token is judged now, as by a server that is slow afterwards.
func (t *Tenant) landLate(c *call, f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if f.Status != 0 {
		c.work = func(*call) *answer { return spoilt(f) }
	} else if refusal := t.authorize(c); refusal != nil {
		c.work = func(*call) *answer { return refusal }
	}
	t.running.Go(func() {
		t.wait(context.Background(), f.Delay)
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.closed {
			t.conclude(c, c.work(c))
		}
	})
}

// conclude records the call with its answer. t.mu is held.
func (t *Tenant) conclude(c *call, a *answer) {
	c.entry.At, c.entry.Status = t.cfg.Now(), a.status
	t.record(c.entry)
}

// spoilt is the answer that a fault gives: only what it says, as from a gateway.
func spoilt(f Fault) *answer {
	a := failure(f.Status, "switched on", "")
	if f.Body != "" {
		a.body = f.Body
	}
	for name, values := range f.Header {
		a.header[name] = values
	}
	return a
}

// wait returns after d, or once ctx or the tenant ends.
func (t *Tenant) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-t.closing:
	}
}
