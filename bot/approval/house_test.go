package approval_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// house is a desk and a carrier over a real database and a simulated tenant, in
// memory, inside a bubble of synctest: time passes only when everybody waits.
type house struct {
	t       *testing.T
	path    string
	store   *store.Store
	tenant  *auth0sim.Tenant
	reader  *mgmt.Reader
	desk    *approval.Desk
	carrier *approval.Carrier
	stop    func()
	frozen  bool // from the next start on

	mu      sync.Mutex
	reports []error
}

var policy = approval.Policy{Approvers: []string{"UALICE", "UBOB", "SONCALL"}, Requesters: []string{"*"}}

// inHouse runs a test in a bubble with a house in it.
func inHouse(t *testing.T, cfg auth0sim.Config, test func(t *testing.T, h *house)) {
	t.Helper()
	auth0sim.New(auth0sim.Config{Previous: 2}).Close() // the stock of RSA keys is filled outside the bubble
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, path: path, tenant: auth0sim.New(cfg)}
		defer h.tenant.Close()
		h.open()
		defer h.close()
		test(t, h)
	})
}

// open starts keyturn on the house's database, as after a crash.
func (h *house) open() {
	h.t.Helper()
	h.start(h.tenant.Dial, func(s *store.Store) approval.Store { return s })
}

// start starts keyturn with another way to Auth0, and over a store that may misbehave.
func (h *house) start(dial func(context.Context, string, string) (net.Conn, error), over func(*store.Store) approval.Store) {
	h.t.Helper()
	var err error
	if h.store, err = store.Open(context.Background(), h.path, h.path+".key", time.Now); err != nil {
		h.t.Fatal(err)
	}
	reader, writer := mgmt.Open(mgmt.Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: dial})
	h.reader = reader
	db := over(h.store)
	tenants := map[string]approval.Tenant{"prod": {Name: "prod", Reader: reader,
		JWKS: []string{"http://acme.test"}, Frozen: h.frozen}}
	h.desk = approval.NewDesk(db, policy, tenants, 30*time.Minute, "test", time.Now)
	h.carrier = &approval.Carrier{
		Store: db, Tenants: tenants, Writers: map[string]*mgmt.Writer{"prod": writer},
		Owner: "test", Version: "test", Now: time.Now, Timing: approval.DefaultTiming(),
		Report: func(id approval.ID, err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.reports = append(h.reports, err)
		},
	}
	h.stop = run(context.Background(), h.carrier)
}

