package watch_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/bot/watch"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// house is a watch beside a desk and a carrier, over a real database and a simulated
// tenant, inside a bubble of synctest.
type house struct {
	t      *testing.T
	path   string
	tenant *auth0sim.Tenant
	change func(*watch.Watch)

	store    *store.Store
	reader   *mgmt.Reader
	desk     *approval.Desk
	counting *counting
	beside   atomic.Pointer[beside] // happens beside the next entry of its kind
	stop     func()
}

// inHouse runs a test in a bubble with a house in it, whose watch change may change.
func inHouse(t *testing.T, cfg auth0sim.Config, change func(*watch.Watch), test func(t *testing.T, h *house)) {
	t.Helper()
	auth0sim.New(auth0sim.Config{Previous: 6}).Close() // the stock of RSA keys is filled outside the bubble
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, path: path, tenant: auth0sim.New(cfg), change: change}
		defer h.tenant.Close()
		h.open()
		defer h.close()
		test(t, h)
	})
}

// open starts keyturn, as after a crash.
func (h *house) open() {
	h.t.Helper()
	var err error
	if h.store, err = store.Open(context.Background(), h.path, h.path+".key", time.Now); err != nil {
		h.t.Fatal(err)
	}
	reader, writer := mgmt.Open(mgmt.Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: h.tenant.Dial})
	h.reader = reader
	tenants := map[string]approval.Tenant{"prod": {Name: "prod", Reader: reader, JWKS: []string{"http://acme.test"}}}
	policy := approval.Policy{Approvers: []string{"UALICE", "UBOB"}, Requesters: []string{"*"}}
	h.desk = approval.NewDesk(h.store, policy, tenants, 30*time.Minute, "test", time.Now)
	carrier := &approval.Carrier{
		Store: h.store, Tenants: tenants, Writers: map[string]*mgmt.Writer{"prod": writer},
		Owner: "test", Version: "test", Now: time.Now, Timing: approval.DefaultTiming(),
	}
	h.counting = &counting{Store: &crowded{h.store, h}}
	w := &watch.Watch{
		Store: h.counting, Tenants: tenants, Every: time.Minute, Now: time.Now,
		Report: func(string, error) {},
	}
	if h.change != nil {
		h.change(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { carrier.Run(ctx) })
	wg.Go(func() { w.Run(ctx) })
	h.stop = func() {
		cancel()
		wg.Wait()
	}
}

func (h *house) close() {
	h.stop()
	h.reader.Close()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *house) restart() {
	h.t.Helper()
	h.close()
	h.open()
}

// pass lets time pass, and what goes on in it come to rest.
func (h *house) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *house) kid(role string) string {
	for _, k := range h.tenant.Keys() {
		if k.Role == role {
			return k.KID
		}
	}
	return ""
}

func person(user string) approval.Person {
	return approval.Person{Actor: audit.Actor{Team: "T1", User: user, Name: user}}
}

// ask asks for a change, and returns its id; "": it was refused.
func (h *house) ask(action approval.Action, kid string) approval.ID {
	h.t.Helper()
	r, err := h.desk.Ask(context.Background(), approval.Ask{
		Cause: time.Now().String(), Person: person("UALICE"), Tenant: "prod", Action: action, KID: kid,
		Reason: "pasted in a build log", Channel: "C1",
		Approvers: []approval.Candidate{{Person: person("UALICE")}, {Person: person("UBOB")}},
	})
	if err != nil {
		return ""
	}
	return r.ID
}

func (h *house) press(verb approval.Verb, id approval.ID, user string) {
	h.desk.Press(context.Background(), approval.Press{Request: id, Verb: verb, Person: person(user), Received: time.Now(), Cause: time.Now().String()})
}

// change asks for a change through keyturn and approves it.
func (h *house) changed(action approval.Action, kid string) approval.ID {
	h.t.Helper()
	id := h.ask(action, kid)
	if id == "" {
		h.t.Fatalf("%s was refused", action)
	}
	h.press(approval.Approve, id, "UBOB")
	return id
}

func (h *house) state(id approval.ID) approval.State {
	h.t.Helper()
	r, err := h.store.Request(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.State
}

// noted are the entries of a kind.
func (h *house) noted(kind audit.Kind) (out []audit.Entry) {
	h.t.Helper()
	all, err := h.store.Entries(context.Background(), 0, 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// wantAlarms checks how many alarms there are, and returns them.
func (h *house) wantAlarms(n int) []audit.Entry {
	h.t.Helper()
	all := h.noted(audit.Alarmed)
	if len(all) != n {
		var notes []string
		for _, e := range all {
			notes = append(notes, e.Note)
		}
		h.t.Fatalf("%d alarms, want %d: %q", len(all), n, notes)
	}
	return all
}
