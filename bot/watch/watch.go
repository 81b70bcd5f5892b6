// Package watch looks after a tenant's signing keys when nobody asks for anything: it
// reads them now and then, and raises an alarm where they are not what the trail
// explains.
//
// What the trail explains is where the watch began, or began anew, or the last alarm left
// off (start.go), and since then each effect that an entry of ours records: an intent of
// ours and a rotation or revocation that was seen, or two people's word on one that was in
// doubt. So a change by
// somebody else is found whenever it happens, also while a request of ours is carried
// out: that request's end records only what was ours. While a request has an intent and
// no end nothing is concluded.
//
// The trail is the only memory. What was raised is an entry, so that nothing is raised
// twice, also across a crash; and two looks in a row have to agree, so that one answer
// that lags behind raises nothing.
//
// What it cannot see: changes that were undone between two looks, which is no more than a
// revoked key that leaves the list; and whatever happened before it began.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/panics"
)

const (
	// confirm is how long after a look that is not explained the next comes.
	confirm = 2 * time.Second
	// unreadable is how long the keys may not be readable before that is an alarm.
	unreadable = 30 * time.Minute
)

// Store is the trail, as the watch needs it.
type Store interface {
	// Latest returns the last entry of a tenant of one of these kinds; nil: there is none.
	Latest(ctx context.Context, tenant string, kinds ...audit.Kind) (*audit.Entry, error)
	// EntriesOf returns up to limit entries of a tenant after number after, in their order.
	EntriesOf(ctx context.Context, tenant string, after int64, limit int) ([]audit.Entry, error)
	// Story returns the entries of a request, in their order.
	Story(ctx context.Context, id approval.ID) ([]audit.Entry, error)
	// OpenRequests returns the requests that are not at their end.
	OpenRequests(ctx context.Context) ([]approval.Request, error)
	// Size returns how many entries the trail has.
	Size(ctx context.Context) (int64, error)
	// Note appends an entry, once for each cause.
	Note(ctx context.Context, e audit.Entry) error
}

// Watch watches tenants.
type Watch struct {
	Store   Store
	Tenants map[string]approval.Tenant
	Every   time.Duration // between two looks at a tenant; 0: none is looked at

	KeyMaxAge      time.Duration // how long a key may be in use; 0: for ever
	PreviousMaxAge time.Duration // how long one may be previously used and not revoked; 0: for ever

	Now    func() time.Time
	Report func(tenant string, err error) // told of what holds it up; must not block
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	if w.Every == 0 {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, t := range w.Tenants {
		wg.Go(func() {
			s := &sight{Watch: w, tenant: t, told: map[string]bool{}}
			for ctx.Err() == nil {
				pause := s.Every
				err := panics.Caught(func() (err error) { pause, err = s.turn(ctx); return err })
				if err != nil && ctx.Err() == nil {
					w.Report(t.Name, err)
				}
				timer := time.NewTimer(pause)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				timer.Stop()
			}
		})
	}
}

// sight is the watch over one tenant.
type sight struct {
	*Watch
	tenant approval.Tenant

	known   *known    // what the trail explains, as far as it was read; nil: not read yet
	seen    time.Time // when the keys were last as explained
	suspect string    // what the look before found unexplained
	failing time.Time // since when the keys cannot be read; zero: they can
	tracing string    // what Auth0's log said of the last alarm the time before
	told    map[string]bool
}

// turn looks once, and returns how long to wait before the next time.
func (s *sight) turn(ctx context.Context) (time.Duration, error) {
	if err := s.read(ctx); err != nil {
		return s.Every, err
	}
	at := s.known.seq
	look, _, err := s.tenant.Look(ctx, s.Now(), false)
	if err != nil {
		return s.Every, s.blind(ctx, err)
	}
	s.failing = time.Time{}
	if err := s.read(ctx); err != nil {
		return s.Every, err
	}
	switch {
	case s.known.seq != at:
		return confirm, nil // something of ours happened meanwhile: the look may be from before it
	case s.known.working():
		return s.Every, nil
	case s.known.roles == nil:
		return s.Every, s.Store.Note(ctx, s.entry(audit.Watched, "watch:"+s.tenant.Name, look, "The keys are compared with this from here on."))
	}
	changes := s.known.unexplained(look)
	if len(changes) > 0 {
		return s.doubt(ctx, look, changes)
	}
	s.seen, s.suspect = look.At, ""
	if n := s.known.unreadable; n > 0 {
		err := s.Store.Note(ctx, s.entry(audit.Watched, fmt.Sprintf("readable:%d", n), look, "The keys can be read again, and are as they were."))
		return s.Every, err
	}
	if s.known.taken >= rebase {
		cause := fmt.Sprintf("watch:%s:%d", s.tenant.Name, s.known.base)
		return s.Every, s.Store.Note(ctx, s.entry(audit.Watched, cause, look,
			"Anew, so that no start reads more: the keys are as the trail explains."))
	}
	return s.Every, errors.Join(s.trace(ctx), s.remind(ctx, look))
}

// read takes in what the trail has that was not read yet.
func (s *sight) read(ctx context.Context) error {
	if s.known == nil {
		k, err := s.start(ctx)
		if err != nil {
			return fmt.Errorf("reading where the watch begins: %w", err)
		}
		s.known = k
	}
	for {
		entries, err := s.Store.EntriesOf(ctx, s.tenant.Name, s.known.seq, 500)
		if err != nil {
			return fmt.Errorf("reading what the trail explains: %w", err)
		}
		if len(entries) == 0 {
			if s.seen.Before(s.known.since) {
				s.seen = s.known.since
			}
			return nil
		}
		for _, e := range entries {
			s.known.take(e)
		}
	}
}

func (s *sight) entry(kind audit.Kind, cause string, look *audit.Look, note string) audit.Entry {
	return audit.Entry{Kind: kind, Cause: cause, Tenant: s.tenant.Name, Look: look, Note: note}
}

// doubt raises the alarm where the look before found the same.
func (s *sight) doubt(ctx context.Context, look *audit.Look, changes []audit.KeyChange) (time.Duration, error) {
	if what := fmt.Sprint(changes); what != s.suspect {
		s.suspect = what
		return confirm, nil
	}
	e := s.entry(audit.Alarmed, fmt.Sprintf("keys:%s:%d", s.tenant.Name, s.known.base), look,
		changedWords(s.tenant.Name, changes, s.seen, look.At, s.known.unrecorded, s.mayTrace(ctx)))
	e.Alarm = &audit.Alarm{What: audit.KeysChanged, Changes: changes, Before: s.seen}
	// The cause is where the watch left off: from there on there is one alarm, and it is
	// where the watch goes on from.
	return s.Every, s.Store.Note(ctx, e)
}

// blind takes note that the keys cannot be read, and raises the alarm after a while.
func (s *sight) blind(ctx context.Context, why error) error {
	if s.failing.IsZero() {
		s.failing = s.Now()
	}
	if s.Now().Sub(s.failing) < unreadable || s.known.unreadable > 0 {
		return why
	}
	e := s.entry(audit.Alarmed, fmt.Sprintf("unreadable:%s:%d", s.tenant.Name, s.known.seq), nil,
		fmt.Sprintf("The keys of the tenant %s cannot be read since %s, so nobody would notice a change: %v", s.tenant.Name, clock(s.failing), why))
	e.Alarm = &audit.Alarm{What: audit.TenantUnreadable}
	if err := s.Store.Note(ctx, e); err != nil {
		return err
	}
	return why
}
