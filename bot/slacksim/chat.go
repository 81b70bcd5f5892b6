package slacksim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// content checks a message's text and blocks, and puts it together.
func (w *Workspace) content(a args) (*Message, error) {
	m := &Message{User: BotID, Text: a["text"]}
	if blocks := a["blocks"]; blocks != "" && blocks != "[]" {
		if !json.Valid([]byte(blocks)) {
			return nil, &apiError{code: "invalid_blocks_format"}
		}
		if problems := CheckBlocks([]byte(blocks), OnMessage); len(problems) > 0 {
			return nil, &apiError{code: "invalid_blocks", messages: problems}
		}
		m.Blocks = json.RawMessage(blocks)
	}
	if m.Text == "" && m.Blocks == nil {
		return nil, &apiError{code: "no_text"}
	}
	if utf8.RuneCountInString(m.Text) > 40_000 {
		return nil, &apiError{code: "msg_too_long"}
	}
	m.Mentions = mentions(m)
	return m, nil
}

// writable returns the channel that the bot may write in. w.mu is held.
func (w *Workspace) writable(id string) (*Channel, error) {
	c, known := w.channels[id]
	member := known && slices.Contains(c.Members, BotID)
	switch {
	case !known, c.Private && !member:
		return nil, &apiError{code: "channel_not_found"}
	case !member:
		return nil, &apiError{code: "not_in_channel"}
	case c.Archived:
		return nil, &apiError{code: "is_archived"}
	}
	return c, nil
}

func (w *Workspace) postMessage(_ *http.Request, a args) (result, error) {
	m, err := w.content(a)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"])
	if err != nil {
		return nil, err
	}
	m.Channel, m.TS, m.Thread = c.ID, w.newTS(), a["thread_ts"]
	if m.Thread != "" && !slices.ContainsFunc(w.messages[c.ID], func(p *Message) bool { return p.TS == m.Thread }) {
		return fail("thread_not_found") // assumption: the name of this error
	}
	w.messages[c.ID] = append(w.messages[c.ID], m)
	w.tellChange()
	return result{"channel": c.ID, "ts": m.TS, "message": map[string]any{"ts": m.TS, "text": m.Text, "user": BotID, "type": "message"}}, nil
}

func (w *Workspace) updateMessage(_ *http.Request, a args) (result, error) {
	m, err := w.content(a)
	if err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(m.Text) > 4000 {
		return fail("msg_too_long")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"])
	if err != nil {
		return nil, err
	}
	for _, old := range w.messages[c.ID] {
		if old.TS != a["ts"] {
			continue
		}
		if old.User != BotID {
			return fail("cant_update_message")
		}
		old.Text, old.Blocks, old.Mentions = m.Text, m.Blocks, m.Mentions
		old.Edits++
		w.tellChange()
		return result{"channel": c.ID, "ts": old.TS, "text": old.Text}, nil
	}
	return fail("message_not_found")
}

func (w *Workspace) postEphemeral(_ *http.Request, a args) (result, error) {
	m, err := w.content(a)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"])
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.Members, a["user"]) {
		return fail("user_not_in_channel")
	}
	m.Channel, m.TS, m.To = c.ID, w.newTS(), a["user"]
	w.ephemeral = append(w.ephemeral, m)
	w.tellChange()
	return result{"message_ts": m.TS}, nil
}

// responseURL is where an interaction can be answered: five times within half an hour.
type responseURL struct {
	user, channel string
	ts            string // the message that was pressed on; "": none
	expires       time.Time
	left          int
}

// newResponseURL returns an address for answers. w.mu is held.
func (w *Workspace) newResponseURL(base, user, channel, ts string) string {
	id := w.newID("R")
	w.urls[id] = &responseURL{user: user, channel: channel, ts: ts, expires: w.cfg.Now().Add(30 * time.Minute), left: 5}
	return base + "/response/" + id
}

// serveResponse takes an answer to an interaction. It works also where the bot is not
// in the channel.
func (w *Workspace) serveResponse(rw http.ResponseWriter, r *http.Request) {
	var body struct {
		Text     string          `json:"text"`
		Blocks   json.RawMessage `json:"blocks"`
		Type     string          `json:"response_type"`
		Replace  bool            `json:"replace_original"`
		Deletion bool            `json:"delete_original"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(rw, "invalid_payload", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	u := w.urls[strings.TrimPrefix(r.URL.Path, "/response/")]
	good := u != nil && u.left > 0 && w.cfg.Now().Before(u.expires)
	if good {
		u.left--
	}
	w.mu.Unlock()
	if !good {
		http.Error(rw, "used_url", http.StatusNotFound)
		return
	}
	if err := w.respond(u, args{"text": body.Text, "blocks": string(body.Blocks)}, body.Type, body.Replace || body.Deletion); err != nil {
		w.record("response_url", nil, err.Error())
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.record("response_url", nil, "")
	fmt.Fprint(rw, "ok")
}

// respond shows an answer to an interaction: to its user, or in the channel.
func (w *Workspace) respond(u *responseURL, a args, kind string, replace bool) error {
	m, err := w.content(a)
	if err != nil && !replace {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if replace {
		w.ephemeral = slices.DeleteFunc(w.ephemeral, func(old *Message) bool { return old.TS == u.ts })
	}
	if m != nil {
		m.Channel, m.TS = u.channel, w.newTS()
		if kind == "in_channel" {
			w.messages[u.channel] = append(w.messages[u.channel], m)
		} else {
			m.To = u.user
			w.ephemeral = append(w.ephemeral, m)
		}
	}
	w.tellChange()
	return nil
}
