package slacksim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// args are the arguments of a call, from a form or from JSON; a JSON value that is no
// string is kept as its text.
type args map[string]string

// result is the body of an answer, without "ok".
type result map[string]any

// apiError is an answer with ok false.
type apiError struct {
	code     string
	messages []string // response_metadata.messages
	extra    result
}

func (e *apiError) Error() string { return e.code }

func fail(code string) (result, error) { return nil, &apiError{code: code} }

// method is one method of the Web API.
type method struct {
	scopes []string // any one of these is enough; none: no scope is needed
	app    bool     // wants the app-level token
	do     func(w *Workspace, r *http.Request, a args) (result, error)
}

var methods = map[string]method{
	"apps.connections.open": {app: true, do: (*Workspace).openConnection},
	"auth.test":             {do: (*Workspace).authTest},
	"chat.postMessage":      {scopes: []string{"chat:write"}, do: (*Workspace).postMessage},
	"chat.postEphemeral":    {scopes: []string{"chat:write"}, do: (*Workspace).postEphemeral},
	"chat.update":           {scopes: []string{"chat:write"}, do: (*Workspace).updateMessage},
	"conversations.info":    {scopes: []string{"channels:read", "groups:read"}, do: (*Workspace).conversationInfo},
	"users.info":            {scopes: []string{"users:read"}, do: (*Workspace).userInfo},
	"usergroups.users.list": {scopes: []string{"usergroups:read"}, do: (*Workspace).groupMembers},
	"views.open":            {do: (*Workspace).openView},
	"views.update":          {do: (*Workspace).updateView},
}

// Fault spoils calls of the Web API.
type Fault struct {
	Method     string        // such as chat.postMessage; "": all
	After      int           // so many calls pass first
	Times      int           // so many calls are spoilt; 0: every one until ClearFaults
	Status     int           // an HTTP status instead of an answer
	Error      string        // an answer with ok false and this error
	RetryAfter time.Duration // with Status 429
	Delay      time.Duration // before anything else

	spoilt int
}

// Fault switches a fault on. Of several that fit a call, the first counts.
func (w *Workspace) Fault(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, &f)
}

// ClearFaults switches all faults off.
func (w *Workspace) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

func (w *Workspace) spoils(name string) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		switch {
		case f.Method != "" && f.Method != name, f.Times > 0 && f.spoilt >= f.Times:
		case f.After > 0:
			f.After--
		default:
			f.spoilt++
			return *f
		}
	}
	return Fault{}
}

// Call is one call of the Web API.
type Call struct {
	At     time.Time
	Method string
	Args   map[string]string // without the token
	Error  string            // "": ok
}

// History returns all calls so far, in the order in which they were answered.
func (w *Workspace) History() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

// serveMethod answers a call of the Web API.
func (w *Workspace) serveMethod(rw http.ResponseWriter, r *http.Request, name string) {
	a, token, err := readArgs(r)
	if err != nil {
		w.answer(rw, name, a, nil, &apiError{code: "invalid_json"})
		return
	}
	f := w.spoils(name)
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	switch {
	case f.Status != 0:
		if f.RetryAfter > 0 {
			rw.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
		w.record(name, a, fmt.Sprint("http ", f.Status))
		rw.WriteHeader(f.Status)
		return
	case f.Error != "":
		w.answer(rw, name, a, nil, &apiError{code: f.Error})
		return
	}
	m, known := methods[name]
	if !known {
		w.answer(rw, name, a, nil, &apiError{code: "unknown_method"})
		return
	}
	if err := w.mayCall(m, token); err != nil {
		w.answer(rw, name, a, nil, err)
		return
	}
	rw.Header().Set("X-OAuth-Scopes", strings.Join(w.scopes, ","))
	res, err := m.do(w, r, a)
	w.answer(rw, name, a, res, err)
}

func (w *Workspace) mayCall(m method, token string) error {
	want, other := w.cfg.BotToken, w.cfg.AppToken
	if m.app {
		want, other = other, want
	}
	switch token {
	case "":
		return &apiError{code: "not_authed"}
	case want:
	case other:
		return &apiError{code: "not_allowed_token_type"}
	default:
		return &apiError{code: "invalid_auth"}
	}
	if len(m.scopes) > 0 && !slices.ContainsFunc(m.scopes, func(s string) bool { return slices.Contains(w.scopes, s) }) {
		return &apiError{code: "missing_scope", extra: result{"needed": m.scopes[0], "provided": strings.Join(w.scopes, ",")}}
	}
	return nil
}

// readArgs reads the arguments and the token of a call.
func readArgs(r *http.Request) (args, string, error) {
	a := args{}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return a, token, err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if len(body) == 0 {
			return a, token, nil
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return a, token, err
		}
		for name, raw := range fields {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			a[name] = text
		}
		return a, token, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return a, token, err
	}
	for name, values := range r.URL.Query() {
		form[name] = values
	}
	for name := range form {
		a[name] = form.Get(name)
	}
	if token == "" {
		token = a["token"]
	}
	delete(a, "token")
	return a, token, nil
}

func (w *Workspace) answer(rw http.ResponseWriter, name string, a args, res result, err error) {
	if res == nil {
		res = result{}
	}
	code := ""
	if e, isAPI := err.(*apiError); isAPI {
		code = e.code
		res["error"] = e.code
		if len(e.messages) > 0 {
			res["response_metadata"] = map[string]any{"messages": e.messages}
		}
		for k, v := range e.extra {
			res[k] = v
		}
	}
	res["ok"] = err == nil
	w.record(name, a, code)
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(rw).Encode(res)
}

func (w *Workspace) record(name string, a args, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, Call{At: w.cfg.Now(), Method: name, Args: a, Error: code})
	w.tellChange()
}

func (w *Workspace) authTest(*http.Request, args) (result, error) {
	return result{"url": "https://sim.slack.example/", "team": "Simulated", "user": "keyturn", "team_id": TeamID, "user_id": BotID, "bot_id": "B0KEYTURN"}, nil
}

func (w *Workspace) userInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, known := w.people[a["user"]]
	if !known {
		return fail("user_not_found")
	}
	u := map[string]any{
		"id": p.ID, "team_id": p.Team, "name": p.Name, "real_name": p.Name, "deleted": p.Deactivated,
		"is_bot": p.Bot, "is_app_user": p.AppUser, "profile": map[string]any{"display_name": p.Name},
	}
	if !p.Deactivated { // Slack leaves these out of what it says of deactivated people
		u["is_restricted"], u["is_ultra_restricted"] = p.Guest || p.SingleChannelGuest, p.SingleChannelGuest
	}
	if p.Team != TeamID || p.Stranger {
		u["is_stranger"] = p.Stranger
	}
	if p.Enterprise != "" {
		u["enterprise_user"] = map[string]any{"id": p.ID, "enterprise_id": p.Enterprise, "teams": []string{p.Team}}
	}
	return result{"user": u}, nil
}

func (w *Workspace) groupMembers(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	members, known := w.groups[a["usergroup"]]
	if !known {
		return fail("no_such_subteam")
	}
	return result{"users": members}, nil
}

func (w *Workspace) conversationInfo(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.channels[a["channel"]]
	member := known && slices.Contains(c.Members, BotID)
	if !known || c.Private && !member {
		return fail("channel_not_found")
	}
	return result{"channel": map[string]any{
		"id": c.ID, "name": c.Name, "is_channel": !c.DirectMessage, "is_im": c.DirectMessage, "is_private": c.Private,
		"is_member": member, "is_archived": c.Archived, "is_ext_shared": c.ExtShared, "is_shared": c.ExtShared,
	}}, nil
}
