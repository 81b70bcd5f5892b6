package slacksim

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Lose says how an answer is lost.
type Lose int

const (
	LoseNothing Lose = iota
	LoseBefore       // the connection breaks off, and nothing happens
	LoseAfter        // it happens, and the connection breaks off without an answer
)

// Fault spoils calls of the Web API, and posts to response URLs.
type Fault struct {
	Method     string        // such as chat.postMessage; response_url; "": all of them
	After      int           // so many calls pass first
	Times      int           // so many calls are spoilt; 0: every one until ClearFaults
	Status     int           // an HTTP status instead of an answer
	Error      string        // an answer with ok false and this error
	RetryAfter time.Duration // with Status 429; whole seconds
	Delay      time.Duration // before anything else; on its own, it only delays
	Lose       Lose          // without Status and Error

	// If says which calls are spoilt, by their arguments, such as those with a thread_ts.
	// nil: all. A post to a response URL has none here. It may not call the workspace.
	If func(args map[string]string) bool

	spoilt int
}

// over reports whether it spoils nothing more.
func (f *Fault) over() bool { return f.Times > 0 && f.spoilt >= f.Times }

// Fault switches a fault on. Of several that fit a call, the first counts.
func (w *Workspace) Fault(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, &f)
}

// Flaky spoils a share of all calls from now on, in each of the ways that Fault knows, by
// turns of a dice that the seed starts; which call meets which turn is left to the calls.
// A share of 0 ends it, and so does ClearFaults.
func (w *Workspace) Flaky(share float64, seed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flaky, w.dice = share, rand.New(rand.NewPCG(seed, 0))
}

// throw returns the fault that a turn of the dice gives; its zero: none. w.mu is held.
func (w *Workspace) throw() Fault {
	if w.flaky == 0 || w.dice.Float64() >= w.flaky {
		return Fault{}
	}
	switch w.dice.IntN(5) {
	case 0:
		return Fault{Status: http.StatusServiceUnavailable}
	case 1:
		return Fault{Lose: LoseBefore}
	case 2:
		return Fault{Lose: LoseAfter}
	case 3:
		wait := time.Duration(1+w.dice.IntN(3)) * time.Second
		return Fault{Status: http.StatusTooManyRequests, RetryAfter: wait}
	}
	return Fault{Error: "internal_error"}
}

// ClearFaults switches all faults off. Calls that are being delayed stay so.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults, w.flaky = nil, 0
}

// Faults returns those that are switched on and still spoil something.
func (w *Workspace) Faults() []Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	var on []Fault
	for _, f := range w.faults {
		if !f.over() {
			on = append(on, *f)
		}
	}
	return on
}

// spoils returns the fault that a call meets; its zero: none.
func (w *Workspace) spoils(method string, a args) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		switch {
		case f.Method != "" && f.Method != method, f.over(), f.If != nil && !f.If(a):
		case f.After > 0:
			f.After--
		default:
			f.spoilt++
			return *f
		}
	}
	return w.throw()
}

// Call is one call of the Web API, or a post to a response URL, which has the method
// response_url.
type Call struct {
	At     time.Time
	Method string
	Args   map[string]string // without the token; a value that is no string as its JSON
	Error  string            // "": ok; http 429 and the like for a status; lost: not taken
	Lost   bool              // the answer was lost
}

// History returns all calls so far, in the order in which they were answered.
func (w *Workspace) History() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

func (w *Workspace) record(method string, a args, code string) {
	w.note(Call{Method: method, Args: a, Error: code})
}

// lose records a call whose answer is lost, and breaks its connection off.
func (w *Workspace) lose(method string, a args, code string) {
	w.note(Call{Method: method, Args: a, Error: code, Lost: true})
	panic(http.ErrAbortHandler)
}

func (w *Workspace) note(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.At = w.cfg.Now()
	w.history = append(w.history, c)
	w.tellChange()
}
