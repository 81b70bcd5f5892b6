//go:build linux

package bot_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"keyturn"
	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/bot/store"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// This file has the parts of BenchmarkAck. keyturn and the bare websocket are processes
// of their own, as they are in life: in one process they would wait for the goroutines of
// Slack and Auth0, which are other machines. Those two are in the benchmark's process.

// town is Slack and Auth0, with keyturn and a bare websocket connected.
type town struct {
	slack    *slacksim.Workspace // of which the sockets and response URLs are not used
	auth0    *auth0sim.Tenant
	server   *httptest.Server
	dir      string
	press    string // a frame to be filled in
	lines    chan *line
	keyturn  *line
	bare     *line
	worked   *bufio.Reader // has a line for each press that keyturn has worked
	answered chan struct{} // one for each command that it has answered
	freed    chan struct{} // the same for those of the load
	loads    atomic.Int64  // that were sent
	last     int           // envelope
}

func newTown(b *testing.B) *town {
	b.Helper()
	w := &town{dir: b.TempDir(), lines: make(chan *line), answered: make(chan struct{}, 100), freed: make(chan struct{}, 100)}
	var err error
	if w.slack, err = slacksim.New(slacksim.Config{Manifest: keyturn.Manifest}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.slack.Close)
	for _, name := range []string{"alice", "bob"} {
		w.slack.AddPerson(slacksim.Person{ID: "U" + strings.ToUpper(name), Name: name})
	}
	for id, name := range map[string]string{room: "incident", trail: "trail"} {
		w.slack.AddChannel(slacksim.Channel{ID: id, Name: name, Members: []string{"UALICE", "UBOB", slacksim.BotID}})
	}
	w.auth0 = auth0sim.New(auth0sim.Config{Previous: 1})
	b.Cleanup(w.auth0.Close)
	auth0 := httptest.NewServer(w.auth0)
	b.Cleanup(auth0.Close)
	w.server = httptest.NewUnstartedServer(w)
	w.server.Listener = timed{w.server.Listener}
	w.server.Start()
	b.Cleanup(w.server.Close)

	w.start(b, "bare")
	w.bare = receive(b, w.lines, "the bare websocket")
	w.worked = w.start(b, "keyturn", "ACK_AUTH0="+auth0.URL)
	w.keyturn = receive(b, w.lines, "keyturn")
	w.makePress(b)
	return w
}

// makePress makes the press of the request that keyturn has, and prints first.
func (w *town) makePress(b *testing.B) {
	b.Helper()
	request, err := w.worked.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	var cards []slacksim.Message
	if err := w.slack.Await(ctx, func() bool { cards = w.slack.Messages(room); return len(cards) > 0 }); err != nil {
		b.Fatalf("waiting for the card: %v", err)
	}
	blocks, err := os.ReadFile("testdata/blocks/card-rotate-pending.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, blocks); err != nil {
		b.Fatal(err)
	}
	w.press = strings.NewReplacer("REQUEST", strings.TrimSpace(request), "CARD", cards[0].TS, "BLOCKS", compact.String()).Replace(pressFrame)
}

// start starts a part, which ends with b, and returns what it prints.
func (w *town) start(b *testing.B, part string, env ...string) *bufio.Reader {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestAckPart$")
	if profile := flag.Lookup("test.cpuprofile").Value.String(); profile != "" {
		cmd.Args = append(cmd.Args, "-test.cpuprofile", profile+"."+part, "-test.outputdir", flag.Lookup("test.outputdir").Value.String())
	}
	cmd.Env = append(os.Environ(), "ACK_PART="+part, "ACK_SLACK="+w.server.URL, "ACK_DIR="+w.dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		said, _ := io.ReadAll(out)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the process of %s: %v\n%s", part, err, said)
		}
	})
	return bufio.NewReader(out)
}

// TestAckPart is a process of BenchmarkAck's, until its standard input ends.
func TestAckPart(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	untilEnd := func() {
		io.Copy(io.Discard, os.Stdin)
		end()
	}
	switch os.Getenv("ACK_PART") {
	case "keyturn":
		go untilEnd()
		runKeyturn(ctx, t)
	case "bare":
		go untilEnd()
		runBare(ctx, t)
	default:
		t.Skip("it runs under BenchmarkAck")
	}
}

