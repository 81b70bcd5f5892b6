package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// says reports whether a flag is set.
func (a args) says(name string) bool { return a[name] == "true" || a[name] == "1" }

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

var (
	mayWrite      = []string{"chat:write"}
	mayReadGroups = []string{"usergroups:read"}
)

var methods = map[string]method{
	"apps.connections.open": {app: true, do: (*Workspace).openConnection},
	"auth.test":             {do: (*Workspace).authTest},
	"chat.delete":           {scopes: mayWrite, do: (*Workspace).deleteMessage},
	"chat.getPermalink":     {do: (*Workspace).permalink},
	"chat.postEphemeral":    {scopes: mayWrite, do: (*Workspace).postEphemeral},
	"chat.postMessage":      {scopes: mayWrite, do: (*Workspace).postMessage},
	"chat.update":           {scopes: mayWrite, do: (*Workspace).updateMessage},
	"conversations.info": {
		scopes: []string{"channels:read", "groups:read", "im:read", "mpim:read"},
		do:     (*Workspace).conversationInfo,
	},
	"usergroups.list":       {scopes: mayReadGroups, do: (*Workspace).groupList},
	"usergroups.users.list": {scopes: mayReadGroups, do: (*Workspace).groupMembers},
	"users.info":            {scopes: []string{"users:read"}, do: (*Workspace).userInfo},
	"views.open":            {do: (*Workspace).openView},
	"views.push":            {do: (*Workspace).pushView},
	"views.update":          {do: (*Workspace).updateView},
}

// serveMethod answers a call of the Web API, unless a fault does.
func (w *Workspace) serveMethod(rw http.ResponseWriter, r *http.Request, name string) {
	a, token, err := readArgs(r)
	if err != nil {
		w.answer(rw, name, a, nil, err)
		return
	}
	f := w.spoils(name, a)
	w.delay(r, f.Delay)
	switch {
	case f.Status != 0:
		w.record(name, a, fmt.Sprint("http ", f.Status))
		f.answer(rw)
		return
	case f.Error != "":
		w.answer(rw, name, a, nil, &apiError{code: f.Error})
		return
	case f.Lose == LoseBefore:
		w.lose(name, a, "lost")
	}
	m, known := methods[name]
	if !known {
		w.answer(rw, name, a, nil, &apiError{code: "unknown_method"})
		return
	}
	if m.app && r.Header.Get("Authorization") == "" {
		token = "" // Slack takes an app-level token from the header alone
	}
	if err := w.authenticate(m, token); err != nil {
		w.answer(rw, name, a, nil, err)
		return
	}
	if !m.app {
		rw.Header().Set("X-OAuth-Scopes", w.granted())
	}
	w.call(rw, r, name, a, f.Lose == LoseAfter)
}

// call carries out a call whose token is good; lose says that its answer is lost.
func (w *Workspace) call(rw http.ResponseWriter, r *http.Request, name string, a args, lose bool) {
	if wait := w.limit(name, a); wait > 0 {
		w.record(name, a, fmt.Sprint("http ", http.StatusTooManyRequests))
		tooMany(rw, wait)
		return
	}
	m := methods[name]
	res, err := result(nil), w.mayCall(m)
	if err == nil {
		res, err = m.do(w, r, a)
	}
	if lose {
		w.lose(name, a, codeOf(err))
	}
	w.answer(rw, name, a, res, err)
}

// delay waits, at most until the client has gone or the workspace is closed.
func (w *Workspace) delay(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-w.done:
	}
}

// answer answers with the fault's status.
func (f Fault) answer(rw http.ResponseWriter) {
	if f.RetryAfter > 0 {
		rw.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	rw.WriteHeader(f.Status)
}

// maxBody is how much of a body is read.
const maxBody = 1 << 20

// readArgs reads the arguments and the token of a call: a bearer token, or, in a form,
// an argument.
func readArgs(r *http.Request) (args, string, error) {
	a := args{}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return a, token, fmt.Errorf("reading the body: %w", err)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if len(body) == 0 {
			return a, token, nil
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) != nil {
			return a, token, &apiError{code: "invalid_json"}
		}
		for name, raw := range fields {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			a[name] = text
		}
		delete(a, "token") // with JSON, Slack reads only the header
		return a, token, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return a, token, &apiError{code: "invalid_form_data"}
	}
	maps.Copy(form, r.URL.Query())
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
	code := codeOf(err)
	if err != nil {
		var said *apiError
		if errors.As(err, &said) {
			maps.Copy(res, said.extra)
			if len(said.messages) > 0 {
				res["response_metadata"] = map[string]any{"messages": said.messages}
			}
		}
		res["error"] = code
	}
	res["ok"] = err == nil
	w.record(name, a, code)
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(rw).Encode(res)
}

// codeOf returns what an answer says of an error; "": there is none.
func codeOf(err error) string {
	var said *apiError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &said):
		return said.code
	}
	return "internal_error"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
