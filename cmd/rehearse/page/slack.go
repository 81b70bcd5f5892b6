package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/bot/slacksim"
)

// This file draws the workspace.

// message is a message as somebody sees it.
type message struct {
	clock
	TS, Channel string
	Author      string
	IsApp       bool
	Only        bool // nobody else sees it
	Broadcast   bool // a reply that is shown in the channel too
	MentionsMe  bool
	Refused     string // Slack took it not: its error
	Replies     int
	LastReply   clock
	Body        template.HTML
}

func (p *Page) channels(l look) []fragment {
	var out []fragment
	for _, id := range l.channels {
		out = append(out, drawn(id, "channel", map[string]any{
			"ID": id, "Name": written(id), "IsDirect": isDirect(id), "Here": id == l.Channel, "Count": len(p.world.Slack.Messages(id)),
		}))
	}
	return out
}

// messages are those of the channel, those that its reader alone sees, and those that
// Slack refused, in the order of time.
func (p *Page) messages(l look) []fragment {
	var all []message
	for _, m := range slices.Concat(p.world.Slack.Messages(l.Channel), p.world.Slack.Ephemerals(l.ID, l.Channel)) {
		all = append(all, p.seen(l, m))
	}
	all = append(all, p.refused(l)...)
	slices.SortStableFunc(all, func(a, b message) int { return a.Compare(b.Time) })
	var out []fragment
	for _, m := range all {
		out = append(out, drawn(m.TS, "message", m))
	}
	return out
}

// thread is the message whose thread is open, and its replies.
func (p *Page) thread(l look) []fragment {
	var out []fragment
	for _, m := range p.world.Slack.Messages(l.Channel) {
		if m.TS != l.Thread {
			continue
		}
		for _, m := range append([]slacksim.Message{m}, p.world.Slack.Thread(l.Channel, l.Thread)...) {
			reply := p.seen(l, m)
			reply.Replies, reply.Broadcast = 0, false
			out = append(out, drawn(m.TS, "message", reply))
		}
	}
	return out
}

// seen is a message as somebody sees it.
func (p *Page) seen(l look, m slacksim.Message) message {
	out := message{
		clock: clock{at(m.TS)}, TS: m.TS, Channel: m.Channel, Author: nameOf(m.User), IsApp: m.User == slacksim.BotID,
		Only: m.To != "", Broadcast: m.Broadcast, MentionsMe: slices.Contains(m.Mentions, l.ID), Body: body(l, m.Text, m.Blocks),
	}
	if replies := p.world.Slack.Thread(m.Channel, m.TS); len(replies) > 0 {
		out.Replies, out.LastReply = len(replies), clock{at(replies[len(replies)-1].TS)}
	}
	return out
}

// refused are the messages for a channel that Slack did not take since their blocks are
// none that it shows.
func (p *Page) refused(l look) []message {
	var out []message
	for i, c := range p.world.Slack.History() {
		if c.Error == "invalid_blocks" && c.Args["channel"] == l.Channel {
			out = append(out, message{
				clock: clock{c.At}, TS: fmt.Sprint("refused-", i), Author: nameOf(slacksim.BotID), IsApp: true,
				Refused: c.Method + ": " + c.Error, Body: body(l, c.Args["text"], json.RawMessage(c.Args["blocks"])),
			})
		}
	}
	return out
}

func body(l look, text string, blocks json.RawMessage) template.HTML {
	if len(blocks) > 0 {
		return l.reader().Message(blocks)
	}
	return l.reader().Text(text)
}

// modal is the modal that somebody has before them.
func (p *Page) modal(l look) []fragment {
	v, open := p.world.Slack.View(l.ID)
	if !open {
		return nil
	}
	if v.Close == "" {
		v.Close = "Cancel"
	}
	return []fragment{drawn(v.ID, "modal", map[string]any{"View": v, "Body": l.reader().Modal(v.Blocks, v.Errors)})}
}

// at is the time that a ts names.
func at(ts string) time.Time {
	seconds, micros, _ := strings.Cut(ts, ".")
	s, _ := strconv.ParseInt(seconds, 10, 64)
	us, _ := strconv.ParseInt(micros, 10, 64)
	return time.Unix(s, us*1000)
}

// completion is a line that the composer offers.
type completion struct{ Text, Words string }

// completions are the app's commands with each of their verbs, which the manifest names in
// the hint.
func (p *Page) completions() []completion {
	var out []completion
	for _, c := range p.world.Slack.Commands() {
		out = append(out, completion{c.Name, c.Description})
		for verb := range strings.SplitSeq(c.Hint, "|") {
			out = append(out, completion{c.Name + " " + strings.TrimSpace(verb), verbs[strings.TrimSpace(verb)]})
		}
	}
	return out
}

// verbs says what each verb takes, for the composer.
var verbs = map[string]string{
	"list": "the keys, with buttons", "revoke": "[kid] [reason]: asks to revoke a previously used key", "rotate": "[reason]: asks to put the next key in use",
	"rotate-and-revoke": "[reason]: asks for both, for a key that leaked", "requests": "what is open, with buttons",
	"certificate": "[next|current|previous]: as PEM", "audit": "[n] or a request's id: entries of the trail", "help": "one screen",
}
