package slacksim_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"keyturn/bot/slacksim"
)

func view(title string, blocks ...slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(title), Submit: plain("Go"),
		Blocks: slack.Blocks{BlockSet: blocks}, CallbackID: "cb", PrivateMetadata: "meta",
	}
}

func reasonInput() slack.Block {
	e := slack.NewPlainTextInputBlockElement(nil, "reason")
	e.MaxLength = 5
	return slack.NewInputBlock("reason", plain("Reason"), nil, e)
}

// modal is an app that gets a trigger id by a command, and answers submissions.
type modal struct {
	*app
	s *socket
}

func inModal(t *testing.T, test func(t *testing.T, m *modal)) {
	t.Helper()
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		m := &modal{app: a, s: a.dial()}
		defer m.s.ws.Close()
		go m.s.acknowledge(t)
		test(t, m)
	})
}

func (m *modal) trigger() string {
	m.t.Helper()
	if out, err := m.w.Slash("UANN", "C0ROOM", "/signing-keys"); err != nil || !out.Acked {
		m.t.Fatalf("%+v, %v", out, err)
	}
	return m.s.next(m.t).Payload["trigger_id"].(string)
}

func (m *modal) open(v slack.ModalViewRequest) *slack.View {
	m.t.Helper()
	res, err := m.api.OpenViewContext(m.t.Context(), m.trigger(), v)
	if err != nil {
		m.t.Fatal(err)
	}
	return &res.View
}

// submit submits with the answer of the app's, and returns the payload.
func (m *modal) submit(answer string, values map[string]any) map[string]any {
	m.t.Helper()
	m.s.answer = answer
	defer func() { m.s.answer = "" }()
	if out, err := m.w.Submit("UANN", values); err != nil || !out.Acked {
		m.t.Fatalf("%+v, %v", out, err)
	}
	return m.s.next(m.t).Payload
}

func (m *modal) title() string {
	v, _ := m.w.View("UANN")
	return v.Title
}

func TestTriggers(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		open := func(trigger string) error {
			_, err := m.api.OpenViewContext(t.Context(), trigger, view("Ask", reasonInput()))
			return err
		}
		id, early, late := m.trigger(), m.trigger(), m.trigger()
		m.wantError("opening", open(id), "")
		m.wantError("opening twice", open(id), "exchanged_trigger_id")
		m.wantError("opening without", open("none"), "invalid_trigger_id")
		time.Sleep(2999 * time.Millisecond)
		m.wantError("opening in time", open(early), "")
		time.Sleep(time.Millisecond)
		m.wantError("opening late", open(late), "expired_trigger_id")
		_, err := m.api.PushViewContext(t.Context(), m.trigger(), view("Next"))
		m.wantError("pushing with a command's", err, "invalid_trigger_id")
		m.wantError("opening the third", open(m.trigger()), "")
		m.wantError("opening the fourth", open(m.trigger()), "push_limit_reached")
	})
}

func TestViewsThatSlackRefuses(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		long := func(change func(v *slack.ModalViewRequest)) slack.ModalViewRequest {
			v := view("Ask", reasonInput())
			change(&v)
			return v
		}
		trigger := m.trigger() // what is refused does not use it up
		for name, v := range map[string]slack.ModalViewRequest{
			"a title of 25":         view(strings.Repeat("x", 25)),
			"a submit of 25":        long(func(v *slack.ModalViewRequest) { v.Submit = plain(strings.Repeat("x", 25)) }),
			"a close of 25":         long(func(v *slack.ModalViewRequest) { v.Close = plain(strings.Repeat("x", 25)) }),
			"metadata of 3001":      long(func(v *slack.ModalViewRequest) { v.PrivateMetadata = strings.Repeat("x", 3001) }),
			"a callback_id of 256":  long(func(v *slack.ModalViewRequest) { v.CallbackID = strings.Repeat("x", 256) }),
			"an external_id of 256": long(func(v *slack.ModalViewRequest) { v.ExternalID = strings.Repeat("x", 256) }),
			"an input, no submit":   long(func(v *slack.ModalViewRequest) { v.Submit = nil }),
			"no title":              long(func(v *slack.ModalViewRequest) { v.Title = nil }),
			"a home tab":            long(func(v *slack.ModalViewRequest) { v.Type = slack.VTHomeTab }),
			"a block over":          view("x", slack.NewHeaderBlock(plain(strings.Repeat("x", 151)))),
		} {
			_, err := m.api.OpenViewContext(t.Context(), trigger, v)
			m.wantError(name, err, "invalid_arguments")
		}
		var all []slack.Block
		for range 90 {
			all = append(all, slack.NewSectionBlock(plain(strings.Repeat("x", 3000)), nil, nil))
		}
		_, err := m.api.OpenViewContext(t.Context(), trigger, view("x", all...))
		m.wantError("a view of 270,000 bytes", err, "view_too_large")
		v := long(func(v *slack.ModalViewRequest) {
			v.Title, v.Submit, v.Close = plain(strings.Repeat("x", 24)), plain(strings.Repeat("x", 24)), plain(strings.Repeat("x", 24))
			v.PrivateMetadata, v.CallbackID = strings.Repeat("x", 3000), strings.Repeat("x", 255)
		})
		_, err = m.api.OpenViewContext(t.Context(), trigger, v)
		m.wantError("a view at the limits", err, "")
		got := m.call("views.open", "application/json", "xoxb-sim", `{"trigger_id":"`+m.trigger()+`","view":{"type":"modal","title":{"type":"plain_text","text":""},"blocks":[]}}`)
		raw, _ := json.Marshal(got["response_metadata"])
		if got["error"] != "invalid_arguments" || !strings.Contains(string(raw), "[json-pointer:/view/title/text]") {
			t.Errorf("an empty title: %v", got)
		}
	})
}

