package approval_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// TestAnyHistory lets anything happen in any order, and holds what keyturn makes of it
// against a small model: what each person's move may lead to, how a request may go on
// by itself, and what each end says of the tenant. More histories: -rapid.checks=2000.
func TestAnyHistory(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 9}).Close() // the stock of RSA keys is filled outside the bubbles
	path := filepath.Join(t.TempDir(), "keyturn.db")
	set := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		flag.Set("rapid.checks", "50") // rapid's own 100 take minutes with -race
	}
	if !set && testing.Short() {
		flag.Set("rapid.checks", "15")
	}
	rapid.Check(t, func(rt *rapid.T) {
		// All is drawn before the bubble begins: rapid leaves a test by a panic, which
		// must not cross the bubble.
		ops := slices.Concat(drawOps.Draw(rt, "ops")...)
		var violation error
		var log []string
		synctest.Test(t, func(*testing.T) { log, violation = history(path, ops) })
		for _, line := range log {
			rt.Log(line)
		}
		if violation != nil {
			rt.Fatal(violation)
		}
	})
}

// history plays ops in a town of its own. The violation has no name that is drawn anew
// each time, so that rapid knows the same one again.
func history(path string, ops []op) (log []string, violation error) {
	for _, ending := range []string{"", "-wal", "-shm"} {
		os.Remove(path + ending)
	}
	t := &town{path: path, began: time.Now(), byID: map[approval.ID]*asked{}}
	t.tenants = map[string]*side{
		"prod":    {Tenant: auth0sim.New(auth0sim.Config{Previous: 2})},
		"staging": {Tenant: auth0sim.New(auth0sim.Config{Previous: 1, JWKSMaxAge: 20 * time.Second, TokenLag: lag})},
	}
	for _, s := range t.tenants {
		defer s.Close()
	}
	if err := t.open(); err != nil {
		return nil, err
	}
	for _, o := range append(ops, op{kind: "end"}) {
		if violation = t.happen(o); violation != nil {
			break
		}
	}
	for _, r := range t.asked {
		t.log = append(t.log, fmt.Sprintf("#%d %s of %s: %v", r.n, r.Action, r.Tenant, r.kinds))
	}
	return t.log, errors.Join(violation, t.close())
}

const (
	lag   = 10 * time.Second // of the tokens after a rotation of staging
	quiet = 15 * time.Second // after which what was lost no longer lands, but where it was drawn
)

// town is a keyturn for two tenants, and what the model knows of it.
type town struct {
	path    string
	tenants map[string]*side
	readers []*mgmt.Reader
	life    *life
	desk    *approval.Desk
	stop    func()

	began time.Time
	log   []string
	seq   int64 // the last entry that was read
	ended bool  // the last entry ended a request
	asked []*asked
	byID  map[approval.ID]*asked
	now   move // what somebody does at the moment

	mu  sync.Mutex
	bad error // what was wrong with a write that left
}

// asked is what the model knows of a request.
type asked struct {
	approval.Request // the row, as it was seen last
	n                int
	kinds            []audit.Kind
	last             int64 // number of its last entry
	pressed          map[string]bool
	said             []move // while it is in doubt, in order
	byPeople         bool   // they said how it came out
	rotated          bool   // it was seen
	intents          map[string][]time.Time
}

// move is what a person does.
type move struct {
	who    string
	verb   approval.Verb // "": asks
	r      *asked
	may    []approval.Why // what may come of it
	ends   approval.State // what it becomes if it is done
	landed bool           // its entry was seen
}

// What may come of a move besides a refusal.
const (
	isDone  approval.Why = "done"
	isAgain approval.Why = "done before"
	isError approval.Why = "error"
)

// edges are how a request may go on, by itself or by people: the drawing in approval.go.
var edges = map[approval.State][]approval.State{
	approval.Pending:  {approval.Approved, approval.Denied, approval.Cancelled, approval.Expired, approval.Voided},
	approval.Approved: {approval.Working, approval.Expired, approval.Voided, approval.Failed},
	approval.Working:  {approval.Done, approval.Expired, approval.Voided, approval.Failed, approval.Halted, approval.InDoubt},
	approval.InDoubt:  {approval.Done, approval.Failed, approval.Halted},
}

