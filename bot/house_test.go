package bot_test

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
	"keyturn/bot/store"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// house is keyturn between a simulated workspace and a simulated tenant, in memory,
// inside a bubble of synctest. What people do are methods; what they see is text.
type house struct {
	t      *testing.T
	path   string
	slack  *slacksim.Workspace
	tenant *auth0sim.Tenant
	policy approval.Policy
	names  []string
	places []string
	store  *store.Store
	reader *mgmt.Reader
	bot    *bot.Bot
	stop   func()
	log    *syncBuffer

	dial      func(ctx context.Context, network, addr string) (net.Conn, error) // to Slack
	mention   bool
	frozen    bool
	drill     bool
	wrap      func(bot.Inbox) bot.Inbox // nil: the store is the inbox
	wrapTrail func(bot.Trail) bot.Trail // nil: the bot reads the store
	reload    func() (string, error)    // of the bot token
	ended     func(error)               // what Run ends with; nil: it has to be nil
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const (
	room  = "C0ROOM"
	trail = "C0TRAIL"
)

// inHouse runs a test in a bubble with a house in it: alice and bob are approvers,
// dave is a member who is not, gina a guest, dan deactivated, xena of another
// workspace, bert a bot.
func inHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	inHouseOf(t, "/signing-keys", 1, test)
}

// inHouseOf is inHouse where the command is called so, and the tenant has that many
// previously used keys, at most 3.
func inHouseOf(t *testing.T, command string, previous int, test func(t *testing.T, h *house)) {
	t.Helper()
	// The stock of RSA keys is filled outside the bubble.
	auth0sim.New(auth0sim.Config{Previous: 3}).Close()
	manifest, err := os.ReadFile("../manifest.yml")
	if err != nil {
		t.Fatal(err)
	}
	manifest = bytes.ReplaceAll(manifest, []byte("/signing-keys"), []byte(command))
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		w, err := slacksim.New(slacksim.Config{Manifest: manifest})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		h := &house{
			t: t, path: path, slack: w, log: &syncBuffer{},
			tenant: auth0sim.New(auth0sim.Config{Previous: previous}),
			policy: approval.Policy{Approvers: []string{"UALICE", "SONCALL"}, Requesters: []string{"*"}}, names: []string{"prod"}, dial: w.Dial, mention: true,
		}
		defer h.tenant.Close()
		for _, p := range []slacksim.Person{
			{ID: "UALICE", Name: "alice"}, {ID: "UBOB", Name: "bob"}, {ID: "UDAVE", Name: "dave"},
			{ID: "UGINA", Name: "gina", Guest: true}, {ID: "UGUS", Name: "gus", SingleChannelGuest: true},
			{ID: "UDAN", Name: "dan", Deactivated: true}, {ID: "UXENA", Name: "xena", Team: "T0OTHER"},
			{ID: "UBERT", Name: "bert", Bot: true}, {ID: "UAPP", Name: "app", AppUser: true},
		} {
			w.AddPerson(p)
		}
		everybody := []string{"UALICE", "UBOB", "UDAVE", "UGINA", "UGUS", "UDAN", "UXENA", "UBERT", "UAPP"}
		w.AddGroup("SONCALL", "UBOB", "UGINA", "UGUS", "UDAN", "UXENA", "UBERT", "UAPP")
		w.AddChannel(slacksim.Channel{ID: room, Name: "incident", Members: append(slices.Clone(everybody), slacksim.BotID)})
		w.AddChannel(slacksim.Channel{ID: trail, Name: "trail", Members: []string{"UALICE", slacksim.BotID}})
		w.AddChannel(slacksim.Channel{ID: "C0EMPTY", Name: "empty", Members: everybody})
		w.AddChannel(slacksim.Channel{ID: "C0SHARED", Name: "shared", Members: append(slices.Clone(everybody), slacksim.BotID), ExtShared: true})
		w.AddChannel(slacksim.Channel{ID: "D0ALICE", DirectMessage: true, Members: []string{"UALICE", slacksim.BotID}})
		h.open()
		defer h.close()
		test(t, h)
	})
}

// open starts keyturn, as after a crash, and waits until presses reach it.
func (h *house) open() {
	h.t.Helper()
	carrier := h.build()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { carrier.Run(ctx) })
	wg.Go(func() {
		if err := h.bot.Run(ctx); h.ended != nil {
			h.ended(err)
		} else if err != nil {
			h.t.Errorf("the bot ended: %v", err)
		}
	})
	h.stop = func() {
		cancel()
		wg.Wait()
	}
	h.await("keyturn to be ready", func() bool { return h.slack.Sockets() == 1 })
	synctest.Wait()
}

// build puts keyturn together, and starts nothing of it.
func (h *house) build() *approval.Carrier {
	h.t.Helper()
	var err error
	if h.store, err = store.Open(context.Background(), h.path, h.path+".key", time.Now); err != nil {
		h.t.Fatal(err)
	}
	reader, writer := mgmt.Open(mgmt.Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: h.tenant.Dial})
	h.reader = reader
	tenants := map[string]approval.Tenant{}
	writers := map[string]*mgmt.Writer{}
	for _, name := range h.names {
		tenants[name] = approval.Tenant{Name: name, Reader: reader,
			JWKS: []string{"http://acme.test"}, Frozen: h.frozen}
		writers[name] = writer
	}
	log := zerolog.New(h.log)
	var inbox bot.Inbox = h.store
	if h.wrap != nil {
		inbox = h.wrap(inbox)
	}
	var reads bot.Trail = h.store
	if h.wrapTrail != nil {
		reads = h.wrapTrail(reads)
	}
	carrier := &approval.Carrier{
		Store: h.store, Tenants: tenants, Writers: writers, Owner: "test", Version: "test", Now: time.Now, Timing: approval.DefaultTiming(),
		Report: func(id approval.ID, err error) { log.Warn().Err(err).Msg("delayed") },
	}
	h.bot = bot.New(bot.Config{
		APIURL: "http://slack.test/api/", AppToken: "xapp-1-A0KEYTURN-1-sim", BotToken: "xoxb-sim", Dial: h.dial,
		Desk:   approval.NewDesk(h.store, h.policy, tenants, 30*time.Minute, "test", time.Now),
		Policy: h.policy, Tenants: tenants, Names: h.names, Inbox: inbox, Trail: reads, Posts: h.store,
		Channels: h.places, AuditChannel: trail, Mention: h.mention, Drill: h.drill, Log: log, Now: time.Now,
		Reload: h.reload,
	})
	if err := h.bot.BeginPosts(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	return carrier
}