// toldInbox prints the id of each press that is worked.
type toldInbox struct{ *store.Store }

func (i toldInbox) Worked(ctx context.Context, ids ...string) error {
	defer fmt.Println(strings.Join(ids, "\n"))
	return i.Store.Worked(ctx, ids...)
}

func runKeyturn(ctx context.Context, t *testing.T) {
	db, err := store.Open(ctx, filepath.Join(os.Getenv("ACK_DIR"), "keyturn.db"), filepath.Join(os.Getenv("ACK_DIR"), "keyturn.key"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // log lines are made and written
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	auth0 := os.Getenv("ACK_AUTH0")
	reader, _ := mgmt.Open(mgmt.Config{BaseURL: auth0, ClientID: "sim-client", ClientSecret: "sim-secret"})
	defer reader.Close()
	tenants := map[string]approval.Tenant{"prod": {Name: "prod", Reader: reader, JWKS: []string{auth0}}}
	policy := approval.Policy{Approvers: []string{"UALICE", "UBOB"}, Requesters: []string{"*"}}
	desk := approval.NewDesk(db, policy, tenants, 30*time.Minute, "test", time.Now)
	k := bot.New(bot.Config{
		APIURL: os.Getenv("ACK_SLACK") + "/api/", AppToken: "xapp-1-A0KEYTURN-1-sim", BotToken: "xoxb-sim",
		Desk: desk, Policy: policy, Tenants: tenants, Names: []string{"prod"}, Inbox: toldInbox{db}, Trail: db, Posts: db,
		AuditChannel: trail, Mention: true, Now: time.Now,
		Log: zerolog.New(nowhere).Level(zerolog.InfoLevel).With().Timestamp().Logger(),
	})
	defer k.Close()
	if err := k.BeginPosts(ctx); err != nil {
		t.Fatal(err)
	}
	fmt.Println(approved(ctx, t, desk, tenants["prod"]))
	if err := k.Run(ctx); err != nil {
		t.Error(err)
	}
}

// approved returns a request that bob has approved, and nobody carries out.
func approved(ctx context.Context, t *testing.T, desk *approval.Desk, tenant approval.Tenant) approval.ID {
	look, _, err := tenant.Look(ctx, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	person := func(user string) approval.Person {
		return approval.Person{Actor: audit.Actor{Team: slacksim.TeamID, User: user}}
	}
	r, err := desk.Ask(ctx, approval.Ask{
		Cause: "view", Person: person("UALICE"), Tenant: tenant.Name, Action: approval.Rotate, Shown: approval.Shown(look),
		Reason: "pasted in a " +
			"build log", Channel: room, Approvers: []approval.Candidate{{Person: person("UBOB")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = desk.Press(ctx, approval.Press{Request: r.ID, Verb: approval.Approve, Person: person("UBOB"), Received: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// runBare acknowledges what it reads, and does nothing else.
func runBare(ctx context.Context, t *testing.T) {
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(os.Getenv("ACK_SLACK"), "http")+"/link", nil)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { ws.Close() })
	for {
		_, frame, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if id := envelopeID(frame); id != "" {
			ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"`+id+`"}`))
		}
	}
}

// ServeHTTP is Slack.
func (w *town) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	id, isResponse := strings.CutPrefix(r.URL.Path, "/response/")
	switch {
	case r.URL.Path == "/api/apps.connections.open":
		fmt.Fprintf(rw, `{"ok":true,"url":"ws://%s/link"}`, r.Host)
	case r.URL.Path == "/link":
		upgrader := websocket.Upgrader{WriteBufferSize: 64 << 10} // each frame in one piece
		ws, err := upgrader.Upgrade(rw, r, nil)
		if err != nil {
			return // the upgrader has answered
		}
		defer ws.Close()
		l := newLine(ws)
		l.send([]byte(`{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":18060}}`))
		w.lines <- l
		l.read()
	case isResponse && strings.HasPrefix(id, ofLoad):
		fmt.Fprint(rw, "ok")
		w.freed <- struct{}{}
	case isResponse:
		fmt.Fprint(rw, "ok")
		w.answered <- struct{}{}
	default:
		w.slack.ServeHTTP(rw, r)
	}
}

// envelopes returns n envelopes with a command, or with the press.
func (w *town) envelopes(what string, n int) []envelope {
	frame := strings.Replace(commandFrame, "WORDS", what, 1)
	if what == "press" {
		frame = w.press
	}
	all := make([]envelope, n)
	for i := range all {
		w.last++
		all[i] = w.envelope(frame, fmt.Sprintf("%08d-1bb1-4a4c-9d36-b1e5a0c8f2d7", w.last))
	}
	return all
}

func (w *town) envelope(frame, id string) envelope {
	return envelope{id, []byte(strings.NewReplacer("ENVELOPE", id, "SLACK", w.server.URL).Replace(frame))}
}

// awaitAnswers waits until n commands, or presses, are worked.
func (w *town) awaitAnswers(b *testing.B, what string, n int) {
	b.Helper()
	for range n {
		if what != "press" {
			receive(b, w.answered, "an answer")
		} else if _, err := w.worked.ReadString('\n'); err != nil {
			b.Fatalf("waiting for a press to be worked: %v", err)
		}
	}
}

// ofLoad begins the envelope ids of the load.
const ofLoad = "load-"

// keepBusy lets keyturn work n commands at any moment until b ends.
func (w *town) keepBusy(b *testing.B, n int) {
	b.Helper()
	frame := strings.Replace(commandFrame, "WORDS", "list", 1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range n {
			w.freed <- struct{}{}
		}
		for {
			select {
			case <-w.freed:
				e := w.envelope(frame, fmt.Sprint(ofLoad, w.loads.Add(1)))
				if _, err := w.keyturn.send(e.frame); err != nil {
					b.Error(err)
					return
				}
			case <-stop:
				return
			}
		}
	}()
	b.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// What Slack sends.
const (
	commandFrame = `{"envelope_id":"ENVELOPE","payload":{"token":"bHKJ2n9AW6Ju3MjciOHfbA1b",` +
		`"team_id":"T0SIM","team_domain":"sim","channel_id":"C0ROOM","channel_name":"incident",` +
		`"user_id":"UALICE","user_name":"alice","command":"/signing-keys","text":"WORDS",` +
		`"api_app_id":"A0KEYTURN","is_enterprise_install":"false","response_url":"SLACK/response/ENVELOPE",` +
		`"trigger_id":"3179874463540.1239804434932.69f7bd12ba1b5dd03b5f7d0d1da7e4a8"},` +
		`"type":"slash_commands","accepts_response_payload":true}`
	pressFrame = `{"envelope_id":"ENVELOPE","payload":{"type":"block_actions",` +
		`"user":{"id":"UBOB","username":"bob","name":"bob","team_id":"T0SIM"},"api_app_id":"A0KEYTURN",` +
		`"token":"bHKJ2n9AW6Ju3MjciOHfbA1b","container":{"type":"message","message_ts":"CARD",` +
		`"channel_id":"C0ROOM","is_ephemeral":false},` +
		`"trigger_id":"3179874463540.1239804434932.69f7bd12ba1b5dd03b5f7d0d1da7e4a8",` +
		`"team":{"id":"T0SIM","domain":"sim"},"enterprise":null,"is_enterprise_install":false,` +
		`"channel":{"id":"C0ROOM","name":"incident"},"message":{"type":"message","user":"U0KEYTURN",` +
		`"ts":"CARD","bot_id":"B0KEYTURN","app_id":"A0KEYTURN","text":"a request","team":"T0SIM",` +
		`"blocks":BLOCKS},"state":{"values":{}},"response_url":"SLACK/response/ENVELOPE","actions":[` +
		`{"action_id":"approve","block_id":"request:REQUEST:7","text":{"type":"plain_text","text":"Approve"},` +
		`"value":"REQUEST","style":"primary","type":"button","action_ts":"1763953930.123456"}]},` +
		`"type":"interactive","accepts_response_payload":false}`
)
