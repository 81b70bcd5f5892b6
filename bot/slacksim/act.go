package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Commands returns those of the app, by name, as Slack offers them to whoever begins to
// type one.
func (w *Workspace) Commands() []Command {
	var all []Command
	for _, name := range sortedKeys(w.app.commands) {
		all = append(all, w.app.commands[name])
	}
	return all
}

// Slash types a command in a channel, such as "/signing-keys list", and waits for its
// ack, at most 3 s. What comes with the ack is shown. An error says why Slack did not
// send it, or is ErrNotConnected; what the app makes of it is in the Outcome, and in
// what it posts.
func (w *Workspace) Slash(user, channel, line string) (Outcome, error) {
	name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	w.mu.Lock()
	c, err := w.mayType(user, channel, name)
	if err != nil {
		w.mu.Unlock()
		return Outcome{}, err
	}
	u := &responseURL{user: w.own(user), channel: channel}
	payload := w.slashPayload(user, c, name, strings.TrimSpace(text))
	w.mu.Unlock()
	out, err := w.deliver(envelope{
		kind: "slash_commands", accepts: true, payload: payload, lost: notTaken, warning: notAnswered,
	})
	if err != nil || len(out.Payload) == 0 {
		return out, err
	}
	var words response
	if err := json.Unmarshal(out.Payload, &words); err != nil {
		return out, fmt.Errorf("reading the ack of the command: %w", err)
	}
	if words.Text == "" && len(words.Blocks) == 0 {
		return out, nil
	}
	// Assumption: this is none of the five uses of the response URL.
	if err := w.respond(u, words); err != nil {
		return out, fmt.Errorf("showing the ack of the command: %w", err)
	}
	return out, nil
}

// slashPayload returns what is sent of a command. w.mu is held.
func (w *Workspace) slashPayload(user string, c *Channel, name, text string) map[string]any {
	if w.app.commands[name].Escape {
		text = w.typed(text)
	}
	p, _ := w.person(user)
	payload := map[string]any{
		"token": "sim", "team_id": TeamID, "team_domain": "sim",
		"channel_id": c.ID, "channel_name": c.wireName(),
		"user_id": user, "user_name": p.Name,
		"command": name, "text": text, "api_app_id": AppID, "is_enterprise_install": "false",
		"response_url": w.newResponseURL(user, c.ID, ""),
		"trigger_id":   w.newTrigger(user, c.ID, false),
	}
	if id := w.cfg.Enterprise; id != "" {
		payload["enterprise_id"], payload["enterprise_name"] = id, enterpriseName
	}
	return payload
}

// mayType returns the channel in which user may type the command. Bots are not held
// back: that they type nothing is nothing to rely on. w.mu is held.
func (w *Workspace) mayType(user, channel, command string) (*Channel, error) {
	if w.channels[channel] == nil && channel == "D"+user {
		// The conversation with the app is there before the app writes in it.
		if _, err := w.direct(user); err != nil {
			return nil, err
		}
	}
	p, here := w.person(user)
	c := w.channels[channel]
	_, known := w.app.commands[command]
	switch {
	case !known:
		return nil, fmt.Errorf("%s is not a valid command", command)
	case !here || c == nil || !w.in(c, user):
		return nil, fmt.Errorf("%s is not in %s", user, channel)
	case p.Team != TeamID:
		return nil, errors.New("people of other workspaces cannot use commands")
	case p.Deactivated:
		return nil, fmt.Errorf("%s is deactivated", user)
	case c.Archived:
		return nil, fmt.Errorf("%s is archived", channel)
	}
	return c, nil
}

// wireName is a conversation's name in a payload, where those of private ones are not
// told.
func (c *Channel) wireName() string {
	switch {
	case c.DirectMessage:
		return "directmessage"
	case c.Private, c.MPIM: // of the latter an assumption
		return "privategroup"
	}
	return c.Name
}

var named = regexp.MustCompile(`(^|\s)([@#])([\w.-]+)|https?://[^\s<>]+`)

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// typed returns typed words as a command with should_escape gets them: people, user
// groups and channels by id, links in angle brackets. Assumption: what somebody typed
// with angle brackets comes escaped, and @here and the like come as they were typed.
// w.mu is held.
func (w *Workspace) typed(text string) string {
	return named.ReplaceAllStringFunc(escape(text), func(s string) string {
		f := named.FindStringSubmatch(s)
		space, sign, name := f[1], f[2], f[3]
		if sign == "" {
			return "<" + s + ">"
		}
		for _, id := range sortedKeys(w.people) {
			if p := w.people[id]; sign == "@" && p.Name == name {
				return space + "<@" + id + "|" + name + ">"
			}
		}
		for id := range w.groups {
			if sign == "@" && handle(id) == name {
				return space + "<!subteam^" + id + "|@" + name + ">"
			}
		}
		for _, id := range sortedKeys(w.channels) {
			c := w.channels[id]
			switch {
			case sign != "#" || c.Name != name:
			case c.Private:
				return space + "<#" + id + "|>"
			default:
				return space + "<#" + id + "|" + name + ">"
			}
		}
		return s
	})
}

// Button names what is pressed: a button, or one of the choices of an overflow menu, a
// select or radio buttons, which has its value.
type Button struct {
	Action string
	Block  string // "": any
	Value  string // "": any, for a button
}

// Press presses a button of a message in a channel, ephemeral or not, and waits for
// the ack, at most 3 s. A confirm dialog is confirmed. An error means that the person
// cannot: there is no such message or button, or it is not theirs to see.
//
// With old, the press is that of a client which still shows the message as it was then:
// its buttons count, also where they are gone now. What Slack sends has the message as
// it is now.
//
// Deactivated people are not held back: a press can be on its way when it happens.
func (w *Workspace) Press(user, channel, ts string, b Button, old ...Message) (Outcome, error) {
	w.mu.Lock()
	payload, err := w.pressOnMessage(user, channel, ts, b, old)
	w.mu.Unlock()
	return w.deliverPress(payload, err)
}

