package auth0sim

import (
	"bytes"
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
	Op     string        // token, list, get, rotate, revoke or jwks
	After  int           // so many calls pass first
	Times  int           // so many calls are spoilt; 0: every one until ClearFaults
	Status int           // answer this instead, and nothing happens; 0: as usual
	Body   string        // with Status; "": an error in Auth0's shape
	Header http.Header   // with Status
	Delay  time.Duration // wait before anything happens; a caller who goes does not stop it
	Lose   Lose

	spoilt int
}

// Fault switches a fault on. Of several that fit a call, the first counts.
func (t *Tenant) Fault(f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, &f)
}

// ClearFaults switches all faults off.
func (t *Tenant) ClearFaults() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// spoils returns the fault that spoils this call; the zero fault: none.
func (t *Tenant) spoils(op string) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		switch {
		case f.Op != op, f.Times > 0 && f.spoilt >= f.Times:
		case f.After > 0:
			f.After--
		default:
			f.spoilt++
			return *f
		}
	}
	return Fault{}
}

// call is a call while it is answered.
type call struct {
	r             *http.Request
	kid           string
	authenticated bool
	effect        bool
}

// serve answers one call, with whatever fault is switched on, and records it.
func (t *Tenant) serve(w http.ResponseWriter, r *http.Request, op, kid string, work func(*call) *answer) {
	c := &call{r: r, kid: kid}
	entry := Call{Op: op, KID: kid, Via: "api", Correlation: r.Header.Get("X-Correlation-ID")}
	do := func() *answer {
		a := work(c)
		entry.At, entry.Status, entry.Effect, entry.Authenticated = t.cfg.Now(), a.status, c.effect, c.authenticated
		return a
	}
	f := t.spoils(op)
	if f.Lose == LandLate {
		// The body is read now: it is gone with the connection.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		t.late.Go(func() {
			if t.wait(f.Delay) {
				do()
				t.record(entry)
			}
		})
		panic(http.ErrAbortHandler)
	}
	if f.Delay > 0 && !t.wait(f.Delay) {
		panic(http.ErrAbortHandler)
	}
	if f.Lose == LoseBefore {
		entry.At = t.cfg.Now()
		t.record(entry)
		panic(http.ErrAbortHandler)
	}
	var a *answer
	if f.Status != 0 {
		a = spoilt(f)
		entry.At, entry.Status = t.cfg.Now(), f.Status
	} else {
		a = do()
	}
	t.record(entry)
	if f.Lose == LoseAfter {
		panic(http.ErrAbortHandler)
	}
	a.write(w)
}

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

// wait reports whether d went by before the tenant was closed.
func (t *Tenant) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.closing.Done():
		return false
	}
}
