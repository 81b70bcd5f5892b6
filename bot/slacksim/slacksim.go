// Package slacksim is a Slack workspace as seen on the wire: Socket Mode, the Web API
// methods that keyturn calls and a few beside them, and people who type, press and
// submit. It is for tests, and for trying keyturn out without an account.
//
// Never use it for anything real: it keeps nothing, its tokens are known, and whoever
// reaches it may do everything.
//
// It is strict where Slack is known to be: Block Kit's limits, scopes and commands as
// the manifest says, who is in a channel, trigger ids that live 3 s and work once,
// response URLs that work five times within half an hour, acks that count only in time,
// below 20,480 bytes and on the socket that brought the envelope, sockets that end when
// their hello said they would. Nothing is delivered twice: Slack retries events only, and
// keyturn has none.
//
// It can be made as the field is: Slack's documented rate limits (SetLimits), calls that
// fail (Fault, Flaky), tokens that are good no more (SetBotToken), scopes that were not
// granted (SetScopes), an Enterprise Grid (Config) whose people may have two ids
// (Person.Global), channels where not everybody may post (Channel), user groups that are
// disabled (DisableGroup), and fields in other shapes (Patch). All that is off at first.
//
// It has no events, no files, no threads for commands, no app of a whole Enterprise Grid,
// no Home, and a view_closed is not sent. The history of a conversation cannot be read
// over the Web API.
//
// What Slack does not document is marked as an assumption where it is decided. On the
// whole: the stricter guess, so that what works here has more chance to work there.
//
// It imports nothing of keyturn's and no Slack library, so that both sides cannot be
// wrong together.
package slacksim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
)

// The ids of the workspace and of the app in it.
const (
	TeamID = "T0SIM"
	AppID  = "A0KEYTURN"
	BotID  = "U0KEYTURN" // the app's bot user
)

const (
	appBotID = "B0KEYTURN" // the app as the author of messages
	teamURL  = "https://sim.slack.example/"

	enterpriseName = "Simulated Organisation"
)

// Config is what a workspace is made of.
type Config struct {
	Now      func() time.Time // nil: time.Now
	Manifest []byte           // of the app: its commands, scopes and settings
	AppToken string           // "": xapp-1-A0KEYTURN-1-sim
	BotToken string           // "": xoxb-sim

	// Enterprise is the id, E…, of the Enterprise Grid that the workspace is in; "": none.
	Enterprise string
}

// Workspace is a simulated workspace with one app in it. It is safe for concurrent
// use.
type Workspace struct {
	cfg      Config
	app      app
	listener *pipeListener
	server   *http.Server
	done     chan struct{}  // closed by Close
	running  sync.WaitGroup // the server, and a count for each socket

	mu        sync.Mutex
	closed    bool
	people    map[string]Person
	channels  map[string]*Channel
	groups    map[string]group
	messages  map[string][]*Message // by channel
	ephemeral []*Message
	views     map[string][]*View // the stack of each user's modals, top last
	triggers  map[string]*trigger
	urls      map[string]*responseURL
	tickets   map[string]bool
	secrets   []string       // what was given out and must not be shown to anybody
	sockets   []*conn        // those that may get an envelope, the youngest last
	open      map[*conn]bool // those whose connection stands, closed or not
	joined    int            // sockets so far
	ghosts    int
	lifetime  time.Duration // of sockets to come
	alone     time.Time     // since when there is no socket; zero: there is, or was none yet
	longest   time.Duration // gap that is over
	turn      int           // which socket gets the next envelope
	waiting   map[string]*sent
	tokens    map[string]string // bot tokens: the error that each gets; "": it is good
	scopes    []string          // of the bot's tokens
	limited   bool
	buckets   map[string]*bucket
	counts    map[string]Count
	flaky     float64 // share of calls that are spoilt
	dice      *rand.Rand
	faults    []*Fault
	history   []Call
	acks      []Ack
	ends      []End
	host      string // under which the app called us last
	last      int64  // microseconds of the last ts
	number    int    // of ids given out
	changed   chan struct{}
}

// app is the app as its manifest describes it.
type app struct {
	commands    map[string]Command
	scopes      []string
	interactive bool
	messages    bool // people can be written to
}

// Command is a slash command of the app's, as its manifest has it.
type Command struct {
	Name        string `yaml:"command"`
	Description string `yaml:"description"`
	Hint        string `yaml:"usage_hint"`
	Escape      bool   `yaml:"should_escape"`
}