// mayPress says what may come of a press on a request that stands as the model knows it.
func (t *town) mayPress(o op, r *asked) (may []approval.Why, ends approval.State) {
	if o.verb == approval.TookEffect || o.verb == approval.DidNot {
		return maySay(o, r)
	}
	requester := "U"+strings.ToUpper(o.who) == r.Requester.User
	switch {
	case o.verb == approval.Cancel && !requester:
		return []approval.Why{approval.NotRequester}, ""
	case o.verb != approval.Cancel && requester:
		return []approval.Why{approval.IsRequester}, ""
	case o.verb != approval.Cancel && o.who == "dave":
		return []approval.Why{approval.NotApprover}, ""
	case r.pressed[o.who+string(o.verb)]:
		return []approval.Why{isAgain}, ""
	case r.State != approval.Pending:
		return []approval.Why{approval.Over}, ""
	case o.verb == approval.Deny:
		return []approval.Why{isDone}, approval.Denied
	case o.verb == approval.Cancel:
		return []approval.Why{isDone}, approval.Cancelled
	case o.d > 2*time.Minute:
		return []approval.Why{approval.Stale}, ""
	case !time.Now().Before(r.ExpiresAt):
		return []approval.Why{approval.PastExpiry}, ""
	case slices.ContainsFunc(t.asked, func(other *asked) bool { return other.Tenant == r.Tenant && isCarried(other.State) }):
		return []approval.Why{approval.TenantBusy}, ""
	}
	return []approval.Why{isDone}, approval.Approved
}

func isCarried(s approval.State) bool {
	return s == approval.Approved || s == approval.Working || s == approval.InDoubt
}

// maySay says what may come of a word on how a request in doubt came out.
func maySay(o op, r *asked) (may []approval.Why, ends approval.State) {
	var own, other approval.Verb // what this person and somebody else said last
	for _, said := range r.said {
		if said.who == o.who {
			own = said.verb
		} else {
			other = said.verb
		}
	}
	switch {
	case own == o.verb:
		return []approval.Why{isAgain}, ""
	case r.State == approval.Pending:
		return []approval.Why{approval.PastExpiry}, ""
	case r.State != approval.InDoubt:
		return []approval.Why{approval.Over}, ""
	case o.d > 2*time.Minute:
		return []approval.Why{approval.Stale}, ""
	case other == o.verb && o.who == "dave":
		return []approval.Why{approval.NotApprover}, ""
	case other == o.verb:
		return []approval.Why{isDone}, saidSo(r, o.verb)
	}
	return []approval.Why{isDone}, approval.InDoubt
}

// saidSo is where a request ends of which two people say the same.
func saidSo(r *asked, verb approval.Verb) approval.State {
	both := r.Action == approval.RotateAndRevoke
	switch took := verb == approval.TookEffect; {
	case both && took != r.rotated:
		return approval.Halted
	case took:
		return approval.Done
	}
	return approval.Failed
}

// mayAsk says what may come of asking, from the keys as they are. A tenant that cannot
// be read as it is may also give errors, or what is no longer so.
func (t *town) mayAsk(o op, kid string) []approval.Why {
	s := t.tenants[o.tenant]
	clean := isDone
	for _, k := range s.Keys() {
		if o.action == approval.Revoke && k.KID == kid && k.Role != "previous" {
			clean = map[string]approval.Why{"current": approval.KeyIsCurrent, "next": approval.KeyIsNext, "revoked": approval.KeyIsRevoked}[k.Role]
		}
		if o.tenant == "staging" && k.Role == "current" && time.Since(k.CurrentSince) <= lag {
			return append(t.unclear(o, kid), isError) // the old key may be revoked and still sign the tokens
		}
	}
	switch {
	case s.spoilt:
		return t.unclear(o, kid)
	case o.action == approval.Revoke && kid == "unknown":
		return []approval.Why{approval.UnknownKey}
	case clean == isDone && t.isOpen(o, kid):
		return []approval.Why{approval.AlreadyOpen}
	}
	return []approval.Why{clean}
}

func (t *town) unclear(o op, kid string) []approval.Why {
	may := []approval.Why{
		isDone, isError, approval.Auth0Limits,
		approval.UnknownKey, approval.KeyIsCurrent, approval.KeyIsNext, approval.KeyIsRevoked,
		approval.KeysUnclear,
	}
	if o.action != approval.Revoke || t.isOpen(o, kid) {
		may = append(may, approval.AlreadyOpen)
	}
	return may
}

// isOpen reports whether the same is asked for already.
func (t *town) isOpen(o op, kid string) bool {
	return slices.ContainsFunc(t.asked, func(r *asked) bool {
		return r.Tenant == o.tenant && r.Action == o.action && r.KID == kid && !r.State.IsFinal()
	})
}

