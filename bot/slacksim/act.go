package slacksim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Slash types a command in a channel. An error says what Slack itself would say to
// the person; what the app makes of it is in the Outcome and in what it posts.
func (w *Workspace) Slash(user, channel, line string) (Outcome, error) {
	name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	w.mu.Lock()
	spec, known := w.commands[name]
	p, here := w.people[user]
	c := w.channels[channel]
	switch {
	case !known:
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("%s is not a valid command", name)
	case !here || c == nil || !slices.Contains(c.Members, user):
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("%s is not in %s", user, channel)
	case p.Team != TeamID:
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("people of other workspaces cannot use commands")
	case p.Deactivated:
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("%s is deactivated", user)
	}
	text = strings.TrimSpace(text)
	if spec.Escape {
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	}
	url := w.newResponseURL(w.origin(), user, channel, "")
	payload := map[string]any{
		"token": "sim", "team_id": TeamID, "team_domain": "sim", "channel_id": channel, "channel_name": c.Name,
		"user_id": user, "user_name": p.Name, "command": name, "text": text, "api_app_id": AppID,
		"is_enterprise_install": "false", "response_url": url, "trigger_id": w.newTrigger(user, channel),
	}
	w.mu.Unlock()
	out, err := w.deliver("slash_commands", true, payload)
	if len(out.Payload) > 2 { // {} is an answer of nothing
		w.showAck(url, out.Payload)
	}
	return out, err
}

// showAck shows the words that came with the ack of a command.
func (w *Workspace) showAck(url string, payload json.RawMessage) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(string(payload)))
	if err != nil {
		return
	}
	w.serveResponse(discard{http.Header{}}, req)
}

// discard is a response writer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// origin is the address under which the app calls the workspace: that of its sockets.
// w.mu is held.
func (w *Workspace) origin() string {
	if w.host == "" {
		return "http://slack.sim"
	}
	return "http://" + w.host
}

// Button names a button of a message.
type Button struct {
	Action string
	Value  string // "": any
}

// Press presses a button of a message in a channel, ephemeral or not. Where the
// message has no such button any more, the press of a client that still shows it is
// delivered all the same, if old was once such a message.
func (w *Workspace) Press(user, channel, ts string, b Button, old ...Message) (Outcome, error) {
	w.mu.Lock()
	m := w.message(channel, ts)
	if len(old) > 0 {
		m = &old[0]
	}
	if m == nil {
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("no message %s in %s", ts, channel)
	}
	action := findAction(m.Blocks, b)
	if action == nil {
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("the message has no button %s", b.Action)
	}
	p := w.people[user]
	payload := w.interaction("block_actions", p)
	payload["container"] = map[string]any{"type": "message", "message_ts": m.TS, "channel_id": channel, "is_ephemeral": m.To != ""}
	payload["channel"] = map[string]any{"id": channel, "name": "channel"}
	payload["message"] = map[string]any{"type": "message", "user": BotID, "ts": m.TS, "text": m.Text, "blocks": m.Blocks}
	payload["state"] = map[string]any{"values": map[string]any{}}
	payload["response_url"] = w.newResponseURL(w.origin(), user, channel, m.TS)
	payload["trigger_id"] = w.newTrigger(user, channel)
	action["action_ts"] = w.newTS()
	payload["actions"] = []any{action}
	w.mu.Unlock()
	return w.deliver("interactive", false, payload)
}

// message finds a message, ephemeral or not. w.mu is held.
func (w *Workspace) message(channel, ts string) *Message {
	for _, m := range append(slices.Clone(w.messages[channel]), w.ephemeral...) {
		if m.TS == ts && m.Channel == channel {
			return m
		}
	}
	return nil
}

// interaction begins the payload of a press or of a submission. w.mu is held.
func (w *Workspace) interaction(kind string, p Person) map[string]any {
	return map[string]any{
		"type": kind, "api_app_id": AppID, "token": "sim", "enterprise": nil, "is_enterprise_install": false,
		"user": map[string]any{"id": p.ID, "username": p.Name, "name": p.Name, "team_id": p.Team},
		"team": map[string]any{"id": TeamID, "domain": "sim"},
	}
}

// findAction returns the action that a press on a button sends; nil: no such button.
func findAction(blocks json.RawMessage, b Button) map[string]any {
	var all []any
	if json.Unmarshal(blocks, &all) != nil {
		return nil
	}
	for i, block := range all {
		o := obj(block)
		elements := list(o["elements"])
		if a := obj(o["accessory"]); a != nil {
			elements = append(elements, a)
		}
		for _, e := range elements {
			e := obj(e)
			if str(e["type"]) != "button" || str(e["action_id"]) != b.Action || b.Value != "" && str(e["value"]) != b.Value {
				continue
			}
			id := str(o["block_id"])
			if id == "" {
				id = fmt.Sprintf("auto%d", i)
			}
			return map[string]any{"type": "button", "action_id": b.Action, "block_id": id, "value": str(e["value"]), "text": e["text"]}
		}
	}
	return nil
}

