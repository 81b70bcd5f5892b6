package approval_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt/auth0sim"
)

// This file has what can happen in the model test: the operations, how they are drawn,
// and a keyturn that can die at any commit and at any write that leaves.

// op is one thing that happens. The fields that its kind does not need are zero.
type op struct {
	kind   string
	who    string
	tenant string
	action approval.Action
	key    string // role of the key to revoke
	verb   approval.Verb
	n      int           // which request, from 1; there being fewer, the newest
	steps  int           // until death
	d      time.Duration // how long it takes, or how long a press lay in the inbox
	fault  auth0sim.Fault
	after  bool // death comes after the step
}

func (o op) GoString() string { return o.String() }

func (o op) String() string {
	switch o.kind {
	case "ask":
		s := fmt.Sprintf("%s asks %s of %s", o.who, o.action, o.tenant)
		if o.action == approval.Revoke {
			s += ", a " + o.key + " key"
		}
		return s
	case "press":
		s := fmt.Sprintf("%s: %s #%d", o.who, o.verb, o.n)
		if o.d > 0 {
			s += fmt.Sprintf(", pressed %v ago", o.d)
		}
		return s
	case "pass":
		return fmt.Sprintf("%v pass", o.d)
	case "expiry":
		return fmt.Sprintf("time passes until #%d expires", o.n)
	case "fault":
		return fmt.Sprintf("%s: %s", o.tenant, faultWords(o.fault))
	case "lag":
		return o.tenant + ": the list stays as it is"
	case "clear":
		return o.tenant + ": the faults are over"
	case "rotate", "revoke":
		return o.tenant + ": somebody presses " + o.kind + " in the Dashboard"
	case "die":
		return fmt.Sprintf("keyturn dies at its step %d from here, %s it", o.steps, map[bool]string{true: "after", false: "before"}[o.after])
	}
	return map[string]string{"crash": "keyturn dies", "restart": "keyturn is restarted", "sleep": "the carrier is stopped", "end": "everything is mended, and time passes"}[o.kind]
}

func faultWords(f auth0sim.Fault) string {
	what := "are lost before they do anything"
	switch {
	case f.Status == http.StatusOK:
		what = "are answered with no keys"
	case f.Status != 0:
		what = fmt.Sprintf("are answered %d", f.Status)
	case f.Lose == auth0sim.LoseAfter:
		what = "are lost after they were done"
	case f.Lose == auth0sim.LandLate:
		what = fmt.Sprintf("are lost, and land %v later", f.Delay)
	case f.Delay > 0:
		what = fmt.Sprintf("take %v", f.Delay)
	}
	if f.Times == 0 {
		return fmt.Sprintf("calls of %s %s", f.Op, what)
	}
	return fmt.Sprintf("the next %d calls of %s %s", f.Times, f.Op, what)
}

// among draws one of all, each as likely; it shrinks towards the first. What rapid draws
// from a slice by itself is the first ones, mostly.
func among[T any](all ...T) *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) T {
		i := 0
		for range 8 {
			i <<= 1
			if rapid.Bool().Draw(t, "bit") {
				i++
			}
		}
		return all[i*len(all)>>8]
	})
}

// weighted draws a kind as often as it says.
func weighted(weights map[string]int, order ...string) *rapid.Generator[string] {
	var all []string
	for _, kind := range order {
		all = append(all, slices.Repeat([]string{kind}, weights[kind])...)
	}
	return among(all...)
}

