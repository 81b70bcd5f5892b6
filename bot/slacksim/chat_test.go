package slacksim_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"keyturn/bot/slacksim"
)

func text(s string) slack.MsgOption { return slack.MsgOptionText(s, false) }

func plain(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}

func header(n int) slack.MsgOption {
	return slack.MsgOptionBlocks(slack.NewHeaderBlock(plain(strings.Repeat("x", n))))
}

// words returns what messages show.
func words(all []slacksim.Message) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Shows())
	}
	return out
}

func TestMessages(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		_, ts, err := a.api.PostMessageContext(ctx, "C0ROOM", text("hello"), slack.MsgOptionMetadata(slack.SlackMetadata{
			EventType: "request", EventPayload: map[string]any{"id": "kt-1"},
		}))
		a.wantError("posting", err, "")
		_, reply, err := a.api.PostMessageContext(ctx, "C0ROOM", text("reply"), slack.MsgOptionTS(ts))
		a.wantError("replying", err, "")
		_, _, err = a.api.PostMessageContext(ctx, "C0ROOM", text("loud"), slack.MsgOptionTS(ts), slack.MsgOptionBroadcast())
		a.wantError("replying to all", err, "")
		_, _, _, err = a.api.UpdateMessageContext(ctx, "C0ROOM", ts, text("hello again"))
		a.wantError("updating", err, "")
		if diff := cmp.Diff([]string{"hello again", "loud"}, words(a.w.Messages("C0ROOM"))); diff != "" {
			t.Errorf("channel: %s", diff)
		}
		if diff := cmp.Diff([]string{"reply", "loud"}, words(a.w.Thread("C0ROOM", ts))); diff != "" {
			t.Errorf("thread: %s", diff)
		}
		update := a.call("chat.update", "application/json", "xoxb-sim", `{"channel":"C0ROOM","ts":"`+reply+`","text":"reply"}`)
		said := map[string]any{"type": "message", "user": slacksim.BotID, "bot_id": "B0KEYTURN", "app_id": slacksim.AppID, "team": slacksim.TeamID, "text": "reply"}
		if diff := cmp.Diff(said, update["message"]); diff != "" || update["ts"] != reply {
			t.Errorf("the answer to an update: %v %s", update, diff)
		}
		if got := a.w.Messages("C0ROOM")[0]; got.Edits != 1 || got.TS != ts || got.User != slacksim.BotID {
			t.Errorf("the first: %+v", got)
		}
		link, err := a.api.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: "C0ROOM", Ts: reply})
		want := "https://sim.slack.example/archives/C0ROOM/p" + strings.ReplaceAll(reply, ".", "") + "?thread_ts=" + ts + "&cid=C0ROOM"
		if err != nil || link != want {
			t.Errorf("link %s, %v, want %s", link, err, want)
		}
		_, _, err = a.api.DeleteMessageContext(ctx, "C0ROOM", reply)
		a.wantError("deleting", err, "")
		a.w.Delete("C0ROOM", ts)
		if diff := cmp.Diff([]string{"loud"}, words(a.w.Messages("C0ROOM"))); diff != "" {
			t.Errorf("after the deletion: %s", diff)
		}
		_, _, err = a.api.PostMessageContext(ctx, "C0ROOM", text(strings.Repeat("ä", 40_001)))
		a.wantError("posting too much", err, "")
		if all := a.w.Messages("C0ROOM"); len([]rune(all[1].Text)) != 40_000 {
			t.Errorf("%d characters of 40,001", len([]rune(all[1].Text)))
		}
	})
}

func TestADirectMessage(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.AddPerson(slacksim.Person{ID: "UAWAY", Name: "away", Team: "T0OTHER"})
		channel, _, err := a.api.PostMessageContext(t.Context(), "UANN", text("hello"))
		a.wantError("writing to ann", err, "")
		if diff := cmp.Diff([]string{"hello"}, words(a.w.Messages(channel))); diff != "" {
			t.Errorf("their conversation: %s", diff)
		}
		_, _, err = a.api.PostMessageContext(t.Context(), "UAWAY", text("hello"))
		a.wantError("writing to somebody of elsewhere", err, "channel_not_found")
	})
}

