package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"keyturn"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// TestLongStory runs the real program for a while as the field is: Slack with its
// documented rate limits, a tenth of all calls to it broken or refused, an Auth0 that takes
// ten calls a second, and people who press and type without pause (long_noise_test.go).
// Meanwhile others ask, approve, deny and cancel (long_people_test.go): each of their
// presses is to be acknowledged, kept in the trail, answered and carried out, and the card
// is to say so. Nothing is asserted by the clock but that it comes within patient time.
//
// LONG=1 lets it last for ten minutes; SEED repeats which calls are broken, though not
// which call of whom that is.
func TestLongStory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: with -short it is NOT tested that a press counts under load")
	}
	lasts, pause := 30*time.Second, 4*time.Second
	if os.Getenv("LONG") != "" {
		lasts, pause = 10*time.Minute, 8*time.Second
	}
	seed := seedOf(t)
	t.Logf("SEED=%d, for %s", seed, lasts)
	l := newLong(t)
	l.start()
	l.slack.Flaky(0.1, seed)

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { l.measure(ctx) })
	l.noise(ctx, &running)
	l.rounds(ctx, &running, pause)
	running.Wait()
	for _, title := range []string{"Done", "Denied", "Cancelled"} {
		if l.figures.ended[title] == 0 {
			t.Errorf("no request ended as %s: too few to show anything", title)
		}
	}

	l.catchesUp()
	l.stops()
	l.report()
}

func seedOf(t *testing.T) uint64 {
	text := os.Getenv("SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SEED is %q, want a number", text)
	}
	return seed
}

// patient is how long anything may take before it counts as not having come. It is far
// more than what is promised, since the machine of a test may be slow.
const patient = time.Minute

// long is a long story while it is played.
type long struct {
	*stage
	t      *testing.T
	env    []string
	path   string
	rows   *sql.DB      // reads beside keyturn
	spare  []string     // kids of previously used keys that are to be revoked
	toys   []string     // kids of two that are asked for and never revoked
	newest atomic.Value // slacksim.Message: the card that was posted last
	pid    int
	over   chan struct{} // closed once keyturn ended

	mu      sync.Mutex
	figures figures
}

// longPeople are all in the incident's channel. The first four are the approvers.
var longPeople = []slacksim.Person{
	{ID: "U0ALICE", Name: "alice"}, {ID: "U0BOB", Name: "bob"},
	{ID: "U0CAROL", Name: "carol"}, {ID: "U0DORA", Name: "dora"},
	{ID: "U0LENA", Name: "lena"}, {ID: "U0SAM", Name: "sam"}, {ID: "U0MORT", Name: "mort"},
	{ID: "U0GINA", Name: "gina", Guest: true},
}

func newLong(t *testing.T) *long {
	w, err := slacksim.New(slacksim.Config{Manifest: keyturn.Manifest})
	if err != nil {
		t.Fatal(err)
	}
	tenant := auth0sim.New(auth0sim.Config{Previous: 6, Rate: 10, Burst: 10})
	l := &long{
		stage: &stage{slack: w, tenant: tenant}, t: t,
		path: filepath.Join(t.TempDir(), "keyturn.db"), over: make(chan struct{}),
		figures: figures{
			ended: map[string]int{}, acted: map[string]int{}, acked: map[string]int{},
		},
	}
	l.comeIn()
	for _, k := range tenant.Keys() {
		if k.Role == "previous" {
			l.spare = append(l.spare, k.KID)
		}
	}
	l.toys, l.spare = l.spare[:2], l.spare[2:]
	slack, auth0 := httptest.NewServer(w), httptest.NewServer(tenant)
	t.Cleanup(func() {
		slack.CloseClientConnections()
		slack.Close()
		auth0.Close()
		w.Close()
		tenant.Close()
	})
	l.env = environment(slack.URL, auth0.URL, l.path)
	l.rows, err = sql.Open("sqlite", "file:"+l.path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.rows.Close() })
	return l
}

