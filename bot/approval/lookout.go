package approval

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"keyturn/bot/audit"
	"keyturn/bot/panics"
	"keyturn/mgmt"
)

const (
	// lookEvery is the shortest time from one people's look at a tenant to the next. Of the
	// smallest plans Auth0 takes 2 calls a second (facts).
	lookEvery = time.Second
	// carrierFirst is how long a look waits while a request of the tenant is carried out.
	// It may take long, and people want to see how it goes.
	carrierFirst = 5 * time.Second
	// lookTimeout bounds a shared look, whatever time its askers have.
	lookTimeout = 10 * time.Second
	// limitPatience is how long a look waits for Auth0's limit by itself. Where Auth0 says
	// to come back later than that, people are told when.
	limitPatience = 3 * time.Second
)

// lookout looks at a tenant for people: one look at a time, shared by all who wait for
// one, and one each lookEvery at most. However many people type however often, the rest
// of what Auth0 takes is the carrier's. The carrier does not look through here and waits
// for nobody; while it works, people wait for a while.
//
// Whoever asks gets a look that began after they asked, never an older one: what is shown
// is so, and what is pinned is what stands. (golang.org/x/sync/singleflight hands out what
// is under way already: a list that was read before the asker's own rotation, say.) So
// there are two rounds at most: one that looks, and one that did not begin, for all who
// came since. The first asker finds no round and looks at once.
//
// A round belongs to none of its askers. Each may give up, and the others still get their
// look; it ends early only when nobody waits any more. An error reaches all who waited for
// that round and nobody else, a panic as well. Where Auth0 said that its limit is used up,
// to whomever of us, nobody looks until it said to come back.
type lookout struct {
	tenant Tenant
	now    func() time.Time

	began time.Time // when the last look began; only the round that runs touches it

	mu   sync.Mutex
	next *round // the round that did not begin; nil: there is none
	last *round // the newest round; nil: there was none
}

// round is one look, and those who wait for it.
type round struct {
	before    *round             // is over before this one begins; nil: nothing is
	waiting   int                // askers; guarded by the lookout's mu, as is published
	published bool               // one of them needs the public key sets
	cancel    context.CancelFunc // ends it for all

	done chan struct{} // closed when what follows is set
	look *audit.Look
	keys mgmt.Keys
	err  error
}

// Look reads the keys of a tenant for a person, and with published also the public key
// sets, as Tenant.Look does; it may read them without. A *Refusal says that there is no
// such tenant, or until when Auth0 takes no more reads of it. Any other error says why the
// keys could not be read.
func (d *Desk) Look(
	ctx context.Context, tenant string, published bool,
) (*audit.Look, mgmt.Keys, error) {
	l, ok := d.lookouts[tenant]
	if !ok {
		return nil, nil, &Refusal{Why: UnknownTenant}
	}
	return l.see(ctx, published)
}

func (l *lookout) see(ctx context.Context, published bool) (*audit.Look, mgmt.Keys, error) {
	r := l.join(published)
	select {
	case <-r.done:
	case <-ctx.Done():
		l.leave(r)
		return nil, nil, fmt.Errorf("waiting for a look: %w", ctx.Err())
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	look := *r.look // each asker notes things of their own in it
	return &look, slices.Clone(r.keys), nil
}

// join adds an asker to the round that did not begin, and starts one if there is none.
func (l *lookout) join(published bool) *round {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.next
	if r == nil {
		ctx, cancel := context.WithCancel(context.Background())
		r = &round{before: l.last, cancel: cancel, done: make(chan struct{})}
		l.next, l.last = r, r
		go l.run(ctx, r)
	}
	r.waiting++
	r.published = r.published || published
	return r
}

// leave takes an asker away. Without any the round is over.
func (l *lookout) leave(r *round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.waiting--; r.waiting > 0 {
		return
	}
	if l.next == r {
		l.next = nil // whoever comes now gets one that is not over
	}
	r.cancel()
}

// run sees a round to its end.
func (l *lookout) run(ctx context.Context, r *round) {
	defer close(r.done)
	defer r.cancel()
	r.err = panics.Caught(func() error { return l.take(ctx, r) })
	if panics.Is(r.err) {
		r.err = fmt.Errorf("looking at %s panicked: %w", l.tenant.Name, r.err)
	}
	l.begin(r) // nobody may join what is over
}

// take waits until the round may begin, and looks.
func (l *lookout) take(ctx context.Context, r *round) (err error) {
	if r.before != nil {
		<-r.before.done
		r.before = nil // or each round would keep all before it
	}
	sleep(ctx, lookEvery-time.Since(l.began))
	reader := l.tenant.Reader
	reader.Yield(ctx, carrierFirst)
	if d := time.Until(reader.Limited()); d <= limitPatience {
		sleep(ctx, d)
	}
	published := l.begin(r)
	until := reader.Limited()
	switch {
	case ctx.Err() != nil: // nobody waits any more
		return ctx.Err()
	case !until.IsZero():
		return &Refusal{Why: Auth0Limits, Until: until}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	l.began = time.Now()
	r.look, r.keys, err = l.tenant.Look(ctx, l.now(), published)
	var said *mgmt.Error
	if errors.As(err, &said) && said.Status == http.StatusTooManyRequests {
		return &Refusal{Why: Auth0Limits, Until: reader.Limited()}
	}
	return err
}

// begin closes the round to new askers: what it looks at may be from before they came.
func (l *lookout) begin(r *round) (published bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == r {
		l.next = nil
	}
	return r.published
}
