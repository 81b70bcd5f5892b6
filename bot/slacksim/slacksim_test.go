package slacksim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
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

// inWorkspace runs a test in a bubble with a workspace: ann and ben are members of
// C0ROOM, where the bot is; xena is of another workspace.
func inWorkspace(t *testing.T, manifest []byte, test func(t *testing.T, a *app)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := slacksim.New(slacksim.Config{Manifest: manifest})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, p := range []slacksim.Person{{ID: "UANN", Name: "ann"}, {ID: "UBEN", Name: "ben", Guest: true}, {ID: "UXENA", Name: "xena", Team: "T0OTHER"}, {ID: "UDAN", Name: "dan", Deactivated: true}} {
			w.AddPerson(p)
		}
		w.AddGroup("SDEV", "UANN", "UBEN")
		w.AddChannel(slacksim.Channel{ID: "C0ROOM", Name: "room", Members: []string{"UANN", "UXENA", "UDAN", slacksim.BotID}})
		w.AddChannel(slacksim.Channel{ID: "C0OTHER", Name: "other", Members: []string{"UANN"}})
		w.AddChannel(slacksim.Channel{ID: "C0HIDDEN", Name: "hidden", Private: true, Members: []string{"UANN"}})
		w.AddChannel(slacksim.Channel{ID: "C0OLD", Name: "old", Archived: true, Members: []string{"UANN", slacksim.BotID}})
		a := &app{t: t, w: w, http: &http.Client{Transport: &http.Transport{DialContext: w.Dial}}}
		defer a.http.CloseIdleConnections()
		a.api = a.client("xoxb-sim")
		test(t, a)
	})
}

func (a *app) client(token string) *slack.Client {
	return slack.New(token, slack.OptionAppLevelToken("xapp-1-A0KEYTURN-1-sim"), slack.OptionAPIURL("http://slack.test/api/"), slack.OptionHTTPClient(a.http))
}

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

func text(s string) slack.MsgOption { return slack.MsgOptionText(s, false) }

func TestMessages(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		_, ts, err := a.api.PostMessageContext(ctx, "C0ROOM", text("hello"))
		a.wantError("posting", err, "")
		_, _, err = a.api.PostMessageContext(ctx, "C0ROOM", text("reply"), slack.MsgOptionTS(ts))
		a.wantError("replying", err, "")
		_, _, _, err = a.api.UpdateMessageContext(ctx, "C0ROOM", ts, text("hello <@UANN> &amp; <!here>"))
		a.wantError("updating", err, "")
		got := a.w.Messages("C0ROOM")
		if len(got) != 1 || got[0].Edits != 1 || !slices.Equal(got[0].Mentions, []string{"UANN", "here"}) {
			t.Errorf("messages: %+v", got)
		}
		if th := a.w.Thread("C0ROOM", ts); len(th) != 1 || th[0].Text != "reply" {
			t.Errorf("thread: %+v", th)
		}
		for channel, code := range map[string]string{"C0OTHER": "not_in_channel", "C0HIDDEN": "channel_not_found", "C0NONE": "channel_not_found", "C0OLD": "is_archived"} {
			_, _, err := a.api.PostMessageContext(ctx, channel, text("hello"))
			a.wantError("posting in "+channel, err, code)
		}
		_, _, _, err = a.api.UpdateMessageContext(ctx, "C0ROOM", "1.1", text("x"))
		a.wantError("updating none", err, "message_not_found")
		_, _, err = a.api.PostMessageContext(ctx, "C0ROOM", text(""))
		a.wantError("posting nothing", err, "no_text")
		_, _, _, err = a.api.UpdateMessageContext(ctx, "C0ROOM", ts, text(strings.Repeat("x", 4001)))
		a.wantError("updating with too much", err, "msg_too_long")
		_, err = a.api.PostEphemeralContext(ctx, "C0ROOM", "UBEN", text("x"))
		a.wantError("telling somebody who is not there", err, "user_not_in_channel")
		_, err = a.api.PostEphemeralContext(ctx, "C0ROOM", "UANN", text("only you"))
		a.wantError("telling ann", err, "")
		if e := a.w.Ephemerals("UANN", "C0ROOM"); len(e) != 1 || e[0].Text != "only you" {
			t.Errorf("ephemerals: %+v", e)
		}
		var said slack.SlackErrorResponse
		_, _, err = a.api.PostMessageContext(ctx, "C0ROOM", slack.MsgOptionBlocks(slack.NewHeaderBlock(slack.NewTextBlockObject("plain_text", strings.Repeat("x", 151), false, false))))
		if !errors.As(err, &said) || said.Err != "invalid_blocks" || len(said.ResponseMetadata.Messages) != 1 {
			t.Errorf("blocks over the limit: %v, %+v", err, said)
		}
	})
}

