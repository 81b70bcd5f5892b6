// Package approval holds the rule that no one person changes a signing key, and
// sees to it that a change which two people agreed on reaches its recorded end.
//
// A request is asked for by one person and approved by another; that is the Desk's
// half. The Carrier's half carries out what was approved: it looks, writes an
// intent, writes to Auth0, and looks again, because the answer to a write proves
// nothing. Every move is one compare-and-swap and one entry of the trail, in one
// transaction of the Store.
//
// A press of Approve goes through desk.go, which asks policy.go. carrier.go wakes at
// that commit and claims the request; work.go makes its turns: it reads, looks, asks the
// table in decide.go, and ends each with a move of turn.go. write.go and prove.go are the
// two hardest steps. settle.go lets people end what is in doubt.
//
// Nothing here knows Slack, SQL or a log: it is told who acted, and answers with
// what now stands, or with a Refusal that says why not.
//
//	pending ──► approved ──► working ──► done
//	   │           │            ├──► expired, voided, failed   nothing was applied
//	   │           │            ├──► halted                    rotated, not revoked
//	   │           │            └──► in_doubt ──► done, failed, halted
//	   │           └──► expired, voided, failed
//	   └──► denied, cancelled, expired, voided
package approval

import (
	"crypto/rand"
	"fmt"
	"time"

	"keyturn/bot/audit"
)

// Action is what a request asks for.
type Action string

const (
	Revoke          Action = "revoke"            // revoke one previously used key
	Rotate          Action = "rotate"            // next in queue becomes currently used
	RotateAndRevoke Action = "rotate-and-revoke" // the same, then revoke the key that was current
)

// Actions lists them in the order in which people are shown them.
var Actions = []Action{Revoke, Rotate, RotateAndRevoke}

// State is how far a request has come.
type State string

const (
	Pending  State = "pending"  // asked for; waits for a second person
	Approved State = "approved" // agreed to; not yet begun
	Working  State = "working"  // being carried out

	Done      State = "done"      // carried out and proven, or said to be by two people
	Denied    State = "denied"    // an approver said no
	Cancelled State = "cancelled" // the requester withdrew it
	Expired   State = "expired"   // nobody decided in time, or it was never begun
	Voided    State = "voided"    // the keys are no longer as pinned; nothing was applied
	Failed    State = "failed"    // refused or never taken; nothing was applied
	Halted    State = "halted"    // rotated, and the key is not revoked
	InDoubt   State = "in_doubt"  // what is true contradicts every explanation; looked at until a look or two people end it
)

// States lists them all.
var States = []State{Pending, Approved, Working, Done, Denied, Cancelled, Expired, Voided, Failed, Halted, InDoubt}

// IsFinal reports whether nothing can move a request out of s any more.
func (s State) IsFinal() bool {
	switch s {
	case Pending, Approved, Working, InDoubt:
		return false
	}
	return true
}

// ID names a request, in cards, in the trail and in Auth0's logs (as
// X-Correlation-ID, of which Auth0 keeps 64 characters).
type ID string

func newID() ID {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789" // none that is read as another
	b := make([]byte, 8)
	rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return ID("kt-" + string(b))
}

// Request is one change that was asked for, as its row stands. The row is the truth
// of its progress; the trail is the proof of how it came there.
type Request struct {
	ID        ID
	Tenant    string
	Action    Action
	State     State
	KID       string // the key to be revoked, or to stop signing
	Requester audit.Actor
	Approver  audit.Actor // zero until approved
	Pins      audit.Pins
	Reason    string
	Link      string
	Prepared  bool   // the requester says that verifiers already have the new key
	Channel   string // where it was asked for, and where its card is

	AskedAt   time.Time
	EnteredAt time.Time // when it came into State
	ExpiresAt time.Time // no approval counts from here on
	DueAt     time.Time // when the carrier has to look at it; zero: never
	Revision  int64     // number of its last entry in the trail
	Epoch     int64     // counts the claims; every move of a carrier is fenced by it
}

// halfTime is when the approvers of a pending request are reminded.
func (r Request) halfTime() time.Time { return r.AskedAt.Add(r.ExpiresAt.Sub(r.AskedAt) / 2) }

// change is what the trail keeps of r.
func (r Request) change() *audit.Change {
	c := &audit.Change{
		Action: string(r.Action), Pins: r.Pins, Requester: r.Requester,
		Reason: r.Reason, Link: r.Link, Prepared: r.Prepared, Channel: r.Channel, Expires: r.ExpiresAt,
	}
	if r.Approver.User != "" {
		c.Approver = &r.Approver
	}
	return c
}

// entry begins an entry about r.
func (r Request) entry(kind audit.Kind, cause string) audit.Entry {
	return audit.Entry{Kind: kind, Cause: cause, Tenant: r.Tenant, Request: string(r.ID)}
}

// Verb is a person's move on a request, by the name of its button.
type Verb string

const (
	Approve Verb = "approve"
	Deny    Verb = "deny"
	Cancel  Verb = "cancel"

	// What is in doubt is ended by two people who say the same of it.
	TookEffect Verb = "took_effect"
	DidNot     Verb = "did_not"
)

// Verbs lists them all.
var Verbs = []Verb{Approve, Deny, Cancel, TookEffect, DidNot}

// Cause names the press of verb by actor, so that the same press again is known. A word
// on what is in doubt also names when it was received.
func (v Verb) Cause(id ID, actor audit.Actor) string {
	return fmt.Sprintf("%s:%s:%s:%s", v, id, actor.Team, actor.User)
}
