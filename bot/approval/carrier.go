package approval

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"keyturn/bot/audit"
	"keyturn/bot/panics"
	"keyturn/mgmt"
)

// Timing is how long the carrier waits for what.
type Timing struct {
	Lease        time.Duration // how long a claim holds without being renewed
	Renew        time.Duration // how often it is renewed
	WriteWithin  time.Duration // a write leaves this soon after its intent, or not at all
	WriteTimeout time.Duration // how long an answer to a write is waited for
	Quiet        time.Duration // after giving up on a write, how long its effect may still land
	NeverBegun   time.Duration // an approval without an intent ends after this
	NewToken     time.Duration // how long a token signed by the new key is asked for before halting
	Between      time.Duration // the longest time between the rotation and the intent to revoke
	Proof        time.Duration // how long the public key sets may still list a revoked key before done is said
	ProofEvery   time.Duration // how often they are looked at until then
	Late         time.Duration // how long they are looked at after that
	LateEvery    time.Duration // and how often
	Unreadable   time.Duration // how long Auth0 may stay unreadable, or a proof outstanding, before in_doubt
	Doubt        time.Duration // how often a request in doubt is looked at
	Retry        time.Duration // between two tries of a write, so that one hiccup does not spend them all
	Backoff      time.Duration // after a turn that failed; it doubles up to BackoffMax
	BackoffMax   time.Duration
}

// DefaultTiming is what keyturn runs with.
func DefaultTiming() Timing {
	return Timing{
		Lease: 30 * time.Second, Renew: 10 * time.Second,
		WriteWithin: 3 * time.Second, WriteTimeout: 10 * time.Second, Quiet: 15 * time.Second,
		NeverBegun: 5 * time.Minute, NewToken: 2 * time.Minute, Between: 15 * time.Minute,
		Proof: time.Minute, ProofEvery: 5 * time.Second, Late: time.Hour, LateEvery: 5 * time.Minute,
		Unreadable: 30 * time.Minute, Doubt: time.Minute,
		Retry: 2 * time.Second, Backoff: time.Second, BackoffMax: 30 * time.Second,
	}
}

// Carrier carries out what was approved, and lets expire what was not. It alone
// writes to Auth0. A fresh request and one that is picked up after a crash go the
// same way: each turn begins by reading the row and its entries.
type Carrier struct {
	Store   Store
	Tenants map[string]Tenant
	Writers map[string]*mgmt.Writer // by tenant
	Owner   string                  // names this process in leases
	Version string
	Now     func() time.Time
	Timing  Timing
	Report  func(id ID, err error) // told of what delays a request; must not block
}

// Run carries out requests as they fall due until ctx ends. A write that is under
// way then is still waited for and its answer recorded; the rest is on disk and is
// picked up by the next Run.
func (c *Carrier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		changed := c.Store.Changed()
		r, err := c.Store.Claim(ctx, c.Owner, c.Timing.Lease)
		switch {
		case err == nil:
			claimed := c.Now()
			wg.Go(func() {
				err := panics.Caught(func() error { c.carry(ctx, r, claimed); return nil })
				if err != nil {
					c.setAside(ctx, r, err)
				}
			})
			continue
		case !errors.Is(err, ErrUnknown):
			c.report(ctx, "", fmt.Errorf("claiming a request: %w", err))
			sleep(ctx, time.Second)
			continue
		}
		due, err := c.Store.NextDue(ctx)
		if err != nil {
			c.report(ctx, "", fmt.Errorf("looking for what is due: %w", err))
			due = c.Now().Add(time.Second)
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(due.Sub(c.Now()))
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
		}
	}
}

// asideFor is how long a request rests whose carrying-out panicked.
const asideFor = time.Minute

// setAside lets a request rest that cannot be carried on, and raises an alarm, so that the
// others go on. If that fails too, its lease runs out, and it is claimed again.
func (c *Carrier) setAside(ctx context.Context, r Request, err error) {
	ctx = context.WithoutCancel(ctx)
	c.report(ctx, r.ID, fmt.Errorf("carrying out: %w", err))
	alarm := audit.Entry{
		Kind: audit.Alarmed, Cause: "aside:" + string(r.ID), Tenant: r.Tenant, Version: c.Version,
		Alarm: &audit.Alarm{What: audit.RowSetAside},
		Note: fmt.Sprintf("keyturn cannot carry on %s, and tries again each minute. "+
			"Look at the tenant's Dashboard; the log says why.", r.ID),
	}
	if err := c.Store.Note(ctx, alarm); err != nil {
		c.report(ctx, r.ID, fmt.Errorf("raising an alarm: %w", err))
	}
	now, err := c.Store.Request(ctx, r.ID)
	if err == nil {
		_, err = c.Store.Move(ctx, Move{
			ID: r.ID, From: []State{now.State}, To: now.State, Epoch: r.Epoch,
			Release: true, DueAt: c.Now().Add(asideFor),
		})
	}
	if err != nil {
		c.report(ctx, r.ID, fmt.Errorf("letting a request rest: %w", err))
	}
}

// report keeps quiet about what only says that we are being stopped.
func (c *Carrier) report(ctx context.Context, id ID, err error) {
	if ctx.Err() == nil && c.Report != nil {
		c.Report(id, err)
	}
}

// carry makes turns with one claimed request until it needs none now.
func (c *Carrier) carry(ctx context.Context, r Request, claimed time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &lease{renewed: claimed}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { c.keep(ctx, cancel, r, l) })

	if t, ok := c.Tenants[r.Tenant]; ok {
		defer t.Reader.GoFirst()()
	}
	w := &work{Carrier: c, id: r.ID, epoch: r.Epoch, lease: l, claimed: claimed}
	for ctx.Err() == nil {
		pause, over, err := w.turn(ctx)
		var moved *Moved
		if errors.As(err, &moved) {
			return // somebody else's by now, or ended
		}
		if err != nil {
			c.report(ctx, r.ID, err)
			pause = max(pause, w.backoff())
		} else {
			w.failures = 0
		}
		if over {
			return
		}
		sleep(ctx, pause)
	}
}

// keep renews the lease until ctx ends, and ends the carrying when the lease is
// lost: from then on another process may be at it.
func (c *Carrier) keep(ctx context.Context, lost context.CancelFunc, r Request, l *lease) {
	for {
		if !sleep(ctx, c.Timing.Renew) {
			return
		}
		at := c.Now()
		err := c.Store.Renew(ctx, r.ID, r.Epoch, c.Timing.Lease)
		var moved *Moved
		switch {
		case err == nil:
			l.renew(at)
		case errors.As(err, &moved), c.Now().Sub(l.at()) > c.Timing.Lease:
			lost()
			return
		}
	}
}

// lease remembers when a claim was last known to hold.
type lease struct {
	mu      sync.Mutex
	renewed time.Time
}

func (l *lease) renew(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = at
}

func (l *lease) at() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed
}

// within reports whether less than d went by between from and now, by the monotonic
// clock and by the wall clock: one stands still while a machine is suspended, the
// other may be set.
func within(from, now time.Time, d time.Duration) bool {
	wall := now.Round(0).Sub(from.Round(0)).Abs()
	return now.Sub(from) < d && wall < d
}

// sleep reports whether the whole of d went by; it ends early with ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// entry begins an entry of the carrier's about r. Each kind is recorded once for a
// request, except for attempts, which bear their number.
func (c *Carrier) entry(r Request, kind audit.Kind, note string) audit.Entry {
	e := r.entry(kind, string(kind)+":"+string(r.ID))
	e.Note, e.Version = note, c.Version
	return e
}
