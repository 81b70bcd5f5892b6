package approval_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// This file plays operations in the town, and checks what must hold after each.

// happen lets one thing happen and returns the first thing that is then wrong.
func (t *town) happen(o op) error {
	o.n = min(o.n, len(t.asked))
	if i := slices.IndexFunc(t.asked, func(r *asked) bool { return r.State == approval.InDoubt }); i >= 0 && (o.verb == approval.TookEffect || o.verb == approval.DidNot) {
		o.n = i + 1 // a word is wasted on anything else
	}
	at, result := time.Since(t.began), ""
	s := t.tenants[o.tenant]
	t.now = move{}
	var err error
	switch o.kind {
	case "ask":
		result, err = t.ask(o)
	case "press":
		if o.n == 0 {
			return nil
		}
		result, err = t.press(o, t.asked[o.n-1])
	case "pass":
		err = t.pass(o.d)
	case "expiry":
		if o.n == 0 {
			return nil
		}
		err = t.pass(time.Until(t.asked[o.n-1].ExpiresAt))
	case "fault":
		s.Fault(o.fault)
		s.spoilt = s.spoilt || o.fault.Op != "rotate" && o.fault.Op != "revoke"
		s.late = s.late || o.fault.Lose == auth0sim.LandLate && o.fault.Delay > quiet
	case "lag":
		s.Fault(auth0sim.Fault{Op: "list", Status: http.StatusOK, Body: list(s.Tenant)})
		s.spoilt = true
		s.setStale(time.Now())
	case "clear":
		t.clear(s)
	case "rotate":
		s.Rotate()
	case "revoke":
		if s.Revoke(s.kid("previous")) != nil {
			return nil
		}
	case "die":
		t.life.doom(o.steps, o.after)
	case "crash":
		t.life.die()
	case "restart":
		err = t.reopen()
	case "sleep":
		t.stop()
	case "end":
		err = t.end()
	}
	line := fmt.Sprintf("%9v  %v", at.Round(time.Millisecond), o)
	if result != "" {
		line += ": " + result
	}
	t.log = append(t.log, line)
	if err == nil {
		err = t.rest()
	}
	if err == nil {
		err = t.check()
	}
	return err
}

func (t *town) clear(s *side) {
	s.ClearFaults()
	s.spoilt = false
	s.setStale(time.Time{})
}

// rest waits until nothing goes on without time passing. A keyturn that died meanwhile
// is started again.
func (t *town) rest() error {
	for synctest.Wait(); t.life.ctx.Err() != nil; synctest.Wait() {
		if err := t.reopen(); err != nil {
			return err
		}
	}
	return nil
}

// end mends everything and gives it the time to come to an end.
func (t *town) end() error {
	for _, s := range t.tenants {
		t.clear(s)
	}
	t.life.doom(0, false)
	if err := errors.Join(t.reopen(), t.pass(75*time.Minute), t.check()); err != nil {
		return err
	}
	for _, r := range t.asked {
		if !r.State.IsFinal() && r.State != approval.InDoubt {
			return fmt.Errorf("#%d stays %s", r.n, r.State)
		}
		row, err := t.life.Request(context.Background(), r.ID)
		story, storyErr := t.life.Story(context.Background(), r.ID)
		if err := errors.Join(err, storyErr, approval.Agrees(row, story)); err != nil {
			return fmt.Errorf("#%d, after %v: %w", r.n, r.kinds, err)
		}
	}
	all, err := t.life.Entries(context.Background(), 0, 1<<20)
	if err == nil && int64(len(all)) != t.seq {
		err = fmt.Errorf("the trail has %d entries by now, of %d", len(all), t.seq)
	}
	return err
}

