package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file establishes who somebody is, at the moment of a press. groups.go has the user
// groups, places.go where it may happen.

// factFor is how long is remembered that somebody is no full member.
const factFor = time.Minute

// install is the workspace that keyturn is installed in.
type install struct {
	Team       string
	Enterprise string // Enterprise Grid only
	URL        string // https://acme.slack.com/
}

// people establishes who somebody is.
type people struct {
	slack   *reader
	install install
	now     func() time.Time

	mu     sync.Mutex
	groups map[string]*group
	calls  *rate.Limiter        // for groups
	facts  map[string]fact      // by the id that was asked for: who is no full member
	open   map[string]time.Time // channels in which a card could be posted, and when
	good   map[string]fact      // full members; spares a look where it decides nothing
}

// fact is what Slack said of somebody, and when it was asked.
type fact struct {
	person approval.Person
	at     time.Time
}

func newPeople(slack *reader, now func() time.Time) *people {
	return &people{
		slack: slack, now: now, calls: newCalls(), groups: map[string]*group{},
		facts: map[string]fact{}, good: map[string]fact{}, open: map[string]time.Time{},
	}
}

// judge describes p as Slack does now. rights are the lists of users and user groups
// that the move depends on; the groups of a list are asked for only where p is none of
// its users. received is when keyturn got the press: no list of a group that was begun to
// be read before it counts, neither for a yes nor for a no.
//
// An error is an *approval.Refusal where the answer is no, for good as far as can be
// known; or *later where Slack could not be asked just now. Nobody counts on the ground of
// what is not known.
func (pp *people) judge(
	ctx context.Context, p presser, received time.Time, rights ...[]string,
) (approval.Person, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	person := pp.local(p.User)
	switch {
	case p.User == "", p.Team == "":
		return person, unestablished(errors.New("the payload does not say who it was"))
	case pp.foreign(p):
		person.Actor = audit.Actor{Enterprise: p.Enterprise, Team: p.Team, User: p.User}
		person.Stranger = true
		return person, nil
	}
	if known, ok := pp.fact(p.User); ok && p.again {
		return known, nil
	}
	person, err := pp.who(ctx, p.User)
	switch {
	case err != nil:
		return person, err
	case approval.FullMember(person) != nil:
		pp.isFact(p.User, person)
		return person, nil // whoever is refused anyway costs no call for a group
	}
	err = pp.join(ctx, &person, need{received: received, often: p.often}, rights)
	return person, err
}

// who describes the person with an id as Slack does now. Errors are those of judge.
func (pp *people) who(ctx context.Context, id string) (approval.Person, error) {
	person := pp.local(id)
	u, err := pp.slack.describe(ctx, id)
	if err != nil {
		return person, pp.unread(err, approval.UnknownPerson,
			"user_not_found", "user_not_visible", "users_not_found")
	}
	var grid gridUser // null, {} and none are no member of an organisation
	if len(u.Grid) > 0 {
		err = json.Unmarshal(u.Grid, &grid)
	}
	isGrid := pp.install.Enterprise != ""
	switch {
	case isGrid && err != nil:
		return person, unestablished(fmt.Errorf("users.info: enterprise_user: %w", err))
	case id != u.ID && id != grid.ID:
		return person, unestablished(errors.New("users.info: another user was described"))
	case isGrid && grid.Enterprise == pp.install.Enterprise && grid.ID == "":
		// Without it, two ids of one person cannot be told from those of two people.
		return person, unestablished(errors.New("users.info: enterprise_user has no id"))
	}
	for _, other := range []string{grid.ID, u.ID} {
		if other != "" && other != id {
			person.Alias = other
		}
	}
	person.Name = string(u.Name)
	person.Deactivated = is(u.Deleted)
	person.Bot = is(u.Bot) || bool(u.AppUser || u.Workflow || u.Connector)
	person.Guest = is(u.Guest) || is(u.UltraGuest)
	person.Stranger = bool(u.Stranger) || !pp.member(u, grid)
	if approval.FullMember(person) == nil {
		pp.isGood(id, person)
	}
	return person, nil
}

// local is somebody of whom nothing is known but an id here.
func (pp *people) local(id string) approval.Person {
	in := pp.install
	return approval.Person{Actor: audit.Actor{Enterprise: in.Enterprise, Team: in.Team, User: id}}
}

