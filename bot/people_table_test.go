package bot_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// This file holds every kind of person against every move, in every shape in which Slack
// may say who made it and where.

// somebody is a kind of person, and what is said of them before any rule of the move.
type somebody struct {
	user, team string
	why        approval.Why // "": a full member
}

var everybody = []somebody{
	{"UALICE", slacksim.TeamID, ""}, // asks; an approver by name
	{"UBOB", slacksim.TeamID, ""},   // an approver by a user group
	{"WALICE", slacksim.TeamID, ""}, // alice, by her other id
	{"UDAVE", slacksim.TeamID, ""},  // no approver
	{"UGINA", slacksim.TeamID, approval.IsGuest},
	{"UGUS", slacksim.TeamID, approval.IsGuest},
	{"UDAN", slacksim.TeamID, approval.IsDeactivated},
	{"UBERT", slacksim.TeamID, approval.IsBot},
	{"UAPP", slacksim.TeamID, approval.IsBot},
	{"UXENA", "T0OTHER", approval.IsStranger},            // as the payload says
	{"UYURI", slacksim.TeamID, approval.IsStranger},      // as users.info alone says
	{"UZOE", slacksim.TeamID, approval.IsStranger},       // without a channel in common
	{"UNOBODY", slacksim.TeamID, approval.UnknownPerson}, // whom Slack does not describe
	{"", slacksim.TeamID, approval.NotEstablished},
}

// shape is how a payload says where something happened.
type shape struct {
	name    string
	channel string
	why     approval.Why                       // for everybody, whoever they are
	where   approval.Why                       // for what may not be done just anywhere
	change  func(payload map[string]any)       // nil: as in a message
	fault   *slacksim.Fault                    // while it is worked
	house   func(h *house)                     // before it
	view    func(payload, view map[string]any) // what it is for a modal; nil: it is none
}

func container(kind string, more ...any) map[string]any {
	c := map[string]any{"type": kind}
	for i := 0; i < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return c
}

// inView is a press in a view, which names no channel.
func inView(kind string) func(map[string]any) {
	return func(p map[string]any) {
		p["container"] = container("view", "view_id", "V1")
		p["view"] = map[string]any{"id": "V1", "type": kind, "app_installed_team_id": slacksim.TeamID, "state": map[string]any{"values": map[string]any{}}}
		delete(p, "channel")
		delete(p, "message")
	}
}

func asIs(map[string]any, map[string]any) {}

var shapes = []shape{
	{name: "message", channel: room, view: asIs},
	{name: "message in a thread", channel: room, change: func(p map[string]any) { p["container"].(map[string]any)["thread_ts"] = "1.1" }},
	{name: "ephemeral message", channel: room, change: func(p map[string]any) { p["container"].(map[string]any)["is_ephemeral"] = true }},
	{name: "channel in the container alone", channel: room, change: func(p map[string]any) { delete(p, "channel") }},
	{name: "modal", channel: room, where: approval.DirectMessage, change: inView("modal")},
	{name: "home", channel: room, where: approval.DirectMessage, change: inView("home")},
	{name: "team null", channel: room, change: func(p map[string]any) { p["team"] = nil }, view: func(p, _ map[string]any) { p["team"] = nil }},
	{name: "no team at all", channel: room, why: approval.NotEstablished, change: noTeam, view: func(p, _ map[string]any) { noTeam(p) }},
	{name: "Slack Connect", channel: room, why: approval.IsStranger, change: connect, view: func(p, v map[string]any) { connect(p); p["team"] = map[string]any{"id": "T0OTHER"} }},
	{name: "an organisation", channel: room, why: approval.IsStranger, change: grid, view: func(p, _ map[string]any) { grid(p) }},
	{name: "another install", channel: room, why: approval.IsStranger,
		change: func(p map[string]any) { p["view"] = map[string]any{"app_installed_team_id": "T0OTHER"} },
		view:   func(_, v map[string]any) { v["app_installed_team_id"] = "T0OTHER" }},
	{name: "direct message", channel: "D0ALICE", where: approval.DirectMessage, view: asIs},
	{name: "shared channel", channel: "C0SHARED", where: approval.SharedChannel, view: asIs},
	{name: "channel without keyturn", channel: "C0EMPTY", where: approval.BotNotInChannel, view: asIs},
	{name: "channel that is not allowed", channel: trail, where: approval.ChannelNotAllowed, view: asIs,
		house: func(h *house) { h.close(); h.places = []string{room}; h.open() }},
	{name: "channel that cannot be read", channel: room, where: approval.NotEstablished, view: asIs,
		fault: &slacksim.Fault{Method: "conversations.info", Error: "internal_error"}},
}

func noTeam(p map[string]any)  { p["team"] = nil; delete(p["user"].(map[string]any), "team_id") }
func connect(p map[string]any) { p["user"].(map[string]any)["team_id"] = "T0OTHER" }
func grid(p map[string]any)    { p["enterprise"] = map[string]any{"id": "E0ORG"} }