func (t *town) ask(o op) (string, error) {
	if len(t.asked) == 5 {
		return "", nil // enough to get into each other's way
	}
	// People's looks are a second apart.
	if err := errors.Join(t.pass(time.Second), t.check()); err != nil {
		return "", err
	}
	kid := t.tenants[o.tenant].kid(o.key)
	if o.action != approval.Revoke {
		kid = t.tenants[o.tenant].kid("current")
	}
	t.now = move{who: o.who, may: t.mayAsk(o, kid), ends: approval.Pending}
	a := approval.Ask{
		Cause: fmt.Sprintf("V%d", len(t.log)), Person: person("U" + strings.ToUpper(o.who)), Tenant: o.tenant, Action: o.action,
		Reason: "pasted in a build log", Channel: "C1",
		Approvers: []approval.Candidate{{Person: person("UALICE")}, {Person: person("UBOB")}},
	}
	if o.action == approval.Revoke {
		a.KID = kid
	}
	began := time.Now()
	r, err := t.desk.Ask(t.life.ctx, a)
	if time.Since(began) > 0 { // the carrier went first, and what it did meanwhile counts
		t.now.may = append(t.unclear(o, kid), approval.AlreadyOpen)
	}
	if err == nil && r.KID != kid && slices.Equal(t.now.may, []approval.Why{isDone}) {
		return "", fmt.Errorf("%v: asked of another key", o)
	}
	return t.came(o, false, err)
}

func (t *town) press(o op, r *asked) (string, error) {
	time.Sleep(time.Microsecond) // no two presses are received at once
	t.now = move{who: o.who, verb: o.verb, r: r}
	t.now.may, t.now.ends = t.mayPress(o, r)
	_, again, err := t.desk.Press(t.life.ctx, approval.Press{
		Request: r.ID, Verb: o.verb, Person: person("U" + strings.ToUpper(o.who)), Received: time.Now().Add(-o.d),
	})
	return t.came(o, again, err)
}

// came holds what came of a move against what may.
func (t *town) came(o op, again bool, err error) (string, error) {
	got := isDone
	var no *approval.Refusal
	switch {
	case errors.As(err, &no):
		got = no.Why
	case err != nil && t.life.ctx.Err() != nil:
		return "died", nil // done or not: the trail will say
	case err != nil:
		got = isError
	case again:
		got = isAgain
	}
	if !slices.Contains(t.now.may, got) {
		return string(got), fmt.Errorf("%v: %s, want one of %v", o, got, t.now.may)
	}
	if err := t.rest(); err != nil {
		return string(got), err
	}
	if err := t.read(); err != nil {
		return string(got), err
	}
	if t.now.landed != (got == isDone) {
		return string(got), fmt.Errorf("%v: %s, and an entry says so: %v", o, got, t.now.landed)
	}
	return string(got), nil
}

// read takes in the entries that are new, each as the next step of its request.
func (t *town) read() error {
	entries, err := t.life.Entries(context.Background(), t.seq, 1<<20)
	if err != nil {
		return err
	}
	for _, e := range entries {
		t.seq++
		if e.Seq != t.seq {
			return fmt.Errorf("entry %d has number %d", t.seq, e.Seq)
		}
		if ended := t.ended; ended || e.Kind == audit.Checkpointed {
			if t.ended = false; !ended || e.Kind != audit.Checkpointed {
				return fmt.Errorf("entry %d is %s; after an end, and only there, a checkpoint comes", e.Seq, e.Kind)
			}
			continue
		}
		t.ended = e.Kind.Ends()
		if e.Kind == audit.Asked {
			r := &asked{n: len(t.asked) + 1, pressed: map[string]bool{}, intents: map[string][]time.Time{}}
			t.asked, t.byID[approval.ID(e.Request)] = append(t.asked, r), r
			r.ID, r.Requester, r.Pins = approval.ID(e.Request), *e.Actor, e.Change.Pins
			t.now.r = r
		}
		r := t.byID[approval.ID(e.Request)]
		if r == nil {
			return fmt.Errorf("an entry %s is of no request", e.Kind)
		}
		if err := t.step(r, e); err != nil {
			return fmt.Errorf("#%d, after %v: %w", r.n, r.kinds, err)
		}
		r.kinds, r.last = append(r.kinds, e.Kind), e.Seq
	}
	return nil
}