// run lets a carrier run until the function that is returned was called.
func run(ctx context.Context, c *approval.Carrier) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (h *house) close() {
	h.stop()
	h.reader.Close()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

func person(user string) approval.Person {
	return approval.Person{Actor: audit.Actor{Team: "T1", User: user, Name: user}}
}

// kid returns the kid of the first key in a role.
func (h *house) kid(role string) string {
	for _, k := range h.tenant.Keys() {
		if k.Role == role {
			return k.KID
		}
	}
	return ""
}

func (h *house) ask(action approval.Action, kid string) approval.Request {
	h.t.Helper()
	r, err := h.desk.Ask(h.t.Context(), asking(action, kid))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// askAnew asks for what was asked for before, in another modal.
func (h *house) askAnew(action approval.Action) approval.Request {
	h.t.Helper()
	a := asking(action, "")
	a.Cause = rand.Text()
	r, err := h.desk.Ask(h.t.Context(), a)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func asking(action approval.Action, kid string) approval.Ask {
	return approval.Ask{
		Cause: "V" + string(action) + kid, Person: person("UALICE"), Tenant: "prod", Action: action, KID: kid,
		Reason: "pasted in a build log", Channel: "C1",
		Approvers: []approval.Candidate{{Person: person("UALICE")}, {Person: person("UBOB")}},
	}
}

func (h *house) press(verb approval.Verb, id approval.ID, user string) error {
	_, _, err := h.desk.Press(h.t.Context(), approval.Press{Request: id, Verb: verb, Person: person(user), Received: time.Now()})
	return err
}

func (h *house) approve(id approval.ID) {
	h.t.Helper()
	if err := h.press(approval.Approve, id, "UBOB"); err != nil {
		h.t.Fatal(err)
	}
}

// await waits until the request is in a state, for two hours of bubble time at most.
func (h *house) await(id approval.ID, want approval.State) approval.Request {
	h.t.Helper()
	limit := time.After(2 * time.Hour)
	for {
		changed := h.store.Changed()
		r := h.request(id)
		if r.State == want {
			return r
		}
		if r.State.IsFinal() {
			h.t.Fatalf("request is %s, want %s; story: %v; reports: %v", r.State, want, h.kinds(id), h.reports)
		}
		select {
		case <-changed:
		case <-limit:
			h.t.Fatalf("request stays %s, want %s; story: %v; reports: %v", r.State, want, h.kinds(id), h.reports)
		}
	}
}

func (h *house) request(id approval.ID) approval.Request {
	h.t.Helper()
	r, err := h.store.Request(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) story(id approval.ID) []audit.Entry {
	h.t.Helper()
	story, err := h.store.Story(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return story
}

func (h *house) kinds(id approval.ID) []audit.Kind {
	var kinds []audit.Kind
	for _, e := range h.story(id) {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// effects counts the calls that changed a key, and all writes that arrived.
func (h *house) effects(op string) (effects, calls int) {
	for _, c := range h.tenant.History() {
		if c.Op != op || c.Via != "api" {
			continue
		}
		calls++
		if c.Effect {
			effects++
		}
	}
	return effects, calls
}

func (h *house) wantEffects(rotates, revokes int) {
	h.t.Helper()
	if n, _ := h.effects("rotate"); n != rotates {
		h.t.Errorf("%d rotations took effect, want %d", n, rotates)
	}
	if n, _ := h.effects("revoke"); n != revokes {
		h.t.Errorf("%d revocations took effect, want %d", n, revokes)
	}
}

// why returns the reason of a refusal, or fails.
func why(t *testing.T, err error) approval.Why {
	t.Helper()
	var no *approval.Refusal
	if !errors.As(err, &no) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return no.Why
}

// forge changes the database from outside, as somebody does who has the disk.
func (h *house) forge(statement string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		h.t.Fatal(err)
	}
	// The carrier wakes at commits of its own process and at what is due.
	h.stop()
	h.store.Close()
	h.reader.Close()
	h.open()
}

// awaitRow is await where the story cannot be read any more.
func (h *house) awaitRow(id approval.ID, want approval.State) {
	h.t.Helper()
	for changed := h.store.Changed(); h.request(id).State != want; changed = h.store.Changed() {
		select {
		case <-changed:
		case <-time.After(time.Hour):
			h.t.Fatalf("request stays %s, want %s", h.request(id).State, want)
		}
	}
}

// awaitEntry waits until the request's story has an entry of a kind.
func (h *house) awaitEntry(id approval.ID, want audit.Kind) {
	h.t.Helper()
	for {
		changed := h.store.Changed()
		if slices.Contains(h.kinds(id), want) {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Hour):
			h.t.Fatalf("no entry %s; story: %v", want, h.kinds(id))
		}
	}
}

// restart starts keyturn again, over a store that misbehaves.
func (h *house) restart(over func(*store.Store) approval.Store) {
	h.t.Helper()
	h.close()
	h.start(h.tenant.Dial, over)
}

// list is the list of keys as Auth0 would answer now.
func list(tenant *auth0sim.Tenant) string {
	var keys []map[string]any
	for _, k := range tenant.Keys() {
		keys = append(keys, map[string]any{"kid": k.KID, "cert": k.Cert, k.Role: true})
	}
	b, err := json.Marshal(keys)
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	return string(b)
}