// sentences are what each refusal is told by, and no other.
var sentences = map[approval.Why]string{
	approval.IsRequester: "You asked for this, so a second person has to decide", approval.NotRequester: "Only @UALICE, who asked for it, can cancel it",
	approval.NotApprover: "You are not among the approvers", approval.IsGuest: "Guests of this workspace cannot", approval.IsDeactivated: "This account is deactivated",
	approval.IsBot: "A bot or an app's user", approval.IsStranger: "Members of another workspace cannot", approval.NotEstablished: "Slack did not say in time",
	approval.UnknownPerson: "Slack does not say who you are",
	approval.DirectMessage: "This needs a channel", approval.SharedChannel: "shared with another organisation", approval.BotNotInChannel: "I am not in this channel",
	approval.ChannelNotAllowed: "may not be used in this channel", approval.UnknownRequest: "I have no such request",
}

// move is something that a person may do.
type move struct {
	name  string
	isAsk bool // it is a modal that is submitted
	rule  func(s somebody, at shape) approval.Why
	first func(h *house) approval.ID // what has to be there
	done  func(h *house, id approval.ID, s somebody) bool
}

// has reports whether the story of a request has an entry of somebody.
func has(kind audit.Kind) func(h *house, id approval.ID, s somebody) bool {
	return func(h *house, id approval.ID, s somebody) bool {
		for _, e := range h.story(id) {
			if e.Kind == kind && e.Actor != nil && e.Actor.User == s.user {
				return true
			}
		}
		return false
	}
}