var (
	drawKind = weighted(map[string]int{
		"pass": 9, "ask": 9, "press": 26, "fault": 14, "clear": 3, "expiry": 1, "rotate": 1, "revoke": 1, "restart": 1, "crash": 2, "die": 3, "sleep": 1, "lag": 1,
	}, "pass", "ask", "press", "clear", "expiry", "restart", "sleep", "crash", "die", "rotate", "revoke", "lag", "fault")
	drawTenant = among("prod", "prod", "prod", "staging")
	drawAsker  = among("alice", "alice", "alice", "alice", "dave", "bob")
	drawRole   = among("previous", "previous", "previous", "previous", "oldest", "current", "next", "revoked", "unknown")
	drawAction = among(approval.Rotate, approval.Revoke, approval.RotateAndRevoke, approval.RotateAndRevoke)
	drawVerb   = among(
		approval.Approve, approval.Approve, approval.Approve, approval.Approve, approval.Approve, approval.Approve, approval.Deny, approval.Cancel,
		approval.TookEffect, approval.DidNot,
	)
	drawPresser = among("bob", "bob", "bob", "bob", "alice", "dave")
	drawLain    = among(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2*time.Minute, 2*time.Minute+time.Second)
	drawPass    = among(
		time.Second, 2*time.Second, 3*time.Second, 4*time.Second, 7*time.Second, 11*time.Second, 16*time.Second, 18*time.Second, 50*time.Second,
		3*time.Minute, 6*time.Minute, 16*time.Minute, 40*time.Minute,
	)
	drawRequest = among(1, 5, 2, 5, 3, 5, 4, 5) // most often the newest
	drawSteps   = among(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	drawTimes   = among(1, 1, 2, 3, 12, 0)
	drawSpoilt  = among("rotate", "revoke", "rotate", "revoke", "rotate", "revoke", "token", "list", "token", "list", "jwks")
	drawStatus  = among(500, 403, 429, 503, 502)
	// No delay is a whole number of seconds: nothing of keyturn's own comes in the same
	// moment. Two are longer than the quiet time.
	drawDelay = among(
		2700*time.Millisecond, 5700*time.Millisecond, 8700*time.Millisecond, 12700*time.Millisecond, 14700*time.Millisecond,
	)
	drawLate = among(15700*time.Millisecond, 70700*time.Millisecond)
)

// drawOps draws what happens in one history: some twenty operations. A slice of slices
// is that long on average, and still shrinks to nothing.
var drawOps = rapid.SliceOfN(rapid.OneOf(rapid.SliceOfN(rapid.Custom(drawOp), 1, 10), rapid.Custom(drawScene)), 1, 8)

// drawScene draws a change that is asked for and approved while something goes wrong with
// it. What is left to chance alone seldom comes so far.
func drawScene(t *rapid.T) (ops []op) {
	tenant := drawTenant.Draw(t, "tenant")
	ops = []op{{kind: "ask", who: "alice", tenant: tenant, action: drawAction.Draw(t, "action"), key: "previous"}}
	for range among(0, 1, 2, 3).Draw(t, "faults") {
		ops = append(ops, op{kind: "fault", tenant: tenant, fault: drawFault(t, among("rotate", "revoke", "revoke").Draw(t, "op"))})
	}
	maybe := func(o op) {
		if rapid.Bool().Draw(t, "maybe") {
			ops = append(ops, o)
		}
	}
	maybe(drawOp(t))
	switch among("", "", "", "", "sleep", "expiry").Draw(t, "pause") {
	case "expiry": // a carrier that is awake lets it expire before anybody is too late
		ops = append(ops, op{kind: "sleep"}, op{kind: "expiry", n: 5})
	case "sleep":
		ops = append(ops, op{kind: "sleep"})
		defer func() { ops = append(ops, op{kind: "restart"}) }()
	}
	ops = append(ops, op{kind: "press", who: "bob", verb: approval.Approve, n: 5})
	maybe(op{kind: "pass", d: drawPass.Draw(t, "d")})
	maybe(drawOp(t))
	for i := range among(0, 0, 0, 3, 4, 5, 6).Draw(t, "words") {
		if i == 0 {
			ops = append(ops, op{kind: "fault", tenant: tenant, fault: auth0sim.Fault{Op: "list", Status: http.StatusOK, Body: "[]"}}, op{kind: "pass", d: 20 * time.Second})
		}
		o := op{kind: "press", who: among("alice", "bob", "dave").Draw(t, "who"), verb: among(approval.TookEffect, approval.DidNot).Draw(t, "verb"), n: 5}
		ops = append(ops, o)
	}
	return ops
}

func drawOp(t *rapid.T) op {
	o := op{kind: drawKind.Draw(t, "kind")}
	switch o.kind {
	case "ask":
		o.who, o.tenant, o.action = drawAsker.Draw(t, "who"), drawTenant.Draw(t, "tenant"), drawAction.Draw(t, "action")
		if o.action == approval.Revoke {
			o.key = drawRole.Draw(t, "key")
		}
	case "press":
		o.who, o.verb = drawPresser.Draw(t, "who"), drawVerb.Draw(t, "verb")
		o.n, o.d = drawRequest.Draw(t, "n"), drawLain.Draw(t, "d")
	case "pass":
		o.d = drawPass.Draw(t, "d")
	case "expiry":
		o.n = drawRequest.Draw(t, "n")
	case "die":
		o.steps, o.after = drawSteps.Draw(t, "steps"), rapid.Bool().Draw(t, "after")
	case "rotate", "revoke", "clear", "lag":
		o.tenant = drawTenant.Draw(t, "tenant")
	case "fault":
		o.tenant, o.fault = drawTenant.Draw(t, "tenant"), drawFault(t, drawSpoilt.Draw(t, "op"))
	}
	return o
}

func drawFault(t *rapid.T, spoilt string) auth0sim.Fault {
	f := auth0sim.Fault{Op: spoilt, Times: drawTimes.Draw(t, "times")}
	ways := []string{"before", "status", "after", "late", "late", "slow", "later"}
	switch f.Op {
	case "list":
		ways = []string{"before", "status", "empty", "empty"}
	case "token", "jwks":
		ways = ways[:2]
	}
	switch among(ways...).Draw(t, "way") {
	case "before":
		f.Lose = auth0sim.LoseBefore
	case "status":
		f.Status = drawStatus.Draw(t, "status")
	case "empty":
		f.Status, f.Body = http.StatusOK, "[]"
	case "after":
		f.Lose = auth0sim.LoseAfter
	case "late":
		f.Lose, f.Delay = auth0sim.LandLate, drawDelay.Draw(t, "delay")
	case "later":
		f.Lose, f.Delay = auth0sim.LandLate, drawLate.Draw(t, "delay")
	case "slow":
		f.Delay = drawDelay.Draw(t, "delay")
	}
	return f
}

// life is a process: from its start to its death it keeps the store and the connections.
// It is the store that desk and carrier see, and a step is a commit of a move or a write
// that leaves. Nothing that is dead commits, sends or hears anything.
type life struct {
	*store.Store
	ctx     context.Context // of the process
	cancel  func()
	leaving func(l *life, tenant, write, id string) // sees each write before it leaves

	mu    sync.Mutex
	left  int // steps until death; 0: it lives on
	after bool
	conns []net.Conn
}

var errDead = errors.New("keyturn is dead")

func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	for _, c := range l.conns {
		c.Close()
	}
}

