package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn"
	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/world"
)

// transcript is what is printed, while it is.
type transcript struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *transcript) read() (text string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *transcript) String() string {
	text, _ := o.read()
	return text
}

// await waits until something is printed.
func (o *transcript) await(t *testing.T, want string) {
	t.Helper()
	for limit := time.After(time.Minute); ; {
		text, changed := o.read()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("it never printed %q:\n%s", want, text)
		}
	}
}

// ownWorkspace is what is a real workspace to the drill, with the environment of a drill
// that is at home in it.
func ownWorkspace(t *testing.T) *slacksim.Workspace {
	t.Helper()
	// As the README says, so that the command of a real keyturn is not taken from it.
	manifest := bytes.ReplaceAll(keyturn.Manifest, []byte("command: /signing-keys"), []byte("command: /signing-keys-drill"))
	w, err := slacksim.New(slacksim.Config{Manifest: manifest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	for id, name := range map[string]string{world.Alice: "alice", world.Bob: "bob"} {
		w.AddPerson(slacksim.Person{ID: id, Name: name})
	}
	for id, name := range map[string]string{world.Incident: "incident", world.Trail: "trail"} {
		w.AddChannel(slacksim.Channel{ID: id, Name: name, Members: []string{world.Alice, world.Bob, slacksim.BotID}})
	}
	server, address, err := world.Listen(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "KEYTURN_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"KEYTURN_SLACK_APP_TOKEN": "xapp-1-" + slacksim.AppID + "-1-sim", "KEYTURN_SLACK_BOT_TOKEN": "xoxb-sim", "KEYTURN_SLACK_API_URL": address + "/api/",
		"KEYTURN_APPROVERS": world.Alice + "," + world.Bob, "KEYTURN_AUDIT_CHANNEL": world.Trail, "NO_COLOR": "1",
	} {
		t.Setenv(name, value)
	}
	return w
}

// await waits for what the drill should show in a workspace.
func await(t *testing.T, w *slacksim.Workspace, what string, out *transcript, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.Await(ctx, cond); err != nil {
		t.Fatalf("waiting for %s: %v\n%s", what, err, out)
	}
}

// TestADrillInAWorkspaceOfOnesOwn has two people revoke a key of the simulated tenant.
func TestADrillInAWorkspaceOfOnesOwn(t *testing.T) {
	w := ownWorkspace(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := newTranscript(), make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-drill"}, out) }()

	await(t, w, "the socket", out, func() bool { return w.Sockets() == 1 })
	out.await(t, "previously used")
	if _, err := w.Slash(world.Alice, world.Incident, "/signing-keys-drill revoke"); err != nil {
		t.Fatal(err)
	}
	await(t, w, "the modal", out, func() bool { v, ok := w.View(world.Alice); return ok && v.Submit != "" })
	if v, _ := w.View(world.Alice); v.Title != "DRILL: Revoke a key" {
		t.Errorf("the modal is %q", v.Title)
	}
	if _, err := w.Submit(world.Alice, map[string]any{"reason": "a drill"}); err != nil {
		t.Fatal(err)
	}
	await(t, w, "the card", out, func() bool { return len(w.Messages(world.Incident)) == 1 })
	card := w.Messages(world.Incident)[0]
	if got, err := w.Press(world.Bob, world.Incident, card.TS, slacksim.Button{Action: "approve"}); err != nil || !got.Acked {
		t.Fatalf("bob presses: %+v, %v", got, err)
	}
	await(t, w, "the end", out, func() bool { return strings.Contains(w.Messages(world.Incident)[0].Shows(), "Done") })
	out.await(t, "The tenant's signing keys now")
	for _, m := range slices.Concat(w.Messages(world.Incident), w.Thread(world.Incident, card.TS), w.Messages(world.Trail)) {
		if !strings.HasPrefix(m.Shows(), "🧪 DRILL · the tenant is simulated") {
			t.Errorf("a message is not marked:\n%s", m.Shows())
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, after, _ := strings.Cut(out.String(), "The tenant's signing keys now:")
	for what, want := range map[string]string{
		"https://api.slack.com/apps/" + slacksim.AppID: before, "/signing-keys list": before, "Ctrl-C": before, "socket mode": before,
		"previously used": before, "revoked          ": after, "The drill is over": after,
	} {
		if !strings.Contains(want, what) {
			t.Errorf("it does not print %q where it should:\n%s", what, out)
		}
	}
	if ends := w.Ends(); len(ends) != 1 || !ends[0].Clean {
		t.Errorf("the sockets ended so: %+v", ends)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
	if strings.Contains(out.String(), "xapp-") || strings.Contains(out.String(), "xoxb-") {
		t.Errorf("it prints a token:\n%s", out)
	}
}

// TestADrillEndsBesideAnotherProcess: with what the person then reads, before anything is
// posted.
func TestADrillEndsBesideAnotherProcess(t *testing.T) {
	w := ownWorkspace(t)
	w.SetGhosts(1)
	out := newTranscript()
	err := run(t.Context(), []string{"-drill"}, out)
	var child *exec.ExitError
	if !errors.As(err, &child) || child.ExitCode() != 2 {
		t.Errorf("it ends with %v, want keyturn's status 2", err)
	}
	if !strings.Contains(out.String(), "a drill needs a Slack app of its own: Slack counts 2 connections") {
		t.Errorf("it does not say why it ends:\n%s", out)
	}
	for _, channel := range []string{world.Incident, world.Trail} {
		if n := len(w.Messages(channel)); n != 0 {
			t.Errorf("%d messages are in %s", n, channel)
		}
	}
}

// TestADrillRefusesTheEnvironmentOfARealKeyturn, and calls nobody.
func TestADrillRefusesTheEnvironmentOfARealKeyturn(t *testing.T) {
	for name, value := range map[string]string{
		"KEYTURN_TENANTS": "prod", "KEYTURN_TENANT_PROD_CLIENT_SECRET": "hush", "KEYTURN_DATABASE_URL": "/data/keyturn.db", "KEYTURN_AUDIT_KEY_FILE": "/data/key",
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorkspace(t)
			t.Setenv(name, value)
			out := newTranscript()
			err := run(t.Context(), []string{"-drill"}, out)
			if err == nil || !strings.Contains(err.Error(), "environment of a real keyturn") || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), value+".") {
				t.Errorf("it ends with %v", err)
			}
			if calls := w.History(); len(calls) != 0 || out.String() != "" {
				t.Errorf("it called %v and printed %q", calls, out)
			}
		})
	}
}

// TestADrillSaysWhatIsMissing: what keyturn says of its configuration reaches the person,
// who may also have taken a variable away by setting it to nothing.
func TestADrillSaysWhatIsMissing(t *testing.T) {
	ownWorkspace(t)
	t.Setenv("KEYTURN_APPROVERS", "")
	t.Setenv("KEYTURN_TENANTS", "")
	out := newTranscript()
	if err := run(t.Context(), []string{"-drill"}, out); err == nil {
		t.Error("it ends without an error")
	}
	if !strings.Contains(out.String(), "KEYTURN_APPROVERS is missing") || strings.Contains(out.String(), "KEYTURN_TENANT") {
		t.Errorf("it prints:\n%s", out)
	}
}

// TestAKeyturnWhoseParentIsGoneStops takes away what a killed parent takes with it. A
// keyturn that is left behind would hold the app's only connection.
func TestAKeyturnWhoseParentIsGoneStops(t *testing.T) {
	for _, as := range []string{world.AsKeyturn, world.AsDrill} {
		t.Run(as, func(t *testing.T) {
			w := ownWorkspace(t)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.Command(self, as)
			child.Env = append(os.Environ(), world.TenantVariables("drill", "http://127.0.0.1:1")...)
			child.Env = append(child.Env, "KEYTURN_DATABASE_URL="+t.TempDir()+"/keyturn.db")
			parent, err := child.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			log, err := child.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			defer child.Process.Kill()
			for lines := bufio.NewScanner(log); !strings.Contains(lines.Text(), "socket mode"); {
				if !lines.Scan() {
					t.Fatalf("it never connects: %v", lines.Err())
				}
			}
			log.Close()
			parent.Close()
			if err := child.Wait(); err != nil {
				t.Errorf("it ends with %v", err)
			}
			if ends := w.Ends(); len(ends) != 1 || !ends[0].Clean {
				t.Errorf("the sockets ended so: %+v", ends)
			}
		})
	}
}

func TestTwoFlagsExcludeEachOther(t *testing.T) {
	err := run(t.Context(), []string{"-serve", "-drill"}, newTranscript())
	if err == nil || !strings.Contains(err.Error(), "-drill and -serve exclude each other") {
		t.Errorf("it ends with %v", err)
	}
}
