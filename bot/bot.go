// Package bot is Slack's side of the table: it turns words and presses into calls
// on the desk, and entries of the trail into cards and posts.
//
// It has no rules and writes nothing to Auth0. A press goes one way: receiver.go
// keeps it in the inbox and lets it be acknowledged, inbox.go decides whose turn it is,
// moves.go establishes who and where (people.go, groups.go, places.go) and hands the move to
// the desk, refused.go counts those that did not count, and answers.go tells the person.
// announcer.go shows what became of it: on the card (card.go, evidence.go), in its thread
// (posts.go, lines.go) and in the audit channel (trail.go). Most of it goes out through
// send.go, when pace.go lets it; in a drill all of it is marked (drill.go).
//
// What is typed goes another way: words.go and verb.go read the command, commands.go answers
// it where reading.go allows that, forms.go opens the form (modal.go), and kids.go finds the
// key that is meant.
//
// What decides who counts is read by read.go; codes.go says what an error of Slack's is
// about. standing.go looks now and then at what an incident will need, token.go at the
// token, and findings.go keeps what is wrong.
package bot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/socket"
)

// Inbox keeps what was received until it is worked.
type Inbox interface {
	Receive(ctx context.Context, id, payload string) error
	// Unworked reads what is not worked yet, oldest first, until take returns false.
	Unworked(
		ctx context.Context, from time.Time, take func(id, payload string, received time.Time) bool,
	) error
	Worked(ctx context.Context, ids ...string) error
}

// Trail reads what was recorded.
type Trail interface {
	Request(ctx context.Context, id approval.ID) (approval.Request, error)
	OpenRequests(ctx context.Context) ([]approval.Request, error)
	Story(ctx context.Context, id approval.ID) ([]audit.Entry, error)
	MovedSince(ctx context.Context, at time.Time) ([]approval.ID, error)
	Entries(ctx context.Context, after int64, limit int) ([]audit.Entry, error)
	EntriesIn(ctx context.Context, channel string, after int64, limit int) ([]audit.Entry, error)
	Size(ctx context.Context) (int64, error)
	Root(ctx context.Context, size int64) (hex string, err error)
	Note(ctx context.Context, e audit.Entry) error
	Changed() <-chan struct{} // closed at the next commit
}

// Posts keeps what Slack was shown.
type Posts interface {
	ChannelsBehind(ctx context.Context, auditChannel string) ([]string, error)
	CardsBehind(ctx context.Context, channel string) ([]approval.ID, error)
	Cards(ctx context.Context, id approval.ID) (ts []string, err error)
	SetCard(ctx context.Context, id approval.ID, ts string, shown int64) error
	DropCard(ctx context.Context, id approval.ID, ts string) error
	BeginPosts(ctx context.Context, channel string) error
	Posted(ctx context.Context, channel string) (int64, error)
	SetPosted(ctx context.Context, channel string, seq int64) error
	Joined(ctx context.Context, channel string, id approval.ID, person string) (ts string, seq int64, err error)
	SetJoined(ctx context.Context, channel string, id approval.ID, person, ts string, seq int64) error
}

// Config is what a bot is made of.
type Config struct {
	APIURL   string                                                            // Slack's Web API, with a slash at the end
	AppToken string                                                            // xapp-…
	BotToken string                                                            // xoxb-…
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network

	Desk    *approval.Desk
	Policy  approval.Policy
	Tenants map[string]approval.Tenant
	Names   []string // of the tenants, in the order of the configuration
	Inbox   Inbox
	Trail   Trail
	Posts   Posts

	Channels     []string // where requests may be asked for; empty: wherever the bot is
	AuditChannel string
	Mention      bool
	Pace         time.Duration // between two posts in a channel; 0: DefaultPace
	Drill        bool          // the tenants are simulated: whatever is shown says so, and Run may end with ErrNotAlone

	// Reload reads the bot token again, from where it may have been replaced. nil: it cannot
	// be replaced while keyturn runs.
	Reload func() (botToken string, err error)

	Log zerolog.Logger
	Now func() time.Time
}

// Bot is keyturn in one workspace.
type Bot struct {
	Config
	logins atomic.Pointer[login] // replaced as a whole; use client
	token  tokenState
	http   *http.Client
	socket *socket.Socket
	slack  *reader
	people *people
	pace   *pace

	announcer *announcer
	answers   answers
	commands  *budget // by person
	reads     *budget
	forms     *budget
	asks      *budget
	shares    *budget

	arrived  chan struct{}  // holds one: the inbox has something new
	reading  chan struct{}  // held by each command that looks at something
	stopping chan struct{}  // closed when Run is to end
	working  sync.WaitGroup // commands, forms and answers that are being worked
	panicked atomic.Int64   // pieces of work that panicked

	mu       sync.Mutex
	troubled error // why presses cannot reach us; nil: they can
	counted  int   // connections of the app that Slack counted at the last hello
	held     int   // those of them that were ours
	findings map[string]finding

	auditShared string // whether outsiders read the audit channel: yes, no; "": not looked yet

	lastSlash atomic.Value // of slash: the command's name, as it came last

	judged  chan struct{} // closed at the first hello of a drill
	refused error         // why a drill does not go on; nil: it may
}

