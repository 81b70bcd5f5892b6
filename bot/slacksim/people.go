package slacksim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Person is somebody in the workspace, or somebody of another who is seen here.
type Person struct {
	ID, Name           string
	Global             string // a second id, W…, in an Enterprise Grid; "": none
	Guest              bool   // of several channels
	SingleChannelGuest bool
	Deactivated        bool
	Bot                bool
	AppUser            bool
	Stranger           bool            // of another workspace, and without a channel in common
	Team               string          // "": this workspace; another: Slack Connect
	Enterprise         string          // "": that of this workspace, for people of it
	Patch              json.RawMessage // fields of users.info that are otherwise
}

// Channel is a place to write in.
type Channel struct {
	ID, Name      string
	Members       []string // the bot among them once it is invited
	Private       bool
	DirectMessage bool
	MPIM          bool // a conversation of several people, as private as a direct message
	ExtShared     bool // with another organisation
	Archived      bool

	// What may not be posted here, as conversations.info has it.
	Frozen              bool          // nothing; nothing is edited either
	ReadOnly            bool          // nothing
	ThreadOnly          bool          // nothing but replies
	NonThreadable       bool          // no replies
	PostingRestrictedTo *RestrictedTo // messages other than replies; nil: everybody's
	ThreadsRestrictedTo *RestrictedTo // replies

	Patch json.RawMessage // fields of conversations.info that are otherwise
}

// RestrictedTo are those who may post where others may not.
type RestrictedTo struct {
	Type []string `json:"type,omitempty"` // such as admin; the bot is of none
	User []string `json:"user,omitempty"`
}

// allows reports whether the bot is among them.
func (r *RestrictedTo) allows() bool { return r == nil || slices.Contains(r.User, BotID) }

// closed reports whether a conversation shows itself to nobody but its members.
func (c *Channel) closed() bool { return c.Private || c.DirectMessage || c.MPIM }

// group is a user group.
type group struct {
	members  []string
	disabled bool
}

// AddPerson adds somebody, or describes them anew. Somebody with two ids can act under
// either: what Slack sends names them by the one they acted under.
func (w *Workspace) AddPerson(p Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Team == "" {
		p.Team = TeamID
	}
	if p.Team == TeamID {
		p.Enterprise = cmp.Or(p.Enterprise, w.cfg.Enterprise)
	}
	w.people[p.ID] = p
}

// person finds somebody by either id. w.mu is held.
func (w *Workspace) person(id string) (Person, bool) {
	if p, known := w.people[id]; known {
		return p, true
	}
	for _, p := range w.people {
		if id != "" && p.Global == id {
			return p, true
		}
	}
	return Person{}, false
}

// own returns the id that the workspace keeps somebody under, who is named by either.
// w.mu is held.
func (w *Workspace) own(id string) string {
	if p, known := w.person(id); known {
		return p.ID
	}
	return id
}

// in reports whether somebody, named by either id, is a member of a channel. w.mu is held.
func (w *Workspace) in(c *Channel, user string) bool {
	return slices.ContainsFunc(c.Members, func(id string) bool { return w.own(id) == w.own(user) })
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
	w.groups[id] = group{members: slices.Clone(members)}
}

// DisableGroup disables a user group, which is what Slack does where somebody deletes
// one. AddGroup enables it again. Assumption: its members are then those of no group,
// unless disabled ones are asked for.
func (w *Workspace) DisableGroup(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.groups[id]
	g.disabled = true
	w.groups[id] = g
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
	c := w.channels[channel]
	p, _ := w.person(user)
	switch {
	case c == nil:
		return nil, false
	case w.in(c, user):
		return c, true
	}
	outside := p.Guest || p.SingleChannelGuest || p.Team != TeamID
	return c, !c.closed() && !outside
}

// SetEnterprise changes Config.Enterprise. People who are there stay as they are.
func (w *Workspace) SetEnterprise(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cfg.Enterprise = id
}

func (w *Workspace) authTest(*http.Request, args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	res := result{
		"url": teamURL, "team": "Simulated", "user": "keyturn",
		"team_id": TeamID, "user_id": BotID, "bot_id": appBotID, "is_enterprise_install": false,
	}
	if w.cfg.Enterprise != "" {
		res["enterprise_id"] = w.cfg.Enterprise
	}
	return res, nil
}

