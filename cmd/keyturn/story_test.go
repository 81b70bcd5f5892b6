package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyturn"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

func TestMain(m *testing.M) {
	if signal.Ignored(syscall.SIGHUP) {
		// Under nohup each process of a story would ignore it, too, and the story that ends one
		// by it would wait for ever. What is noted here has its default in those.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	testscript.Main(m, map[string]func(){
		"keyturn": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestStories runs the real program against both simulators over real sockets. The
// people of a story are commands:
//
//	alice types /signing-keys revoke     she types it in the incident's channel
//	alice submits 'a reason'             she fills in the modal and submits it
//	bob presses approve                  on the newest card, as it was posted
//	alice is-told 'a regexp'             waits until she alone is told so
//	alice sees-modal 'a regexp'          waits until her modal shows so
//
// The operator starts, stops and kills keyturn, copies its database and forges it. copied
// is the last post with a checkpoint, as somebody copies it out of Slack, and $REQUEST is
// the request of the newest card. admin rotates or revokes in Auth0's Dashboard. card, thread and trail wait for a
// regexp, status waits for the status of a path; tenant compares how many keys are in
// a role, or how many writes arrived.
// All run at debug level, and afterwards all that they left is searched for secrets.
func TestStories(t *testing.T) {
	mountable := canMount(t)
	var leaked leaked
	t.Cleanup(func() { leaked.report(t) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error { return setUp(env, &leaked) },
		Condition: func(cond string) (bool, error) {
			if cond != "mount" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return mountable, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"alice": person("U0ALICE"), "bob": person("U0BOB"), "carol": person("U0CAROL"), "gina": person("U0GINA"), "dan": person("U0DAN"), "xena": person("U0XENA"),
			"operator": operator, "card": card, "thread": thread, "trail": trail, "tenant": tenant, "status": status, "copied": copied, "admin": admin, "alarms": alarms, "disk": disk,
			"crowd": crowd,
		},
	})
}

const room, trailRoom = "C0ROOM", "C0TRAIL"

// stage is where a story plays.
type stage struct {
	slack  *slacksim.Workspace
	tenant *auth0sim.Tenant
	cards  []slacksim.Message // as they were posted
	child  *exec.Cmd
	log    buffer // since the last start
	said   buffer // all that it ever printed
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *buffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func newStage(t interface{ Fatal(...any) }) *stage {
	w, err := slacksim.New(slacksim.Config{Manifest: keyturn.Manifest})
	if err != nil {
		t.Fatal(err)
	}
	return &stage{slack: w, tenant: auth0sim.New(auth0sim.Config{Previous: 1})}
}

func setUp(env *testscript.Env, leaked *leaked) error {
	s := newStage(env.T())
	w := s.slack
	var all []string
	for _, p := range []slacksim.Person{
		{ID: "U0ALICE", Name: "alice"}, {ID: "U0BOB", Name: "bob"}, {ID: "U0CAROL", Name: "carol"},
		{ID: "U0GINA", Name: "gina", Guest: true}, {ID: "U0DAN", Name: "dan", Deactivated: true}, {ID: "U0XENA", Name: "xena", Team: "T0OTHER"},
	} {
		w.AddPerson(p)
		all = append(all, p.ID)
	}
	w.AddGroup("S0ONCALL", "U0BOB", "U0GINA", "U0DAN", "U0XENA")
	w.AddChannel(slacksim.Channel{ID: room, Name: "incident", Members: append(all, slacksim.BotID)})
	w.AddChannel(slacksim.Channel{ID: trailRoom, Name: "trail", Members: []string{slacksim.BotID}})
	slackServer, auth0Server := httptest.NewServer(w), httptest.NewServer(s.tenant)
	env.Defer(func() {
		s.end(syscall.SIGKILL)
		leaked.search(s, env.WorkDir)
		slackServer.CloseClientConnections()
		slackServer.Close()
		auth0Server.Close()
		w.Close()
		s.tenant.Close()
	})
	env.Values["stage"] = s
	env.Vars = append(env.Vars,
		"KEYTURN_SLACK_APP_TOKEN=xapp-1-"+slacksim.AppID+"-1-sim",
		"KEYTURN_SLACK_BOT_TOKEN=xoxb-sim",
		"KEYTURN_SLACK_API_URL="+slackServer.URL+"/api",
		"KEYTURN_APPROVERS=U0ALICE,S0ONCALL",
		"KEYTURN_AUDIT_CHANNEL="+trailRoom,
		"KEYTURN_TENANTS=prod",
		"KEYTURN_TENANT_PROD_DOMAIN="+auth0Server.URL,
		"KEYTURN_TENANT_PROD_CLIENT_ID=sim-client",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET=sim-secret",
		"KEYTURN_DATABASE_URL="+filepath.Join(env.WorkDir, "keyturn.db"),
	)
	return nil
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value("stage").(*stage) }

// await waits until what reads like want, and fails the script where it never does.
func (s *stage) await(ts *testscript.TestScript, neg bool, want string, what func() string) {
	re, err := regexp.Compile("(?s)" + want)
	ts.Check(err)
	if neg {
		if got := what(); re.MatchString(got) {
			ts.Fatalf("this reads like %q:\n%s", want, got)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.slack.Await(ctx, func() bool { return re.MatchString(what()) }); err != nil {
		ts.Fatalf("nothing reads like %q: %v\n%s\nkeyturn's log:\n%s", want, err, what(), s.log.String())
	}
}

func person(id string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := stageOf(ts)
		if len(args) < 2 {
			ts.Fatalf("usage: alice types|submits|presses|is-told|sees-modal …")
		}
		words := strings.Join(args[1:], " ")
		var out slacksim.Outcome
		var err error
		switch args[0] {
		case "types":
			out, err = s.slack.Slash(id, room, words)
		case "submits":
			s.await(ts, false, `\[Reason`, modalOf(s, id))
			cards := len(s.slack.Messages(room))
			if out, err = s.slack.Submit(id, map[string]any{"reason": words}); err == nil && !neg {
				s.await(ts, false, fmt.Sprint(cards+1), func() string { return fmt.Sprint(len(s.slack.Messages(room))) })
				all := s.slack.Messages(room)
				s.cards = append(s.cards, all[len(all)-1])
				ts.Setenv("REQUEST", regexp.MustCompile(`kt-[a-z0-9]{8}`).FindString(all[len(all)-1].Shows()))
			}
		case "presses":
			last := s.cards[len(s.cards)-1]
			out, err = s.slack.Press(id, room, last.TS, slacksim.Button{Action: words}, last)
		case "presses-until-refused": // a disk that is full may have room left in the log
			last := s.cards[len(s.cards)-1]
			for range 1000 {
				if out, err = s.slack.Press(id, room, last.TS, slacksim.Button{Action: "cancel"}, last); err != nil || !out.Acked {
					break
				}
			}
		case "is-told":
			s.await(ts, neg, words, func() string { return shows(s.slack.Ephemerals(id, room)) })
			return
		case "sees-modal":
			s.await(ts, neg, words, modalOf(s, id))
			return
		default:
			ts.Fatalf("nobody can do %q", args[0])
		}
		if err == nil && !out.Acked {
			err = fmt.Errorf("not acknowledged: %s", out.Warning)
		}
		if (err != nil) != neg {
			ts.Fatalf("%s: %v", args[0], err)
		}
	}
}

func modalOf(s *stage, user string) func() string {
	return func() string {
		v, _ := s.slack.View(user)
		return slacksim.PlainText(v.Blocks)
	}
}

func shows(all []slacksim.Message) string {
	var lines []string
	for _, m := range all {
		lines = append(lines, m.Shows())
	}
	return strings.Join(lines, "\n")
}

// card reads the newest card: a kill between its post and its note makes a second.
func card(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	s.await(ts, neg, args[0], func() string {
		all := s.slack.Messages(room)
		return all[len(all)-1].Shows()
	})
}

func thread(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	s.await(ts, neg, args[0], func() string { return shows(s.slack.Thread(room, s.cards[len(s.cards)-1].TS)) })
}

func trail(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	s.await(ts, neg, args[0], func() string { return shows(s.slack.Messages(trailRoom)) })
}

// copied writes the last post with a checkpoint into a file.
func copied(ts *testscript.TestScript, _ bool, args []string) {
	all := stageOf(ts).slack.Messages(trailRoom)
	for i := len(all) - 1; i >= 0; i-- {
		if strings.Contains(all[i].Shows(), "— keyturn/") {
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("keyturn  APP  3:14 AM\n"+all[i].Shows()+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("no post has a checkpoint:\n%s", shows(all))
}

// tenant compares how many keys are in a role, or how many writes arrived.
func tenant(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	n := 0
	for _, k := range s.tenant.Keys() {
		if k.Role == args[0] {
			n++
		}
	}
	if args[0] == "writes" {
		for _, c := range s.tenant.History() {
			if c.Op == "rotate" || c.Op == "revoke" {
				n++
			}
		}
	}
	if (fmt.Sprint(n) == args[1]) == neg {
		ts.Fatalf("%d %s, want %s", n, args[0], args[1])
	}
}

// admin changes keys in the Dashboard, or spoils an answer.
func admin(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	switch args[0] {
	case "rotates":
		s.tenant.Rotate()
	case "revokes": // the first that can be
		for _, k := range s.tenant.Keys() {
			if k.Role == "previous" {
				ts.Check(s.tenant.Revoke(k.KID))
				return
			}
		}
		ts.Fatalf("no key is previously used")
	case "holds-back-tokens":
		s.tenant.Fault(auth0sim.Fault{Op: "token", Status: http.StatusServiceUnavailable})
	case "mends":
		s.tenant.ClearFaults()
	case "grants": // these scopes and no others
		s.tenant.Grant(args[1:]...)
	case "spoils-the-token": // Slack's, with an error code
		s.slack.SetBotToken("xoxb-sim", args[1])
		s.slack.Slash("U0ALICE", room, "/signing-keys rotate") // finds it, acknowledged or not
	case "loses-the-answer-to":
		s.tenant.Fault(auth0sim.Fault{Op: args[1], Times: 1, Lose: auth0sim.LoseAfter})
	}
}

// alarms counts the alarms in the trail's channel. A kill between a post and its note
// posts it again, with the same number.
func alarms(ts *testscript.TestScript, _ bool, args []string) {
	numbers := map[string]bool{}
	for _, found := range regexp.MustCompile(`🚨 #\d+`).FindAllString(shows(stageOf(ts).slack.Messages(trailRoom)), -1) {
		numbers[found] = true
	}
	if fmt.Sprint(len(numbers)) != args[0] {
		ts.Fatalf("the alarms are %v, want %s", numbers, args[0])
	}
}

var listening = regexp.MustCompile(`"addr":"([^"]+)"`)

// status waits until a path of keyturn's answers with a status, and with words.
func status(ts *testscript.TestScript, neg bool, args []string) {
	found := listening.FindStringSubmatch(stageOf(ts).log.String())
	if found == nil {
		ts.Fatalf("keyturn does not say where it listens:\n%s", stageOf(ts).log.String())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for last, read := "", []byte(nil); last != args[1] || len(args) > 2 && !regexp.MustCompile("(?s)"+args[2]).Match(read); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+found[1]+args[0], nil)
		ts.Check(err)
		if res, err := http.DefaultClient.Do(req); err == nil {
			last = fmt.Sprint(res.StatusCode)
			read, err = io.ReadAll(res.Body)
			res.Body.Close()
			ts.Check(err)
		} else if ctx.Err() != nil {
			ts.Fatalf("%s answers %s, want %v\n%s", args[0], last, args[1:], read)
		}
	}
}

// crowd opens so many connections to keyturn's address that stay: every other one after it
// was answered once.
func crowd(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	found := listening.FindStringSubmatch(stageOf(ts).log.String())
	if found == nil {
		ts.Fatalf("keyturn does not say where it listens:\n%s", stageOf(ts).log.String())
	}
	for i := range n {
		conn, err := net.Dial("tcp", found[1])
		ts.Check(err)
		ts.Defer(func() { conn.Close() })
		if i%2 == 0 {
			continue
		}
		_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: keyturn\r\n\r\n")
		ts.Check(err)
		_, err = conn.Read(make([]byte, 1))
		ts.Check(err)
	}
}

// operator starts, stops and kills keyturn.
func operator(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	switch args[0] {
	case "starts": // with so many descriptors at most, if a number is given
		path, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "keyturn"))
		ts.Check(err)
		s.child = exec.Command(path)
		if len(args) > 1 {
			s.child = exec.Command("sh", "-c", "ulimit -n "+args[1]+" && exec "+path)
		}
		for _, name := range strings.Fields("SLACK_APP_TOKEN SLACK_BOT_TOKEN SLACK_API_URL " +
			"APPROVERS REQUESTERS AUDIT_CHANNEL TENANTS TENANT_PROD_DOMAIN TENANT_PROD_CLIENT_ID " +
			"TENANT_PROD_CLIENT_SECRET DATABASE_URL HTTP_ADDR WATCH_INTERVAL FROZEN") {
			if value := ts.Getenv("KEYTURN_" + name); value != "" {
				s.child.Env = append(s.child.Env, "KEYTURN_"+name+"="+value)
			}
		}
		s.log.Reset()
		s.child.Env = append(s.child.Env, "KEYTURN_LOG_LEVEL=debug")
		s.child.Stdout, s.child.Stderr = &s.said, io.MultiWriter(&s.log, &s.said)
		ts.Check(s.child.Start())
		s.await(ts, false, "1", func() string { return fmt.Sprint(s.slack.Sockets()) })
	case "stops", "hangs-up":
		signal := syscall.SIGTERM
		if args[0] == "hangs-up" {
			signal = syscall.SIGHUP
		}
		if err := s.end(signal); err != nil {
			ts.Fatalf("keyturn did not stop cleanly: %v\n%s", err, s.log.String())
		}
		s.await(ts, false, "0", func() string { return fmt.Sprint(s.slack.Sockets()) })
	case "logged":
		s.await(ts, neg, args[1], s.log.String)
	case "waits-for-its-end": // by itself, with an exit status
		err := s.child.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || fmt.Sprint(exit.ExitCode()) != args[1] {
			ts.Fatalf("keyturn ended with %v\n%s", err, s.log.String())
		}
		s.child = nil
	case "kills":
		s.end(syscall.SIGKILL)
		s.await(ts, false, "0", func() string { return fmt.Sprint(s.slack.Sockets()) })
	case "copies", "forges": // the database into a file; by an SQL statement
		db, err := sql.Open("sqlite", ts.Getenv("KEYTURN_DATABASE_URL"))
		ts.Check(err)
		defer db.Close()
		statement, words := "VACUUM INTO ?", []any{ts.MkAbs(args[1])}
		if args[0] == "forges" {
			statement, words = args[1], nil
		}
		_, err = db.Exec(statement, words...)
		ts.Check(err)
	}
}

// end ends the program with a signal and waits for it.
func (s *stage) end(signal syscall.Signal) error {
	if s.child == nil {
		return nil
	}
	child := s.child
	s.child = nil
	if err := child.Process.Signal(signal); err != nil {
		return err
	}
	return child.Wait()
}