// New returns a bot that is not yet connected.
func New(cfg Config) *Bot {
	if cfg.Pace == 0 {
		cfg.Pace = DefaultPace
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if cfg.Dial != nil {
		transport.DialContext, transport.Proxy = cfg.Dial, nil
	}
	b := &Bot{
		Config:    cfg,
		http:      &http.Client{Transport: transport, Timeout: 20 * time.Second},
		announcer: newAnnouncer(),
		answers:   answers{queue: map[string][]*answer{}, last: map[string]lastSaid{}},
		commands:  newBudget(commandBudget, cfg.Now), asks: newBudget(askBudget, cfg.Now),
		forms:  newBudget(formBudget, cfg.Now),
		reads:  newBudget(readBudget, cfg.Now),
		shares: newBudget(shareBudget, cfg.Now), arrived: make(chan struct{}, 1),
		reading: make(chan struct{}, maxReading), stopping: make(chan struct{}),
		troubled: errors.New("not connected yet"), judged: make(chan struct{}),
		token: tokenState{doubted: make(chan struct{}, 1)}, findings: map[string]finding{},
	}
	b.logIn(cfg.BotToken)
	b.pace = newPace(cfg.Pace, cfg.Now)
	b.slack = newSlackReader(cfg, b.http, func() string { return b.logins.Load().token }, b.suspect)
	b.people = newPeople(b.slack, cfg.Now)
	b.socket = socket.New(socket.Config{
		Open: b.openSocket, Dial: cfg.Dial, Report: b.report,
		AckFirst: func(kind string) bool { return b.deaf() == nil && b.acksFirst(kind) },
	})
	return b
}

// Run works until ctx ends, and returns nil then, or an error that no retry mends; in a
// drill that may be ErrNotAlone. While Slack cannot be reached it goes on trying, and Ready
// says why.
func (b *Bot) Run(ctx context.Context) error {
	if err := b.identify(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	halt := sync.OnceFunc(func() { close(b.stopping) })
	defer context.AfterFunc(ctx, halt)()
	var tokenless error
	var wg sync.WaitGroup
	defer b.working.Wait() // after whatever may still answer somebody
	defer wg.Wait()
	defer halt()
	inner, stop := context.WithCancel(ctx)
	defer stop()
	serving, end := context.WithCancel(ctx)
	defer end()
	wg.Go(func() {
		if !b.alone(inner) {
			end()
			return
		}
		wg.Go(func() { b.watchStanding(inner) })
		wg.Go(func() {
			if tokenless = b.watchToken(inner); tokenless != nil {
				end()
			}
		})
		wg.Go(func() { b.workInbox(inner) }) // each row is guarded by itself
		wg.Go(func() { b.announce(inner) })
		wg.Go(func() { b.drawAgain(inner) })
	})
	err := b.socket.Serve(serving, b.hear)
	if err != nil {
		// No press reaches us any more. What two people agreed on is still carried out.
		b.trouble(err)
		b.waitForEnds(ctx, func() bool { return false })
		return fmt.Errorf("connecting to Slack with KEYTURN_SLACK_APP_TOKEN: %w", err)
	}
	stop()
	wg.Wait()
	return errors.Join(tokenless, b.refusal())
}

// identify learns which workspace the tokens are for. It tries until Slack answers.
func (b *Bot) identify(ctx context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		who, err := b.slack.whoAmI(ctx)
		switch {
		case err == nil && (who.Team == "" || strings.HasPrefix(who.Team, "E")):
			// Assumption: an org-wide install is told by the organisation's id in place of
			// a workspace's.
			return errors.New("the bot token is of an org-wide install; install keyturn in one workspace")
		case err == nil:
			b.people.install = install{Team: who.Team, Enterprise: who.Enterprise, URL: who.URL}
			b.setToken("")
			b.Log.Info().Str("team", who.Team).Str("user", who.User).Msg("Slack knows us")
			return nil
		case ctx.Err() != nil:
			return nil
		case socket.Permanent(said(err)):
			return fmt.Errorf("asking Slack who we are: %s; check KEYTURN_SLACK_BOT_TOKEN", said(err))
		}
		b.trouble(fmt.Errorf("asking Slack who we are: %w", err))
		b.Log.Warn().Err(err).Dur("pause", pause).Msg("Slack cannot be reached")
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// openSocket asks Slack for the address of a new connection.
func (b *Bot) openSocket(ctx context.Context) (string, error) {
	_, url, err := b.client().StartSocketModeContext(ctx)
	if err == nil {
		return url, nil
	}
	open := &socket.OpenError{Code: said(err), Err: err}
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		open.RetryAfter = limited.RetryAfter
	}
	return "", open
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

// permalink leads to a message. It is put together here, since asking Slack for it
// would cost a call where none is needed.
func (b *Bot) permalink(channel, ts string) string {
	return strings.TrimSuffix(b.people.install.URL, "/") + "/archives/" + channel + "/p" + strings.ReplaceAll(ts, ".", "")
}

// cardLink names a request by a link to its card.
func (b *Bot) cardLink(ctx context.Context) func(*approval.Request) string {
	return func(r *approval.Request) string {
		cards, err := b.Posts.Cards(ctx, r.ID)
		if err != nil || len(cards) == 0 || b.people.install.URL == "" {
			return code(string(r.ID))
		}
		return "<" + b.permalink(r.Channel, cards[0]) + "|" + escape(string(r.ID)) + ">"
	}
}

// Close closes idle connections.
func (b *Bot) Close() { b.http.CloseIdleConnections() }
