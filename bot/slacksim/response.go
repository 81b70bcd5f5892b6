package slacksim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	responseUses = 5
	responseLife = 30 * time.Minute
)

// responseURL is where an interaction can be answered: five times within half an hour,
// also where the bot is not in the channel.
type responseURL struct {
	user, channel string
	ts            string // the message that was pressed on; "": none
	expires       time.Time
	left          int
}

// response is an answer to an interaction: the body of a post to its response URL, or
// the payload of the ack of a command.
type response struct {
	Text    string          `json:"text"`
	Blocks  json.RawMessage `json:"blocks"`
	Type    string          `json:"response_type"`
	Thread  string          `json:"thread_ts"`
	Replace bool            `json:"replace_original"`
	Delete  bool            `json:"delete_original"`
}

// newResponseURL returns an address for answers, under the host that the app called
// us by. w.mu is held.
func (w *Workspace) newResponseURL(user, channel, ts string) string {
	id := w.secret("response-")
	w.urls[id] = &responseURL{
		user: w.own(user), channel: channel, ts: ts,
		expires: w.cfg.Now().Add(responseLife), left: responseUses,
	}
	return "http://" + w.host + "/response/" + id
}

// serveResponse takes an answer to an interaction. The words of its errors are an
// assumption.
func (w *Workspace) serveResponse(rw http.ResponseWriter, r *http.Request, id string) {
	const name = "response_url"
	refuse := func(a args, status int, code string) {
		w.record(name, a, code)
		http.Error(rw, code, status)
	}
	f := w.spoils(name, nil)
	w.delay(r, f.Delay)
	switch {
	case f.Status != 0:
		w.record(name, nil, fmt.Sprint("http ", f.Status))
		f.answer(rw)
		return
	case f.Error != "":
		refuse(nil, http.StatusInternalServerError, f.Error)
		return
	case f.Lose == LoseBefore:
		w.lose(name, nil, "lost")
	}
	var body response
	limited := http.MaxBytesReader(rw, r.Body, maxBody)
	if r.Method != http.MethodPost || json.NewDecoder(limited).Decode(&body) != nil {
		refuse(nil, http.StatusBadRequest, "invalid_payload")
		return
	}
	a := args{"text": body.Text, "blocks": string(body.Blocks), "response_type": body.Type}
	u, code := w.use(id)
	if code != "" {
		refuse(a, http.StatusNotFound, code)
		return
	}
	if err := w.respond(u, body); err != nil {
		refuse(a, http.StatusBadRequest, err.Error())
		return
	}
	if f.Lose == LoseAfter {
		w.lose(name, a, "")
	}
	w.record(name, a, "")
	fmt.Fprint(rw, "ok")
}

// use counts one use of a response URL; code says why it is good no more.
func (w *Workspace) use(id string) (u *responseURL, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u = w.urls[id]
	switch {
	case u == nil || u.left == 0:
		return nil, "used_url"
	case !w.cfg.Now().Before(u.expires):
		return nil, "expired_url"
	}
	u.left--
	return u, ""
}

// respond shows an answer to an interaction: to its user, in the channel, or in the
// place of the message that was pressed on.
func (w *Workspace) respond(u *responseURL, body response) error {
	if body.Delete {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drop(u.channel, u.ts)
		return nil
	}
	m, err := content(args{"text": body.Text, "blocks": string(body.Blocks)}, false)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.tellChange()
	if old := w.message(u.channel, u.ts); body.Replace && old != nil {
		old.Text, old.Blocks, old.Mentions = m.Text, m.Blocks, m.Mentions
		old.Edits++
		return nil
	}
	m.Channel, m.TS, m.Thread = u.channel, w.newTS(), body.Thread
	if body.Type == "in_channel" {
		w.messages[u.channel] = append(w.messages[u.channel], m)
		return nil
	}
	m.To = u.user
	w.ephemeral = append(w.ephemeral, m)
	return nil
}