func TestWhoAndWhere(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		who, err := a.api.AuthTestContext(ctx)
		if err != nil || who.TeamID != slacksim.TeamID || who.UserID != slacksim.BotID || !strings.Contains(who.Header.Get("X-OAuth-Scopes"), "chat:write") {
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
		_, err = a.api.GetUserInfoContext(ctx, "UNOBODY")
		a.wantError("users.info of nobody", err, "user_not_found")
		members, err := a.api.GetUserGroupMembersContext(ctx, "SDEV")
		if err != nil || !slices.Equal(members, []string{"UANN", "UBEN"}) {
			t.Errorf("members: %v, %v", members, err)
		}
		_, err = a.api.GetUserGroupMembersContext(ctx, "SNONE")
		a.wantError("members of no group", err, "no_such_subteam")
		for id, member := range map[string]bool{"C0ROOM": true, "C0OTHER": false} {
			c, err := a.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
			if err != nil || c.IsMember != member {
				t.Errorf("conversations.info of %s: %+v, %v", id, c, err)
			}
		}
		_, err = a.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: "C0HIDDEN"})
		a.wantError("a private channel", err, "channel_not_found")
	})
}

func TestTokensAndScopes(t *testing.T) {
	short := bytes.ReplaceAll(manifest(t), []byte("      - users:read "), []byte("      # - users:read "))
	inWorkspace(t, short, func(t *testing.T, a *app) {
		_, err := a.api.GetUserInfoContext(t.Context(), "UANN")
		a.wantError("without the scope", err, "missing_scope")
		for token, code := range map[string]string{"xoxb-other": "invalid_auth", "xapp-1-A0KEYTURN-1-sim": "not_allowed_token_type"} {
			_, err := a.client(token).AuthTestContext(t.Context())
			a.wantError("auth.test with "+token, err, code)
		}
		_, _, err = slack.New("xoxb-sim", slack.OptionAppLevelToken("xoxb-sim"), slack.OptionAPIURL("http://slack.test/api/"), slack.OptionHTTPClient(a.http)).StartSocketModeContext(t.Context())
		a.wantError("opening with the bot token", err, "not_allowed_token_type")
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
		if n := len(a.w.History()); n != 4 {
			t.Errorf("%d calls in the history, want 4", n)
		}
	})
}