// comeIn fills the workspace.
func (l *long) comeIn() {
	bot := []string{slacksim.BotID}
	members := bot
	for _, p := range longPeople {
		l.slack.AddPerson(p)
		members = append(members, p.ID)
	}
	l.slack.AddChannel(slacksim.Channel{ID: room, Name: "incident", Members: members})
	l.slack.AddChannel(slacksim.Channel{ID: trailRoom, Name: "trail", Members: bot})
}

func environment(slack, auth0, database string) []string {
	return []string{
		"KEYTURN_SLACK_APP_TOKEN=xapp-1-" + slacksim.AppID + "-1-sim",
		"KEYTURN_SLACK_BOT_TOKEN=xoxb-sim", "KEYTURN_SLACK_API_URL=" + slack + "/api",
		"KEYTURN_APPROVERS=U0ALICE,U0BOB,U0CAROL,U0DORA", "KEYTURN_REQUESTERS=*",
		"KEYTURN_AUDIT_CHANNEL=" + trailRoom, "KEYTURN_DATABASE_URL=" + database,
		"KEYTURN_HTTP_ADDR=127.0.0.1:0", "KEYTURN_TENANTS=prod",
		"KEYTURN_TENANT_PROD_DOMAIN=" + auth0, "KEYTURN_TENANT_PROD_CLIENT_ID=sim-client",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET=sim-secret",
	}
}

// start starts keyturn, and returns once presses reach it.
func (l *long) start() {
	l.t.Helper()
	path, err := exec.LookPath("keyturn") // put in PATH by testscript.Main
	if err != nil {
		l.t.Fatal(err)
	}
	child := exec.Command(path)
	child.Env, child.Stderr = l.env, &l.log
	if err := child.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.child, l.pid = child, child.Process.Pid
	go func() {
		child.Wait()
		close(l.over)
	}()
	l.t.Cleanup(func() {
		child.Process.Kill()
		<-l.over
	})
	l.slack.SetLimits(true)
	if !l.await(l.isReady) {
		l.t.Fatalf("keyturn does not get ready:\n%s", l.log.String())
	}
}

// await reports whether cond came true in patient time. It looks ten times a second, since
// not all that it looks at tells of its changes.
func (l *long) await(cond func() bool) bool { return l.awaitFor(patient, cond) }

func (l *long) awaitFor(d time.Duration, cond func() bool) bool {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for end := time.After(d); ; {
		if cond() {
			return true
		}
		select {
		case <-ticker.C:
		case <-end:
			return cond()
		case <-l.over:
			return cond()
		}
	}
}

