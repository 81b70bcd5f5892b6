package auth0sim

import (
	"context"
	"slices"
	"time"
)

// Call is one call of the API, or one act in the Dashboard.
type Call struct {
	At            time.Time
	Op            string // token, list, get, rotate, revoke, logs, jwks, discovery or unknown
	KID           string // of get and revoke
	Status        int    // what was answered, or would have been; 0: nothing was
	Effect        bool   // a key changed
	Lost          bool   // the answer was lost
	Via           string // api or dashboard
	Correlation   string // X-Correlation-ID
	Authenticated bool   // the token was good, or the credentials were
}

// History returns all calls so far, in the order in which they ended: one that is
// delayed is in it once it was carried out. An effect and its call show at once.
func (t *Tenant) History() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.history)
}

// record adds a call, and wakes those who await. t.mu is held.
func (t *Tenant) record(c Call) {
	t.history = append(t.history, c)
	close(t.changed)
	t.changed = make(chan struct{})
}

// Await returns nil once cond is true; ctx's error where it ends first. It looks at
// once, and after every call and every act in the Dashboard. cond may call the
// tenant's methods.
func (t *Tenant) Await(ctx context.Context, cond func() bool) error {
	for {
		// Taken before the look: a change right after it must not be missed.
		changed := t.Changed()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changed returns a channel that is closed after the next call or act in the Dashboard.
func (t *Tenant) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}
