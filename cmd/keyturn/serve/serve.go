// Package serve turns the environment into a running keyturn, and the end of a
// context into a clean stop. It decides nothing; it is a package so that the
// rehearsal runs the very same.
package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/panics"
	"keyturn/bot/store"
	"keyturn/bot/watch"
	"keyturn/mgmt"
)

// ErrSetup is wrapped by every error that another try with the same environment
// would give again: faults of the configuration, a database that cannot be opened.
var ErrSetup = errors.New("keyturn cannot start")

// ExitStatus is what a program that ran keyturn exits with: 0 after a clean stop, 2
// where it could not start, 1 where it ended otherwise.
func ExitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrSetup):
		return 2
	}
	return 1
}

// Run runs keyturn as the environment says until ctx ends; then it finishes what is
// under way and returns nil. It logs to log.
func Run(ctx context.Context, log io.Writer) error { return start(ctx, log, Config{}) }

// Drill is Run where the tenants are simulated: whatever people are shown says so, an
// address that is not on loopback is a fault, and where another process uses the same Slack
// app it is an ErrSetup. It is no variable of the environment: then a real change could be
// marked as a drill.
func Drill(ctx context.Context, log io.Writer) error { return start(ctx, log, Config{Drill: true}) }

func start(ctx context.Context, log io.Writer, cfg Config) error {
	cfg, err := load(cfg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	db, err := store.Open(ctx, string(cfg.DatabaseURL), string(cfg.AuditKeyFile), time.Now)
	switch {
	case errors.Is(err, store.ErrKey):
		return fmt.Errorf("%w: KEYTURN_AUDIT_KEY_FILE: %w", ErrSetup, err)
	case err != nil:
		return fmt.Errorf("%w: KEYTURN_DATABASE_URL: %w", ErrSetup, err)
	}
	s := assemble(cfg, instrumented(db), newLog(cfg, log))
	return errors.Join(s.run(ctx), db.Close())
}

func newLog(cfg Config, w io.Writer) zerolog.Logger {
	if cfg.LogFormat == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: !isTerminal(w)}
	}
	return zerolog.New(w).Level(cfg.level()).With().Timestamp().Logger()
}

// isTerminal reports whether somebody sees w, and no file or pipe takes it.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// server is keyturn, put together.
type server struct {
	cfg     Config
	db      trail
	log     zerolog.Logger
	carrier *approval.Carrier
	watch   *watch.Watch
	bot     *bot.Bot
	tenants *tenantsReady
	trail   *trailReady

	panicked *panicCount // of the carrier and the watch
}

// panicCount counts errors that are panics.
type panicCount struct{ atomic.Int64 }

func (c *panicCount) count(err error) {
	if panics.Is(err) {
		c.Add(1)
	}
}

// keeper is the store, as the parts need it.
type keeper interface {
	approval.Store
	bot.Inbox
	bot.Trail
	bot.Posts
	watch.Store
	trail
}