// TestACommandInTheConversationWithTheApp is typed before the app ever wrote there.
func TestACommandInTheConversationWithTheApp(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		// It is taken, and there is no app to give it to.
		_, err := a.w.Slash("UBEN", "DUBEN", "/signing-keys")
		if !errors.Is(err, slacksim.ErrNotConnected) {
			t.Errorf("ben types a command: %v", err)
		}
		_, err = a.w.Slash("UANN", "DUBEN", "/signing-keys")
		if err == nil || errors.Is(err, slacksim.ErrNotConnected) {
			t.Error("ann types a command in the conversation of ben")
		}
	})
}

func TestMessagesThatSlackRefuses(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		ctx := t.Context()
		_, ts, err := a.api.PostMessageContext(ctx, "C0ROOM", text("hello"))
		a.wantError("posting", err, "")
		said := a.w.Say("UANN", "C0ROOM", "hi")
		old := a.w.Say("UANN", "C0OLD", "hi")
		_, reply, err := a.api.PostMessageContext(ctx, "C0ROOM", text("reply"), slack.MsgOptionTS(ts))
		a.wantError("replying", err, "")
		post := func(channel string, o ...slack.MsgOption) error {
			_, _, err := a.api.PostMessageContext(ctx, channel, o...)
			return err
		}
		update := func(channel, ts string, o ...slack.MsgOption) error {
			_, _, _, err := a.api.UpdateMessageContext(ctx, channel, ts, o...)
			return err
		}
		remove := func(channel, ts string) error {
			_, _, err := a.api.DeleteMessageContext(ctx, channel, ts)
			return err
		}
		tell := func(channel, user string) error {
			_, err := a.api.PostEphemeralContext(ctx, channel, user, text("x"))
			return err
		}
		link := func(channel, ts string) error {
			_, err := a.api.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: channel, Ts: ts})
			return err
		}
		for i, tc := range []struct {
			err  error
			want string
		}{
			{post("C0OTHER", text("x")), "not_in_channel"},
			{post("C0HIDDEN", text("x")), "channel_not_found"},
			{post("C0NONE", text("x")), "channel_not_found"},
			{post("C0OLD", text("x")), "is_archived"},
			{post("C0ROOM", text("")), "no_text"},
			{post("C0ROOM", text("x"), slack.MsgOptionTS("1.1")), "thread_not_found"},
			{post("C0ROOM", text("x"), slack.MsgOptionTS(reply)), "thread_not_found"},
			{post("C0ROOM", header(151)), "invalid_blocks"},
			{update("C0ROOM", "1.1", text("x")), "message_not_found"},
			{update("C0ROOM", said, text("x")), "cant_update_message"},
			{update("C0ROOM", ts, text(strings.Repeat("x", 4001))), "msg_too_long"},
			{update("C0OLD", old, text("x")), "is_inactive"},
			{update("C0OTHER", ts, text("x")), "not_in_channel"},
			{remove("C0ROOM", "1.1"), "message_not_found"},
			{remove("C0ROOM", said), "cant_delete_message"},
			{tell("C0ROOM", "UBEN"), "user_not_in_channel"},
			{tell("C0OTHER", "UANN"), "not_in_channel"},
			{link("C0NONE", ts), "channel_not_found"},
			{link("C0ROOM", "1.1"), "message_not_found"},
		} {
			a.wantError(fmt.Sprint(i), tc.err, tc.want)
		}
		var answer slack.SlackErrorResponse
		if err := post("C0ROOM", header(151)); !errors.As(err, &answer) || len(answer.ResponseMetadata.Messages) != 1 ||
			!strings.Contains(answer.ResponseMetadata.Messages[0], "[json-pointer:/blocks/0/text/text]") {
			t.Errorf("what is wrong with the blocks: %+v", answer)
		}
		for body, want := range map[string]string{
			`{"channel":"C0ROOM","text":"x","blocks":"["}`:                                                          "invalid_blocks_format",
			`{"channel":"C0ROOM","text":"x","metadata":"{"}`:                                                        "invalid_metadata_format",
			`{"channel":"C0ROOM","blocks":[{"type":"divider"}],"unfurl_links":false,"metadata":{"event_type":"x"}}`: "",
		} {
			got := a.call("chat.postMessage", "application/json", "xoxb-sim", body)
			if code, _ := got["error"].(string); code != want {
				t.Errorf("%s: %v", body, got)
			}
		}
	})
}