// serve opens a socket by hand and acknowledges each envelope with what answer says;
// "": not at all.
func (a *app) serve(answer func(kind string, payload map[string]any) string) *websocket.Conn {
	a.t.Helper()
	_, url, err := a.api.StartSocketModeContext(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	dialer := websocket.Dialer{NetDialContext: a.w.Dial}
	ws, _, err := dialer.Dial(url, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	var hello struct {
		Type           string
		NumConnections int `json:"num_connections"`
		Debug          struct {
			Time int `json:"approximate_connection_time"`
		} `json:"debug_info"`
	}
	if err := ws.ReadJSON(&hello); err != nil || hello.Type != "hello" || hello.NumConnections == 0 || hello.Debug.Time == 0 {
		a.t.Fatalf("hello: %+v, %v", hello, err)
	}
	if _, _, err := dialer.Dial(url, nil); err == nil {
		a.t.Error("the address was good twice")
	}
	go func() {
		for {
			var e struct {
				Type    string         `json:"type"`
				ID      string         `json:"envelope_id"`
				Payload map[string]any `json:"payload"`
			}
			if ws.ReadJSON(&e) != nil {
				return
			}
			if body := answer(e.Type, e.Payload); body != "" {
				ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"`+e.ID+`"`+body))
			}
		}
	}()
	return ws
}

func TestCommandsAndAnswers(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		var last map[string]any
		ws := a.serve(func(_ string, p map[string]any) string { last = p; return `,"payload":{"text":"at once"}}` })
		defer ws.Close()
		out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys rotate <!here> & more")
		if err != nil || !out.Acked || last["text"] != "rotate &lt;!here&gt; &amp; more" || last["user_id"] != "UANN" || last["team_id"] != slacksim.TeamID {
			t.Errorf("%+v, %v, %v", out, err, last)
		}
		url := last["response_url"].(string)
		for i := range 6 { // the ack's words were the first use
			body := `{"text":"later"}`
			if i == 1 {
				body = `{"text":"for all","response_type":"in_channel"}`
			}
			res, err := a.http.Post(url, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if good := res.StatusCode == 200; good != (i < 4) {
				t.Errorf("use %d of the response URL: %d", i+2, res.StatusCode)
			}
		}
		var told []string
		for _, m := range a.w.Ephemerals("UANN", "C0ROOM") {
			told = append(told, m.Text)
		}
		if !slices.Equal(told, []string{"at once", "later", "later", "later"}) || len(a.w.Messages("C0ROOM")) != 1 {
			t.Errorf("told %v", told)
		}
		for who, line := range map[string]string{"UXENA": "/signing-keys", "UDAN": "/signing-keys", "UBEN": "/signing-keys", "UANN": "/other"} {
			if _, err := a.w.Slash(who, "C0ROOM", line); err == nil {
				t.Errorf("%s typed %s", who, line)
			}
		}
	})
}

func TestEnvelopesThatAreNotAcknowledged(t *testing.T) {
	for name, answer := range map[string]string{
		"silence":          "",
		"an ack too large": `,"payload":{"text":"` + strings.Repeat("x", 20_480) + `"}}`,
		"another's ack":    `,"envelope_id":"another"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
				ws := a.serve(func(string, map[string]any) string { return answer })
				defer ws.Close()
				began := time.Now()
				out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys")
				if err != nil || out.Acked || out.Warning != "operation_timeout" || time.Since(began) != 3*time.Second {
					t.Errorf("after %v: %+v, %v", time.Since(began), out, err)
				}
			})
		})
	}
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		if out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); err == nil || out.Warning != "dispatch_failed" {
			t.Errorf("without a socket: %+v, %v", out, err)
		}
	})
}

func view(title string, blocks ...slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: slack.NewTextBlockObject("plain_text", title, false, false), Submit: slack.NewTextBlockObject("plain_text", "Go", false, false),
		Blocks: slack.Blocks{BlockSet: blocks}, CallbackID: "cb", PrivateMetadata: "meta",
	}
}

func reasonInput() slack.Block {
	e := slack.NewPlainTextInputBlockElement(nil, "reason")
	e.MaxLength = 5
	return slack.NewInputBlock("reason", slack.NewTextBlockObject("plain_text", "Reason", false, false), nil, e)
}

func TestModals(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		var last map[string]any
		body := "}"
		ws := a.serve(func(_ string, p map[string]any) string { last = p; return body })
		defer ws.Close()
		trigger := func() string {
			a.w.Slash("UANN", "C0ROOM", "/signing-keys")
			return last["trigger_id"].(string)
		}
		ctx := t.Context()
		id := trigger()
		opened, err := a.api.OpenViewContext(ctx, id, view("Ask", reasonInput()))
		a.wantError("opening", err, "")
		_, err = a.api.OpenViewContext(ctx, id, view("Ask", reasonInput()))
		a.wantError("opening twice", err, "exchanged_trigger_id")
		late := trigger()
		time.Sleep(3100 * time.Millisecond)
		_, err = a.api.OpenViewContext(ctx, late, view("Ask", reasonInput()))
		a.wantError("opening late", err, "expired_trigger_id")
		_, err = a.api.OpenViewContext(ctx, "none", view("Ask", reasonInput()))
		a.wantError("opening without", err, "invalid_trigger_id")
		_, err = a.api.UpdateViewContext(ctx, view("Ask again", reasonInput()), "", "hash.other", opened.View.ID)
		a.wantError("updating another state", err, "hash_conflict")
		_, err = a.api.UpdateViewContext(ctx, view("Ask again", reasonInput()), "", opened.View.Hash, opened.View.ID)
		a.wantError("updating", err, "")
		_, err = a.api.UpdateViewContext(ctx, view("x"), "", "", "V0NONE")
		a.wantError("updating none", err, "not_found")
		_, err = a.api.OpenViewContext(ctx, trigger(), view(strings.Repeat("x", 25), reasonInput()))
		a.wantError("a long title", err, "invalid_arguments")

		for what, values := range map[string]map[string]any{"nothing filled in": {}, "too long": {"reason": "123456"}, "an input that is not": {"other": "x"}} {
			if _, err := a.w.Submit("UANN", values); err == nil {
				t.Errorf("%s was submitted", what)
			}
		}
		body = `,"payload":{"response_action":"errors","errors":{"reason":"no"}}}`
		if _, err := a.w.Submit("UANN", map[string]any{"reason": "12345"}); err != nil {
			t.Fatal(err)
		}
		v, open := a.w.View("UANN")
		if !open || v.Errors["reason"] != "no" || v.Title != "Ask again" {
			t.Errorf("after errors: %+v %v", v, open)
		}
		sent := last["view"].(map[string]any)
		state, _ := json.Marshal(sent["state"])
		if string(state) != `{"values":{"reason":{"reason":{"type":"plain_text_input","value":"12345"}}}}` || sent["private_metadata"] != "meta" || sent["callback_id"] != "cb" {
			t.Errorf("submitted %s of %v", state, sent)
		}
		body = "}"
		if _, err := a.w.Submit("UANN", map[string]any{"reason": "12345"}); err != nil {
			t.Fatal(err)
		}
		if v, open := a.w.View("UANN"); open {
			t.Errorf("still open: %+v", v)
		}
	})
}