func (h *house) story(id approval.ID) []audit.Entry {
	h.t.Helper()
	story, err := h.store.Story(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return story
}

// pending asks for a revocation as alice does.
func pending(h *house) approval.ID {
	h.ask("revoke")
	return h.newest()
}

func (h *house) newest() approval.ID {
	ids, err := h.store.MovedSince(context.Background(), time.Time{})
	if err != nil || len(ids) != 1 {
		h.t.Fatalf("the requests are %v (%v), want one", ids, err)
	}
	return ids[0]
}

// decides is the rule of approve and deny.
func decides(s somebody) approval.Why {
	switch s.user {
	case "UALICE", "WALICE":
		return approval.IsRequester
	case "UBOB":
		return ""
	}
	return approval.NotApprover
}

var moves = []move{
	{name: "approve", first: pending, done: has(audit.Approved), rule: func(s somebody, at shape) approval.Why {
		if why := decides(s); why != "" {
			return why
		}
		return at.where
	}},
	{name: "deny", first: pending, done: has(audit.Denied), rule: func(s somebody, _ shape) approval.Why { return decides(s) }},
	{name: "cancel", first: pending, done: has(audit.Cancelled), rule: func(s somebody, _ shape) approval.Why {
		if s.user != "UALICE" && s.user != "WALICE" {
			return approval.NotRequester
		}
		return ""
	}},
	{name: "took_effect", first: doubted, done: has(audit.Stated), rule: func(_ somebody, at shape) approval.Why { return at.where }},
	{name: "did_not", first: doubted, done: has(audit.Stated), rule: func(_ somebody, at shape) approval.Why { return at.where }},
	{name: "ask", isAsk: true, first: func(*house) approval.ID { return "" },
		rule: func(_ somebody, at shape) approval.Why { return at.where },
		done: func(h *house, _ approval.ID, s somebody) bool { return has(audit.Asked)(h, h.newest(), s) }},
	{name: "explain", isAsk: true, done: has(audit.Explained),
		first: func(h *house) approval.ID {
			h.press("UBOB", h.ask("revoke"), "deny")
			return h.newest()
		},
		rule: func(s somebody, _ shape) approval.Why {
			if s.user != "UBOB" {
				return approval.UnknownRequest
			}
			return ""
		}},
}

func doubted(h *house) approval.ID {
	h.inDoubt()
	return h.newest()
}

// payload is what Slack sends for a move.
func (m move) payload(h *house, id approval.ID, s somebody, at shape, n int) map[string]any {
	p := map[string]any{
		"user": map[string]any{"id": s.user, "team_id": s.team}, "team": map[string]any{"id": slacksim.TeamID, "domain": "sim"},
		"enterprise": nil, "is_enterprise_install": false, "api_app_id": slacksim.AppID, "trigger_id": "trigger.none",
	}
	if !m.isAsk {
		p["type"] = "block_actions"
		p["container"] = container("message", "message_ts", "1.2", "channel_id", at.channel, "is_ephemeral", false)
		p["channel"] = map[string]any{"id": at.channel, "name": "privategroup"}
		p["actions"] = []any{map[string]any{"type": "button", "action_id": m.name, "block_id": fmt.Sprintf("request:%s:1", id), "value": string(id)}}
		if at.change != nil {
			at.change(p)
		}
		return p
	}
	metadata, _ := json.Marshal(map[string]any{"tenant": "prod", "action": "rotate", "channel": at.channel, "request": id})
	view := map[string]any{
		"id": fmt.Sprint("V", n), "type": "modal", "callback_id": m.name, "private_metadata": string(metadata),
		"state": map[string]any{"values": map[string]any{"reason": map[string]any{"reason": map[string]any{"type": "plain_text_input", "value": "leak"}}}},
	}
	p["type"], p["view"] = "view_submission", view
	at.view(p, view)
	return p
}

func (m move) verdict(s somebody, at shape) approval.Why {
	switch {
	case s.user == "":
		return approval.NotEstablished
	case at.why != "":
		return at.why
	case s.why != "":
		return s.why
	}
	return m.rule(s, at)
}

// TestPeopleMovesAndShapes makes every move by everybody in every shape. Whoever is
// refused has their own sentence and, for a press, their own entry, and changes nothing:
// so they go first, and each further one whose move counts has a house of their own. With
// -short, as for the race detector, it is every eighth shape.
func TestPeopleMovesAndShapes(t *testing.T) {
	cells := 0
	for _, m := range moves {
		for i, at := range shapes {
			if m.isAsk && at.view == nil || testing.Short() && i%8 != 0 {
				continue
			}
			cells += len(everybody)
			t.Run(m.name+" by "+at.name, func(t *testing.T) {
				t.Parallel()
				var refused, counted []somebody
				for _, s := range everybody {
					if m.verdict(s, at) == "" {
						counted = append(counted, s)
					} else {
						refused = append(refused, s)
					}
				}
				for len(counted) > 1 {
					m.play(t, at, counted[1:2])
					counted = slices.Delete(counted, 1, 2)
				}
				m.play(t, at, append(refused, counted...))
			})
		}
	}
	if cells < 1000 && !testing.Short() {
		t.Errorf("%d cells, want all", cells)
	}
}

func (m move) play(t *testing.T, at shape, people []somebody) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.AddPerson(slacksim.Person{ID: "UALICE", Name: "alice", Global: "WALICE",
			Patch: json.RawMessage(`{"enterprise_user": {"id": "WALICE"}}`)})
		h.slack.AddPerson(slacksim.Person{ID: "UYURI", Name: "yuri", Team: "T0OTHER"})
		h.slack.AddPerson(slacksim.Person{ID: "UZOE", Name: "zoe", Stranger: true})
		id := m.first(h)
		if at.house != nil {
			at.house(h)
		}
		if at.fault != nil {
			h.slack.Fault(*at.fault)
		}
		for n, s := range people {
			want := m.verdict(s, at)
			before := h.trail()
			told := len(h.tellings(s.user))
			out, err := h.slack.Deliver(m.payload(h, id, s, at, n))
			if err != nil || !out.Acked {
				t.Fatalf("%s: %+v, %v", s.user, out, err)
			}
			time.Sleep(5 * time.Second) // as long as Slack is asked who that is
			if want == approval.NotEstablished && at.fault != nil {
				time.Sleep(approval.StaleAfter) // as long as it is asked again
			}
			h.rest()
			after := h.trail()[len(before):]
			if want == "" {
				if len(after) == 0 || !m.done(h, id, s) {
					t.Errorf("%s: it did not count\n%s", s.user, h.log)
				}
				continue
			}
			heard := h.tellings(s.user)
			if len(heard) > told {
				wantIn(t, "what "+s.user+" was told", heard[len(heard)-1], sentences[want])
			} else if s.user != "" && s.user != "UNOBODY" && s.why != approval.IsStranger && s.why != approval.IsBot {
				t.Errorf("%s was told nothing, want %q\n%s", s.user, sentences[want], h.log)
			}
			if m.isAsk {
				if len(after) != 0 {
					t.Errorf("%s: the trail got %+v", s.user, after)
				}
				continue
			}
			if len(after) != 1 || after[0].Kind != audit.Refused || after[0].Press.Why != string(want) || after[0].Press.Verb != m.name || after[0].Actor.User != s.user {
				t.Errorf("%s: the trail got %+v, want that the press was refused: %s", s.user, after, want)
			}
		}
	})
}

func (h *house) trail() []audit.Entry {
	h.t.Helper()
	all, err := h.store.Entries(context.Background(), 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// tellings are what somebody alone was told, in whatever place.
func (h *house) tellings(user string) (out []string) {
	for _, channel := range []string{room, trail, "C0SHARED", "D0ALICE"} {
		out = append(out, shows(h.slack.Ephemerals(user, channel))...)
	}
	own := map[string]string{"WALICE": "UALICE"}
	return append(out, shows(h.slack.Messages("D"+cmp.Or(own[user], user)))...)
}

func TestEverySentenceIsOfOneRefusal(t *testing.T) {
	for why, words := range sentences {
		for other, others := range sentences {
			if why != other && strings.Contains(others, words) {
				t.Errorf("%s and %s are told alike", why, other)
			}
		}
	}
}
