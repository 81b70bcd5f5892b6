package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"keyturn"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// The people and places of the rehearsal.
const (
	alice = "U0ALICE" // an approver, who asks
	bob   = "U0BOB"   // the second person
	carol = "U0CAROL" // a member who is no approver

	incident = "C0INCIDENT"
	trail    = "C0TRAIL"
)

// patience bounds each wait of the story; it is not how long anything takes.
const patience = 30 * time.Second

// world is a workspace and a tenant, on loopback, and a keyturn between them.
type world struct {
	slack    *slacksim.Workspace
	tenant   *auth0sim.Tenant
	slackURL string
	auth0URL string
	servers  []*http.Server

	dir    string // of the database and of the log, gone at the end
	child  *exec.Cmd
	exited chan error // what became of child
	logged *os.File
}

func newWorld() (*world, error) {
	slack, err := slacksim.New(slacksim.Config{Manifest: keyturn.Manifest})
	if err != nil {
		return nil, err
	}
	w := &world{slack: slack, tenant: auth0sim.New(auth0sim.Config{Previous: 1})}
	for _, p := range []slacksim.Person{{ID: alice, Name: "alice"}, {ID: bob, Name: "bob"}, {ID: carol, Name: "carol"}} {
		slack.AddPerson(p)
	}
	slack.AddChannel(slacksim.Channel{ID: incident, Name: "incident", Members: []string{alice, bob, carol, slacksim.BotID}})
	slack.AddChannel(slacksim.Channel{ID: trail, Name: "signing-keys-trail", Members: []string{alice, bob, slacksim.BotID}})
	if w.slackURL, err = w.listen(slack); err == nil {
		w.auth0URL, err = w.listen(w.tenant)
	}
	if err == nil {
		w.dir, err = os.MkdirTemp("", "keyturn-rehearsal-")
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// listen serves h on loopback and returns its address.
func (w *world) listen(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	w.servers = append(w.servers, s)
	go s.Serve(l)
	return "http://" + l.Addr().String(), nil
}

// variables are the environment of a keyturn in this world.
func (w *world) variables() []string {
	return []string{
		"KEYTURN_SLACK_APP_TOKEN=xapp-1-" + slacksim.AppID + "-1-sim",
		"KEYTURN_SLACK_BOT_TOKEN=xoxb-sim",
		"KEYTURN_SLACK_API_URL=" + w.slackURL + "/api/",
		"KEYTURN_APPROVERS=" + alice + "," + bob,
		"KEYTURN_AUDIT_CHANNEL=" + trail,
		"KEYTURN_TENANTS=prod",
		"KEYTURN_TENANT_PROD_DOMAIN=" + w.auth0URL,
		"KEYTURN_TENANT_PROD_CLIENT_ID=sim-client",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET=sim-secret",
		"KEYTURN_DATABASE_URL=" + filepath.Join(w.dir, "keyturn.db"),
	}
}

// start runs keyturn: this very program again, as a process of its own. It returns
// once Slack has a socket of it.
func (w *world) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if w.logged, err = os.Create(filepath.Join(w.dir, "keyturn.log")); err != nil {
		return err
	}
	w.child = exec.Command(self, asKeyturn)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "KEYTURN_") {
			w.child.Env = append(w.child.Env, kv)
		}
	}
	w.child.Env = append(w.child.Env, w.variables()...)
	w.child.Stderr = w.logged
	if err := w.child.Start(); err != nil {
		return fmt.Errorf("starting keyturn: %w", err)
	}
	w.exited = make(chan error, 1)
	go func(child *exec.Cmd) { w.exited <- child.Wait() }(w.child)
	if err := w.await(ctx, func() bool { return w.slack.Sockets() > 0 }); err != nil {
		return fmt.Errorf("keyturn did not connect: %w\nits log:\n%s", err, w.log())
	}
	return nil
}

// await waits for what keyturn should do, and no longer than it runs.
func (w *world) await(ctx context.Context, cond func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.slack.Await(ctx, cond) }()
	select {
	case err := <-done:
		return err
	case err := <-w.exited:
		w.exited <- err
		return fmt.Errorf("keyturn ended: %w", err)
	}
}

// stop ends keyturn as an operator would, and waits for it.
func (w *world) stop() error {
	if err := w.child.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-w.exited; err != nil {
		w.child = nil
		return fmt.Errorf("keyturn did not stop cleanly: %w\nits log:\n%s", err, w.log())
	}
	w.child = nil
	return nil
}

func (w *world) log() string {
	if w.logged == nil {
		return ""
	}
	b, err := os.ReadFile(w.logged.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// close leaves nothing behind.
func (w *world) close() {
	if w.child != nil {
		w.child.Process.Kill()
		<-w.exited
	}
	if w.logged != nil {
		w.logged.Close()
	}
	for _, s := range w.servers {
		s.Close()
	}
	w.slack.Close()
	w.tenant.Close()
	os.RemoveAll(w.dir)
}

// wait prints how to run a keyturn in this world, and waits until ctx ends.
func (w *world) wait(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "# A simulated Slack is at %s, a simulated Auth0 tenant at %s.\n# Start a keyturn against them with:\n\n", w.slackURL, w.auth0URL)
	for _, v := range w.variables() {
		fmt.Fprintln(out, "export "+v)
	}
	fmt.Fprint(out, "\ngo run ./cmd/keyturn\n\n# Both are gone when this ends (Ctrl-C).\n")
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
