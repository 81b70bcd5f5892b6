package slacksim

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// View is a modal as its user sees it.
type View struct {
	ID       string
	Hash     string
	Callback string
	Metadata string
	Title    string
	Submit   string // "": it cannot be submitted
	Blocks   json.RawMessage
	Errors   map[string]string // by block, after a submission that was answered so

	channel string // where it was opened from
	raw     map[string]any
}

// trigger is what lets the app open a modal: for 3 s, and once.
type trigger struct {
	user, channel string
	expires       time.Time
	used          bool
}

// newTrigger returns an id that opens a modal for user. w.mu is held.
func (w *Workspace) newTrigger(user, channel string) string {
	id := w.newID("trigger.")
	w.triggers[id] = &trigger{user: user, channel: channel, expires: w.cfg.Now().Add(3 * time.Second)}
	return id
}

// View returns the modal that a user has before them.
func (w *Workspace) View(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stack := w.views[user]
	if len(stack) == 0 {
		return View{}, false
	}
	return *stack[len(stack)-1], true
}

// CloseView closes the modal that a user has before them.
func (w *Workspace) CloseView(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stack := w.views[user]; len(stack) > 0 {
		w.views[user] = stack[:len(stack)-1]
		w.tellChange()
	}
}

// readView checks a view of the app's.
func readView(raw string) (*View, error) {
	v := &View{}
	if err := json.Unmarshal([]byte(raw), &v.raw); err != nil {
		return nil, &apiError{code: "invalid_arguments"}
	}
	if len(raw) > 250<<10 {
		return nil, &apiError{code: "view_too_large"}
	}
	text := func(name string) string { return str(obj(v.raw[name])["text"]) }
	v.Callback, v.Metadata, v.Title, v.Submit = str(v.raw["callback_id"]), str(v.raw["private_metadata"]), text("title"), text("submit")
	var p problems
	if str(v.raw["type"]) != "modal" {
		p.add("/type", "must be modal")
	}
	for _, name := range []string{"title", "submit", "close"} {
		if v.raw[name] != nil || name == "title" {
			p.text("/"+name, v.raw[name], 24, true)
		}
	}
	p.length("/callback_id", v.Callback, 255)
	p.length("/private_metadata", v.Metadata, 3000)
	v.Blocks, _ = json.Marshal(v.raw["blocks"])
	p = append(p, CheckBlocks(v.Blocks, InModal)...)
	hasInput := slices.ContainsFunc(list(v.raw["blocks"]), func(b any) bool { return str(obj(b)["type"]) == "input" })
	if hasInput && v.Submit == "" {
		p.add("/submit", "is required with an input block")
	}
	if len(p) > 0 {
		return nil, &apiError{code: "invalid_arguments", messages: p}
	}
	return v, nil
}

func (w *Workspace) openView(_ *http.Request, a args) (result, error) {
	v, err := readView(a["view"])
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.triggers[a["trigger_id"]]
	switch {
	case t == nil:
		return fail("invalid_trigger_id")
	case t.used:
		return fail("exchanged_trigger_id")
	case w.cfg.Now().After(t.expires):
		return fail("expired_trigger_id")
	case len(w.views[t.user]) >= 3:
		return fail("push_limit_reached")
	}
	t.used = true
	v.ID, v.Hash, v.channel = w.newID("V"), w.newID("hash."), t.channel
	w.views[t.user] = append(w.views[t.user], v)
	w.tellChange()
	return result{"view": v.wire()}, nil
}

func (w *Workspace) updateView(_ *http.Request, a args) (result, error) {
	v, err := readView(a["view"])
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, stack := range w.views {
		for i, old := range stack {
			if old.ID != a["view_id"] {
				continue
			}
			if a["hash"] != "" && a["hash"] != old.Hash {
				return fail("hash_conflict")
			}
			v.ID, v.Hash, v.channel = old.ID, w.newID("hash."), old.channel
			stack[i] = v
			w.tellChange()
			return result{"view": v.wire()}, nil
		}
	}
	return fail("not_found")
}

// wire is the view as Slack gives it to the app.
func (v *View) wire() map[string]any {
	m := map[string]any{}
	for k, value := range v.raw {
		m[k] = value
	}
	m["id"], m["hash"], m["team_id"], m["app_id"], m["app_installed_team_id"], m["root_view_id"] = v.ID, v.Hash, TeamID, AppID, TeamID, v.ID
	m["private_metadata"] = v.Metadata
	return m
}
