package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// groupsFor is how long the members of a user group are remembered.
const groupsFor = time.Minute

// install is the workspace that keyturn is installed in.
type install struct {
	Team       string
	Enterprise string // Enterprise Grid only
	URL        string // https://acme.slack.com/
}

// people establishes who somebody is, at the moment of a press.
type people struct {
	api     *slack.Client
	install install
	now     func() time.Time

	mu     sync.Mutex
	groups map[string]members
}

type members struct {
	ids []string
	at  time.Time
}

// judge describes p as Slack does now. rights are the lists of users and user groups
// that the move depends on; the groups of a list are asked for only where p is none of
// its users.
//
// Whatever cannot be established within the time is a Refusal: nobody counts on the
// ground of what is not known.
func (pp *people) judge(ctx context.Context, p presser, rights ...[]string) (approval.Person, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	person := approval.Person{Actor: audit.Actor{Enterprise: pp.install.Enterprise, Team: pp.install.Team, User: p.User}}
	switch {
	case p.User == "", p.Team == "":
		return person, unestablished(errors.New("the payload does not say who it was"))
	case pp.foreign(p):
		person.Actor = audit.Actor{Enterprise: p.Enterprise, Team: p.Team, User: p.User}
		person.Stranger = true
		return person, nil
	}
	u, err := pp.api.GetUserInfoContext(ctx, p.User)
	if err != nil {
		return person, notYet(err)
	}
	if u.ID != p.User {
		return person, unestablished(errors.New("another user was described"))
	}
	person.Name = u.Name
	person.Deactivated = u.Deleted
	person.Bot = u.IsBot || u.IsAppUser || u.IsWorkflowBot || u.IsConnectorBot
	person.Guest = u.IsRestricted || u.IsUltraRestricted
	person.Stranger = u.IsStranger || !pp.member(u)
	var groups []string
	for _, ids := range rights {
		if !slices.Contains(ids, p.User) {
			groups = append(groups, slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isGroup(id) })...)
		}
	}
	var unread error
	for _, id := range groups {
		in, err := pp.membersOf(ctx, id)
		if err != nil {
			unread = err
		}
		if slices.Contains(in, p.User) {
			person.Groups = append(person.Groups, id)
		}
	}
	if unread != nil && len(person.Groups) == 0 {
		return person, notYet(unread) // the group that could not be read may be the one
	}
	return person, nil
}

// notEstablished carries the operator's error beside the person's refusal.
type notEstablished struct {
	*approval.Refusal
	err error
}

func (e *notEstablished) Error() string { return "establishing who pressed: " + e.err.Error() }
func (e *notEstablished) Unwrap() error { return e.Refusal }

// later says that Slack could not be asked just now: the press is kept, and judged again.
type later struct {
	until time.Time // not before; zero: in a moment
	err   error
}

func (e *later) Error() string { return "establishing who pressed, for now: " + e.err.Error() }
func (e *later) Unwrap() error { return e.err }

func isLater(err error) bool {
	var e *later
	return errors.As(err, &e)
}

// named is somebody as the payload names them, whom nobody asked Slack about.
func (pp *people) named(p presser) audit.Actor {
	return audit.Actor{Enterprise: pp.install.Enterprise, Team: pp.install.Team, User: p.User}
}

// mayDecide reports whether somebody is in a list of the policy, as far as is known.
func (pp *people) mayDecide(user string, policy approval.Policy) bool {
	lists := [][]string{policy.Approvers, policy.Requesters}
	for _, own := range policy.ByTenant {
		lists = append(lists, own)
	}
	pp.mu.Lock()
	defer pp.mu.Unlock()
	for _, ids := range lists {
		for _, id := range ids {
			if id == user || slices.Contains(pp.groups[id].ids, user) {
				return true
			}
		}
	}
	return false
}

// notYet is unestablished, or *later where the same question may be answered in a moment.
func notYet(err error) error {
	if concernOf(err) == aboutPassing {
		return &later{err: err}
	}
	return unestablished(err)
}

func unestablished(err error) error {
	return &notEstablished{&approval.Refusal{Why: approval.NotEstablished}, err}
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
func (pp *people) member(u *slack.User) bool {
	if pp.install.Enterprise == "" {
		return u.TeamID == pp.install.Team
	}
	return u.Enterprise.EnterpriseID == pp.install.Enterprise &&
		(u.TeamID == pp.install.Team || slices.Contains(u.Enterprise.Teams, pp.install.Team))
}

// resolve returns the users among ids, with those of the groups.
func (pp *people) resolve(ctx context.Context, ids []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	var out []string
	for _, id := range ids {
		if !isGroup(id) {
			out = append(out, id)
			continue
		}
		in, err := pp.membersOf(ctx, id)
		if err != nil {
			return nil, notYet(err)
		}
		out = append(out, in...)
	}
	return out, nil
}

// isGroup tells the id of a user group from a user's: S…, against U… or W….
func isGroup(id string) bool { return strings.HasPrefix(id, "S") }

func (pp *people) membersOf(ctx context.Context, group string) ([]string, error) {
	at := pp.now()
	pp.mu.Lock()
	known, ok := pp.groups[group]
	pp.mu.Unlock()
	if ok && at.Sub(known.at) < groupsFor {
		return known.ids, nil
	}
	ids, err := pp.api.GetUserGroupMembersContext(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("reading user group %s: %w", group, err)
	}
	pp.mu.Lock()
	defer pp.mu.Unlock()
	pp.groups[group] = members{ids, at}
	return ids, nil
}

// place returns nil if requests may be asked for, and approved, in channel, and
// otherwise a Refusal.
func (pp *people) place(ctx context.Context, channel string, allowed []string) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	if channel == "" || strings.HasPrefix(channel, "D") { // none: a press in keyturn's own Home
		return &approval.Refusal{Why: approval.DirectMessage}
	}
	if len(allowed) > 0 && !slices.Contains(allowed, channel) {
		return &approval.Refusal{Why: approval.ChannelNotAllowed}
	}
	c, err := pp.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	switch {
	case said(err) == "channel_not_found":
		return &approval.Refusal{Why: approval.BotNotInChannel} // a private channel that does not show itself
	case err != nil:
		return notYet(fmt.Errorf("reading channel %s: %w", channel, err))
	case c.IsIM, c.IsMpIM:
		return &approval.Refusal{Why: approval.DirectMessage}
	case c.IsExtShared, c.IsPendingExtShared:
		return &approval.Refusal{Why: approval.SharedChannel}
	case !c.IsMember:
		return &approval.Refusal{Why: approval.BotNotInChannel}
	}
	return nil
}
