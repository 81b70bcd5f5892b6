package slacksim

import (
	"net/http"
	"slices"
	"strings"
)

// Person is somebody in the workspace, or somebody of another who is seen here.
type Person struct {
	ID, Name           string
	Guest              bool // of several channels
	SingleChannelGuest bool
	Deactivated        bool
	Bot                bool
	AppUser            bool
	Stranger           bool   // of another workspace, and without a channel in common
	Team               string // "": this workspace; another: Slack Connect
	Enterprise         string
}

// Channel is a place to write in.
type Channel struct {
	ID, Name      string
	Members       []string // the bot among them once it is invited
	Private       bool
	DirectMessage bool
	ExtShared     bool // with another organisation
	Archived      bool
}

// AddPerson adds somebody, or describes them anew.
func (w *Workspace) AddPerson(p Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Team == "" {
		p.Team = TeamID
	}
	w.people[p.ID] = p
}

// AddChannel adds a channel, or describes it anew.
func (w *Workspace) AddChannel(c Channel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.Members = slices.Clone(c.Members)
	w.channels[c.ID] = &c
}

// AddGroup adds a user group, or describes it anew. Its handle is its id in small
// letters.
func (w *Workspace) AddGroup(id string, members ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups[id] = slices.Clone(members)
}

// Invite brings the bot into a channel, as /invite does.
func (w *Workspace) Invite(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels[channel]; c != nil && !slices.Contains(c.Members, BotID) {
		c.Members = append(c.Members, BotID)
	}
}

// seen returns a channel that user may look into: whoever is no guest may look into a
// public one. w.mu is held.
func (w *Workspace) seen(user, channel string) (*Channel, bool) {
	c, p := w.channels[channel], w.people[user]
	switch {
	case c == nil:
		return nil, false
	case slices.Contains(c.Members, user):
		return c, true
	}
	outside := p.Guest || p.SingleChannelGuest || p.Team != TeamID
	return c, !c.Private && !c.DirectMessage && !outside
}

func (w *Workspace) authTest(*http.Request, args) (result, error) {
	return result{
		"url": teamURL, "team": "Simulated", "user": "keyturn",
		"team_id": TeamID, "user_id": BotID, "bot_id": appBotID, "is_enterprise_install": false,
	}, nil
}

func (w *Workspace) userInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, known := w.people[a["user"]]
	if !known {
		return fail("user_not_found")
	}
	u := map[string]any{
		"id": p.ID, "team_id": p.Team, "name": p.Name, "real_name": p.Name,
		"deleted": p.Deactivated, "is_bot": p.Bot, "is_app_user": p.AppUser,
		"profile": map[string]any{"display_name": p.Name, "real_name": p.Name, "team": p.Team},
	}
	if !p.Deactivated { // Slack leaves these out of what it says of deactivated people
		u["is_restricted"] = p.Guest || p.SingleChannelGuest
		u["is_ultra_restricted"] = p.SingleChannelGuest
	}
	if p.Team != TeamID || p.Stranger {
		u["is_stranger"] = p.Stranger
	}
	if p.Enterprise != "" {
		u["enterprise_user"] = map[string]any{
			"id": p.ID, "enterprise_id": p.Enterprise, "teams": []string{p.Team},
		}
	}
	return result{"user": u}, nil
}

func (w *Workspace) groupMembers(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	members, known := w.groups[a["usergroup"]]
	if !known {
		return fail("no_such_subteam")
	}
	return result{"users": append([]string{}, members...)}, nil
}

func (w *Workspace) groupList(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := []any{}
	for _, id := range sortedKeys(w.groups) {
		g := map[string]any{
			"id": id, "team_id": TeamID, "is_usergroup": true, "name": id, "handle": handle(id),
			"date_delete": 0, "user_count": len(w.groups[id]),
		}
		if a.says("include_users") {
			g["users"] = append([]string{}, w.groups[id]...)
		}
		all = append(all, g)
	}
	return result{"usergroups": all}, nil
}

func handle(group string) string { return strings.ToLower(group) }

func (w *Workspace) conversationInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.channels[a["channel"]]
	member := known && slices.Contains(c.Members, BotID)
	if !known || (c.Private || c.DirectMessage) && !member {
		return fail("channel_not_found")
	}
	// Which scope it takes depends on what the conversation is.
	scope := "channels:read"
	switch {
	case c.DirectMessage:
		scope = "im:read"
	case c.Private:
		scope = "groups:read"
	}
	if !slices.Contains(w.app.scopes, scope) {
		return nil, w.missing(scope)
	}
	return result{"channel": map[string]any{
		"id": c.ID, "name": c.Name, "is_channel": !c.DirectMessage, "is_im": c.DirectMessage,
		"is_mpim": false, "is_private": c.Private, "is_member": member, "is_archived": c.Archived,
		"is_shared": c.ExtShared, "is_ext_shared": c.ExtShared, "is_org_shared": false,
		"is_pending_ext_shared": false, "context_team_id": TeamID,
	}}, nil
}