func TestUpdateView(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		ctx := t.Context()
		first := view("Ask", reasonInput())
		first.ExternalID = "ask-1"
		opened := m.open(first)
		if opened.Hash == "" || opened.RootViewID != opened.ID || opened.AppInstalledTeamID != slacksim.TeamID {
			t.Errorf("opened: %+v", opened)
		}
		_, err := m.api.UpdateViewContext(ctx, first, "", "hash.other", opened.ID)
		m.wantError("updating another state", err, "hash_conflict")
		first.Title = plain("Again")
		updated, err := m.api.UpdateViewContext(ctx, first, "", opened.Hash, opened.ID)
		m.wantError("updating", err, "")
		if updated.Hash == opened.Hash || updated.ID != opened.ID {
			t.Errorf("updated: %+v", updated)
		}
		_, err = m.api.UpdateViewContext(ctx, first, "ask-1", "", "")
		m.wantError("updating by external_id", err, "")
		_, err = m.api.UpdateViewContext(ctx, first, "", "", "V0NONE")
		m.wantError("updating none", err, "not_found")
		_, err = m.api.OpenViewContext(ctx, m.trigger(), first)
		m.wantError("the same external_id", err, "duplicate_external_id")
		m.w.CloseView("UANN")
		if v, open := m.w.View("UANN"); open {
			t.Errorf("still open: %+v", v)
		}
		_, err = m.api.UpdateViewContext(ctx, first, "", "", opened.ID)
		m.wantError("updating what was closed", err, "not_found")
		if _, err := m.w.Submit("UANN", nil); err == nil {
			t.Error("what was closed was submitted")
		}
	})
}

