package slacksim

import (
	"slices"
	"time"
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

// ClearFaults switches all faults off. Calls that are being delayed stay so.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
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
func (w *Workspace) spoils(method string) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		switch {
		case f.Method != "" && f.Method != method, f.over():
		case f.After > 0:
			f.After--
		default:
			f.spoilt++
			return *f
		}
	}
	return Fault{}
}

// Call is one call of the Web API, or a post to a response URL, which has the method
// response_url.
type Call struct {
	At     time.Time
	Method string
	Args   map[string]string // without the token; a value that is no string as its JSON
	Error  string            // "": ok; http 429 and the like for a status
}

// History returns all calls so far, in the order in which they were answered.
func (w *Workspace) History() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

func (w *Workspace) record(method string, a args, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, Call{At: w.cfg.Now(), Method: method, Args: a, Error: code})
	w.tellChange()
}
