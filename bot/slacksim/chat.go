package slacksim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxText       = 40_000 // what is longer is cut, when posting
	maxUpdateText = 4_000  // what is longer is refused, when updating
)

// parses reports whether Slack looks for mentions in the text by itself; preset is how
// the method parses where it is not told. Assumption: client does, as full does.
func (a args) parses(preset string) bool {
	how := a["parse"]
	if how == "" {
		how = preset
	}
	return a.says("link_names") || how != "none"
}

// content checks a message's text and blocks, and puts it together. auto says whether
// Slack parses the text for mentions that are not written out.
func content(a args, auto bool) (*Message, error) {
	m := &Message{User: BotID, Text: a["text"]}
	if blocks := a["blocks"]; blocks != "" && blocks != "null" && blocks != "[]" {
		if !json.Valid([]byte(blocks)) {
			return nil, &apiError{code: "invalid_blocks_format"}
		}
		if problems := CheckBlocks([]byte(blocks), OnMessage); len(problems) > 0 {
			return nil, &apiError{code: "invalid_blocks", messages: problems}
		}
		m.Blocks = json.RawMessage(blocks)
	}
	if metadata := a["metadata"]; metadata != "" && !json.Valid([]byte(metadata)) {
		return nil, &apiError{code: "invalid_metadata_format"}
	}
	if m.Text == "" && m.Blocks == nil {
		return nil, &apiError{code: "no_text"}
	}
	if runes := []rune(m.Text); len(runes) > maxText {
		m.Text = string(runes[:maxText])
	}
	m.Mentions = mentions(m, auto)
	return m, nil
}

// direct returns the conversation that the app has with somebody, where id is theirs,
// and otherwise id itself. w.mu is held.
func (w *Workspace) direct(id string) (string, error) {
	p, isPerson := w.person(id)
	switch {
	case !isPerson:
		return id, nil
	case !w.app.messages:
		return "", &apiError{code: "messages_tab_disabled"}
	case p.Team != TeamID, p.Bot:
		return "", &apiError{code: "channel_not_found"} // assumption: the name of this error
	}
	dm := "D" + p.ID
	w.channels[dm] = &Channel{ID: dm, DirectMessage: true, Members: []string{p.ID, BotID}}
	return dm, nil
}

// writable returns the channel that the bot may write in. w.mu is held.
func (w *Workspace) writable(id, archived string) (*Channel, error) {
	c, known := w.channels[id]
	member := known && slices.Contains(c.Members, BotID)
	switch {
	case !known, c.closed() && !member:
		return nil, &apiError{code: "channel_not_found"}
	case !member:
		return nil, &apiError{code: "not_in_channel"}
	case c.Archived:
		return nil, &apiError{code: archived}
	case c.Frozen:
		return nil, &apiError{code: "is_inactive"} // documented of an update; else assumed
	}
	return c, nil
}

// restricted returns why the bot may not post in a channel, as a reply or otherwise; nil:
// it may. Assumption: an ephemeral message is as any other, and edits are not restricted.
func (c *Channel) restricted(reply bool) error {
	allowed := c.PostingRestrictedTo
	if reply {
		allowed = c.ThreadsRestrictedTo
	}
	switch {
	case c.ReadOnly:
		return &apiError{code: "restricted_action_read_only_channel"}
	case c.ThreadOnly && !reply:
		return &apiError{code: "restricted_action_thread_only_channel"}
	case c.NonThreadable && reply:
		return &apiError{code: "restricted_action_non_threadable_channel"}
	case !allowed.allows():
		return &apiError{code: "restricted_action"}
	}
	return nil
}

// thread checks what a message is to be a reply to, and whether it may be posted. w.mu is
// held.
func (w *Workspace) thread(m *Message, a args) error {
	m.Thread = a["thread_ts"]
	if err := w.channels[m.Channel].restricted(m.Thread != ""); err != nil {
		return err
	}
	m.Broadcast = m.Thread != "" && a.says("reply_broadcast")
	isParent := func(p *Message) bool { return p.TS == m.Thread && p.Thread == "" }
	if m.Thread != "" && !slices.ContainsFunc(w.messages[m.Channel], isParent) {
		return &apiError{code: "thread_not_found"} // assumption: also for a reply to a reply
	}
	return nil
}