func (l *long) isReady() bool {
	found := listening.FindStringSubmatch(l.log.String())
	if found == nil {
		return false
	}
	res, err := http.Get("http://" + found[1] + "/readyz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// count returns what a query counts.
func (l *long) count(query string) (n int64) {
	if err := l.rows.QueryRow(query).Scan(&n); err != nil {
		l.t.Errorf("%s: %v", query, err)
	}
	return n
}

const (
	rowsUnworked = `SELECT count(*) FROM inbox WHERE worked_at = 0`
	rowsReceived = `SELECT count(*) FROM inbox`
	trailSize    = `SELECT size FROM trail_head`
	trailPosted  = `SELECT coalesce(max(seq), 0) FROM posts WHERE channel = '` + trailRoom + `'`
)

// catchesUp checks that what was received is worked, that the channel of the trail comes to
// where the trail is now, and that keyturn says it is ready; Slack goes on as it was.
func (l *long) catchesUp() {
	began, size := time.Now(), l.count(trailSize)
	if !l.await(func() bool { return l.count(rowsUnworked) == 0 }) {
		l.t.Errorf("%s after the last press %d of %d rows of the inbox are not worked",
			patient, l.count(rowsUnworked), l.count(rowsReceived))
	}
	posted := func() bool { return l.count(trailPosted) >= size }
	if !l.awaitFor(2*patient, posted) {
		l.t.Errorf("the channel of the trail has come to entry %d of %d, %s after the last press",
			l.count(trailPosted), size, time.Since(began).Round(time.Second))
	}
	l.figures.caughtUp = time.Since(began)
	if !l.await(l.isReady) {
		l.t.Error("keyturn does not say that it is ready")
	}
}

// stops stops keyturn as an operator does, and verifies its trail.
func (l *long) stops() {
	l.child.Process.Signal(syscall.SIGTERM)
	select {
	case <-l.over:
	case <-time.After(patient):
		l.t.Errorf("keyturn does not stop within %s of SIGTERM", patient)
		l.child.Process.Kill()
		<-l.over
	}
	if !l.child.ProcessState.Success() {
		l.t.Errorf("keyturn ended with %v", l.child.ProcessState)
	}
	verify := exec.Command(l.child.Path, "audit", "verify", "--database", l.path)
	if out, err := verify.CombinedOutput(); err != nil {
		l.t.Errorf("the trail does not verify: %v\n%s", err, out)
	}
}

// figures are what is measured, and never asserted.
type figures struct {
	rss, fds     int64 // the most there were; rss in kB
	unworked     int64
	backlog      int64 // entries that the channel of the trail was behind
	toEntry      time.Duration
	toWrite      time.Duration
	caughtUp     time.Duration
	retyped      int // what was asked for again, since the asker was told to
	ended        map[string]int
	acted, acked map[string]int // by person of the noise
}

// measure looks every second at what keyturn takes, until ctx ends.
func (l *long) measure(ctx context.Context) {
	every(ctx, time.Second, func() {
		rss, fds := procOf(l.pid)
		unworked, backlog := l.count(rowsUnworked), l.count(trailSize)-l.count(trailPosted)
		l.mu.Lock()
		defer l.mu.Unlock()
		f := &l.figures
		f.rss, f.fds = max(f.rss, rss), max(f.fds, fds)
		f.unworked, f.backlog = max(f.unworked, unworked), max(f.backlog, backlog)
	})
}

// procOf returns how much memory a process has, in kB, and how many files and sockets it
// has open; 0 where the system does not say so in /proc.
func procOf(pid int) (rss, fds int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if after, is := strings.CutPrefix(line, "VmRSS:"); is {
			rss, _ = strconv.ParseInt(strings.Fields(after)[0], 10, 64)
		}
	}
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return rss, int64(len(open))
}

// report logs the figures, and where something is wrong what keyturn warned of.
func (l *long) report() {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, log := l.figures, l.t.Logf
	log("memory %d kB, %d open files and sockets at most", f.rss, f.fds)
	log("inbox: %d rows, %d not worked at most, %d at the end",
		l.count(rowsReceived), f.unworked, l.count(rowsUnworked))
	log("from press to entry %s, from Approve to the write at Auth0 %s at most",
		f.toEntry.Round(time.Millisecond), f.toWrite.Round(time.Millisecond))
	log("the channel of the trail was %d entries of %d behind at most; it caught up in %s",
		f.backlog, l.count(trailSize), f.caughtUp.Round(time.Second))
	log("requests ended: %v; asked again since told to: %d", f.ended, f.retyped)
	for _, who := range slices.Sorted(maps.Keys(f.acted)) {
		log("%s acted %d times, %d were acknowledged", who, f.acted[who], f.acked[who])
	}
	counts := l.slack.Counts()
	for _, method := range slices.Sorted(maps.Keys(counts)) {
		c := counts[method]
		log("%s: %d taken, %d answered 429 by its limit", method, c.Taken, c.Refused)
	}
	statuses := map[int]int{}
	for _, c := range l.tenant.History() {
		statuses[c.Status]++
	}
	log("Auth0 answered %v", statuses)
	if l.t.Failed() {
		log("what keyturn warned of last:\n%s", warnings(l.log.String(), 30))
	}
}

// warnings returns the last n lines of a log that are more than information.
func warnings(log string, n int) string {
	var lines []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"info"`) {
			lines = append(lines, line)
		}
	}
	return cmp.Or(strings.Join(lines[max(0, len(lines)-n):], ""), "nothing")
}