// leaving looks at a write that is about to leave: two people must be known to have
// agreed on it, its intent must be the last word of the trail, and the keys must be as
// they were shown.
func (t *town) leaving(l *life, tenant, write, id string) {
	err := func() error {
		r, err := l.Request(context.Background(), approval.ID(id))
		if err != nil {
			return err
		}
		story, err := l.Story(context.Background(), r.ID)
		if err != nil {
			return err
		}
		e := story[len(story)-1]
		before, within := audit.Approved, 6*time.Minute
		if write == "revoke" && r.Action == approval.RotateAndRevoke {
			before, within = audit.Rotated, 16*time.Minute
		}
		switch {
		case r.State != approval.Working || r.Tenant != tenant:
			return fmt.Errorf("of a request of %s that is %s", r.Tenant, r.State)
		case e.Kind != audit.Intended || e.Step.Write != write || e.Change.Approver == nil || e.Change.Approver.User == e.Change.Requester.User:
			return fmt.Errorf("after an entry %s", e.Kind)
		case e.Step.Attempt == 1 && e.Time.Sub(timeOf(story, before)) > within:
			return errors.New("long after what came before")
		case !e.Time.Equal(time.Now().UTC().Truncate(time.Microsecond)):
			return errors.New("long after its intent")
		}
		s := t.tenants[tenant]
		if !s.staleSince().IsZero() {
			return nil
		}
		p, keys := e.Change.Pins, s.Keys()
		in := func(p *audit.Pin, role string) bool {
			return p == nil || slices.ContainsFunc(keys, func(k auth0sim.Key) bool { return k.KID == p.KID && k.Role == role })
		}
		role := "current"
		if write == "revoke" {
			role = "previous"
		}
		if !in(p.Key, "previous") || !in(p.Current, role) || write == "rotate" && !in(p.Next, "next") || write == "revoke" && !in(p.Next, "current") {
			return errors.New("while the keys are not as they were shown")
		}
		return nil
	}()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && t.bad == nil {
		t.bad = fmt.Errorf("a %s left %w", write, err)
	}
}

func timeOf(story []audit.Entry, kind audit.Kind) time.Time {
	return story[slices.IndexFunc(story, func(e audit.Entry) bool { return e.Kind == kind })].Time
}

// bearsOut holds what a request says against what its tenant did.
func (s *side) bearsOut(r *asked) error {
	began := func(write string) (at time.Time, tried bool) {
		if r.intents[write] == nil {
			return time.Time{}, false
		}
		return r.intents[write][0], true
	}
	arrived, effects := map[string]int{}, map[string]int{}
	stood := map[string]bool{} // the Dashboard did it, after it was tried
	for _, c := range s.History() {
		at, tried := began(c.Op)
		if !tried && c.Op == "revoke" {
			at, tried = began("rotate") // then a revoke is all that is left to do
		}
		switch {
		case c.Via == "dashboard" && (c.Op == "rotate" || c.KID == r.KID):
			stood[c.Op] = stood[c.Op] || tried && !c.At.Before(at)
		case c.Correlation == string(r.ID) && (c.Op == "rotate" || c.Op == "revoke"):
			if arrived[c.Op]++; arrived[c.Op] > len(r.intents[c.Op]) {
				return fmt.Errorf("%s %d arrived, and was never intended", c.Op, arrived[c.Op])
			}
			if !c.Effect {
				continue
			}
			if effects[c.Op]++; effects[c.Op] > 1 && !s.unsure() {
				return fmt.Errorf("a second %s took effect", c.Op)
			}
			left := func(at time.Time) bool { return at.After(c.At) }
			if effects["rotate"] > 1 && slices.ContainsFunc(r.intents["revoke"], left) {
				return errors.New("a revoke left after the second rotate took effect")
			}
		}
	}
	if effects["rotate"] > 0 && r.Action == approval.Revoke || effects["revoke"] > 0 && r.Action == approval.Rotate {
		return fmt.Errorf("it did %v", effects)
	}
	if !r.State.IsFinal() || r.byPeople || s.unsure() {
		return nil // not said yet, said by people, or nobody could know
	}
	rotated, revoked := r.State == approval.Done || r.State == approval.Halted, r.State == approval.Done
	for write, want := range map[string]bool{"rotate": rotated && r.Action != approval.Revoke, "revoke": revoked && r.Action != approval.Rotate} {
		switch {
		case want && effects[write] == 0 && !stood[write]:
			return fmt.Errorf("no %s took effect", write)
		case !want && effects[write] > 0:
			return fmt.Errorf("the %s took effect", write)
		}
	}
	for _, k := range s.Keys() {
		if k.KID == r.KID && r.State == approval.Halted && !k.RevokedAt.IsZero() && !k.RevokedAt.After(r.EnteredAt) {
			return errors.New("the key was revoked by then")
		}
	}
	return nil
}