func TestSubmit(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		opt := func(v string) *slack.OptionBlockObject { return slack.NewOptionBlockObject(v, plain(v), nil) }
		key := slack.NewOptionsSelectBlockElement("static_select", nil, "pick", opt("k1"), opt("k2")).WithInitialOption(opt("k1"))
		boxes := slack.NewInputBlock("boxes", plain("Boxes"), nil, slack.NewCheckboxGroupsBlockElement("tick", opt("x"), opt("y")))
		radio := slack.NewInputBlock("radio", plain("Radio"), nil, slack.NewRadioButtonsBlockElement("one", opt("r1"), opt("r2")))
		link := slack.NewPlainTextInputBlockElement(nil, "link")
		link.MinLength = 3
		linkBlock := slack.NewInputBlock("link", plain("Link"), nil, link)
		boxes.Optional, radio.Optional, linkBlock.Optional = true, true, true
		v := view("Ask", reasonInput(), slack.NewInputBlock("key", plain("Key"), nil, key), boxes, radio, linkBlock)
		m.open(v)
		for name, values := range map[string]map[string]any{
			"nothing filled in":     {},
			"too long":              {"reason": "123456"},
			"too short":             {"reason": "ok", "link": "ab"},
			"no such input":         {"reason": "ok", "other": "x"},
			"no such option":        {"reason": "ok", "key": "k3"},
			"no such box":           {"reason": "ok", "boxes": []string{"z"}},
			"a word for checkboxes": {"reason": "ok", "boxes": "x"},
			"boxes for a word":      {"reason": []string{"ok"}},
		} {
			if _, err := m.w.Submit("UANN", values); err == nil {
				t.Errorf("%s was submitted", name)
			}
		}
		state := func(p map[string]any) map[string]any {
			return p["view"].(map[string]any)["state"].(map[string]any)["values"].(map[string]any)
		}
		option := func(v string) map[string]any {
			return map[string]any{"value": v, "text": map[string]any{"type": "plain_text", "text": v, "emoji": false}}
		}
		emoji := cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.Last().String(), `["emoji"]`) }, cmp.Ignore())
		p := m.submit(`{"response_action":"errors","errors":{"reason":"no"}}`, map[string]any{"reason": "12345"})
		want := map[string]any{
			"reason": map[string]any{"reason": map[string]any{"type": "plain_text_input", "value": "12345"}},
			"key":    map[string]any{"pick": map[string]any{"type": "static_select", "selected_option": option("k1")}},
			"boxes":  map[string]any{"tick": map[string]any{"type": "checkboxes", "selected_options": []any{}}},
			"radio":  map[string]any{"one": map[string]any{"type": "radio_buttons", "selected_option": nil}},
			"link":   map[string]any{"link": map[string]any{"type": "plain_text_input", "value": nil}},
		}
		if diff := cmp.Diff(want, state(p), emoji); diff != "" {
			t.Error(diff)
		}
		sent := p["view"].(map[string]any)
		for name, want := range map[string]any{"close": nil, "clear_on_close": false, "notify_on_close": false, "previous_view_id": nil} {
			if got, there := sent[name]; !there || got != want {
				t.Errorf("%s is %v, want %v though the app left it out", name, got, want)
			}
		}
		if p["type"] != "view_submission" || sent["private_metadata"] != "meta" || sent["callback_id"] != "cb" ||
			sent["app_installed_team_id"] != slacksim.TeamID || sent["hash"] == "" || p["user"].(map[string]any)["team_id"] != slacksim.TeamID {
			t.Errorf("submitted %v", p)
		}
		if v, open := m.w.View("UANN"); !open || v.Errors["reason"] != "no" {
			t.Errorf("after errors: %+v %v", v, open)
		}
		p = m.submit("", map[string]any{"key": "k2", "boxes": []string{"y"}, "radio": "r1"})
		want["key"] = map[string]any{"pick": map[string]any{"type": "static_select", "selected_option": option("k2")}}
		want["boxes"] = map[string]any{"tick": map[string]any{"type": "checkboxes", "selected_options": []any{option("y")}}}
		want["radio"] = map[string]any{"one": map[string]any{"type": "radio_buttons", "selected_option": option("r1")}}
		if diff := cmp.Diff(want, state(p), emoji); diff != "" { // the reason is still there
			t.Error(diff)
		}
		if v, open := m.w.View("UANN"); open {
			t.Errorf("still open: %+v", v)
		}
	})
}

func TestAnswersToSubmissions(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		words := map[string]any{"reason": "ok"}
		answer := func(action string, v slack.ModalViewRequest) string {
			raw, err := json.Marshal(map[string]any{"response_action": action, "view": v})
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
		opened := m.open(view("One", reasonInput()))
		m.submit(answer("update", view("Two", reasonInput())), words)
		if v, _ := m.w.View("UANN"); v.Title != "Two" || v.ID != opened.ID {
			t.Errorf("updated: %+v", v)
		}
		m.submit(answer("push", view("Three", reasonInput())), nil) // the words stay over the update
		if v, _ := m.w.View("UANN"); v.Title != "Three" || v.ID == opened.ID {
			t.Errorf("pushed: %+v", v)
		}
		m.w.CloseView("UANN")
		if got := m.title(); got != "Two" {
			t.Errorf("below is %q", got)
		}
		m.submit(answer("push", view("Three", reasonInput())), nil)
		p := m.submit(`{"response_action":"clear"}`, words)
		if got := p["view"].(map[string]any)["previous_view_id"]; got != opened.ID {
			t.Errorf("the view below is %v, want %s", got, opened.ID)
		}
		if _, open := m.w.View("UANN"); open {
			t.Error("still open after clear")
		}
		for _, wrong := range []string{
			`{"response_action":"errors","errors":{"other":"no"}}`, `{"response_action":"errors"}`, `{"response_action":"fancy"}`,
			`{"response_action":"update"}`, answer("push", view(strings.Repeat("x", 25))), `[]`,
		} {
			m.open(view("One", reasonInput()))
			m.s.answer = wrong
			if out, err := m.w.Submit("UANN", words); err == nil {
				t.Errorf("%s was taken: %+v", wrong, out)
			}
			m.s.next(t)
			m.s.answer = ""
			m.w.CloseView("UANN")
		}
	})
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		m := &modal{app: a, s: a.dial()}
		go func() {
			f, err := m.s.read()
			if err != nil {
				return
			}
			m.s.ack(t, f.Envelope, "")
			m.s.envelopes <- f
		}()
		m.open(view("One", reasonInput()))
		defer m.s.ws.Close()
		out, err := m.w.Submit("UANN", map[string]any{"reason": "ok"})
		if err != nil || out.Acked || out.Warning != "trouble connecting" || m.title() != "One" {
			t.Errorf("without an ack: %+v, %v", out, err)
		}
	})
}

