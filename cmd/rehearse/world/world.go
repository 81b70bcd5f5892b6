// Package world is where the rehearsal plays: a simulated Slack workspace, a simulated
// Auth0 tenant, and the real keyturn between them as a process of its own, on loopback
// alone. Nothing of it is kept.
package world

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"keyturn"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// The people and places of the rehearsal.
const (
	Alice = "U0ALICE" // an approver, who asks
	Bob   = "U0BOB"   // the second person
	Carol = "U0CAROL" // a member who may neither ask nor approve
	Gina  = "U0GINA"  // a guest
	Xena  = "U0XENA"  // of another workspace

	Incident = "C0INCIDENT"
	Trail    = "C0TRAIL"

	// TenantName is the tenant's in keyturn's configuration.
	TenantName = "prod"
)

// People are those of the rehearsal, the requester first.
var People = []slacksim.Person{
	{ID: Alice, Name: "alice"}, {ID: Bob, Name: "bob"}, {ID: Carol, Name: "carol"},
	{ID: Gina, Name: "gina", Guest: true}, {ID: Xena, Name: "xena", Team: "T0OTHER"},
}

// Channels are those of the rehearsal. Assumption: that somebody of another workspace is in
// a channel which is not marked as shared does not happen. Here it does, so that people see
// that even then they do not count; in a channel that is marked nothing can be asked for at
// all.
var Channels = []slacksim.Channel{
	{ID: Incident, Name: "incident", Members: []string{Alice, Bob, Carol, Gina, Xena, slacksim.BotID}},
	{ID: Trail, Name: "signing-keys-trail", Members: []string{Alice, Bob, slacksim.BotID}},
}

// patience bounds each wait for keyturn; it is not how long anything takes.
const patience = 30 * time.Second

// World is a workspace and a tenant, and a keyturn between them.
type World struct {
	Slack   *slacksim.Workspace
	Tenant  *auth0sim.Tenant
	Keyturn *Keyturn

	SlackURL, Auth0URL string // of the simulators, on loopback

	servers []*http.Server
	dir     string // of the database, gone at the end
}

// New returns a world in which keyturn is not started yet. Close must be called.
func New() (*World, error) {
	slack, err := slacksim.New(slacksim.Config{Manifest: keyturn.Manifest})
	if err != nil {
		return nil, err
	}
	w := &World{Slack: slack, Tenant: auth0sim.New(auth0sim.Config{Previous: 1})}
	for _, p := range People {
		slack.AddPerson(p)
	}
	for _, c := range Channels {
		slack.AddChannel(c)
	}
	if w.SlackURL, err = w.listen(slack); err == nil {
		w.Auth0URL, err = w.listen(w.Tenant)
	}
	if err == nil {
		w.dir, err = os.MkdirTemp("", "keyturn-rehearsal-")
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	w.Keyturn = NewKeyturn(w.Variables())
	return w, nil
}

// listen serves h on loopback and returns its address.
func (w *World) listen(h http.Handler) (string, error) {
	s, address, err := Listen(h)
	if err == nil {
		w.servers = append(w.servers, s)
	}
	return address, err
}

// Listen serves h on a port of 127.0.0.1, to whoever is no page of another origin, and
// returns its address. The server must be closed.
func Listen(h http.Handler) (s *http.Server, address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	s = &http.Server{Handler: sameOrigin(l.Addr().String(), h), ReadHeaderTimeout: 5 * time.Second}
	go s.Serve(l)
	return s, "http://" + l.Addr().String(), nil
}

// Variables are the environment of a keyturn in this world, each as NAME=value.
func (w *World) Variables() []string {
	return append(TenantVariables(TenantName, w.Auth0URL),
		"KEYTURN_SLACK_APP_TOKEN=xapp-1-"+slacksim.AppID+"-1-sim",
		"KEYTURN_SLACK_BOT_TOKEN=xoxb-sim",
		"KEYTURN_SLACK_API_URL="+w.SlackURL+"/api/",
		"KEYTURN_APPROVERS="+Alice+","+Bob,
		"KEYTURN_AUDIT_CHANNEL="+Trail,
		"KEYTURN_WATCH_INTERVAL=5s", // nobody wants to wait a minute for an alarm
		"KEYTURN_DATABASE_URL="+w.Database(),
	)
}

// TenantVariables are the part of a keyturn's environment that is about tenants, with a
// simulated one as its only one.
func TenantVariables(name, address string) []string {
	prefix := "KEYTURN_TENANT_" + strings.ToUpper(name)
	return []string{
		"KEYTURN_TENANTS=" + name, prefix + "_DOMAIN=" + address, prefix + "_CLIENT_ID=sim-client", prefix + "_CLIENT_SECRET=sim-secret",
	}
}

// Database is the path of keyturn's database.
func (w *World) Database() string { return filepath.Join(w.dir, "keyturn.db") }

// Start starts keyturn, and returns once Slack has a socket of it.
func (w *World) Start(ctx context.Context) error {
	if err := w.Keyturn.Start(); err != nil {
		return err
	}
	if err := w.Await(ctx, func() bool { return w.Slack.Sockets() > 0 }); err != nil {
		return fmt.Errorf("keyturn did not connect: %w\nits log:\n%s", err, w.Keyturn.Log())
	}
	return nil
}

// Await waits for what keyturn should do, as Slack shows it, and no longer than it runs.
func (w *World) Await(ctx context.Context, cond func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Slack.Await(ctx, cond) }()
	select {
	case err := <-done:
		return err
	case <-w.Keyturn.Ended():
		return fmt.Errorf("keyturn ended: %w", w.Keyturn.Err())
	}
}

// Close leaves nothing behind.
func (w *World) Close() {
	if w.Keyturn != nil {
		w.Keyturn.Kill()
	}
	for _, s := range w.servers {
		s.Close()
	}
	w.Slack.Close()
	w.Tenant.Close()
	os.RemoveAll(w.dir)
}
