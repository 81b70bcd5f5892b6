package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"keyturn/bot/audit"
)

// Person is somebody as Slack described them at the moment of a press. What could
// not be established never becomes a Person.
type Person struct {
	audit.Actor
	Deactivated bool
	Bot         bool     // a bot, or an app's user
	Guest       bool     // of one channel or of several
	Stranger    bool     // of another workspace or organisation
	Groups      []string // the user groups named in the policy that list this person
}

// Candidate is somebody who is named as an approver, by id or by a user group, and whether
// they could approve: a full member could.
type Candidate struct {
	Person
	Why Why // they could not; "": they could, or it is not known that they could not
}

// Policy says who may ask and who may approve. It decides by what it is told and
// asks nobody; it is never changed once made.
type Policy struct {
	Approvers  []string            // ids of users and user groups
	Requesters []string            // the same; "*": every full member
	ByTenant   map[string][]string // approvers of a tenant that has its own
}

// ApproversOf returns the ids of users and user groups that may approve for tenant.
func (p Policy) ApproversOf(tenant string) []string {
	if own, ok := p.ByTenant[tenant]; ok {
		return own
	}
	return p.Approvers
}

// MayAsk returns nil if person may ask for a change of tenant's keys.
func (p Policy) MayAsk(person Person) *Refusal {
	if no := FullMember(person); no != nil {
		return no
	}
	if slices.Contains(p.Requesters, "*") || names(p.Requesters, person) {
		return nil
	}
	return &Refusal{Why: MayNotAsk}
}

// MayDecide returns nil if person may make the move verb on r: approve and deny are
// for an approver who did not ask, cancel is for the requester.
func (p Policy) MayDecide(verb Verb, r Request, person Person) *Refusal {
	if no := FullMember(person); no != nil {
		no.Request = &r
		return no
	}
	switch verb {
	case Cancel:
		if person.Is(r.Requester) {
			return nil
		}
		return &Refusal{Why: NotRequester, Request: &r}
	case Approve, Deny:
		if person.SharesID(r.Requester) {
			return &Refusal{Why: IsRequester, Request: &r}
		}
		if names(p.ApproversOf(r.Tenant), person) {
			return nil
		}
	}
	return &Refusal{Why: NotApprover, Request: &r}
}

// FullMember returns nil if person is a full member of the workspace, and otherwise why
// they are not. Nobody else asks, decides or reads.
func FullMember(person Person) *Refusal {
	switch {
	case person.User == "" || person.Team == "":
		return &Refusal{Why: NotEstablished}
	case person.Stranger:
		return &Refusal{Why: IsStranger}
	case person.Deactivated:
		return &Refusal{Why: IsDeactivated}
	case person.Bot:
		return &Refusal{Why: IsBot}
	case person.Guest:
		return &Refusal{Why: IsGuest}
	}
	return nil
}

func names(ids []string, person Person) bool {
	if slices.ContainsFunc(ids, person.Has) {
		return true
	}
	return slices.ContainsFunc(person.Groups, func(g string) bool { return slices.Contains(ids, g) })
}

// Digest identifies the policy in the trail: the same people give the same digest.
func (p Policy) Digest() string {
	b, err := json.Marshal(p) // map keys come sorted
	if err != nil {
		panic(err) // strings and maps of strings always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
