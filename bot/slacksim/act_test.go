package slacksim_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/slack-go/slack"

	"keyturn/bot/slacksim"
)

func TestSlash(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		s.answer = `{"text":"at once"}`
		go s.acknowledge(t)
		out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys  rotate now ")
		if err != nil || !out.Acked {
			t.Fatalf("%+v, %v", out, err)
		}
		f := s.next(t)
		want := map[string]any{
			"token": "sim", "team_id": slacksim.TeamID, "team_domain": "sim", "channel_id": "C0ROOM", "channel_name": "room",
			"user_id": "UANN", "user_name": "ann", "command": "/signing-keys", "text": "rotate now",
			"api_app_id": slacksim.AppID, "is_enterprise_install": "false",
		}
		secret := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "response_url" || k == "trigger_id" })
		if diff := cmp.Diff(want, f.Payload, secret); diff != "" || f.Type != "slash_commands" || !f.Accepts {
			t.Errorf("%s: %s", f.Raw, diff)
		}
		if f.Payload["response_url"] == "" || f.Payload["trigger_id"] == "" {
			t.Errorf("%s", f.Raw)
		}
		if diff := cmp.Diff([]string{"at once"}, words(a.w.Ephemerals("UANN", "C0ROOM"))); diff != "" {
			t.Error(diff)
		}
		s.answer = `{"text":"for all","response_type":"in_channel"}`
		if _, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"for all"}, words(a.w.Messages("C0ROOM"))); diff != "" {
			t.Error(diff)
		}
		s.answer = `{"text":"x","blocks":[{"type":"fancy"}]}`
		if _, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); err == nil {
			t.Error("an ack with blocks that Slack refuses was shown")
		}
		sent := len(a.w.Acks())
		for who, line := range map[string]string{"UXENA": "/signing-keys", "UDAN": "/signing-keys", "UBEN": "/signing-keys", "UANN": "/other"} {
			if _, err := a.w.Slash(who, "C0ROOM", line); err == nil {
				t.Errorf("%s typed %s", who, line)
			}
		}
		if _, err := a.w.Slash("UANN", "C0OLD", "/signing-keys"); err == nil {
			t.Error("a command was typed in an archived channel")
		}
		if n := len(a.w.Acks()); n != sent {
			t.Errorf("%d envelopes were sent for what Slack refuses", n-sent)
		}
	})
}

func TestTypedWords(t *testing.T) {
	lines := map[string][2]string{ // with should_escape, and without
		"<!here> & more":           {"&lt;!here&gt; &amp; more", "<!here> & more"},
		"ask @ann or @sdev, @here": {"ask <@UANN|ann> or <!subteam^SDEV|@sdev>, @here", "ask @ann or @sdev, @here"},
		"see #room and #hidden":    {"see <#C0ROOM|room> and <#C0HIDDEN|>", "see #room and #hidden"},
		"https://x.example/?a=1&b": {"<https://x.example/?a=1&amp;b>", "https://x.example/?a=1&b"},
		"ann@room.example #none":   {"ann@room.example #none", "ann@room.example #none"},
	}
	whole := manifest(t)
	for i, m := range [][]byte{whole, bytes.ReplaceAll(whole, []byte("should_escape: true"), []byte("should_escape: false"))} {
		inWorkspace(t, m, func(t *testing.T, a *app) {
			s := a.dial()
			defer s.ws.Close()
			go s.acknowledge(t)
			for line, want := range lines {
				if out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys "+line); err != nil || !out.Acked {
					t.Fatalf("%+v, %v", out, err)
				}
				if got := s.next(t).Payload["text"]; got != want[i] {
					t.Errorf("%q came as %q, want %q", line, got, want[i])
				}
			}
		})
	}
}