// step is one entry of one request.
func (t *town) step(r *asked, e audit.Entry) error {
	to := approval.State(e.Kind)
	switch e.Kind {
	case audit.Asked:
		to, r.State = approval.Pending, approval.Pending
	case audit.Began:
		to = approval.Working
	case audit.Stated:
		to = approval.InDoubt
	}
	if e.Actor != nil {
		m := &t.now
		if m.landed || m.r != r || "U"+strings.ToUpper(m.who) != e.Actor.User || !slices.Contains(m.may, isDone) || m.ends != to {
			return fmt.Errorf("%s by %s, who did no such thing", e.Kind, e.Actor.User)
		}
		m.landed = true
		if r.State == approval.InDoubt {
			r.said, r.byPeople = append(r.said, *m), to.IsFinal()
		}
		r.pressed[m.who+string(m.verb)] = true
	}
	switch e.Kind {
	case audit.Intended:
		r.intents[e.Step.Write] = append(r.intents[e.Step.Write], e.Time)
	case audit.Rotated:
		r.rotated = true
	}
	if !slices.Contains(approval.States, to) || to == r.State {
		return nil // within its state
	}
	byThemselves := to != approval.Approved && to != approval.Denied && to != approval.Cancelled
	if !slices.Contains(edges[r.State], to) || e.Actor == nil && !byThemselves {
		return fmt.Errorf("it became %s", to)
	}
	if to == approval.Approved && (e.Actor.User == r.Requester.User || !slices.Contains(policy.Approvers, e.Actor.User)) {
		return fmt.Errorf("approved by %s", e.Actor.User)
	}
	r.State = to
	return nil
}

// check holds rows, trail and tenants against each other.
func (t *town) check() error {
	t.mu.Lock()
	bad := t.bad
	t.mu.Unlock()
	if err := errors.Join(bad, t.read()); err != nil {
		return err
	}
	open := map[string]int{}
	for _, r := range t.asked {
		row, err := t.life.Request(context.Background(), r.ID)
		if err != nil {
			return err
		}
		if row.State != r.State || row.Revision != r.last {
			return fmt.Errorf("#%d is %s in its row and %s in the trail", r.n, row.State, r.State)
		}
		r.Request = row
		if isCarried(r.State) {
			if open[r.Tenant]++; open[r.Tenant] > 1 {
				return fmt.Errorf("#%d is the second one of %s that is carried out", r.n, r.Tenant)
			}
		}
		if !r.State.IsFinal() {
			same := fmt.Sprint(r.Tenant, r.Action, r.KID)
			if open[same]++; open[same] > 1 {
				return fmt.Errorf("#%d is asked for twice", r.n)
			}
		}
		if err := t.tenants[r.Tenant].bearsOut(r); err != nil {
			return fmt.Errorf("#%d (%s, %s): %w", r.n, r.Action, r.State, err)
		}
	}
	return nil
}

// open starts keyturn, as after a crash or for the first time.
func (t *town) open() error {
	l := &life{leaving: t.leaving}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	var err error
	if l.Store, err = store.Open(context.Background(), t.path, t.path+".key", time.Now); err != nil {
		return err
	}
	tenants, writers := map[string]approval.Tenant{}, map[string]*mgmt.Writer{}
	t.readers = nil
	for name, tenant := range t.tenants {
		base := "http://" + name + ".test"
		reader, writer := mgmt.Open(mgmt.Config{BaseURL: base, ClientID: "sim-client", ClientSecret: "sim-secret", Dial: l.dial(name, tenant.Tenant)})
		tenants[name] = approval.Tenant{Name: name, Reader: reader, JWKS: []string{base}}
		writers[name] = writer
		t.readers = append(t.readers, reader)
	}
	t.life = l
	t.desk = approval.NewDesk(l, policy, tenants, 30*time.Minute, "test", time.Now)
	carrier := &approval.Carrier{
		Store: l, Tenants: tenants, Writers: writers, Owner: "test", Version: "test", Now: time.Now, Timing: approval.DefaultTiming(),
	}
	t.stop = run(l.ctx, carrier)
	return nil
}

// close ends the process, or buries it if it is dead.
func (t *town) close() error {
	t.stop()
	t.life.die()
	for _, r := range t.readers {
		r.Close()
	}
	return t.life.Close()
}

// pass lets time pass. Whenever keyturn dies it is started again at once.
func (t *town) pass(d time.Duration) error {
	timer := time.NewTimer(d)
	for {
		select {
		case <-timer.C:
			return t.rest()
		case <-t.life.ctx.Done():
			if err := t.reopen(); err != nil {
				return err
			}
		}
	}
}

func (t *town) reopen() error { return errors.Join(t.close(), t.open()) }
