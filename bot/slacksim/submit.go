package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Submit submits the modal that a user has before them, and waits for the ack, at most
// 3 s. The values are by block_id: a string for a text, or for the value of a choice; a
// []string for checkboxes. What is not given stays as it was given before, or as the
// app filled it in.
//
// An error means that Slack's client does not send it (no modal, something required or
// too long), that the app's answer cannot be understood, or is ErrNotConnected. Where
// no ack counts, the modal stays.
func (w *Workspace) Submit(user string, values map[string]any) (Outcome, error) {
	w.mu.Lock()
	payload, view, err := w.submission(user, values)
	w.mu.Unlock()
	if err != nil {
		return Outcome{}, err
	}
	out, err := w.deliver(envelope{
		kind: "interactive", accepts: true, payload: payload, lost: modalWarning, warning: modalWarning,
	})
	if err != nil || !out.Acked {
		return out, err
	}
	if err := w.answerView(user, view, out.Payload); err != nil {
		return out, fmt.Errorf("reading the ack of the modal: %w", err)
	}
	return out, nil
}

// submission returns the payload of a submission, and the id of its view. w.mu is held.
func (w *Workspace) submission(user string, values map[string]any) (map[string]any, string, error) {
	v := w.top(user)
	switch {
	case v == nil:
		return nil, "", fmt.Errorf("%s has no modal open", user)
	case v.Submit == "":
		return nil, "", errors.New("the modal cannot be submitted")
	}
	payload, err := w.interaction("view_submission", user)
	if err != nil {
		return nil, "", err
	}
	all := map[string]any{}
	maps.Copy(all, v.typed)
	maps.Copy(all, values)
	state, err := fillIn(v.raw["blocks"], all)
	if err != nil {
		return nil, "", err
	}
	v.typed, v.Errors = all, nil
	payload["view"] = v.wire(state)
	payload["trigger_id"] = w.newTrigger(user, v.channel, true)
	payload["response_urls"] = []any{}
	if p, _ := w.person(user); p.Team != TeamID { // as recorded from a Slack Connect channel
		payload["team"] = map[string]any{"id": p.Team, "domain": "other"}
	}
	return payload, v.ID, nil
}

// answerView does what the ack of a submission says.
func (w *Workspace) answerView(user, id string, payload json.RawMessage) error {
	var a struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &a); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.tellChange()
	user = w.own(user)
	v := w.byID(id)
	if v == nil {
		return nil // closed meanwhile
	}
	switch a.Action {
	case "":
		w.views[user] = slices.DeleteFunc(w.views[user], func(o *View) bool { return o == v })
	case "clear":
		delete(w.views, user)
	case "errors":
		if len(a.Errors) == 0 {
			return errors.New("there are no errors in it")
		}
		for block := range a.Errors {
			if inputBlock(v.raw["blocks"], block) == nil {
				return fmt.Errorf("block %q is no input", block)
			}
		}
		v.Errors = a.Errors
	case "update", "push":
		next, err := readView(string(a.View))
		switch {
		case err != nil:
			return err
		case a.Action == "update":
			w.replace(v, next)
		case len(w.views[user]) >= maxViews:
			return errors.New("push_limit_reached")
		default:
			next.channel = v.channel
			w.stack(user, next)
		}
	default:
		return fmt.Errorf("unknown action %q", a.Action)
	}
	return nil
}

// inputBlock returns the input block of an id; nil: there is none.
func inputBlock(blocks any, id string) map[string]any {
	for _, b := range list(blocks) {
		if o := obj(b); str(o["type"]) == "input" && str(o["block_id"]) == id {
			return o
		}
	}
	return nil
}

// fillIn returns the state of a modal's inputs, as Slack's client makes it and checks
// it. The state comes also with an error.
func fillIn(blocks any, values map[string]any) (map[string]any, error) {
	var problem error
	note := func(format string, a ...any) {
		if problem == nil {
			problem = fmt.Errorf(format, a...)
		}
	}
	for _, id := range sortedKeys(values) {
		if inputBlock(blocks, id) == nil {
			note("the modal has no input %q", id)
		}
	}
	state := map[string]any{}
	raw, _ := json.Marshal(blocks)
	for _, b := range withIDs(raw) {
		o := obj(b)
		if str(o["type"]) != "input" {
			continue
		}
		id, e := str(o["block_id"]), obj(o["element"])
		filled, empty, err := fillOne(e, values[id])
		if err != nil {
			note("input %s: %w", id, err)
			continue
		}
		if empty && o["optional"] != true {
			note("input %s: please complete this required field", id)
		}
		filled["type"] = e["type"]
		state[id] = map[string]any{str(e["action_id"]): filled}
	}
	return state, problem
}

// fillOne returns the state of one input; given nil: as the app filled it in.
func fillOne(e map[string]any, given any) (filled map[string]any, empty bool, err error) {
	word, isWord := given.(string)
	words, areWords := given.([]string)
	kind := str(e["type"])
	switch {
	case given == nil:
	case kind == "checkboxes" && !areWords, kind != "checkboxes" && !isWord:
		return nil, false, fmt.Errorf("a %T cannot be filled into %s", given, kind)
	}
	switch kind {
	case "plain_text_input":
		if !isWord {
			word = str(e["initial_value"])
		}
		return fillText(e, word)
	case "static_select", "radio_buttons":
		chosen := obj(e["initial_option"])
		if isWord {
			if chosen = option(e, word); chosen == nil {
				return nil, false, fmt.Errorf("there is no option %q", word)
			}
		}
		if chosen == nil {
			return map[string]any{"selected_option": nil}, true, nil
		}
		return map[string]any{"selected_option": chosen}, false, nil
	case "checkboxes":
		chosen := append([]any{}, list(e["initial_options"])...)
		if areWords {
			chosen = []any{}
		}
		for _, v := range words {
			o := option(e, v)
			if o == nil {
				return nil, false, fmt.Errorf("there is no option %q", v)
			}
			chosen = append(chosen, o)
		}
		return map[string]any{"selected_options": chosen}, len(chosen) == 0, nil
	}
	return nil, false, fmt.Errorf("no person can fill in a %s here", kind)
}

func fillText(e map[string]any, text string) (filled map[string]any, empty bool, err error) {
	n, most := utf8.RuneCountInString(text), number(e["max_length"])
	if most == 0 {
		most = maxInput
	}
	switch least := number(e["min_length"]); {
	case n > most:
		return nil, false, fmt.Errorf("at most %d characters", most)
	case n == 0:
		return map[string]any{"value": nil}, true, nil
	case n < least:
		return nil, false, fmt.Errorf("at least %d characters", least)
	}
	return map[string]any{"value": text}, false, nil
}

// option returns the option of a value; nil: there is none.
func option(e map[string]any, value string) map[string]any {
	all := slices.Clone(list(e["options"]))
	for _, g := range list(e["option_groups"]) {
		all = append(all, list(obj(g)["options"])...)
	}
	for _, v := range all {
		if o := obj(v); str(o["value"]) == value {
			return o
		}
	}
	return nil
}
