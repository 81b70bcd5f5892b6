package slacksim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"keyturn/bot/slacksim"
)

func TestAFaultOfRepliesAlone(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		_, ts, err := a.api.PostMessageContext(t.Context(), "C0ROOM", text("hello"))
		a.wantError("posting", err, "")
		a.w.Fault(slacksim.Fault{
			Method: "chat.postMessage", Error: "restricted_action_thread_locked",
			If: func(args map[string]string) bool { return args["thread_ts"] == ts },
		})
		_, _, err = a.api.PostMessageContext(t.Context(), "C0ROOM", text("reply"), slack.MsgOptionTS(ts))
		a.wantError("replying", err, "restricted_action_thread_locked")
		_, _, err = a.api.PostMessageContext(t.Context(), "C0ROOM", text("hello again"))
		a.wantError("posting", err, "")
	})
}

func TestChannelsWhereNotEverybodyPosts(t *testing.T) {
	const (
		readOnly   = "restricted_action_read_only_channel"
		threadOnly = "restricted_action_thread_only_channel"
	)
	admins := &slacksim.RestrictedTo{Type: []string{"admin"}}
	bot := &slacksim.RestrictedTo{Type: []string{"admin"}, User: []string{slacksim.BotID}}
	for name, tc := range map[string]struct {
		channel                         slacksim.Channel
		posts, replies, edits, tellsAnn string // the error of each
		field                           string // of conversations.info
	}{
		"open": {},
		"archived": {
			channel: slacksim.Channel{Archived: true}, field: "is_archived",
			posts: "is_archived", replies: "is_archived", edits: "is_inactive", tellsAnn: "is_archived",
		},
		"frozen": {
			channel: slacksim.Channel{Frozen: true}, field: "is_frozen",
			posts: "is_inactive", replies: "is_inactive", edits: "is_inactive", tellsAnn: "is_inactive",
		},
		"read-only": {
			channel: slacksim.Channel{ReadOnly: true}, field: "is_read_only",
			posts: readOnly, replies: readOnly, tellsAnn: readOnly,
		},
		"thread-only": {
			channel: slacksim.Channel{ThreadOnly: true}, field: "is_thread_only",
			posts: threadOnly, tellsAnn: threadOnly,
		},
		"without threads": {
			channel: slacksim.Channel{NonThreadable: true}, field: "is_non_threadable",
			replies: "restricted_action_non_threadable_channel",
		},
		"posts of admins": {
			channel: slacksim.Channel{PostingRestrictedTo: admins},
			posts:   "restricted_action", tellsAnn: "restricted_action",
		},
		"posts of the bot": {channel: slacksim.Channel{PostingRestrictedTo: bot}},
		"replies of admins": {
			channel: slacksim.Channel{ThreadsRestrictedTo: admins}, replies: "restricted_action",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
				ctx, c := t.Context(), tc.channel
				c.ID, c.Members = "C0NEW", []string{"UANN", slacksim.BotID}
				a.w.AddChannel(slacksim.Channel{ID: c.ID, Members: c.Members})
				_, ts, err := a.api.PostMessageContext(ctx, c.ID, text("hello"))
				a.wantError("posting before", err, "")
				a.w.AddChannel(c)
				_, _, err = a.api.PostMessageContext(ctx, c.ID, text("hello"))
				a.wantError("posting", err, tc.posts)
				_, _, err = a.api.PostMessageContext(ctx, c.ID, text("hello"), slack.MsgOptionTS(ts))
				a.wantError("replying", err, tc.replies)
				_, _, _, err = a.api.UpdateMessageContext(ctx, c.ID, ts, text("hello"))
				a.wantError("editing", err, tc.edits)
				_, err = a.api.PostEphemeralContext(ctx, c.ID, "UANN", text("hello"))
				a.wantError("telling ann", err, tc.tellsAnn)
				a.wantRestrictions(c, tc.field)
			})
		})
	}
}

