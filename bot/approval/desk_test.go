package approval_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// people are all kinds of people, and what each is to the policy.
var people = map[string]approval.Person{
	"requester":                 person("UALICE"),
	"approver":                  person("UBOB"),
	"approver by group":         {Actor: audit.Actor{Team: "T1", User: "UCAROL"}, Groups: []string{"SONCALL"}},
	"member of another group":   {Actor: audit.Actor{Team: "T1", User: "UDAVE"}, Groups: []string{"SOTHER"}},
	"requester of another team": {Actor: audit.Actor{Team: "T2", User: "UALICE"}},
	"bot":                       {Actor: audit.Actor{Team: "T1", User: "UBOB"}, Bot: true},
	"guest":                     {Actor: audit.Actor{Team: "T1", User: "UBOB"}, Guest: true},
	"deactivated":               {Actor: audit.Actor{Team: "T1", User: "UBOB"}, Deactivated: true},
	"stranger":                  {Actor: audit.Actor{Team: "T1", User: "UBOB"}, Stranger: true},
	"nobody":                    {},
}

// verdicts are what each may do with a pending request; "": it is done.
var verdicts = map[string]map[approval.Verb]approval.Why{
	"requester":                 {approval.Approve: approval.IsRequester, approval.Deny: approval.IsRequester, approval.Cancel: ""},
	"approver":                  {approval.Approve: "", approval.Deny: "", approval.Cancel: approval.NotRequester},
	"approver by group":         {approval.Approve: "", approval.Deny: "", approval.Cancel: approval.NotRequester},
	"member of another group":   {approval.Approve: approval.NotApprover, approval.Deny: approval.NotApprover, approval.Cancel: approval.NotRequester},
	"requester of another team": {approval.Approve: approval.IsRequester, approval.Deny: approval.IsRequester, approval.Cancel: approval.NotRequester},
	"bot":                       {approval.Approve: approval.IsBot, approval.Deny: approval.IsBot, approval.Cancel: approval.IsBot},
	"guest":                     {approval.Approve: approval.IsGuest, approval.Deny: approval.IsGuest, approval.Cancel: approval.IsGuest},
	"deactivated":               {approval.Approve: approval.IsDeactivated, approval.Deny: approval.IsDeactivated, approval.Cancel: approval.IsDeactivated},
	"stranger":                  {approval.Approve: approval.IsStranger, approval.Deny: approval.IsStranger, approval.Cancel: approval.IsStranger},
	"nobody":                    {approval.Approve: approval.NotEstablished, approval.Deny: approval.NotEstablished, approval.Cancel: approval.NotEstablished},
}

// TestEveryPersonEveryMoveEveryState presses every verb as everybody on a request in
// every state. Only the right people move it, only out of pending, and everybody
// else is told why not.
func TestEveryPersonEveryMoveEveryState(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		h.stop() // the carrier would carry out what is made approved here
		base := h.ask(approval.Revoke, h.kid("previous"))
		for _, state := range approval.States {
			for who, p := range people {
				for _, verb := range []approval.Verb{approval.Approve, approval.Deny, approval.Cancel} {
					name := fmt.Sprintf("%s, %s by %s", state, verb, who)
					r := h.copyOf(base, state)
					now, again, err := h.desk.Press(context.Background(), approval.Press{Request: r.ID, Verb: verb, Person: p, Received: time.Now()})
					want := verdicts[who][verb]
					if want == "" && state != approval.Pending {
						want = approval.Over
					}
					if want == "" {
						made := map[approval.Verb]approval.State{approval.Approve: approval.Approved, approval.Deny: approval.Denied, approval.Cancel: approval.Cancelled}[verb]
						if err != nil || again || now.State != made {
							t.Errorf("%s: %s, %v, want %s", name, now.State, err, made)
						}
						now, again, err = h.desk.Press(context.Background(), approval.Press{Request: r.ID, Verb: verb, Person: p, Received: time.Now()})
						if err != nil || !again || now.State != made {
							t.Errorf("%s once more: %s, %v, %v, want the recorded outcome", name, now.State, again, err)
						}
					} else if got := why(t, err); got != want {
						t.Errorf("%s: refused as %s, want %s", name, got, want)
					} else if row := h.request(r.ID); row.State != state || row.Revision != r.Revision {
						t.Errorf("%s: refused, and the row is %s at %d, was %s at %d", name, row.State, row.Revision, state, r.Revision)
					}
					h.retire(r.ID)
				}
			}
		}
		h.stop = func() {}
	})
}

// copies counts the requests that copyOf made.
var copies int