// userInfo describes somebody by either id. Assumption: under the id that was asked for.
func (w *Workspace) userInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, known := w.person(a["user"])
	if !known {
		return fail("user_not_found")
	}
	u := map[string]any{
		"id": a["user"], "team_id": p.Team, "name": p.Name, "real_name": p.Name,
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
			"id": cmp.Or(p.Global, p.ID), "enterprise_id": p.Enterprise, "teams": []string{p.Team},
		}
	}
	return result{"user": patched(u, p.Patch)}, nil
}

// patched returns fields with those of patch in their places, as a JSON merge patch
// (RFC 7396) says; null takes a field away.
func patched(fields map[string]any, patch json.RawMessage) map[string]any {
	var with map[string]any
	if len(patch) == 0 {
		return fields
	}
	if err := json.Unmarshal(patch, &with); err != nil {
		panic(fmt.Sprintf("the patch %s is no object: %v", patch, err)) // the test's mistake
	}
	merge(fields, with)
	return fields
}

func merge(into, with map[string]any) {
	for name, v := range with {
		below, isObject := v.(map[string]any)
		had, hadObject := into[name].(map[string]any)
		switch {
		case v == nil:
			delete(into, name)
		case isObject && hadObject:
			merge(had, below)
		default:
			into[name] = v
		}
	}
}

func (w *Workspace) groupMembers(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, known := w.groups[a["usergroup"]]
	if !known || g.disabled && !a.says("include_disabled") {
		return fail("no_such_subteam")
	}
	return result{"users": append([]string{}, g.members...)}, nil
}

func (w *Workspace) groupList(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := []any{}
	for _, id := range sortedKeys(w.groups) {
		g := w.groups[id]
		if g.disabled && !a.says("include_disabled") {
			continue
		}
		shown := map[string]any{
			"id": id, "team_id": TeamID, "is_usergroup": true, "name": id, "handle": handle(id),
			"date_delete": 0, "user_count": len(g.members),
		}
		if g.disabled {
			shown["date_delete"] = w.cfg.Now().Unix()
		}
		if a.says("include_users") {
			shown["users"] = append([]string{}, g.members...)
		}
		all = append(all, shown)
	}
	return result{"usergroups": all}, nil
}

func handle(group string) string { return strings.ToLower(group) }

func (w *Workspace) conversationInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.channels[a["channel"]]
	member := known && slices.Contains(c.Members, BotID)
	if !known || c.closed() && !member {
		return fail("channel_not_found")
	}
	// Which scope it takes depends on what the conversation is.
	scope := "channels:read"
	switch {
	case c.DirectMessage:
		scope = "im:read"
	case c.MPIM:
		scope = "mpim:read"
	case c.Private:
		scope = "groups:read"
	}
	if !w.has(scope) {
		return nil, w.missing(scope)
	}
	return result{"channel": patched(c.wire(member), c.Patch)}, nil
}

// wire is the conversation as Slack describes it; member says whether the bot is one.
func (c *Channel) wire(member bool) map[string]any {
	properties := map[string]any{}
	if c.PostingRestrictedTo != nil {
		properties["posting_restricted_to"] = c.PostingRestrictedTo
	}
	if c.ThreadsRestrictedTo != nil {
		properties["threads_restricted_to"] = c.ThreadsRestrictedTo
	}
	shown := map[string]any{
		"id": c.ID, "name": c.Name, "is_channel": !c.DirectMessage && !c.MPIM, "is_im": c.DirectMessage,
		"is_mpim": c.MPIM, "is_private": c.Private || c.MPIM, "is_member": member,
		"is_archived": c.Archived, "is_read_only": c.ReadOnly,
		"is_thread_only": c.ThreadOnly, "is_non_threadable": c.NonThreadable,
		"is_shared": c.ExtShared, "is_ext_shared": c.ExtShared, "is_org_shared": false,
		"is_pending_ext_shared": false, "context_team_id": TeamID, "properties": properties,
	}
	if c.Frozen { // assumption: left out otherwise, since Slack's own types do not have it
		shown["is_frozen"] = true
	}
	return shown
}