func TestMentions(t *testing.T) {
	mrkdwn := func(s string, verbatim bool) slack.MsgOption {
		return slack.MsgOptionBlocks(slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", s, false, verbatim), nil, nil))
	}
	for name, tc := range map[string]struct {
		options []slack.MsgOption
		want    []string
	}{
		"live text":           {[]slack.MsgOption{text("<@UANN> <!subteam^SDEV> <!here>")}, []string{"SDEV", "UANN", "here"}},
		"labelled":            {[]slack.MsgOption{text("<@W1|ann> <!subteam^SDEV|@dev> <!channel|x>")}, []string{"SDEV", "W1", "channel"}},
		"escaped text":        {[]slack.MsgOption{text("&lt;@UANN&gt; &lt;!here&gt; @here")}, nil},
		"parsed text":         {[]slack.MsgOption{text("@here"), slack.MsgOptionParse(true)}, []string{"here"}},
		"linked names":        {[]slack.MsgOption{text("@channel"), slack.MsgOptionLinkNames(true)}, []string{"channel"}},
		"an address":          {[]slack.MsgOption{mrkdwn("ann@here.example", false)}, nil},
		"live mrkdwn":         {[]slack.MsgOption{mrkdwn("<@UANN>", true)}, []string{"UANN"}},
		"verbatim mrkdwn":     {[]slack.MsgOption{mrkdwn("@here &lt;!here&gt;", true)}, nil},
		"mrkdwn not verbatim": {[]slack.MsgOption{mrkdwn("(@everyone) <!date^1^{time}|x>", false)}, []string{"everyone"}},
		"plain text":          {[]slack.MsgOption{slack.MsgOptionBlocks(slack.NewHeaderBlock(plain("<@UANN> @here <!here>")))}, nil},
		"rich text": {[]slack.MsgOption{slack.MsgOptionBlocks(slack.NewRichTextBlock("", slack.NewRichTextSection(
			slack.NewRichTextSectionUserElement("UANN", nil), slack.NewRichTextSectionUserGroupElement("SDEV"),
			slack.NewRichTextSectionBroadcastElement("channel"), slack.NewRichTextSectionTextElement("<@UBEN> @here", nil),
		)))}, []string{"SDEV", "UANN", "channel"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
				_, ts, err := a.api.PostMessageContext(t.Context(), "C0ROOM", tc.options...)
				a.wantError("posting", err, "")
				if diff := cmp.Diff(tc.want, a.w.Messages("C0ROOM")[0].Mentions); diff != "" {
					t.Errorf("posted: %s", diff)
				}
				_, _, _, err = a.api.UpdateMessageContext(t.Context(), "C0ROOM", ts, text("@here"), slack.MsgOptionParse(false))
				a.wantError("updating", err, "")
				if got := a.w.Messages("C0ROOM")[0].Mentions; len(got) != 0 {
					t.Errorf("updated without parsing: %v", got)
				}
				_, _, _, err = a.api.UpdateMessageContext(t.Context(), "C0ROOM", ts, text("@here"))
				a.wantError("updating", err, "")
				if diff := cmp.Diff([]string{"here"}, a.w.Messages("C0ROOM")[0].Mentions); diff != "" {
					t.Errorf("updated: %s", diff)
				}
			})
		})
	}
}

// post posts to a response URL, and returns the status.
func (a *app) post(url, body string) int {
	a.t.Helper()
	res, err := a.http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode
}