func (h *house) close() {
	h.stop()
	h.bot.Close()
	h.reader.Close()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// await waits until cond is true, for an hour of bubble time at most.
func (h *house) await(what string, cond func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := h.slack.Await(ctx, cond); err != nil {
		h.t.Fatalf("waiting for %s: %v\n%s", what, err, h.log)
	}
}

func (h *house) kid(role string) string {
	for _, k := range h.tenant.Keys() {
		if k.Role == role {
			return k.KID
		}
	}
	return ""
}

// slash types a command and lets everything come to rest.
func (h *house) slash(user, line string) { h.slashIn(room, user, line) }

func (h *house) slashIn(channel, user, line string) {
	h.t.Helper()
	out, err := h.slack.Slash(user, channel, line)
	if err != nil || !out.Acked {
		h.t.Fatalf("%s types %s: %+v, %v", user, line, out, err)
	}
	h.rest()
}

// rest waits until nothing moves that does not wait for time to pass, and what there is
// to show is shown, as far as Slack takes it within half a minute.
func (h *house) rest() {
	h.t.Helper()
	for range 30 {
		time.Sleep(time.Second)
		synctest.Wait()
		behind, err := h.store.ChannelsBehind(context.Background(), trail)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(behind) == 0 {
			return
		}
	}
}

// submit fills in the modal before user and submits it.
func (h *house) submit(user string, values map[string]any) {
	h.t.Helper()
	out, err := h.slack.Submit(user, values)
	if err != nil || !out.Acked {
		h.t.Fatalf("%s submits: %+v, %v", user, out, err)
	}
	h.rest()
}

// ask asks for a change as alice does, and returns the card.
func (h *house) ask(line string) slacksim.Message {
	h.t.Helper()
	before := len(h.cards())
	h.slash("UALICE", "/signing-keys "+line)
	h.submit("UALICE", map[string]any{"reason": "pasted in a build log"})
	cards := h.cards()
	if len(cards) != before+1 {
		h.t.Fatalf("no card was posted; alice was told %q\n%s", h.told("UALICE"), h.log)
	}
	return cards[len(cards)-1]
}

// cards are the messages in the room that show a request.
func (h *house) cards() (out []slacksim.Message) {
	for _, m := range h.slack.Messages(room) {
		if strings.Contains(m.Shows(), " · entry #") && m.Thread == "" {
			out = append(out, m)
		}
	}
	return out
}

// press presses a button of a card.
func (h *house) press(user string, card slacksim.Message, action string) {
	h.t.Helper()
	out, err := h.slack.Press(user, card.Channel, card.TS, slacksim.Button{Action: action}, card)
	if err != nil || !out.Acked {
		h.t.Fatalf("%s presses %s: %+v, %v", user, action, out, err)
	}
	h.rest()
}

// told is what a user was told last, and nobody else.
func (h *house) told(user string) string {
	all := h.slack.Ephemerals(user, room)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].Shows()
}

// card is a card as it is shown now.
func (h *house) card(ts string) slacksim.Message {
	h.t.Helper()
	for _, m := range h.slack.Messages(room) {
		if m.TS == ts {
			return m
		}
	}
	h.t.Fatalf("no card %s", ts)
	return slacksim.Message{}
}

// thread is what a card's thread shows.
func (h *house) thread(ts string) string {
	var lines []string
	for _, m := range h.slack.Thread(room, ts) {
		lines = append(lines, m.Shows())
	}
	return strings.Join(lines, "\n")
}

// writes counts the writes that arrived at the tenant.
func (h *house) writes() int {
	n := 0
	for _, c := range h.tenant.History() {
		if c.Via == "api" && (c.Op == "rotate" || c.Op == "revoke") {
			n++
		}
	}
	return n
}

// unworked are the ids of the inbox that are not worked.
func (h *house) unworked() (ids []string) {
	h.t.Helper()
	err := h.store.Unworked(context.Background(), time.Time{}, func(id, _ string, _ time.Time) bool {
		ids = append(ids, id)
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return ids
}

func wantIn(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", what, want, got)
		}
	}
}

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// dump is every text that the database keeps.
func (h *house) dump() string {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	var all []string
	for _, query := range []string{`SELECT line FROM trail`, `SELECT payload FROM inbox`, `SELECT reason || link || pins || requester || approver FROM requests`} {
		rows, err := db.Query(query)
		if err != nil {
			h.t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				h.t.Fatal(err)
			}
			all = append(all, text)
		}
		if err := rows.Err(); err != nil {
			h.t.Fatal(err)
		}
	}
	if len(all) == 0 {
		h.t.Fatal("the database is empty")
	}
	return strings.Join(all, "\n")
}
