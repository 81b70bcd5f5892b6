package slacksim

import (
	"encoding/json"
	"slices"
)

// Message is a message as it is shown now.
type Message struct {
	Channel   string
	TS        string
	Thread    string // ts of the message it is a reply to; "": none
	Broadcast bool   // a reply that is shown in the channel too
	User      string
	To        string // ephemeral: who alone sees it
	Text      string
	Blocks    json.RawMessage
	Edits     int
	Mentions  []string // ids of users and user groups, and channel, here, everyone; sorted
}

// Shows returns what a person reads: the blocks if there are any, as PlainText has them,
// or the text.
func (m Message) Shows() string {
	if len(m.Blocks) > 0 {
		return PlainText(m.Blocks)
	}
	return mrkdwnText(m.Text)
}

// wire is the message as Slack gives it to the app.
func (m *Message) wire() map[string]any {
	o := map[string]any{"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": TeamID}
	if m.User == BotID {
		o["bot_id"], o["app_id"] = appBotID, AppID
	}
	if len(m.Blocks) > 0 {
		o["blocks"] = withIDs(m.Blocks)
	}
	if m.Thread != "" {
		o["thread_ts"] = m.Thread
	}
	if m.Broadcast {
		o["subtype"] = "thread_broadcast"
	}
	return o
}

// Messages returns what is shown in a channel, in order: what was posted there, and
// replies that were broadcast.
func (w *Workspace) Messages(channel string) []Message {
	return w.posted(channel, func(m *Message) bool { return m.Thread == "" || m.Broadcast })
}

// Thread returns the replies to a message, in order.
func (w *Workspace) Thread(channel, ts string) []Message {
	return w.posted(channel, func(m *Message) bool { return m.Thread == ts })
}

func (w *Workspace) posted(channel string, want func(*Message) bool) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages[channel] {
		if want(m) {
			out = append(out, *m)
		}
	}
	return out
}

// Ephemerals returns what a user alone was shown in a channel and is not deleted, in
// order.
func (w *Workspace) Ephemerals(user, channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	user = w.own(user)
	for _, m := range w.ephemeral {
		if m.To == user && m.Channel == channel {
			out = append(out, *m)
		}
	}
	return out
}

// Say posts a person's words in a channel, and returns their ts. The app is told
// nothing of it.
func (w *Workspace) Say(user, channel, text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &Message{Channel: channel, TS: w.newTS(), User: user, Text: escape(text)}
	w.messages[channel] = append(w.messages[channel], m)
	w.tellChange()
	return m.TS
}

// Delete removes a message, as its author or an administrator can. Its replies stay.
func (w *Workspace) Delete(channel, ts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(channel, ts)
}

// drop removes a message, ephemeral or not. w.mu is held.
func (w *Workspace) drop(channel, ts string) {
	gone := func(m *Message) bool { return m.TS == ts && m.Channel == channel }
	w.messages[channel] = slices.DeleteFunc(w.messages[channel], gone)
	w.ephemeral = slices.DeleteFunc(w.ephemeral, gone)
	w.tellChange()
}

// message finds a message, ephemeral or not; nil: there is none. w.mu is held.
func (w *Workspace) message(channel, ts string) *Message {
	for _, all := range [][]*Message{w.messages[channel], w.ephemeral} {
		for _, m := range all {
			if m.TS == ts && m.Channel == channel {
				return m
			}
		}
	}
	return nil
}