// readManifest reads what the workspace needs to know of the app.
func readManifest(manifest []byte) (app, error) {
	var m struct {
		Features struct {
			Home struct {
				Messages bool `yaml:"messages_tab_enabled"`
			} `yaml:"app_home"`
			Commands []Command `yaml:"slash_commands"`
		} `yaml:"features"`
		OAuth struct {
			Scopes struct {
				Bot []string `yaml:"bot"`
			} `yaml:"scopes"`
		} `yaml:"oauth_config"`
		Settings struct {
			SocketMode    bool `yaml:"socket_mode_enabled"`
			Interactivity struct {
				Enabled bool `yaml:"is_enabled"`
			} `yaml:"interactivity"`
		} `yaml:"settings"`
	}
	if err := yaml.Unmarshal(manifest, &m); err != nil {
		return app{}, err
	}
	a := app{
		commands: map[string]Command{}, scopes: m.OAuth.Scopes.Bot,
		interactive: m.Settings.Interactivity.Enabled, messages: m.Features.Home.Messages,
	}
	for _, c := range m.Features.Commands {
		a.commands[c.Name] = c
	}
	switch {
	case !m.Settings.SocketMode:
		return app{}, errors.New("socket mode is off")
	case len(a.commands) > 0 && !slices.Contains(a.scopes, "commands"):
		return app{}, errors.New("there are commands, but not the scope commands")
	}
	return a, nil
}

// New returns a workspace in which the app of the manifest is installed. An error means
// that the manifest cannot be read, or is of no app that speaks Socket Mode.
func New(cfg Config) (*Workspace, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.AppToken == "" {
		cfg.AppToken = "xapp-1-" + AppID + "-1-sim"
	}
	if cfg.BotToken == "" {
		cfg.BotToken = "xoxb-sim"
	}
	a, err := readManifest(cfg.Manifest)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	w := &Workspace{
		cfg: cfg, app: a, listener: newPipeListener(), done: make(chan struct{}),
		people: map[string]Person{}, channels: map[string]*Channel{}, groups: map[string]group{},
		tokens: map[string]string{cfg.BotToken: ""}, scopes: a.scopes,
		buckets: map[string]*bucket{}, counts: map[string]Count{},
		messages: map[string][]*Message{}, views: map[string][]*View{},
		triggers: map[string]*trigger{}, urls: map[string]*responseURL{}, tickets: map[string]bool{},
		open: map[*conn]bool{}, lifetime: lifetime, waiting: map[string]*sent{}, changed: make(chan struct{}),
	}
	w.AddPerson(Person{ID: BotID, Name: "keyturn", Bot: true})
	w.server = &http.Server{Handler: w}
	w.running.Go(func() { w.server.Serve(w.listener) })
	return w, nil
}

// Dial returns an in-memory connection to the workspace, whatever addr says. It works
// inside a testing/synctest bubble. An error means that the workspace is closed, or is
// ctx's.
func (w *Workspace) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return w.listener.dial(ctx)
}

// Close cuts all connections, and returns once the sockets' goroutines have ended. No
// socket is opened afterwards. It may be called again.
func (w *Workspace) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.done)
	}
	for c := range w.open {
		c.ws.Close()
	}
	w.mu.Unlock()
	w.server.Close()
	w.running.Wait()
}

// ServeHTTP is the workspace on the wire: the Web API under /api/, sockets under
// /link, and response URLs under /response/.
func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		w.serveMethod(rw, r, strings.TrimPrefix(r.URL.Path, "/api/"))
	case r.URL.Path == "/link":
		w.serveSocket(rw, r)
	case strings.HasPrefix(r.URL.Path, "/response/"):
		w.serveResponse(rw, r, strings.TrimPrefix(r.URL.Path, "/response/"))
	default:
		http.NotFound(rw, r)
	}
}

// Secrets returns what the workspace gave out so far that opens something: trigger ids,
// response URLs, and the tickets of sockets.
func (w *Workspace) Secrets() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.secrets)
}

// secret makes an id and remembers it. w.mu is held.
func (w *Workspace) secret(prefix string) string {
	id := w.newID(prefix)
	w.secrets = append(w.secrets, id)
	return id
}

// Await returns nil once cond is true. It is looked at after every change, and may
// call the workspace's methods; ctx's error comes back where that ends first.
func (w *Workspace) Await(ctx context.Context, cond func() bool) error {
	for {
		// The channel is taken before the look: what changes in between closes it.
		changed := w.Changed()
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

// Changed returns a channel that is closed at the next change of anything that people or
// the app did.
func (w *Workspace) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// tellChange wakes those who await. w.mu is held.
func (w *Workspace) tellChange() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// newID returns an id that was not given out before. w.mu is held.
func (w *Workspace) newID(prefix string) string {
	w.number++
	return fmt.Sprintf("%s%06d", prefix, w.number)
}

// newTS returns a ts that no other message has. w.mu is held.
func (w *Workspace) newTS() string {
	w.last = max(w.last+1, w.cfg.Now().UnixMicro())
	return fmt.Sprintf("%d.%06d", w.last/1e6, w.last%1e6)
}