// pressOnMessage returns the payload of a press. w.mu is held.
func (w *Workspace) pressOnMessage(
	user, channel, ts string, b Button, old []Message,
) (map[string]any, error) {
	m := w.message(channel, ts)
	shown := m
	if len(old) > 0 {
		shown = &old[0]
	}
	if m == nil {
		m = shown // assumption: a press on what was just deleted still has it
	}
	c, seen := w.seen(user, channel)
	switch {
	case m == nil:
		return nil, fmt.Errorf("there is no message %s in %s", ts, channel)
	case !seen || m.To != "" && m.To != w.own(user):
		return nil, fmt.Errorf("%s does not see the message", user)
	}
	action, err := pressed(shown.Blocks, b)
	if err != nil {
		return nil, err
	}
	payload, err := w.interaction("block_actions", user)
	if err != nil {
		return nil, err
	}
	container := map[string]any{
		"type": "message", "message_ts": m.TS, "channel_id": channel, "is_ephemeral": m.To != "",
	}
	if m.Thread != "" {
		container["thread_ts"] = m.Thread
	}
	payload["container"] = container
	payload["channel"] = map[string]any{"id": channel, "name": c.wireName()}
	payload["message"] = m.wire() // assumption: also of an ephemeral one
	payload["state"] = map[string]any{"values": map[string]any{}}
	payload["response_url"] = w.newResponseURL(user, channel, m.TS)
	payload["trigger_id"] = w.newTrigger(user, channel, false)
	action["action_ts"] = w.newTS()
	payload["actions"] = []any{action}
	return payload, nil
}

// Deliver sends an interaction as it is given, for what no act here makes, and waits for
// the ack, at most 3 s.
func (w *Workspace) Deliver(payload map[string]any) (Outcome, error) {
	return w.deliverPress(payload, nil)
}

// PressView presses a button in the modal that a user has before them, and waits for
// the ack, at most 3 s.
func (w *Workspace) PressView(user string, b Button) (Outcome, error) {
	w.mu.Lock()
	payload, err := w.pressOnView(user, b)
	w.mu.Unlock()
	return w.deliverPress(payload, err)
}

// deliverPress sends a press, if it could be made.
func (w *Workspace) deliverPress(payload map[string]any, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	return w.deliver(envelope{
		kind: "interactive", payload: payload, lost: pressWarning, warning: pressWarning,
	})
}

// pressOnView returns the payload of a press in a modal. w.mu is held.
func (w *Workspace) pressOnView(user string, b Button) (map[string]any, error) {
	v := w.top(user)
	if v == nil {
		return nil, fmt.Errorf("%s has no modal open", user)
	}
	action, err := pressed(v.Blocks, b)
	if err != nil {
		return nil, err
	}
	payload, err := w.interaction("block_actions", user)
	if err != nil {
		return nil, err
	}
	state, _ := fillIn(v.raw["blocks"], v.typed) // nothing is required yet
	payload["container"] = map[string]any{"type": "view", "view_id": v.ID}
	payload["view"] = v.wire(state)
	payload["trigger_id"] = w.newTrigger(user, v.channel, true)
	action["action_ts"] = w.newTS()
	payload["actions"] = []any{action}
	return payload, nil
}

// interaction begins the payload of a press or of a submission. w.mu is held.
func (w *Workspace) interaction(kind, user string) (map[string]any, error) {
	p, known := w.person(user)
	switch {
	case !known:
		return nil, fmt.Errorf("there is nobody called %s", user)
	case !w.app.interactive:
		return nil, errors.New("the manifest has interactivity switched off")
	}
	payload := map[string]any{
		"type": kind, "api_app_id": AppID, "token": "sim",
		"enterprise": nil, "is_enterprise_install": false,
		"user": map[string]any{"id": user, "username": p.Name, "name": p.Name, "team_id": p.Team},
		"team": map[string]any{"id": TeamID, "domain": "sim"},
	}
	if id := w.cfg.Enterprise; id != "" {
		payload["enterprise"] = map[string]any{"id": id, "name": enterpriseName}
	}
	return payload, nil
}

// pressed returns the action that a press sends. An error means that there is no such
// button, or more than one that differ.
func pressed(blocks json.RawMessage, b Button) (map[string]any, error) {
	var found []map[string]any
	for _, block := range withIDs(blocks) {
		o := obj(block)
		elements := slices.Clone(list(o["elements"]))
		if a := obj(o["accessory"]); a != nil {
			elements = append(elements, a)
		}
		if b.Block != "" && str(o["block_id"]) != b.Block {
			continue
		}
		for _, v := range elements {
			e := obj(v)
			if str(e["action_id"]) != b.Action {
				continue
			}
			if action := pressedElement(e, b.Value); action != nil {
				action["type"], action["action_id"] = e["type"], b.Action
				action["block_id"] = o["block_id"]
				found = append(found, action)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no button %s", b.Action)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("there are %d buttons %s: which one?", len(found), b.Action)
}

// pressedElement returns what a press on an element says of it; nil: it has no such
// value, or is not pressed.
func pressedElement(e map[string]any, value string) map[string]any {
	switch str(e["type"]) {
	case "button":
		if value != "" && str(e["value"]) != value {
			return nil
		}
		action := map[string]any{"text": e["text"]}
		if e["value"] != nil {
			action["value"] = e["value"]
		}
		return action
	case "overflow", "static_select", "radio_buttons":
		if o := option(e, value); o != nil {
			return map[string]any{"selected_option": o}
		}
	}
	return nil
}