// assemble builds the parts, leaves first.
func assemble(cfg Config, db keeper, log zerolog.Logger) *server {
	tenants := map[string]approval.Tenant{}
	writers := map[string]*mgmt.Writer{}
	for _, t := range cfg.ByTenant {
		base := baseURL(string(t.Domain))
		reader, writer := mgmt.Open(mgmt.Config{BaseURL: base, ClientID: string(t.ClientID),
			ClientSecret: string(t.ClientSecret)})
		jwks := []string{base}
		for _, d := range t.JWKSDomains {
			jwks = append(jwks, baseURL(d))
		}
		tenants[t.Name] = approval.Tenant{Name: t.Name, Reader: reader, JWKS: jwks,
			Frozen: cfg.frozen()}
		writers[t.Name] = writer
	}
	policy, panicked := cfg.policy(), &panicCount{}
	carrier := &approval.Carrier{
		Store: db, Tenants: tenants, Writers: writers, Owner: rand.Text(), Version: Version(), Now: time.Now, Timing: timing(),
		Report: func(id approval.ID, err error) {
			panicked.count(err)
			log.Warn().Str("request_id", string(id)).Err(err).Msg("carrying out is delayed")
		},
	}
	over := &watch.Watch{
		Store: db, Tenants: tenants, Every: time.Duration(cfg.WatchInterval), Now: time.Now,
		KeyMaxAge: time.Duration(cfg.KeyMaxAge), PreviousMaxAge: time.Duration(cfg.PreviousMaxAge),
		Report: func(tenant string, err error) {
			panicked.count(err)
			log.Warn().Str("tenant", tenant).Err(err).Msg("the watch over the keys is held up")
		},
	}
	b := bot.New(bot.Config{
		APIURL: string(cfg.SlackAPIUrl), AppToken: string(cfg.SlackAppToken),
		BotToken: string(cfg.SlackBotToken),
		Desk: approval.NewDesk(db, policy, tenants, time.Duration(cfg.ApprovalTTL), Version(),
			time.Now),
		Policy: policy, Tenants: tenants, Names: cfg.Tenants, Inbox: db, Trail: db, Posts: db,
		Channels: cfg.Channels, AuditChannel: string(cfg.AuditChannel),
		Mention: cfg.Mention == "on", Pace: pace(), Drill: cfg.Drill, Log: log, Now: time.Now,
		Reload: reloadBotToken(),
	})
	return &server{
		cfg: cfg, db: db, log: log, carrier: carrier, watch: over, bot: b, panicked: panicked,
		tenants: newTenantsReady(tenants, log), trail: &trailReady{db: db, log: log},
	}
}

// run runs the parts until ctx ends, or until one says that it cannot go on.
func (s *server) run(ctx context.Context) error {
	s.log.Info().Str("version", Version()).Strs("tenants", s.cfg.Tenants).Str("key", s.db.Public()).Msg("keyturn starts")
	if s.cfg.frozen() {
		s.log.Warn().Msg("keyturn is frozen: nothing is written to Auth0, " +
			"and Approve is refused; KEYTURN_FROZEN=off ends that")
	}
	defer s.log.Info().Msg("keyturn stopped")
	ctx, stop := context.WithCancel(ctx)
	began := false
	defer func() {
		if began {
			s.recordStop(ctx)
		}
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	listening, err := s.listen(ctx, &wg)
	if err != nil {
		return fmt.Errorf("%w: KEYTURN_HTTP_ADDR: %w", ErrSetup, err)
	}
	if listening != "" {
		s.log.Info().Str("addr", listening).Msg("listening")
	}
	wg.Go(func() { s.trail.run(ctx) })
	for err := s.begin(ctx); err != nil; err = s.begin(ctx) {
		s.log.Error().Err(err).Msg("the trail cannot be begun")
		if !sleep(ctx, time.Second) {
			return nil
		}
	}
	began = true
	wg.Go(func() { s.carrier.Run(ctx) })
	wg.Go(func() { s.watch.Run(ctx) })
	wg.Go(func() { s.tenants.run(ctx) })
	wg.Go(func() { s.checkpointDaily(ctx) })
	wg.Go(func() { s.forgetHourly(ctx) })
	wg.Go(func() { newClocks(s.watch.Tenants, s.log).run(ctx) })
	err = s.bot.Run(ctx)
	if errors.Is(err, bot.ErrNotAlone) {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return err
}

// begin is what comes before anything else is written: what is recorded before the
// posts begin would never be posted.
func (s *server) begin(ctx context.Context) error {
	if err := s.bot.BeginPosts(ctx); err != nil {
		return err
	}
	return s.recordStart(ctx)
}

// sleep reports whether the whole of d went by; it ends early with ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Version is keyturn's, as it was built.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 &&
			!strings.Contains(info.Main.Version, s.Value[:12]) {
			return info.Main.Version + " " + s.Value[:12]
		}
	}
	return info.Main.Version
}
