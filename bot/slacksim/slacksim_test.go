package slacksim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"keyturn/bot/slacksim"
)

// app is an app of the workspace's, by slack-go: a client that we did not write.
type app struct {
	t    *testing.T
	w    *slacksim.Workspace
	http *http.Client
	api  *slack.Client
}

func manifest(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../../manifest.yml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inWorkspace runs a test in a bubble with a workspace. ann is a member of everything,
// ben is a guest, dan is deactivated, xena is of another workspace; the bot is in
// C0ROOM, C0OLD, which is archived, and in D0ANN. The bubble fails the test where a
// goroutine does not end with the workspace.
func inWorkspace(t *testing.T, manifest []byte, test func(t *testing.T, a *app)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := slacksim.New(slacksim.Config{Manifest: manifest})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, p := range []slacksim.Person{
			{ID: "UANN", Name: "ann"}, {ID: "UBEN", Name: "ben", Guest: true},
			{ID: "UXENA", Name: "xena", Team: "T0OTHER"}, {ID: "UDAN", Name: "dan", Deactivated: true},
		} {
			w.AddPerson(p)
		}
		w.AddGroup("SDEV", "UANN", "UBEN")
		for _, c := range []slacksim.Channel{
			{ID: "C0ROOM", Name: "room", Members: []string{"UANN", "UXENA", "UDAN", slacksim.BotID}},
			{ID: "C0OTHER", Name: "other", Members: []string{"UANN"}},
			{ID: "C0HIDDEN", Name: "hidden", Private: true, Members: []string{"UANN"}},
			{ID: "C0OLD", Name: "old", Archived: true, Members: []string{"UANN", slacksim.BotID}},
			{ID: "D0ANN", DirectMessage: true, Members: []string{"UANN", slacksim.BotID}},
		} {
			w.AddChannel(c)
		}
		a := &app{t: t, w: w, http: &http.Client{Transport: &http.Transport{DialContext: w.Dial}}}
		defer a.http.CloseIdleConnections()
		a.api = a.client("xoxb-sim")
		test(t, a)
	})
}

func (a *app) client(token string) *slack.Client {
	return slack.New(token, slack.OptionAppLevelToken("xapp-1-A0KEYTURN-1-sim"),
		slack.OptionAPIURL("http://slack.test/api/"), slack.OptionHTTPClient(a.http))
}

// wantError checks that an error is Slack's of that code; "": none.
func (a *app) wantError(what string, err error, code string) {
	a.t.Helper()
	var said slack.SlackErrorResponse
	switch {
	case code == "" && err != nil:
		a.t.Errorf("%s: %v", what, err)
	case code != "" && (!errors.As(err, &said) || said.Err != code):
		a.t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// call calls a method by hand.
func (a *app) call(method, kind, authorization, body string) map[string]any {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://slack.test/api/"+method, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if authorization != "" {
		req.Header.Set("Authorization", "Bearer "+authorization)
	}
	res, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		a.t.Fatal(err)
	}
	return got
}

func TestManifest(t *testing.T) {
	whole := manifest(t)
	for name, cut := range map[string]string{
		"no socket mode":     "socket_mode_enabled: true",
		"no scope commands":  "- commands #",
		"what is no mapping": "settings:",
	} {
		broken := bytes.Replace(whole, []byte(cut), []byte("- - "), 1)
		if w, err := slacksim.New(slacksim.Config{Manifest: broken}); err == nil {
			w.Close()
			t.Errorf("a manifest with %s was taken", name)
		}
	}
}