func TestPress(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		approve := slack.NewButtonBlockElement("approve", "kt-1", plain("Approve"))
		_, parent, err := a.api.PostMessageContext(t.Context(), "C0ROOM", text("a thread"))
		a.wantError("posting", err, "")
		_, ts, err := a.api.PostMessageContext(t.Context(), "C0ROOM", slack.MsgOptionTS(parent), slack.MsgOptionBlocks(slack.NewActionBlock("request:kt-1:1", approve)))
		a.wantError("posting", err, "")
		before := a.w.Thread("C0ROOM", parent)[0]
		press := func(user string, b slacksim.Button, old ...slacksim.Message) map[string]any {
			t.Helper()
			if out, err := a.w.Press(user, "C0ROOM", ts, b, old...); err != nil || !out.Acked {
				t.Fatalf("%+v, %v", out, err)
			}
			f := s.next(t)
			if f.Type != "interactive" || f.Accepts {
				t.Errorf("envelope: %s", f.Raw)
			}
			return f.Payload
		}
		got := press("UXENA", slacksim.Button{Action: "approve"})
		blocks := []any{map[string]any{"type": "actions", "block_id": "request:kt-1:1", "elements": []any{map[string]any{
			"type": "button", "action_id": "approve", "value": "kt-1", "text": map[string]any{"type": "plain_text", "text": "Approve", "emoji": false},
		}}}}
		want := map[string]any{
			"type": "block_actions", "api_app_id": slacksim.AppID, "token": "sim", "enterprise": nil, "is_enterprise_install": false,
			"user":      map[string]any{"id": "UXENA", "username": "xena", "name": "xena", "team_id": "T0OTHER"},
			"team":      map[string]any{"id": slacksim.TeamID, "domain": "sim"},
			"container": map[string]any{"type": "message", "message_ts": ts, "thread_ts": parent, "channel_id": "C0ROOM", "is_ephemeral": false},
			"channel":   map[string]any{"id": "C0ROOM", "name": "room"},
			"message": map[string]any{
				"type": "message", "user": slacksim.BotID, "bot_id": "B0KEYTURN", "app_id": slacksim.AppID, "team": slacksim.TeamID,
				"ts": ts, "thread_ts": parent, "text": "", "blocks": blocks,
			},
			"state": map[string]any{"values": map[string]any{}},
			"actions": []any{map[string]any{
				"type": "button", "action_id": "approve", "block_id": "request:kt-1:1", "value": "kt-1",
				"text": map[string]any{"type": "plain_text", "text": "Approve", "emoji": false},
			}},
		}
		fresh := cmpopts.IgnoreMapEntries(func(k string, _ any) bool {
			return k == "response_url" || k == "trigger_id" || k == "action_ts"
		})
		if diff := cmp.Diff(want, got, fresh, cmpopts.IgnoreMapEntries(func(k string, v any) bool { return k == "emoji" })); diff != "" {
			t.Error(diff)
		}
		for _, b := range []slacksim.Button{{Action: "deny"}, {Action: "approve", Value: "kt-2"}, {Action: "approve", Block: "other"}} {
			if _, err := a.w.Press("UANN", "C0ROOM", ts, b); err == nil {
				t.Errorf("%+v is not there, and was pressed", b)
			}
		}
		if _, _, _, err := a.api.UpdateMessageContext(t.Context(), "C0ROOM", ts, text("over")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "approve"}); err == nil {
			t.Error("a button that is gone was pressed")
		}
		late := press("UANN", slacksim.Button{Action: "approve"}, before)
		if m := late["message"].(map[string]any); m["text"] != "over" || m["blocks"] != nil {
			t.Errorf("an old client's press came with %v", m)
		}
		a.w.Delete("C0ROOM", ts)
		if _, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "approve"}); err == nil {
			t.Error("a message that is gone was pressed on")
		}
		press("UANN", slacksim.Button{Action: "approve"}, before)
	})
}

func TestWhichButton(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		revoke := func(kid string) slack.Block {
			button := slack.NewButtonBlockElement("revoke", kid, plain("Revoke…"))
			return slack.NewSectionBlock(plain(kid), nil, slack.NewAccessory(button), slack.SectionBlockOptionBlockID("key:"+kid))
		}
		menu := slack.NewActionBlock("more", slack.NewOverflowBlockElement("menu",
			slack.NewOptionBlockObject("a", plain("A"), nil), slack.NewOptionBlockObject("b", plain("B"), nil)))
		ts, err := a.api.PostEphemeralContext(t.Context(), "C0ROOM", "UANN", slack.MsgOptionBlocks(revoke("one"), revoke("two"), menu))
		a.wantError("telling", err, "")
		for _, tc := range []struct {
			button slacksim.Button
			want   any // value of what was pressed; nil: cannot be
		}{
			{slacksim.Button{Action: "revoke"}, nil},
			{slacksim.Button{Action: "revoke", Value: "two"}, "two"},
			{slacksim.Button{Action: "revoke", Block: "key:one"}, "one"},
			{slacksim.Button{Action: "menu", Value: "b"}, "b"},
			{slacksim.Button{Action: "menu", Value: "c"}, nil},
		} {
			out, err := a.w.Press("UANN", "C0ROOM", ts, tc.button)
			if tc.want == nil {
				if err == nil {
					t.Errorf("%+v was pressed", tc.button)
				}
				continue
			}
			if err != nil || !out.Acked {
				t.Fatalf("%+v: %+v, %v", tc.button, out, err)
			}
			payload := s.next(t).Payload
			action := payload["actions"].([]any)[0].(map[string]any)
			got := action["value"]
			if o, is := action["selected_option"].(map[string]any); is {
				got = o["value"]
			}
			if got != tc.want || payload["container"].(map[string]any)["is_ephemeral"] != true {
				t.Errorf("%+v: %v", tc.button, payload)
			}
		}
		for _, who := range []string{"UXENA", "UNOBODY"} {
			if _, err := a.w.Press(who, "C0ROOM", ts, slacksim.Button{Action: "menu", Value: "b"}); err == nil {
				t.Errorf("%s pressed on what only ann sees", who)
			}
		}
	})
	still := bytes.Replace(manifest(t), []byte("    is_enabled: true"), []byte("    is_enabled: false"), 1)
	inWorkspace(t, still, func(t *testing.T, a *app) {
		button := slack.NewButtonBlockElement("approve", "", plain("Approve"))
		_, ts, err := a.api.PostMessageContext(t.Context(), "C0ROOM", slack.MsgOptionBlocks(slack.NewActionBlock("", button)))
		a.wantError("posting", err, "")
		s := a.dial()
		defer s.ws.Close()
		if _, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "approve"}); err == nil {
			t.Error("pressed without interactivity")
		}
	})
}
