package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot/approval"
)

// ServeHTTP answers /healthz while the process lives, and /readyz with 200 while the trail
// can be written, presses can reach us and every tenant could be read, or else with 503 and
// why not, each finding in a line with its name; and /metrics. What an incident does not
// need is a warning beside "ready".
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		io.WriteString(w, "alive\n")
	case "/metrics":
		s.writeMetrics(w)
	case "/readyz":
		if err := s.ready(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "not ready: %v\n", err)
			return
		}
		io.WriteString(w, "ready\n")
		if s.cfg.frozen() {
			io.WriteString(w, "frozen: nothing is written to Auth0\n")
		}
		for _, line := range s.bot.Warnings() {
			fmt.Fprintf(w, "warning: %s\n", line)
		}
	default:
		http.NotFound(w, r)
	}
}

func (s *server) ready() error { return errors.Join(s.trail.err(), s.bot.Ready(), s.tenants.err()) }

// writeMetrics writes gauges in Prometheus' text format.
func (s *server) writeMetrics(w io.Writer) {
	gauge := func(name, help string, value int) {
		fmt.Fprintf(w, "# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n%[1]s %[3]d\n", name, help, value)
	}
	ready := 0
	if s.ready() == nil {
		ready = 1
	}
	writable := 0
	if s.trail.err() == nil {
		writable = 1
	}
	frozen := 0
	if s.cfg.frozen() {
		frozen = 1
	}
	gauge("keyturn_frozen", "1 while nothing is written to Auth0, as KEYTURN_FROZEN says.", frozen)
	gauge("keyturn_panics", "Pieces of work that ended in a panic since the start; the log has each.",
		int(s.panicked.Load())+s.bot.Panics())
	counted, held := s.bot.Connections()
	gauge("keyturn_trail_writable", "1 while the trail can be written; nothing is done while it cannot.", writable)
	gauge("keyturn_ready", "1 while /readyz says that presses can reach keyturn and every tenant could be read.", ready)
	gauge("keyturn_slack_connections", "Connections of the app that Slack counted at the last hello.", counted)
	gauge("keyturn_slack_connections_held", "Those of them that were this keyturn's.", held)
	gauge("keyturn_slack_connections_ghosts", "Those that were not: of another process, or dead and not forgotten. Presses delivered there are lost.", max(0, counted-held))
}

// trailReady knows whether the trail can be written.
type trailReady struct {
	db  trail
	log zerolog.Logger

	mu  sync.Mutex
	why error // it cannot; nil: it can
}

// run tries every ten seconds, and each second while it fails, until ctx ends. A full disk
// is to be known before somebody presses.
func (t *trailReady) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := t.try(ctx)
		pause := 10 * time.Second
		if err != nil {
			pause = time.Second
		}
		if ctx.Err() == nil {
			t.set(err)
		}
		sleep(ctx, pause)
	}
}

// hangs is how long a try may take before the trail counts as one that cannot be written.
const hangs = 10 * time.Second

// try tries once. A disk that blocks keeps even a deadline from ending the call, so that
// nobody waits for it here: what is said meanwhile is that it does not answer.
func (t *trailReady) try(ctx context.Context) error {
	tried := make(chan error, 1)
	go func() { tried <- t.db.Writable(ctx) }()
	select {
	case err := <-tried:
		return err
	case <-time.After(hangs):
		t.set(fmt.Errorf("the disk did not answer for %s", hangs))
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-tried:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// set takes note of a try, and logs where it differs from the one before.
func (t *trailReady) set(err error) {
	t.mu.Lock()
	was := t.why
	t.why = err
	t.mu.Unlock()
	switch {
	case was == nil && err != nil:
		t.log.Error().Err(err).Msg("the trail cannot be written: no change is made until it can")
	case was != nil && err == nil:
		t.log.Info().Msg("the trail can be written again")
	}
}

func (t *trailReady) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == nil {
		return nil
	}
	return fmt.Errorf("the trail cannot be written: %w", t.why)
}

// scopeRead is what the machine-to-machine application needs to be of use at all.
const scopeRead = "read:signing_keys"

// tenantsReady knows which tenants could not be read since the start.
type tenantsReady struct {
	tenants map[string]approval.Tenant
	log     zerolog.Logger

	mu  sync.Mutex
	bad map[string]error
}

func newTenantsReady(tenants map[string]approval.Tenant, log zerolog.Logger) *tenantsReady {
	t := &tenantsReady{tenants: tenants, log: log, bad: map[string]error{}}
	for name := range tenants {
		t.bad[name] = errors.New("not read yet")
	}
	return t
}

// run tries each tenant until it could be read once, or ctx ends.
func (t *tenantsReady) run(ctx context.Context) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		t.look(ctx)
		if t.err() == nil || !sleep(ctx, pause) {
			return
		}
	}
}

// look tries each tenant that could not be read yet.
func (t *tenantsReady) look(ctx context.Context) {
	for name, tenant := range t.tenants {
		if t.of(name) == nil {
			continue
		}
		lacking, err := tryTenant(ctx, tenant)
		if ctx.Err() != nil {
			return
		}
		t.set(name, err)
		switch {
		case err != nil:
			t.log.Error().Str("tenant", name).Err(err).Msg("the tenant cannot be used")
		case len(lacking) > 0:
			t.log.Warn().Str("tenant", name).Strs("scopes",
				lacking).Msg("the application lacks scopes, " +
				"so changes that need them are refused; grant them in Auth0's Dashboard")
		}
	}
}

// tryTenant reads the keys once. Without the scopes that change keys a tenant can be used, to
// look and to watch; it returns those that the token lacks.
func tryTenant(ctx context.Context, t approval.Tenant) (lacking []string, err error) {
	if _, err := t.Reader.Keys(ctx); err != nil {
		return nil, err
	}
	all := append([]string{scopeRead}, approval.ScopesFor(approval.RotateAndRevoke)...)
	switch lacking, err = t.Reader.Lacking(ctx, all...); {
	case err != nil:
		return nil, err
	case slices.Contains(lacking, scopeRead):
		return nil, fmt.Errorf("the application lacks %s; grant it in Auth0's Dashboard", scopeRead)
	}
	return lacking, nil
}

func (t *tenantsReady) set(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bad[name] = err
}

func (t *tenantsReady) of(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bad[name]
}

// err says which tenants cannot be used; nil: all can.
func (t *tenantsReady) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for name, err := range t.bad {
		if err != nil {
			errs = append(errs, fmt.Errorf("tenant %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