// doom lets the process die at a step to come; 0: at none.
func (l *life) doom(steps int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.after = steps, after
}

// step does what is one step, as far as the process lives.
func (l *life) step(do func() error) error {
	l.mu.Lock()
	l.left--
	dies, after := l.left == 0, l.after
	l.mu.Unlock()
	if dies && !after {
		l.die()
	}
	if l.ctx.Err() != nil {
		return errDead
	}
	err := do()
	if dies {
		l.die()
		return errDead
	}
	return err
}

func (l *life) Create(ctx context.Context, r approval.Request, e audit.Entry) (now approval.Request, err error) {
	err = l.step(func() error {
		now, err = l.Store.Create(ctx, r, e)
		return err
	})
	return now, err
}

func (l *life) Move(ctx context.Context, m approval.Move) (now approval.Request, err error) {
	err = l.step(func() error {
		now, err = l.Store.Move(ctx, m)
		return err
	})
	return now, err
}

func (l *life) Claim(ctx context.Context, owner string, d time.Duration) (approval.Request, error) {
	if l.ctx.Err() != nil {
		return approval.Request{}, errDead
	}
	return l.Store.Claim(ctx, owner, d)
}

// dial opens connections to a tenant that end with the process.
func (l *life) dial(name string, tenant *auth0sim.Tenant) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if l.ctx.Err() != nil {
			return nil, errDead
		}
		c, err := tenant.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns = append(l.conns, c)
		return &tapped{c, l, name}, nil
	}
}

// tapped is a connection on which each write to Auth0 is seen before it leaves.
type tapped struct {
	net.Conn
	life   *life
	tenant string
}

func (c *tapped) Write(b []byte) (n int, err error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || !strings.HasPrefix(req.URL.Path, "/api/v2/keys/signing/") {
		return c.Conn.Write(b)
	}
	write := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	err = c.life.step(func() error {
		c.life.leaving(c.life, c.tenant, write, req.Header.Get("X-Correlation-ID"))
		n, err = c.Conn.Write(b)
		return err
	})
	return n, err
}

// side is a tenant, and how far it can be relied on.
type side struct {
	*auth0sim.Tenant
	spoilt bool // reads of it may fail
	late   bool // something may land after the quiet time
	mu     sync.Mutex
	stale  time.Time // since when the list stays as it was; zero: it does not
}

func (s *side) staleSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale
}

// unsure reports whether the list hid an effect for longer than the quiet time, or may
// have: then no look could have known better.
func (s *side) unsure() bool {
	since := s.staleSince()
	return s.late || !since.IsZero() && time.Since(since) >= quiet
}

// setStale begins or ends the time in which the list stays as it is.
func (s *side) setStale(at time.Time) {
	s.late = s.unsure()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = at
}

// kid returns the kid of the newest key in a role, or of the oldest unrevoked one.
func (s *side) kid(role string) string {
	keys := s.Keys()
	if role == "oldest" {
		role = "previous"
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k.Role == role {
			return k.KID
		}
	}
	return "unknown"
}