// wantRestrictions checks what conversations.info says of who may post.
func (a *app) wantRestrictions(c slacksim.Channel, field string) {
	a.t.Helper()
	_, body := a.send("conversations.info", "xoxb-sim", url.Values{"channel": {c.ID}})
	shown := body["channel"].(map[string]any)
	for _, f := range []string{
		"is_archived", "is_frozen", "is_read_only", "is_thread_only", "is_non_threadable",
	} {
		if on, _ := shown[f].(bool); on != (f == field) {
			a.t.Errorf("%s is %v", f, shown[f])
		}
	}
	input := &slack.GetConversationInfoInput{ChannelID: c.ID}
	info, err := a.api.GetConversationInfoContext(a.t.Context(), input)
	a.wantError("reading the channel", err, "")
	for name, r := range map[string]struct {
		got  slack.RestrictedTo
		want *slacksim.RestrictedTo
	}{
		"posting":  {info.Properties.PostingRestrictedTo, c.PostingRestrictedTo},
		"replying": {info.Properties.ThreadsRestrictedTo, c.ThreadsRestrictedTo},
	} {
		want := slack.RestrictedTo{}
		if r.want != nil {
			want = slack.RestrictedTo{Type: r.want.Type, User: r.want.User}
		}
		if diff := cmp.Diff(want, r.got); diff != "" {
			a.t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAConversationOfSeveral(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		members := []string{"UANN", slacksim.BotID}
		a.w.AddChannel(slacksim.Channel{ID: "G0MANY", MPIM: true, Members: members})
		_, body := a.send("conversations.info", "xoxb-sim", url.Values{"channel": {"G0MANY"}})
		if body["error"] != "missing_scope" || body["needed"] != "mpim:read" {
			t.Errorf("without its scope: %v", body)
		}
		a.w.SetScopes("mpim:read")
		_, body = a.send("conversations.info", "xoxb-sim", url.Values{"channel": {"G0MANY"}})
		if c, _ := body["channel"].(map[string]any); c["is_mpim"] != true || c["is_channel"] != false {
			t.Errorf("with it: %v", body)
		}
	})
}

func TestScopes(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		const all = "commands,chat:write,users:read,usergroups:read,channels:read,groups:read"
		for _, tc := range []struct {
			scopes       []string
			header, code string
		}{
			{nil, all, ""},
			{[]string{"commands", "chat:write"}, "commands,chat:write", "missing_scope"},
			{[]string{"users:read", "files:write"}, "users:read,files:write", ""},
		} {
			if tc.scopes != nil {
				a.w.SetScopes(tc.scopes...)
			}
			res, body := a.send("users.info", "xoxb-sim", url.Values{"user": {"UANN"}})
			if got := res.Header.Get("X-OAuth-Scopes"); got != tc.header {
				t.Errorf("granted %s, want %s", got, tc.header)
			}
			if code, _ := body["error"].(string); code != tc.code {
				t.Errorf("with %v: %v", tc.scopes, body)
			}
			if tc.code != "" && (body["needed"] != "users:read" || body["provided"] != tc.header) {
				t.Errorf("with %v: %v", tc.scopes, body)
			}
		}
	})
}

func TestTokensWhileTheSocketStays(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		for _, code := range []string{"token_revoked", "token_expired", "account_inactive"} {
			a.w.SetBotToken("xoxb-sim", code)
			_, err := a.api.AuthTestContext(t.Context())
			a.wantError("the old token", err, code)
			a.slash()
		}
		_, err := a.client("xoxb-new").AuthTestContext(t.Context())
		a.wantError("the new token, before", err, "invalid_auth")
		a.w.SetBotToken("xoxb-new", "")
		_, err = a.client("xoxb-new").AuthTestContext(t.Context())
		a.wantError("the new token", err, "")
	})
}

func TestAPersonWithTwoIDs(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.AddPerson(slacksim.Person{ID: "UGRID", Name: "gus", Global: "WGRID", Enterprise: "E0SIM"})
		members := []string{"UGRID", slacksim.BotID}
		a.w.AddChannel(slacksim.Channel{ID: "C0GRID", Name: "grid", Members: members})
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		for _, id := range []string{"UGRID", "WGRID"} {
			u, err := a.api.GetUserInfoContext(t.Context(), id)
			a.wantError("reading "+id, err, "")
			if u.ID != id || u.Enterprise.ID != "WGRID" || u.Name != "gus" {
				t.Errorf("%s is %+v", id, u)
			}
			if _, err := a.w.Slash(id, "C0GRID", "/signing-keys"); err != nil {
				t.Error(err)
			}
			_, err = a.api.PostEphemeralContext(t.Context(), "C0GRID", id, text("hello"))
			a.wantError("telling "+id, err, "")
			if e := <-s.envelopes; e.Payload["user_id"] != id {
				t.Errorf("%s is named %v", id, e.Payload["user_id"])
			}
		}
		for _, id := range []string{"UGRID", "WGRID"} {
			if n := len(a.w.Ephemerals(id, "C0GRID")); n != 2 {
				t.Errorf("%s sees %d messages, want 2: they are one", id, n)
			}
		}
	})
}

func TestAWorkspaceInAGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := slacksim.New(slacksim.Config{Manifest: manifest(t), Enterprise: "E0SIM"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.AddPerson(slacksim.Person{ID: "UGRID", Name: "gus"})
		w.AddPerson(slacksim.Person{ID: "UXENA", Name: "xena", Team: "T0OTHER"})
		members := []string{"UGRID", slacksim.BotID}
		w.AddChannel(slacksim.Channel{ID: "C0ROOM", Name: "room", Members: members})
		a := &app{t: t, w: w, http: &http.Client{Transport: &http.Transport{DialContext: w.Dial}}}
		defer a.http.CloseIdleConnections()
		a.api = a.client("xoxb-sim")
		who, err := a.api.AuthTestContext(t.Context())
		if err != nil || who.EnterpriseID != "E0SIM" {
			t.Errorf("the app is of %+v, %v", who, err)
		}
		for user, want := range map[string]string{"UGRID": "E0SIM", "UXENA": ""} {
			u, err := a.api.GetUserInfoContext(t.Context(), user)
			if err != nil || u.Enterprise.EnterpriseID != want {
				t.Errorf("%s is of %q, %v, want %q", user, u.Enterprise.EnterpriseID, err, want)
			}
		}
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		if _, err := w.Slash("UGRID", "C0ROOM", "/signing-keys"); err != nil {
			t.Error(err)
		}
		if e := <-s.envelopes; e.Payload["enterprise_id"] != "E0SIM" {
			t.Errorf("a command is of %v", e.Payload["enterprise_id"])
		}
	})
}

func TestOddShapes(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.AddPerson(slacksim.Person{
			ID: "UODD", Name: "odd",
			Patch: json.RawMessage(`{"profile":{"status_expiration":""},"deleted":null}`),
		})
		a.w.AddChannel(slacksim.Channel{
			ID: "C0ODD", Members: []string{slacksim.BotID}, Patch: json.RawMessage(`{"properties":[]}`),
		})
		_, body := a.send("users.info", "xoxb-sim", url.Values{"user": {"UODD"}})
		u := body["user"].(map[string]any)
		profile := u["profile"].(map[string]any)
		_, has := u["deleted"]
		if has || profile["status_expiration"] != "" || profile["real_name"] != "odd" {
			t.Errorf("the person is %v", u)
		}
		_, body = a.send("conversations.info", "xoxb-sim", url.Values{"channel": {"C0ODD"}})
		if diff := cmp.Diff([]any{}, body["channel"].(map[string]any)["properties"]); diff != "" {
			t.Errorf("the channel's properties: %s", diff)
		}
	})
}

func TestPeopleAndGroupsThatChange(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		a.w.AddPerson(slacksim.Person{ID: "UANN", Name: "ann", Guest: true})
		u, err := a.api.GetUserInfoContext(ctx, "UANN")
		if err != nil || !u.IsRestricted {
			t.Errorf("as a guest: %+v, %v", u, err)
		}
		a.w.AddPerson(slacksim.Person{ID: "UANN", Name: "ann", Deactivated: true})
		u, err = a.api.GetUserInfoContext(ctx, "UANN")
		if err != nil || !u.Deleted {
			t.Errorf("deactivated: %+v, %v", u, err)
		}
		a.w.AddGroup("SDEV", "UBEN")
		members, err := a.api.GetUserGroupMembersContext(ctx, "SDEV")
		if diff := cmp.Diff([]string{"UBEN"}, members); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		a.w.DisableGroup("SDEV")
		_, err = a.api.GetUserGroupMembersContext(ctx, "SDEV")
		a.wantError("a disabled group", err, "no_such_subteam")
		for disabled, want := range map[bool]int{false: 0, true: 1} {
			all, err := a.api.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeDisabled(disabled))
			if err != nil || len(all) != want {
				t.Errorf("listing, disabled ones too %v: %v, %v", disabled, all, err)
			}
		}
		a.w.AddGroup("SDEV", "UANN")
		_, err = a.api.GetUserGroupMembersContext(ctx, "SDEV")
		a.wantError("an enabled group", err, "")
		a.w.Fault(slacksim.Fault{
			Method: "users.info", Error: "user_not_visible",
			If: func(args map[string]string) bool { return args["user"] == "UBEN" },
		})
		_, err = a.api.GetUserInfoContext(ctx, "UBEN")
		a.wantError("reading somebody who is not visible", err, "user_not_visible")
		_, err = a.api.GetUserInfoContext(ctx, "UANN")
		a.wantError("reading somebody else", err, "")
	})
}

func TestACommandOfAnotherName(t *testing.T) {
	other := bytes.ReplaceAll(manifest(t), []byte("/signing-keys"), []byte("/keys-staging"))
	inWorkspace(t, other, func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		out, err := a.w.Slash("UANN", "C0ROOM", "/keys-staging list")
		if e := <-s.envelopes; err != nil || !out.Acked || e.Payload["command"] != "/keys-staging" {
			t.Errorf("%+v, %v, %+v", out, err, e)
		}
		if _, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys list"); err == nil {
			t.Error("the name in our own manifest was taken")
		}
	})
}