// unread is the error of a call that did not say who or where: *later, or a refusal.
// unknown is the refusal for the codes by which Slack says that it knows nothing of them.
func (pp *people) unread(err error, unknown approval.Why, codes ...string) error {
	var odd *oddAnswer
	var missing *missingScope
	switch code := said(err); {
	case passes(err):
		return &later{until: pp.now().Add(retryAfter(err)), err: err}
	case errors.As(err, &odd):
		return &notEstablished{&approval.Refusal{Why: approval.SlackRefuses, Code: "odd answer"}, err}
	case slices.Contains(codes, code):
		return &notEstablished{&approval.Refusal{Why: unknown, Code: code}, err}
	case errors.As(err, &missing):
		no := &approval.Refusal{Why: approval.SlackRefuses, Code: code, Needs: missing.needs}
		return &notEstablished{no, err}
	default:
		return &notEstablished{&approval.Refusal{Why: approval.SlackRefuses, Code: code}, err}
	}
}

// isGood keeps that somebody is a full member.
func (pp *people) isGood(id string, person approval.Person) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	pp.good[id] = fact{person, pp.now()}
	delete(pp.facts, id)
}

// goodLately returns the person that p was found to be within a time, if a full member. It is
// for what changes nothing.
func (pp *people) goodLately(p presser, within time.Duration) (approval.Person, bool) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	f, ok := pp.good[p.User]
	return f.person, ok && !pp.foreign(p) && pp.now().Sub(f.at) < within
}

// isFact keeps that somebody who pressed is no full member.
func (pp *people) isFact(id string, person approval.Person) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	maps.DeleteFunc(pp.facts, func(_ string, f fact) bool { return pp.now().Sub(f.at) >= factFor })
	pp.facts[id] = fact{person, pp.now()}
	delete(pp.good, id)
}

// fact returns what somebody is whose press was refused within the minute, since they are
// no full member: from the second such press on Slack is not asked again.
func (pp *people) fact(id string) (approval.Person, bool) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	f, ok := pp.facts[id]
	return f.person, ok && pp.now().Sub(f.at) < factFor
}

// notEstablished carries the operator's error beside the person's refusal.
type notEstablished struct {
	*approval.Refusal
	err error
}

func (e *notEstablished) Error() string { return "establishing who pressed: " + e.err.Error() }
func (e *notEstablished) Unwrap() error { return e.Refusal }

func unestablished(err error) error {
	return &notEstablished{&approval.Refusal{Why: approval.NotEstablished}, err}
}

// later says that Slack could not be asked just now. It is no refusal: what was pressed is
// to be kept, and judged again.
type later struct {
	until time.Time // when it is worth another try
	err   error     // of the last
}

func (e *later) Error() string {
	return "establishing who pressed, to be tried again: " + e.err.Error()
}
func (e *later) Unwrap() error { return e.err }

// isLater reports whether an error says that Slack could not be asked just now.
func isLater(err error) bool {
	var not *later
	return errors.As(err, &not)
}

// givenUp is err where nobody tries again: a *later is a refusal then.
func givenUp(err error) error {
	var not *later
	if errors.As(err, &not) {
		return unestablished(not.err)
	}
	return err
}

// mayDecide reports whether somebody is one of ids or in a group of them, as far as is known
// without asking. It decides who is asked about first, and never who counts.
func (pp *people) mayDecide(user string, ids []string) bool {
	for _, id := range ids {
		in, _ := pp.lately(id, 24*time.Hour)
		if id == user || slices.Contains(in, user) {
			return true
		}
	}
	return false
}

// foreign reports whether the payload names somebody of elsewhere. On Grid it may name
// another workspace of the organisation, or the organisation itself: then what Slack
// says of the person decides.
func (pp *people) foreign(p presser) bool {
	in := pp.install
	switch {
	case p.Install != "" && p.Install != in.Team, p.Enterprise != "" && p.Enterprise != in.Enterprise:
		return true
	case p.Team == in.Team:
		return false
	}
	return in.Enterprise == "" || p.Team != in.Enterprise && p.Enterprise != in.Enterprise
}

// member reports whether u belongs to the workspace: on Grid, to the organisation
// and to the install's team in it.
func (pp *people) member(u account, grid gridUser) bool {
	if pp.install.Enterprise == "" {
		return u.Team == pp.install.Team
	}
	return grid.Enterprise == pp.install.Enterprise &&
		(u.Team == pp.install.Team || grid.has(pp.install.Team))
}

// isGroup tells the id of a user group from a user's: S…, against U… or W….
func isGroup(id string) bool { return strings.HasPrefix(id, "S") }