func TestResponseURL(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		slash := func() string {
			t.Helper()
			if out, err := a.w.Slash("UANN", "C0OTHER", "/signing-keys"); err != nil || !out.Acked {
				t.Fatalf("%+v, %v", out, err)
			}
			return s.next(t).Payload["response_url"].(string)
		}
		url := slash() // in a channel without the bot
		for i, tc := range []struct {
			body string
			want int
		}{
			{`{"text":"one"}`, 200},
			{`{"text":"for all","response_type":"in_channel"}`, 200},
			{`{"text":"two","replace_original":true}`, 200}, // there is no original
			{`{"text":"three"}`, 200},
			{`{"text":""}`, 400},
			{`{"text":"six"}`, 404},
		} {
			if got := a.post(url, tc.body); got != tc.want {
				t.Errorf("%d: %s: %d, want %d", i, tc.body, got, tc.want)
			}
		}
		if diff := cmp.Diff([]string{"one", "two", "three"}, words(a.w.Ephemerals("UANN", "C0OTHER"))); diff != "" {
			t.Errorf("ephemerals: %s", diff)
		}
		if diff := cmp.Diff([]string{"for all"}, words(a.w.Messages("C0OTHER"))); diff != "" {
			t.Errorf("messages: %s", diff)
		}
		early, late := slash(), slash()
		time.Sleep(30*time.Minute - time.Second)
		if got := a.post(early, `{"text":"x"}`); got != 200 {
			t.Errorf("before half an hour: %d", got)
		}
		time.Sleep(time.Second)
		if got := a.post(late, `{"text":"x"}`); got != 404 {
			t.Errorf("after half an hour: %d", got)
		}
		if got := a.post(slash(), "{"); got != 400 {
			t.Errorf("what is no JSON: %d", got)
		}
		a.w.Fault(slacksim.Fault{Method: "response_url", Status: http.StatusBadGateway, Times: 1})
		if got := a.post(slash(), `{"text":"x"}`); got != http.StatusBadGateway {
			t.Errorf("spoilt: %d", got)
		}
	})
}

func TestReplaceAndDeleteOriginal(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		button := slack.MsgOptionBlocks(slack.NewActionBlock("", slack.NewButtonBlockElement("share", "", plain("Share"))))
		_, shown, err := a.api.PostMessageContext(t.Context(), "C0ROOM", button)
		a.wantError("posting", err, "")
		told, err := a.api.PostEphemeralContext(t.Context(), "C0ROOM", "UANN", button)
		a.wantError("telling", err, "")
		_, err = a.api.PostEphemeralContext(t.Context(), "C0ROOM", "UANN", text("another"))
		a.wantError("telling", err, "")
		press := func(ts string) string {
			t.Helper()
			if out, err := a.w.Press("UANN", "C0ROOM", ts, slacksim.Button{Action: "share"}); err != nil || !out.Acked {
				t.Fatalf("%+v, %v", out, err)
			}
			return s.next(t).Payload["response_url"].(string)
		}
		first, second := press(told), press(shown)
		a.post(first, `{"text":"shared","replace_original":true}`)
		a.post(second, `{"text":"shared too","replace_original":true}`)
		if diff := cmp.Diff([]string{"shared", "another"}, words(a.w.Ephemerals("UANN", "C0ROOM"))); diff != "" {
			t.Errorf("ephemerals: %s", diff)
		}
		if diff := cmp.Diff([]string{"shared too"}, words(a.w.Messages("C0ROOM"))); diff != "" {
			t.Errorf("messages: %s", diff)
		}
		a.post(first, `{"delete_original":true}`)
		a.post(second, `{"delete_original":true}`)
		if diff := cmp.Diff([]string{"another"}, words(a.w.Ephemerals("UANN", "C0ROOM"))); diff != "" || len(a.w.Messages("C0ROOM")) != 0 {
			t.Errorf("after the deletion: %s", diff)
		}
	})
}