func TestPresses(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		var last map[string]any
		ws := a.serve(func(_ string, p map[string]any) string { last = p; return "}" })
		defer ws.Close()
		button := slack.NewButtonBlockElement("approve", "kt-1", slack.NewTextBlockObject("plain_text", "Approve", false, false))
		_, ts, err := a.api.PostMessageContext(t.Context(), "C0ROOM", slack.MsgOptionBlocks(slack.NewActionBlock("request:kt-1:1", button)))
		if err != nil {
			t.Fatal(err)
		}
		before := a.w.Messages("C0ROOM")[0]
		if out, err := a.w.Press("UXENA", "C0ROOM", ts, slacksim.Button{Action: "approve"}); err != nil || !out.Acked {
			t.Fatalf("%+v, %v", out, err)
		}
		got, _ := json.Marshal(map[string]any{"user": last["user"], "team": last["team"], "container": last["container"], "actions": last["actions"].([]any)[0].(map[string]any)["block_id"]})
		want := `{"actions":"request:kt-1:1","container":{"channel_id":"C0ROOM","is_ephemeral":false,"message_ts":"` + ts + `","type":"message"},"team":{"domain":"sim","id":"T0SIM"},"user":{"id":"UXENA","name":"xena","team_id":"T0OTHER","username":"xena"}}`
		if string(got) != want {
			t.Errorf("sent %s\nwant %s", got, want)
		}
		if _, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "deny"}); err == nil {
			t.Error("a button that is not there was pressed")
		}
		if _, _, _, err := a.api.UpdateMessageContext(t.Context(), "C0ROOM", ts, text("over")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "approve"}); err == nil {
			t.Error("a button that is gone was pressed")
		}
		if out, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "approve"}, before); err != nil || !out.Acked {
			t.Errorf("an old client's press: %+v, %v", out, err)
		}
	})
}

func TestSockets(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		var all []*websocket.Conn
		for range 10 {
			all = append(all, a.serve(func(string, map[string]any) string { return "}" }))
		}
		if n := a.w.Sockets(); n != 10 {
			t.Errorf("%d sockets, want 10", n)
		}
		_, url, err := a.api.StartSocketModeContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dialer := websocket.Dialer{NetDialContext: a.w.Dial}
		ws, _, err := dialer.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		var frame struct{ Type, Reason string }
		if err := ws.ReadJSON(&frame); err != nil || frame.Reason != "too_many_websockets" {
			t.Errorf("the eleventh: %+v, %v", frame, err)
		}
		ws.Close()
		all[0].Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.w.Await(ctx, func() bool { return a.w.Sockets() == 9 }); err != nil {
			t.Errorf("%d sockets after one was closed", a.w.Sockets())
		}
		a.w.Disconnect("refresh_requested")
		if err := a.w.Await(ctx, func() bool { return a.w.Sockets() == 0 }); err != nil {
			t.Errorf("%d sockets after the disconnect's grace", a.w.Sockets())
		}
	})
}