// copyOf keeps a request like r in a state, of a tenant of its own so that none is in
// the way of another.
func (h *house) copyOf(r approval.Request, state approval.State) approval.Request {
	h.t.Helper()
	copies++
	r.ID = approval.ID(fmt.Sprintf("kt-copy%04d", copies))
	r.Tenant = fmt.Sprintf("tenant%d", copies)
	e := audit.Entry{Kind: audit.Asked, Tenant: r.Tenant, Request: string(r.ID), Actor: &r.Requester}
	kept, err := h.store.Create(context.Background(), r, e)
	if err == nil && state != approval.Pending {
		kept, err = h.store.Move(context.Background(), approval.Move{ID: r.ID, From: []approval.State{approval.Pending}, To: state})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return kept
}

// retire takes a request out of the way.
func (h *house) retire(id approval.ID) {
	h.t.Helper()
	if _, err := h.store.Move(context.Background(), approval.Move{ID: id, From: approval.States, To: approval.Failed}); err != nil {
		h.t.Fatal(err)
	}
}

func TestPressesThatComeLate(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		press := func(verb approval.Verb, age time.Duration) error {
			_, _, err := h.desk.Press(t.Context(), approval.Press{Request: r.ID, Verb: verb, Person: person("UBOB"), Received: time.Now().Add(-age)})
			return err
		}
		if got := why(t, press(approval.Approve, 2*time.Minute+time.Second)); got != approval.Stale {
			t.Errorf("an approval of two minutes ago: %s", got)
		}
		if err := press(approval.Deny, time.Hour); err != nil {
			t.Errorf("a denial of an hour ago: %v", err)
		}
		if _, _, err := h.desk.Press(t.Context(), approval.Press{Request: "kt-none", Verb: approval.Deny, Person: person("UBOB")}); why(t, err) != approval.UnknownRequest {
			t.Errorf("an unknown request: %v", err)
		}
	})
}

func TestOneIsCarriedOutAtATime(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
		previous := h.kids("previous")
		first, second := h.ask(approval.Revoke, previous[0]), h.ask(approval.Revoke, previous[1])
		h.tenant.Fault(auth0sim.Fault{Op: "revoke", Times: 1, Delay: 5 * time.Second})
		h.approve(first.ID)
		if got := why(t, h.press(approval.Approve, second.ID, "UBOB")); got != approval.TenantBusy {
			t.Errorf("approved beside another: %s", got)
		}
		h.await(first.ID, approval.Done)
		h.approve(second.ID)
		h.await(second.ID, approval.Done)
		h.wantEffects(0, 2)
	})
}

func (h *house) kids(role string) []string {
	var kids []string
	for _, k := range h.tenant.Keys() {
		if k.Role == role {
			kids = append(kids, k.KID)
		}
	}
	return kids
}

func TestAskingIsRefused(t *testing.T) {
	long := strings.Repeat("x", approval.MaxReason+1)
	for name, tc := range map[string]struct {
		change func(h *house, a *approval.Ask)
		want   approval.Why
	}{
		"unknown tenant":       {func(h *house, a *approval.Ask) { a.Tenant = "test" }, approval.UnknownTenant},
		"unknown key":          {func(h *house, a *approval.Ask) { a.KID = "other" }, approval.UnknownKey},
		"current key":          {func(h *house, a *approval.Ask) { a.KID = h.kid("current") }, approval.KeyIsCurrent},
		"next key":             {func(h *house, a *approval.Ask) { a.KID = h.kid("next") }, approval.KeyIsNext},
		"revoked key":          {func(h *house, a *approval.Ask) { h.tenant.Revoke(a.KID) }, approval.KeyIsRevoked},
		"keys changed":         {func(h *house, a *approval.Ask) { a.Shown = "other" }, approval.KeysChanged},
		"no reason":            {func(h *house, a *approval.Ask) { a.Reason = " \n" }, approval.NoReason},
		"a long reason":        {func(h *house, a *approval.Ask) { a.Reason = long }, approval.LongReason},
		"a link that is none":  {func(h *house, a *approval.Ask) { a.Link = "javascript:alert(1)" }, approval.BadLink},
		"a link that hides":    {func(h *house, a *approval.Ask) { a.Link = "https://acme.slack.com@evil.example/" }, approval.BadLink},
		"a link of lookalikes": {func(h *house, a *approval.Ask) { a.Link = "https://\u0430cme.example/" }, approval.BadLink},
		"nobody else":          {func(h *house, a *approval.Ask) { a.Approvers = a.Approvers[:1] }, approval.NobodyElse},
		"nobody at all":        {func(h *house, a *approval.Ask) { a.Approvers = nil }, approval.NobodyElse},
		"a guest":              {func(h *house, a *approval.Ask) { a.Person.Guest = true }, approval.IsGuest},
		"somebody not settled": {func(h *house, a *approval.Ask) { a.Person.Team = "" }, approval.NotEstablished},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
				a := asking(approval.Revoke, h.kid("previous"))
				tc.change(h, &a)
				_, err := h.desk.Ask(t.Context(), a)
				if got := why(t, err); got != tc.want {
					t.Errorf("refused as %s, want %s", got, tc.want)
				}
				if n, err := h.store.Size(t.Context()); n != 0 || err != nil {
					t.Errorf("the trail has %d entries (%v), want none", n, err)
				}
			})
		})
	}
}

