package slacksim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	triggerLife = 3 * time.Second
	maxViews    = 3         // in a stack
	maxView     = 250 << 10 // bytes of its JSON
)

// View is a modal as its user sees it.
type View struct {
	ID       string
	Hash     string
	Callback string
	Metadata string
	Title    string
	Submit   string // "": it cannot be submitted
	Close    string // "": Slack's own word
	Blocks   json.RawMessage
	Errors   map[string]string // by block, after a submission that was answered so

	channel string // where it was opened from
	root    string // id of the lowest in the stack
	below   string // id of the one before it
	raw     map[string]any
	typed   map[string]any // by block: what its user gave at the last submission
}

// trigger is what lets the app open a modal: for 3 s, and once.
type trigger struct {
	user, channel string
	inModal       bool // so that a view can be pushed
	expires       time.Time
	used          bool
}

// newTrigger returns an id that opens a modal for user. w.mu is held.
func (w *Workspace) newTrigger(user, channel string, inModal bool) string {
	id := w.secret("trigger.")
	w.triggers[id] = &trigger{
		user: w.own(user), channel: channel, inModal: inModal, expires: w.cfg.Now().Add(triggerLife),
	}
	return id
}

// View returns the modal that a user has before them.
func (w *Workspace) View(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.top(user); v != nil {
		return *v, true
	}
	return View{}, false
}

// CloseView closes the modal that a user has before them.
func (w *Workspace) CloseView(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	user = w.own(user)
	if stack := w.views[user]; len(stack) > 0 {
		w.views[user] = stack[:len(stack)-1]
		w.tellChange()
	}
}

// top returns the modal that a user has before them; nil: none. w.mu is held.
func (w *Workspace) top(user string) *View {
	if stack := w.views[w.own(user)]; len(stack) > 0 {
		return stack[len(stack)-1]
	}
	return nil
}

// readView checks a view of the app's.
func readView(raw string) (*View, error) {
	if len(raw) > maxView {
		return nil, &apiError{code: "view_too_large"}
	}
	v := &View{}
	if json.Unmarshal([]byte(raw), &v.raw) != nil || v.raw == nil {
		return nil, &apiError{code: "invalid_arguments"}
	}
	text := func(name string) string { return str(obj(v.raw[name])["text"]) }
	v.Callback, v.Metadata = str(v.raw["callback_id"]), str(v.raw["private_metadata"])
	v.Title, v.Submit, v.Close = text("title"), text("submit"), text("close")
	p := problems{root: "/view"}
	if str(v.raw["type"]) != "modal" {
		p.add("/type", "must be modal")
	}
	p.only("", v.raw, "title", "submit", "close", "blocks", "callback_id", "private_metadata",
		"external_id", "clear_on_close", "notify_on_close")
	for _, name := range []string{"title", "submit", "close"} {
		if v.raw[name] != nil || name == "title" {
			p.text("/"+name, v.raw[name], 24, true)
		}
	}
	p.length("/callback_id", v.Callback, 255)
	p.length("/external_id", str(v.raw["external_id"]), 255)
	p.length("/private_metadata", v.Metadata, 3000)
	v.Blocks, _ = json.Marshal(v.raw["blocks"])
	p.blocks(v.Blocks, InModal)
	isInput := func(b any) bool { return str(obj(b)["type"]) == "input" }
	if slices.ContainsFunc(list(v.raw["blocks"]), isInput) && v.Submit == "" {
		p.add("/submit", "is required with an input block")
	}
	if len(p.all) > 0 {
		return nil, &apiError{code: "invalid_arguments", messages: p.all}
	}
	return v, nil
}

func (w *Workspace) openView(_ *http.Request, a args) (result, error) {
	return w.addView(a, false)
}

func (w *Workspace) pushView(_ *http.Request, a args) (result, error) {
	return w.addView(a, true)
}

func (w *Workspace) addView(a args, push bool) (result, error) {
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
	case !w.cfg.Now().Before(t.expires):
		return fail("expired_trigger_id")
	case push && (!t.inModal || w.top(t.user) == nil):
		return fail("invalid_trigger_id") // assumption: the name of this error
	case len(w.views[t.user]) >= maxViews:
		return fail("push_limit_reached")
	case w.external(v) != nil:
		return fail("duplicate_external_id")
	}
	t.used = true
	v.channel = t.channel
	w.stack(t.user, v)
	w.tellChange()
	return result{"view": v.wire(nil)}, nil
}

// stack puts a view on top of what a user has before them. w.mu is held.
func (w *Workspace) stack(user string, v *View) {
	v.ID, v.Hash = w.newID("V"), w.newID("hash.")
	v.root = v.ID
	if below := w.top(user); below != nil {
		v.root, v.below = below.root, below.ID
	}
	w.views[user] = append(w.views[user], v)
}

func (w *Workspace) updateView(_ *http.Request, a args) (result, error) {
	v, err := readView(a["view"])
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.byID(a["view_id"])
	if a["view_id"] == "" {
		old = w.external(&View{raw: map[string]any{"external_id": a["external_id"]}})
	}
	switch {
	case old == nil:
		return fail("not_found")
	case a["hash"] != "" && a["hash"] != old.Hash:
		return fail("hash_conflict")
	}
	if same := w.external(v); same != nil && same != old {
		return fail("duplicate_external_id")
	}
	w.replace(old, v)
	w.tellChange()
	return result{"view": old.wire(nil)}, nil
}

// replace lets a view show what another says. What its user gave stays with each block
// that has the same block_id and action_id. w.mu is held.
func (w *Workspace) replace(old, v *View) {
	kept := map[string]any{}
	for id, given := range old.typed {
		was := obj(inputBlock(old.raw["blocks"], id)["element"])
		is := obj(inputBlock(v.raw["blocks"], id)["element"])
		if is != nil && str(is["action_id"]) == str(was["action_id"]) {
			kept[id] = given
		}
	}
	v.ID, v.Hash, v.typed = old.ID, w.newID("hash."), kept
	v.channel, v.root, v.below = old.channel, old.root, old.below
	*old = *v
}

// byID finds an open view; nil: there is none. w.mu is held.
func (w *Workspace) byID(id string) *View {
	for _, stack := range w.views {
		for _, v := range stack {
			if v.ID == id {
				return v
			}
		}
	}
	return nil
}

// external finds an open view that has the same external_id; nil: there is none. w.mu
// is held.
func (w *Workspace) external(like *View) *View {
	id := str(like.raw["external_id"])
	for _, stack := range w.views {
		for _, v := range stack {
			if id != "" && str(v.raw["external_id"]) == id {
				return v
			}
		}
	}
	return nil
}

// wire is the view as Slack gives it to the app, with the state of its inputs.
func (v *View) wire(state map[string]any) map[string]any {
	if state == nil {
		state = map[string]any{}
	}
	m := map[string]any{ // what the app may leave out is there all the same (recorded)
		"previous_view_id": nil, "external_id": "", "submit": nil, "close": nil,
		"clear_on_close": false, "notify_on_close": false,
	}
	maps.Copy(m, v.raw)
	maps.Copy(m, map[string]any{
		"id": v.ID, "hash": v.Hash, "team_id": TeamID, "app_id": AppID, "app_installed_team_id": TeamID,
		"bot_id": appBotID, "root_view_id": v.root,
		"private_metadata": v.Metadata, "callback_id": v.Callback,
		"blocks": withIDs(v.Blocks), "state": map[string]any{"values": state},
	})
	if v.below != "" {
		m["previous_view_id"] = v.below
	}
	return m
}
