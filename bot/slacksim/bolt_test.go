package slacksim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/slacksim"
)

// This file holds the simulator against @slack/bolt, Slack's own framework for apps: a
// client that we did not write. Its app is in testdata/bolt; the people are played here.

const (
	boltDir  = "testdata/bolt"
	boltWait = time.Minute // for what does not come: bolt is a quarter of it without a socket
	appToken = "xapp-1-A0KEYTURN-1-sim"
	botToken = "xoxb-sim"
)

// bolt is an app by @slack/bolt, in a process of its own, and the workspace on a
// loopback socket that it is in.
type bolt struct {
	t       *testing.T
	w       *slacksim.Workspace
	address string // of the workspace
	stdin   io.Closer
	reports chan report // closed with the process's stdout
	taken   []report    // what came over the wire
	logged  []string
}

// report is a line of the app's.
type report struct {
	Log, Words string
	Took       string
	Body       json.RawMessage
	Saw        string
	raw        string
}

// needBolt skips the test where the app cannot run, or fails it where it must.
func needBolt(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(boltDir, "node_modules", "@slack", "bolt"))
	}
	switch {
	case err == nil:
	case os.Getenv("REQUIRE_BOLT") != "":
		t.Fatalf("@slack/bolt is required here: %v", err)
	default:
		t.Skipf("SKIPPED: without @slack/bolt it is NOT tested that the simulator is like Slack (%v): with node 20 or later, npm ci in bot/slacksim/%s", err, boltDir)
	}
}

// startBolt starts an app, and ends it with the test.
func startBolt(t *testing.T, appToken, botToken string) *bolt {
	t.Helper()
	needBolt(t)
	w, err := slacksim.New(slacksim.Config{Manifest: manifest(t)})
	if err != nil {
		t.Fatal(err)
	}
	w.AddPerson(slacksim.Person{ID: "UANN", Name: "ann"})
	w.AddPerson(slacksim.Person{ID: "UXENA", Name: "xena", Team: "T0OTHER"})
	w.AddGroup("SDEV", "UANN")
	w.AddChannel(slacksim.Channel{ID: "C0ROOM", Name: "room", ExtShared: true, Members: []string{"UANN", "UXENA", slacksim.BotID}})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	t.Cleanup(w.Close)

	cmd := exec.CommandContext(t.Context(), "node", "app.js")
	cmd.Dir, cmd.Stderr = boltDir, t.Output()
	cmd.Env = append(os.Environ(), "SLACK_API_URL="+server.URL+"/api/",
		"SLACK_APP_TOKEN="+appToken, "SLACK_BOT_TOKEN="+botToken)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bolt{t: t, w: w, address: server.URL, stdin: stdin, reports: make(chan report, 1000)}
	go func() {
		defer close(b.reports)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r := report{raw: lines.Text()}
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				r.Log, r.Words = "error", "no report: "+r.raw
			}
			b.reports <- r
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		stdin.Close()
		for range b.reports {
		}
	})
	return b
}

// next returns the next thing that the app saw.
func (b *bolt) next() report {
	b.t.Helper()
	late := time.After(boltWait)
	for {
		select {
		case r, more := <-b.reports:
			switch {
			case !more:
				b.t.Fatalf("the app has ended; it logged %q", b.logged)
			case r.Saw != "":
				return r
			}
			b.keep(r)
		case <-late:
			b.t.Fatalf("the app reports nothing; it logged %q", b.logged)
		}
	}
}

func (b *bolt) keep(r report) {
	switch {
	case r.Log != "":
		b.logged = append(b.logged, r.Log+" "+strings.ReplaceAll(r.Words, b.address, ""))
	case r.Took != "":
		b.taken = append(b.taken, r)
	}
}

// want checks that the next thing that the app saw is this.
func (b *bolt) want(saw string, v map[string]any) {
	b.t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(b.next().raw), &got); err != nil {
		b.t.Fatal(err)
	}
	v["saw"] = saw
	if diff := cmp.Diff(v, got); diff != "" {
		b.t.Fatalf("the app saw (-want +got):\n%s", diff)
	}
}

func (b *bolt) wantContext(user string) {
	b.t.Helper()
	b.want("context", map[string]any{"team": slacksim.TeamID, "user": user, "bot": slacksim.BotID})
}

// end ends the app, and returns what it logged in its time.
func (b *bolt) end() []string {
	b.t.Helper()
	b.stdin.Close()
	for r := range b.reports {
		if r.Saw != "" {
			b.t.Errorf("at the end the app saw %s", r.raw)
		}
		b.keep(r)
	}
	return b.logged
}