func TestWhoAndWhere(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		who, err := a.api.AuthTestContext(ctx)
		if err != nil || who.TeamID != slacksim.TeamID || who.UserID != slacksim.BotID || who.BotID == "" ||
			!strings.Contains(who.Header.Get("X-OAuth-Scopes"), "chat:write") {
			t.Errorf("auth.test: %+v, %v", who, err)
		}
		for id, want := range map[string]func(u *slack.User) bool{
			"UANN":  func(u *slack.User) bool { return u.TeamID == slacksim.TeamID && !u.IsRestricted && !u.Deleted },
			"UBEN":  func(u *slack.User) bool { return u.IsRestricted && !u.IsUltraRestricted },
			"UXENA": func(u *slack.User) bool { return u.TeamID == "T0OTHER" },
			"UDAN":  func(u *slack.User) bool { return u.Deleted },
		} {
			u, err := a.api.GetUserInfoContext(ctx, id)
			if err != nil || u.ID != id || !want(u) {
				t.Errorf("users.info of %s: %+v, %v", id, u, err)
			}
		}
		a.w.AddPerson(slacksim.Person{ID: "UANN", Name: "ann", SingleChannelGuest: true, Enterprise: "E0"})
		u, err := a.api.GetUserInfoContext(ctx, "UANN")
		if err != nil || !u.IsRestricted || !u.IsUltraRestricted || u.Enterprise.EnterpriseID != "E0" {
			t.Errorf("users.info of ann, described anew: %+v, %v", u, err)
		}
		_, err = a.api.GetUserInfoContext(ctx, "UNOBODY")
		a.wantError("users.info of nobody", err, "user_not_found")
		members, err := a.api.GetUserGroupMembersContext(ctx, "SDEV")
		a.wantError("members", err, "")
		if diff := cmp.Diff([]string{"UANN", "UBEN"}, members); diff != "" {
			t.Error(diff)
		}
		_, err = a.api.GetUserGroupMembersContext(ctx, "SNONE")
		a.wantError("members of no group", err, "no_such_subteam")
		all, err := a.api.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeUsers(true))
		if err != nil || len(all) != 1 || all[0].ID != "SDEV" || all[0].Handle != "sdev" || len(all[0].Users) != 2 {
			t.Errorf("user groups: %+v, %v", all, err)
		}
	})
}

func TestConversations(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		info := func(id string) (*slack.Channel, error) {
			return a.api.GetConversationInfoContext(t.Context(), &slack.GetConversationInfoInput{ChannelID: id})
		}
		for id, member := range map[string]bool{"C0ROOM": true, "C0OTHER": false} {
			if c, err := info(id); err != nil || c.IsMember != member {
				t.Errorf("conversations.info of %s: %+v, %v", id, c, err)
			}
		}
		_, err := info("C0HIDDEN")
		a.wantError("a private channel", err, "channel_not_found")
		a.w.Invite("C0HIDDEN")
		if c, err := info("C0HIDDEN"); err != nil || !c.IsPrivate || !c.IsMember {
			t.Errorf("a private channel after the invitation: %+v, %v", c, err)
		}
		_, err = info("D0ANN")
		a.wantError("a direct message", err, "missing_scope") // im:read
	})
}

func TestTokensAndScopes(t *testing.T) {
	short := bytes.ReplaceAll(manifest(t), []byte("      - users:read "), []byte("      # - users:read "))
	inWorkspace(t, short, func(t *testing.T, a *app) {
		_, err := a.api.GetUserInfoContext(t.Context(), "UANN")
		a.wantError("without the scope", err, "missing_scope")
		var said slack.SlackErrorResponse
		if !errors.As(err, &said) || said.Needed != "users:read" || !strings.Contains(said.Provided, "chat:write") {
			t.Errorf("needed and provided: %+v", said)
		}
		const form, jsonBody = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
		const bot, app = "xoxb-sim", "xapp-1-A0KEYTURN-1-sim"
		for _, tc := range []struct{ method, kind, authorization, body, want string }{
			{"auth.test", form, bot, "", ""},
			{"auth.test", form, "", "token=" + bot, ""},
			{"auth.test", jsonBody, bot, "{}", ""},
			{"auth.test", form, "", "", "not_authed"},
			{"auth.test", jsonBody, "", `{"token":"` + bot + `"}`, "not_authed"},
			{"auth.test", form, "xoxb-other", "", "invalid_auth"},
			{"auth.test", form, app, "", "not_allowed_token_type"},
			{"auth.test", jsonBody, bot, "{", "invalid_json"},
			{"auth.test", form, bot, "%", "invalid_form_data"},
			{"apps.connections.open", form, app, "", ""},
			{"apps.connections.open", form, bot, "", "not_allowed_token_type"},
			{"apps.connections.open", form, "", "token=" + app, "not_authed"},
			{"chat.fancy", form, bot, "", "unknown_method"},
		} {
			got := a.call(tc.method, tc.kind, tc.authorization, tc.body)
			if code, _ := got["error"].(string); code != tc.want || got["ok"] != (tc.want == "") {
				t.Errorf("%+v: %v", tc, got)
			}
		}
	})
}