func TestTheSameSubmissionIsOneRequest(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		first := h.ask(approval.Revoke, h.kid("previous"))
		if second := h.ask(approval.Revoke, h.kid("previous")); second.ID != first.ID {
			t.Errorf("submitted twice: %s and %s", first.ID, second.ID)
		}
		a := asking(approval.Revoke, h.kid("previous"))
		a.Cause = "another modal"
		_, err := h.desk.Ask(t.Context(), a)
		if why(t, err) != approval.AlreadyOpen {
			t.Errorf("asked for the same: %v", err)
		}
	})
}

func TestWordsOfADenial(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Revoke, h.kid("previous"))
		if _, err := h.desk.Explain(t.Context(), r.ID, person("UBOB"), "why"); why(t, err) != approval.UnknownRequest {
			t.Errorf("explained before it was denied: %v", err)
		}
		if err := h.press(approval.Deny, r.ID, "UBOB"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.desk.Explain(t.Context(), r.ID, person("UALICE"), "why"); why(t, err) != approval.UnknownRequest {
			t.Errorf("explained by somebody else: %v", err)
		}
		for range 2 {
			if _, err := h.desk.Explain(t.Context(), r.ID, person("UBOB"), "the wrong key"); err != nil {
				t.Error(err)
			}
		}
		story := h.story(r.ID)
		if e := story[len(story)-1]; len(story) != 3 || e.Kind != audit.Explained || e.Reason != "the wrong key" {
			t.Errorf("the story is %v", h.kinds(r.ID))
		}
	})
}

func TestPolicy(t *testing.T) {
	p := approval.Policy{Approvers: []string{"UBOB"}, Requesters: []string{"UALICE", "SDEV"}, ByTenant: map[string][]string{"staging": {"UALICE"}}}
	for _, tc := range []struct {
		who  approval.Person
		want bool
	}{
		{person("UALICE"), true},
		{person("UBOB"), false},
		{approval.Person{Actor: audit.Actor{Team: "T1", User: "UEVE"}, Groups: []string{"SDEV"}}, true},
		{approval.Person{Actor: audit.Actor{Team: "T1", User: "UALICE"}, Bot: true}, false},
	} {
		if got := p.MayAsk(tc.who) == nil; got != tc.want {
			t.Errorf("%+v may ask: %v, want %v", tc.who, got, tc.want)
		}
	}
	for tenant, want := range map[string]bool{"prod": true, "staging": false} {
		if got := p.MayDecide(approval.Approve, approval.Request{Tenant: tenant}, person("UBOB")) == nil; got != want {
			t.Errorf("bob may approve for %s: %v, want %v", tenant, got, want)
		}
	}
	same := approval.Policy{Approvers: []string{"UBOB"}, Requesters: []string{"UALICE", "SDEV"}, ByTenant: map[string][]string{"staging": {"UALICE"}}}
	if p.Digest() == (approval.Policy{}).Digest() || p.Digest() != same.Digest() {
		t.Error("the digest does not tell policies apart")
	}
}

// TestARefusedPressIsRecordedAndMovesNothing also refuses in the middle of a carrying-out.
func TestARefusedPressIsRecordedAndMovesNothing(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		ctx := context.Background()
		r := h.ask(approval.Revoke, h.kid("previous"))
		p := approval.Press{Request: r.ID, Verb: approval.Approve, Person: person("UDAVE"), Received: time.Now(), Cause: "envelope-1"}
		for range 2 { // worked twice, as after a crash
			_, _, err := h.desk.Press(ctx, p)
			if err := h.desk.Refuse(ctx, p, why(t, err), 1); err != nil {
				t.Fatal(err)
			}
		}
		if now := h.request(r.ID); !cmp.Equal(now, r) {
			t.Errorf("the row changed:\n%s", cmp.Diff(r, now))
		}
		h.approve(r.ID)
		p.Cause = "envelope-2"
		if err := h.desk.Refuse(ctx, p, approval.Over, 7); err != nil {
			t.Fatal(err)
		}
		h.await(r.ID, approval.Done)
		var got []audit.Entry
		for _, e := range h.story(r.ID) {
			if e.Kind == audit.Refused {
				got = append(got, audit.Entry{Tenant: e.Tenant, Request: e.Request, Actor: e.Actor, Press: e.Press, Cause: e.Cause})
			}
		}
		dave := person("UDAVE").Actor
		want := []audit.Entry{
			{Tenant: "prod", Request: string(r.ID), Actor: &dave, Press: &audit.Press{Verb: "approve", Why: "not_approver"}, Cause: "refused:envelope-1"},
			{Tenant: "prod", Request: string(r.ID), Actor: &dave, Press: &audit.Press{Verb: "approve", Why: "over", Times: 7}, Cause: "refused:envelope-2"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		p.Request, p.Cause = "kt-nobodyknows", "envelope-3"
		if err := h.desk.Refuse(ctx, p, approval.UnknownRequest, 1); err != nil {
			t.Fatal(err)
		}
		if story := h.story("kt-nobodyknows"); len(story) != 1 || story[0].Tenant != "" {
			t.Errorf("the story of a request that is unknown: %+v", story)
		}
	})
}