// Submit submits the modal that a user has before them. values are by block id: a
// string for a text or a choice, a list for checkboxes; what is not given stays as it
// was filled in. An error is what Slack itself would refuse.
func (w *Workspace) Submit(user string, values map[string]any) (Outcome, error) {
	w.mu.Lock()
	stack := w.views[user]
	if len(stack) == 0 {
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("%s has no modal open", user)
	}
	v := stack[len(stack)-1]
	if v.Submit == "" {
		w.mu.Unlock()
		return Outcome{}, fmt.Errorf("the modal cannot be submitted: %s", PlainText(v.Blocks))
	}
	state, err := fillIn(v.raw["blocks"], values)
	if err != nil {
		w.mu.Unlock()
		return Outcome{}, err
	}
	p := w.people[user]
	payload := w.interaction("view_submission", p)
	view := v.wire()
	view["state"] = map[string]any{"values": state}
	payload["view"] = view
	payload["trigger_id"] = w.newTrigger(user, v.channel)
	payload["response_urls"] = []any{}
	if p.Team != TeamID { // as recorded from a Slack Connect channel
		payload["team"] = map[string]any{"id": p.Team, "domain": "other"}
	}
	w.mu.Unlock()
	out, err := w.deliver("interactive", true, payload)
	if err != nil || !out.Acked {
		return out, err
	}
	return out, w.answerView(user, v, out.Payload)
}

// answerView does what the ack of a submission says.
func (w *Workspace) answerView(user string, v *View, payload json.RawMessage) error {
	var a struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &a); err != nil {
			return fmt.Errorf("the ack of the modal cannot be read: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.tellChange()
	stack := w.views[user]
	switch a.Action {
	case "":
		w.views[user] = stack[:len(stack)-1]
	case "clear":
		w.views[user] = nil
	case "errors":
		for block := range a.Errors {
			if inputBlock(v.raw["blocks"], block) == nil {
				return fmt.Errorf("the ack of the modal names block %q, which is no input", block)
			}
		}
		v.Errors = a.Errors
	case "update", "push":
		next, err := readView(string(a.View))
		if err != nil {
			return err
		}
		next.ID, next.Hash, next.channel = v.ID, w.newID("hash."), v.channel
		if a.Action == "push" {
			next.ID = w.newID("V")
			w.views[user] = append(stack, next)
		} else {
			stack[len(stack)-1] = next
		}
	default:
		return fmt.Errorf("the ack of the modal has the unknown action %q", a.Action)
	}
	return nil
}

func inputBlock(blocks any, id string) map[string]any {
	for _, b := range list(blocks) {
		if o := obj(b); str(o["type"]) == "input" && str(o["block_id"]) == id {
			return o
		}
	}
	return nil
}

// fillIn returns the state of a modal's inputs, as Slack's client makes it and checks
// it.
func fillIn(blocks any, values map[string]any) (map[string]any, error) {
	for id := range values {
		if inputBlock(blocks, id) == nil {
			return nil, fmt.Errorf("the modal has no input %q", id)
		}
	}
	state := map[string]any{}
	for _, b := range list(blocks) {
		o := obj(b)
		if str(o["type"]) != "input" {
			continue
		}
		id, e := str(o["block_id"]), obj(o["element"])
		filled, empty, err := fillOne(e, values[id])
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
		if optional, _ := o["optional"].(bool); empty && !optional {
			return nil, fmt.Errorf("input %s: please complete this required field", id)
		}
		filled["type"] = str(e["type"])
		state[id] = map[string]any{str(e["action_id"]): filled}
	}
	return state, nil
}

func fillOne(e map[string]any, given any) (filled map[string]any, empty bool, err error) {
	options := func(values []string) ([]any, error) {
		var out []any
		for _, v := range values {
			i := slices.IndexFunc(list(e["options"]), func(o any) bool { return str(obj(o)["value"]) == v })
			if i < 0 {
				return nil, fmt.Errorf("there is no option %q", v)
			}
			out = append(out, list(e["options"])[i])
		}
		return out, nil
	}
	switch str(e["type"]) {
	case "plain_text_input":
		text := str(e["initial_value"])
		if s, ok := given.(string); ok {
			text = s
		}
		if limit := number(e["max_length"]); limit > 0 && utf8.RuneCountInString(text) > limit {
			return nil, false, fmt.Errorf("at most %d characters", limit)
		}
		if text == "" {
			return map[string]any{"value": nil}, true, nil
		}
		return map[string]any{"value": text}, false, nil
	case "static_select", "radio_buttons":
		var chosen any = e["initial_option"]
		if s, ok := given.(string); ok {
			all, err := options([]string{s})
			if err != nil {
				return nil, false, err
			}
			chosen = all[0]
		}
		return map[string]any{"selected_option": chosen}, chosen == nil, nil
	case "checkboxes":
		chosen := list(e["initial_options"])
		if s, ok := given.([]string); ok {
			if chosen, err = options(s); err != nil {
				return nil, false, err
			}
		}
		if chosen == nil {
			chosen = []any{}
		}
		return map[string]any{"selected_options": chosen}, len(chosen) == 0, nil
	}
	return nil, false, fmt.Errorf("no person can fill in a %s here", str(e["type"]))
}