func TestFaults(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.Fault(slacksim.Fault{Method: "auth.test", After: 1, Times: 1, Status: 429, RetryAfter: 7 * time.Second})
		a.w.Fault(slacksim.Fault{Method: "auth.test", After: 1, Times: 1, Error: "internal_error"})
		_, err := a.api.AuthTestContext(t.Context())
		a.wantError("the first", err, "")
		_, err = a.api.AuthTestContext(t.Context())
		var limited *slack.RateLimitedError
		if !errors.As(err, &limited) || limited.RetryAfter != 7*time.Second {
			t.Errorf("the second: %v", err)
		}
		_, err = a.api.AuthTestContext(t.Context())
		a.wantError("the third", err, "internal_error")
		_, err = a.api.AuthTestContext(t.Context())
		a.wantError("the fourth", err, "")
		var codes []string
		for _, c := range a.w.History() {
			codes = append(codes, c.Method+" "+c.Error)
		}
		if diff := cmp.Diff([]string{"auth.test ", "auth.test http 429", "auth.test internal_error", "auth.test "}, codes); diff != "" {
			t.Error(diff)
		}
		a.w.Fault(slacksim.Fault{Delay: time.Minute})
		began := time.Now()
		_, err = a.api.AuthTestContext(t.Context())
		a.wantError("delayed", err, "")
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the delayed call took %v", took)
		}
		a.w.ClearFaults()
		began = time.Now()
		if _, err = a.api.AuthTestContext(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("after the faults: %v, %v", err, time.Since(began))
		}
	})
}

func TestAwait(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		looks := 0
		err := a.w.Await(ctx, func() bool { looks++; return false })
		if !errors.Is(err, context.DeadlineExceeded) || looks != 1 {
			t.Errorf("nothing changed: %v after %d looks", err, looks)
		}
		go a.w.Say("UANN", "C0ROOM", "hello")
		said := func() bool { return len(a.w.Messages("C0ROOM")) == 1 }
		if err := a.w.Await(t.Context(), said); err != nil {
			t.Error(err)
		}
	})
}

// TestOverTCP has the workspace on a real socket, and closes it with a call under way.
func TestOverTCP(t *testing.T) {
	w, err := slacksim.New(slacksim.Config{Manifest: manifest(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w)
	defer server.Close()
	a := &app{t: t, w: w, http: server.Client()}
	a.api = slack.New("xoxb-sim", slack.OptionAppLevelToken("xapp-1-A0KEYTURN-1-sim"),
		slack.OptionAPIURL(server.URL+"/api/"), slack.OptionHTTPClient(a.http))
	w.AddPerson(slacksim.Person{ID: "UANN", Name: "ann"})
	w.AddChannel(slacksim.Channel{ID: "C0ROOM", Name: "room", Members: []string{"UANN", slacksim.BotID}})
	var dialer net.Dialer
	s := a.dialBy(dialer.DialContext)
	defer s.ws.Close()
	go s.acknowledge(t)
	out, err := w.Slash("UANN", "C0ROOM", "/signing-keys list")
	if err != nil || !out.Acked {
		t.Errorf("%+v, %v", out, err)
	}
	url, _ := s.next(t).Payload["response_url"].(string)
	if !strings.HasPrefix(url, server.URL+"/response/") {
		t.Errorf("the response URL is %s, and the server %s", url, server.URL)
	}
	w.Fault(slacksim.Fault{Delay: time.Hour})
	answered := make(chan error, 1)
	go func() {
		_, err := a.api.AuthTestContext(context.Background())
		answered <- err
	}()
	if err := w.Await(t.Context(), func() bool { return w.Sockets() == 1 }); err != nil {
		t.Error(err)
	}
	w.Close()
	w.Close()
	<-answered // the hour does not hold the call up
	if n := w.Sockets(); n != 0 {
		t.Errorf("%d sockets after the end", n)
	}
}
