package approval_test

import (
	"testing"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// TestAnyIDInCommonIsOnePerson compares people of whom Slack gave one id or two.
func TestAnyIDInCommonIsOnePerson(t *testing.T) {
	id := func(user, alias string) audit.Actor { return audit.Actor{Team: "T1", User: user, Alias: alias} }
	for _, tc := range []struct {
		a, b audit.Actor
		one  bool
	}{
		{id("U1", ""), id("U1", ""), true},
		{id("U1", "W1"), id("U1", ""), true},
		{id("U1", "W1"), id("W1", ""), true},
		{id("U1", "W1"), id("W1", "U1"), true},
		{id("U1", "W1"), id("U2", "W1"), true},
		{id("U1", ""), id("U2", ""), false},
		{id("U1", "W1"), id("U2", "W2"), false},
		{id("U1", ""), id("U2", "W2"), false},
	} {
		policy := approval.Policy{Approvers: []string{"U1", "U2", "W1", "W2"}, Requesters: []string{"*"}}
		for _, people := range [][2]audit.Actor{{tc.a, tc.b}, {tc.b, tc.a}} {
			r := approval.Request{ID: "kt-1", Tenant: "prod", State: approval.Pending, Requester: people[0]}
			no := policy.MayDecide(approval.Approve, r, approval.Person{Actor: people[1]})
			if got := no != nil && no.Why == approval.IsRequester; got != tc.one {
				t.Errorf("%+v asked, %+v approves: %v", people[0], people[1], no)
			}
			no = policy.MayDecide(approval.Cancel, r, approval.Person{Actor: people[1]})
			if (no == nil) != tc.one {
				t.Errorf("%+v asked, %+v cancels: %v", people[0], people[1], no)
			}
		}
	}
}

func TestAPolicyNamesPeopleByAnyID(t *testing.T) {
	policy := approval.Policy{Approvers: []string{"W1"}, Requesters: []string{"U2"}}
	who := func(user, alias string) approval.Person {
		return approval.Person{Actor: audit.Actor{Team: "T1", User: user, Alias: alias}}
	}
	r := approval.Request{Tenant: "prod", Requester: who("U9", "").Actor}
	if no := policy.MayDecide(approval.Approve, r, who("U1", "W1")); no != nil {
		t.Errorf("an approver under their other id: %v", no)
	}
	if no := policy.MayAsk(who("W2", "U2")); no != nil {
		t.Errorf("a requester under their other id: %v", no)
	}
	if no := policy.MayAsk(who("U1", "W1")); no == nil {
		t.Error("an approver who may not ask may")
	}
}

// TestARowOfOnePersonIsNotBelieved is about a trail in which somebody approved under their
// other id.
func TestARowOfOnePersonIsNotBelieved(t *testing.T) {
	alice := audit.Actor{Team: "T1", User: "U1", Alias: "W1"}
	other := audit.Actor{Team: "T1", User: "W1"}
	change := audit.Change{Action: "revoke", Pins: audit.Pins{Key: &audit.Pin{KID: "k"}}, Requester: alice}
	approved := change
	approved.Approver = &other
	story := []audit.Entry{
		{Seq: 1, Kind: audit.Asked, Tenant: "prod", Actor: &alice, Change: &change},
		{Seq: 2, Kind: audit.Approved, Tenant: "prod", Actor: &other, Change: &approved},
	}
	r := approval.Request{
		ID: "kt-1", Tenant: "prod", Action: approval.Revoke, State: approval.Approved, KID: "k",
		Requester: alice, Approver: other, Pins: change.Pins, Revision: 2,
	}
	if err := approval.Agrees(r, story); err == nil {
		t.Error("it is believed")
	}
	bob := audit.Actor{Team: "T1", User: "U2", Alias: "W2"}
	r.Approver, story[1].Actor, approved.Approver = bob, &bob, &bob
	if err := approval.Agrees(r, story); err != nil {
		t.Errorf("of two people: %v", err)
	}
}