// shows waits until there is shown what is wanted.
func (b *bolt) shows(what string, shown func() []string, want ...string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), boltWait)
	defer cancel()
	if b.w.Await(ctx, func() bool { return slices.Equal(shown(), want) }) != nil {
		b.t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, shown()))
	}
}

func (b *bolt) room() []string    { return words(b.w.Messages("C0ROOM")) }
func (b *bolt) forAnn() []string  { return words(b.w.Ephemerals("UANN", "C0ROOM")) }
func (b *bolt) sockets() []string { return []string{fmt.Sprint(b.w.Sockets())} }

// modal is the modal that xena has before her: its title, and its errors by block.
func (b *bolt) modal() []string {
	v, open := b.w.View("UXENA")
	if !open {
		return nil
	}
	out := []string{v.Title}
	for block, words := range v.Errors {
		out = append(out, block+": "+words)
	}
	return out
}

// slash types a command, which the app acknowledges.
func (b *bolt) slash(text string) {
	b.t.Helper()
	out, err := b.w.Slash("UANN", "C0ROOM", "/signing-keys "+text)
	if err != nil || !out.Acked {
		b.t.Fatalf("%s: %+v, %v", text, out, err)
	}
	b.wantContext("UANN")
}

// press presses a button of the last message in the room, which the app acknowledges.
func (b *bolt) press(user, action, value string) {
	b.t.Helper()
	all := b.w.Messages("C0ROOM")
	ts := all[len(all)-1].TS
	out, err := b.w.Press(user, "C0ROOM", ts, slacksim.Button{Action: action})
	if err != nil || !out.Acked {
		b.t.Fatalf("%s: %+v, %v", action, out, err)
	}
	b.wantContext(user)
	b.want("press", map[string]any{
		"name": action, "value": value, "block": "buttons",
		"user": user, "team": slacksim.TeamID, "channel": "C0ROOM", "ts": ts,
	})
}

// submit submits the modal that xena has before her. Her payload names her own
// workspace, and the one that the app is in all the same: bolt finds it.
func (b *bolt) submit(reason string) {
	b.t.Helper()
	out, err := b.w.Submit("UXENA", map[string]any{"reason": reason})
	if err != nil || !out.Acked {
		b.t.Fatalf("%s: %+v, %v", reason, out, err)
	}
	b.wantContext("UXENA")
	b.want("submission", map[string]any{"value": reason, "user": "UXENA", "team": "T0OTHER", "metadata": "kt-1"})
}

func TestBolt(t *testing.T) {
	b := startBolt(t, appToken, botToken)
	b.want("started", map[string]any{})

	b.slash("ack")
	b.shows("the ack", b.forAnn, "with the ack")
	b.slash("respond")
	b.shows("in the room", b.room, "for all")
	b.shows("for ann", b.forAnn, "with the ack", "to the response URL")
	b.w.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Status: 429, RetryAfter: time.Second})
	b.slash("say")
	b.shows("for ann", b.forAnn, "with the ack", "to the response URL", "for you")
	b.shows("in the room", b.room, "for all", "said")
	said := b.w.Messages("C0ROOM")[1].TS
	link := "https://sim.slack.example/archives/C0ROOM/p" + strings.ReplaceAll(said, ".", "")
	if diff := cmp.Diff([]string{link}, words(b.w.Thread("C0ROOM", said))); diff != "" {
		t.Errorf("in the thread (-want +got):\n%s", diff)
	}
	b.slash("look")
	b.want("look", map[string]any{
		"name": "ann", "guest": false, "deactivated": false, "team": slacksim.TeamID,
		"channel": "room", "member": true, "outsiders": true, "group": []any{"UANN"},
	})
	b.slash("refused")
	const problem = "must be at most 150 characters, and has 151 [json-pointer:/blocks/0/text/text]"
	b.want("refused", map[string]any{"code": "invalid_blocks", "messages": []any{"[ERROR] " + problem}})

	b.slash("card")
	b.shows("in the room", b.room, "for all", "said", "a card\n[update] [replace] [ask]")
	b.press("UANN", "update", "kt-1")
	b.shows("in the room", b.room, "for all", "said", "updated\n[update] [replace] [ask]")
	b.press("UANN", "replace", "kt-2")
	b.shows("in the room", b.room, "for all", "said", "replaced\n[ask]")
	b.press("UXENA", "ask", "kt-3")
	b.shows("the modal", b.modal, "Ask") // Loading is gone
	b.submit("bad")
	b.shows("the modal", b.modal, "Ask", "reason: say more")
	b.submit("more")
	b.shows("the modal", b.modal, "More")
	b.submit("fine")
	b.shows("the modal", b.modal)

	complaints := []string{
		"info API Call failed due to rate limiting. Will retry in 1 seconds.",
		"warn http request failed A rate limit was exceeded (url: /api/chat.postMessage, retry-after: 1)",
		"error " + problem,
	}
	if diff := cmp.Diff(complaints, b.end()); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
	b.judgeTypes()
}

