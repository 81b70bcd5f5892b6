// Package slacksim is a Slack workspace as seen on the wire: Socket Mode, the Web API
// methods that keyturn calls, and people who type, press and submit. It is for tests,
// and for trying keyturn out without an account.
//
// Never use it for anything real: it keeps nothing, and its tokens are known. It knows
// only what keyturn needs, and is strict about that: Block Kit's limits, scopes and
// commands from the manifest, membership of channels, trigger ids that live 3 s and
// work once, response URLs that work five times. What Slack's documentation does not
// say is an assumption, marked so at its place.
//
// It imports nothing of keyturn's and no Slack library, so that both sides cannot be
// wrong together.
package slacksim

import (
	"context"
	"encoding/json"
	"fmt"
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

// Config is what a workspace is made of.
type Config struct {
	Now      func() time.Time // nil: time.Now
	Manifest []byte           // of the app: its commands and scopes
	AppToken string           // "": xapp-1-A0KEYTURN-1-sim
	BotToken string           // "": xoxb-sim
}

// Workspace is a simulated workspace with one app in it. It is safe for concurrent
// use.
type Workspace struct {
	cfg      Config
	commands map[string]commandSpec
	scopes   []string
	listener *pipeListener
	server   *http.Server

	mu        sync.Mutex
	people    map[string]Person
	channels  map[string]*Channel
	groups    map[string][]string
	messages  map[string][]*Message // by channel
	ephemeral []*Message
	views     map[string][]*View // the stack of each user's modals, top last
	triggers  map[string]*trigger
	urls      map[string]*responseURL
	tickets   map[string]bool
	sockets   []*conn
	turn      int // which socket gets the next envelope
	faults    []*Fault
	history   []Call
	acks      []Ack
	host      string // under which the app calls us
	last      int64  // microseconds of the last ts
	number    int    // of ids given out
	changed   chan struct{}
}

type commandSpec struct {
	Command string `yaml:"command"`
	Escape  bool   `yaml:"should_escape"`
}

// New returns a workspace in which the app of the manifest is installed.
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
	var m struct {
		Features struct {
			Commands []commandSpec `yaml:"slash_commands"`
		} `yaml:"features"`
		OAuth struct {
			Scopes struct {
				Bot []string `yaml:"bot"`
			} `yaml:"scopes"`
		} `yaml:"oauth_config"`
		Settings struct {
			SocketMode bool `yaml:"socket_mode_enabled"`
		} `yaml:"settings"`
	}
	if err := yaml.Unmarshal(cfg.Manifest, &m); err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	if !m.Settings.SocketMode {
		return nil, fmt.Errorf("reading the manifest: socket mode is off")
	}
	w := &Workspace{
		cfg: cfg, commands: map[string]commandSpec{}, scopes: m.OAuth.Scopes.Bot, listener: newPipeListener(),
		people: map[string]Person{}, channels: map[string]*Channel{}, groups: map[string][]string{},
		messages: map[string][]*Message{}, views: map[string][]*View{}, triggers: map[string]*trigger{},
		urls: map[string]*responseURL{}, tickets: map[string]bool{}, changed: make(chan struct{}),
	}
	for _, c := range m.Features.Commands {
		w.commands[c.Command] = c
	}
	w.AddPerson(Person{ID: BotID, Name: "keyturn", Bot: true})
	w.server = &http.Server{Handler: w}
	go w.server.Serve(w.listener)
	return w, nil
}

// Dial returns an in-memory connection to the workspace, whatever addr says. It works
// inside a testing/synctest bubble.
func (w *Workspace) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return w.listener.dial(ctx)
}

// Close cuts all connections.
func (w *Workspace) Close() {
	w.Drop()
	w.server.Close()
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
		w.serveResponse(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// Person is somebody in the workspace, or somebody of another who is seen here.
type Person struct {
	ID, Name           string
	Guest              bool // of several channels
	SingleChannelGuest bool
	Deactivated        bool
	Bot                bool
	AppUser            bool
	Stranger           bool   // of another workspace, and without a channel in common
	Team               string // "": this workspace; another: Slack Connect
	Enterprise         string
}

// Channel is a place to write in.
type Channel struct {
	ID, Name      string
	Members       []string // the bot among them once it is invited
	Private       bool
	DirectMessage bool
	ExtShared     bool // with another organisation
	Archived      bool
}

// AddPerson adds somebody, or describes them anew.
func (w *Workspace) AddPerson(p Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Team == "" {
		p.Team = TeamID
	}
	w.people[p.ID] = p
}

// AddChannel adds a channel, or describes it anew.
func (w *Workspace) AddChannel(c Channel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.channels[c.ID] = &c
}

// AddGroup adds a user group, or describes it anew.
func (w *Workspace) AddGroup(id string, members ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups[id] = members
}

// Invite brings the bot into a channel.
func (w *Workspace) Invite(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels[channel]; c != nil && !slices.Contains(c.Members, BotID) {
		c.Members = append(c.Members, BotID)
	}
}

// Message is a message as it is shown now.
type Message struct {
	Channel  string
	TS       string
	Thread   string // ts of the message it is a reply to; "": none
	User     string
	To       string // ephemeral: who alone sees it
	Text     string
	Blocks   json.RawMessage
	Edits    int
	Mentions []string // ids of users and user groups, and channel, here, everyone
}

// Shows returns what a person reads: the blocks if there are any, or the text.
func (m Message) Shows() string {
	if len(m.Blocks) > 0 {
		return PlainText(m.Blocks)
	}
	return m.Text
}

// Messages returns what was posted in a channel and is not in a thread, in order.
func (w *Workspace) Messages(channel string) []Message {
	return w.posted(channel, func(m *Message) bool { return m.Thread == "" })
}

// Thread returns the replies to a message, in order.
func (w *Workspace) Thread(channel, ts string) []Message {
	return w.posted(channel, func(m *Message) bool { return m.Thread == ts })
}

func (w *Workspace) posted(channel string, want func(*Message) bool) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages[channel] {
		if want(m) {
			out = append(out, *m)
		}
	}
	return out
}

// Ephemerals returns what a user alone was shown in a channel, in order.
func (w *Workspace) Ephemerals(user, channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.ephemeral {
		if m.To == user && m.Channel == channel {
			out = append(out, *m)
		}
	}
	return out
}

// Delete removes a message, as its author or an administrator can.
func (w *Workspace) Delete(channel, ts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages[channel] = slices.DeleteFunc(w.messages[channel], func(m *Message) bool { return m.TS == ts })
	w.tellChange()
}

// Await returns nil once cond is true. It is looked at after every change, and may
// call the workspace's methods; ctx's error comes back where it ends first.
func (w *Workspace) Await(ctx context.Context, cond func() bool) error {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
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