func (w *Workspace) postMessage(_ *http.Request, a args) (result, error) {
	m, err := content(a, a.parses("none"))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, err := w.direct(a["channel"])
	if err != nil {
		return nil, err
	}
	c, err := w.writable(id, "is_archived")
	if err != nil {
		return nil, err
	}
	m.Channel = c.ID
	if err := w.thread(m, a); err != nil {
		return nil, err
	}
	m.TS = w.newTS()
	w.messages[c.ID] = append(w.messages[c.ID], m)
	w.tellChange()
	return result{"channel": c.ID, "ts": m.TS, "message": m.wire()}, nil
}

// updateMessage replaces a message. Blocks that are not given are gone, and the text is
// parsed unless that is switched off.
func (w *Workspace) updateMessage(_ *http.Request, a args) (result, error) {
	if utf8.RuneCountInString(a["text"]) > maxUpdateText {
		return fail("msg_too_long")
	}
	m, err := content(a, a.parses("client"))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"], "is_inactive")
	if err != nil {
		return nil, err
	}
	old, err := w.ours(c.ID, a["ts"], "cant_update_message")
	if err != nil {
		return nil, err
	}
	old.Text, old.Blocks, old.Mentions = m.Text, m.Blocks, m.Mentions
	old.Edits++
	w.tellChange()
	said := old.wire()
	for _, name := range []string{"ts", "thread_ts", "subtype"} {
		delete(said, name) // as recorded, and as Slack's types have it
	}
	return result{"channel": c.ID, "ts": old.TS, "text": old.Text, "message": said}, nil
}

func (w *Workspace) deleteMessage(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"], "is_inactive")
	if err != nil {
		return nil, err
	}
	old, err := w.ours(c.ID, a["ts"], "cant_delete_message")
	if err != nil {
		return nil, err
	}
	w.drop(c.ID, old.TS)
	return result{"channel": c.ID, "ts": old.TS}, nil
}

// ours returns a message that the app posted; otherwise says what the error is for one
// of somebody else's. An ephemeral message is none of a channel's. w.mu is held.
func (w *Workspace) ours(channel, ts, otherwise string) (*Message, error) {
	m := w.message(channel, ts)
	switch {
	case m == nil || m.To != "":
		return nil, &apiError{code: "message_not_found"}
	case m.User != BotID:
		return nil, &apiError{code: otherwise}
	}
	return m, nil
}

func (w *Workspace) postEphemeral(_ *http.Request, a args) (result, error) {
	m, err := content(a, a.parses("none"))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.writable(a["channel"], "is_archived")
	if err != nil {
		return nil, err
	}
	if !w.in(c, a["user"]) {
		return fail("user_not_in_channel")
	}
	m.Channel, m.To = c.ID, w.own(a["user"])
	if err := w.thread(m, a); err != nil {
		return nil, err
	}
	m.TS, m.Broadcast = w.newTS(), false
	w.ephemeral = append(w.ephemeral, m)
	w.tellChange()
	return result{"message_ts": m.TS}, nil
}

func (w *Workspace) permalink(_ *http.Request, a args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.channels[a["channel"]]
	if !known || c.closed() && !slices.Contains(c.Members, BotID) {
		return fail("channel_not_found")
	}
	m := w.message(c.ID, a["message_ts"])
	if m == nil || m.To != "" {
		return fail("message_not_found")
	}
	link := teamURL + "archives/" + c.ID + "/p" + strings.ReplaceAll(m.TS, ".", "")
	if m.Thread != "" {
		link += "?thread_ts=" + m.Thread + "&cid=" + c.ID
	}
	return result{"channel": c.ID, "permalink": link}, nil
}