func TestPressView(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		button := slack.NewActionBlock("more", slack.NewButtonBlockElement("details", "d", plain("Details")))
		opened := m.open(view("One", reasonInput(), button))
		m.submit(`{"response_action":"errors","errors":{"reason":"no"}}`, map[string]any{"reason": "ok"})
		press := func() map[string]any {
			t.Helper()
			if out, err := m.w.PressView("UANN", slacksim.Button{Action: "details"}); err != nil || !out.Acked {
				t.Fatalf("%+v, %v", out, err)
			}
			f := m.s.next(t)
			if f.Accepts {
				t.Errorf("%s", f.Raw)
			}
			return f.Payload
		}
		p := press()
		if diff := cmp.Diff(map[string]any{"type": "view", "view_id": opened.ID}, p["container"]); diff != "" {
			t.Error(diff)
		}
		v := p["view"].(map[string]any)
		state, _ := json.Marshal(v["state"])
		if string(state) != `{"values":{"reason":{"reason":{"type":"plain_text_input","value":"ok"}}}}` || p["channel"] != nil || p["response_url"] != nil {
			t.Errorf("pressed: %v", p)
		}
		for _, title := range []string{"Two", "Three"} {
			pushed, err := m.api.PushViewContext(t.Context(), p["trigger_id"].(string), view(title, button))
			m.wantError("pushing", err, "")
			if pushed.RootViewID != opened.ID || m.title() != title {
				t.Errorf("pushed: %+v", pushed)
			}
			p = press()
		}
		_, err := m.api.PushViewContext(t.Context(), p["trigger_id"].(string), view("Four", button))
		m.wantError("pushing the fourth", err, "push_limit_reached")
		if _, err := m.w.PressView("UANN", slacksim.Button{Action: "other"}); err == nil {
			t.Error("a button that is not there was pressed")
		}
		if _, err := m.w.PressView("UXENA", slacksim.Button{Action: "details"}); err == nil {
			t.Error("a button was pressed without a modal")
		}
	})
}

// TestConnect has somebody of another workspace press a button, and submit the modal
// that it opens.
func TestConnect(t *testing.T) {
	inModal(t, func(t *testing.T, m *modal) {
		button := slack.NewActionBlock("", slack.NewButtonBlockElement("explain", "", plain("Say why")))
		_, ts, err := m.api.PostMessageContext(t.Context(), "C0ROOM", slack.MsgOptionBlocks(button))
		m.wantError("posting", err, "")
		if _, err := m.w.Press("UXENA", "C0ROOM", ts, slacksim.Button{Action: "explain"}); err != nil {
			t.Fatal(err)
		}
		_, err = m.api.OpenViewContext(t.Context(), m.s.next(t).Payload["trigger_id"].(string), view("Why", reasonInput()))
		m.wantError("opening", err, "")
		if _, err := m.w.Submit("UXENA", map[string]any{"reason": "ok"}); err != nil {
			t.Fatal(err)
		}
		p := m.s.next(t).Payload
		got := []any{p["team"].(map[string]any)["id"], p["user"].(map[string]any)["team_id"], p["view"].(map[string]any)["app_installed_team_id"]}
		if diff := cmp.Diff([]any{"T0OTHER", "T0OTHER", slacksim.TeamID}, got); diff != "" {
			t.Error(diff)
		}
	})
}