// judgeTypes has the TypeScript compiler hold all that came over the wire against
// Slack's own types.
func (b *bolt) judgeTypes() {
	b.t.Helper()
	dir := b.t.TempDir()
	modules, err := filepath.Abs(filepath.Join(boltDir, "node_modules"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		b.t.Fatal(err)
	}
	types, err := os.ReadFile(filepath.Join(boltDir, "types.ts"))
	if err != nil {
		b.t.Fatal(err)
	}
	files, kinds := map[string]string{"types.ts": string(types)}, map[string]bool{}
	for i, r := range b.taken {
		kinds[r.Took] = true
		var body bytes.Buffer
		if err := json.Indent(&body, r.Body, "", "  "); err != nil {
			b.t.Fatal(err)
		}
		files[fmt.Sprintf("%s-%d.ts", r.Took, i)] = fmt.Sprintf(
			"import type { Wire } from './types.js';\nexport const taken: Wire['%s'] = %s;\n", r.Took, &body)
	}
	if len(kinds) != 14 { // as in types.ts
		b.t.Errorf("%d kinds of envelopes and answers came: %v", len(kinds), slices.Sorted(maps.Keys(kinds)))
	}
	args := []string{"--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"}
	for name, source := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			b.t.Fatal(err)
		}
		args = append(args, name)
	}
	tsc := exec.CommandContext(b.t.Context(), filepath.Join(modules, ".bin", "tsc"), args...)
	tsc.Dir = dir
	if out, err := tsc.CombinedOutput(); err != nil {
		b.t.Errorf("Slack's types (%v):\n%s", err, out)
	}
}

// TestBoltReconnects has Slack ask for another socket: bolt leaves with a Close frame,
// is without one for a while, which keyturn is not, and takes envelopes on the new one.
func TestBoltReconnects(t *testing.T) {
	needBolt(t)
	for _, reason := range []string{"refresh_requested", "warning"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			b := startBolt(t, appToken, botToken)
			b.want("started", map[string]any{})
			b.slash("ack")
			b.w.Disconnect(reason)
			b.shows("sockets", b.sockets, "0")
			out, err := b.w.Slash("UANN", "C0ROOM", "/signing-keys ack")
			if !errors.Is(err, slacksim.ErrNotConnected) || out.Warning != "dispatch_failed" {
				t.Errorf("without a socket: %+v, %v", out, err)
			}
			b.shows("sockets", b.sockets, "1")
			left := time.Since(b.w.Ends()[0].At)
			b.slash("ack")
			b.shows("for ann", b.forAnn, "with the ack", "with the ack")
			acks := b.w.Acks()
			if len(acks) != 2 || acks[0].Socket != 1 || acks[1].Socket != 2 || !acks[1].Counts() || !b.w.Ends()[0].Clean {
				t.Errorf("acks %+v, ends %+v", acks, b.w.Ends())
			}
			t.Logf("bolt was without a socket for %v", left)
			// It may complain that its pings are not answered any more: after the Close
			// frames it waits for Slack to close TCP, which Slack leaves to the app.
			complaints := slices.DeleteFunc(b.end(), func(s string) bool { return strings.HasPrefix(s, "warn A pong wasn't received") })
			if len(complaints) > 0 {
				t.Errorf("complaints: %q", complaints)
			}
		})
	}
}

func TestBoltWithAWrongToken(t *testing.T) {
	b := startBolt(t, "xapp-1-A0KEYTURN-1-other", botToken)
	b.want("not started", map[string]any{"code": "invalid_auth"})
	const problem = "error Failed to retrieve a new WSS URL (error: WebAPIPlatformError: An API error occurred: invalid_auth)"
	if diff := cmp.Diff([]string{problem}, b.end()); diff != "" {
		t.Error(diff)
	}

	b = startBolt(t, appToken, "xoxb-other")
	saw := []string{b.next().raw, b.next().raw} // in whichever order
	slices.Sort(saw)
	if diff := cmp.Diff([]string{`{"saw":"rejection","code":"invalid_auth"}`, `{"saw":"started"}`}, saw); diff != "" {
		t.Error(diff)
	}
}
