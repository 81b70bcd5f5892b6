//go:build failpoint

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
)

// The people of a world do what people do: they do it again if nothing came of it.

// act is what somebody did and Slack took for them.
type act struct {
	who      string
	verb     approval.Verb // "": a submitted modal
	about    string        // the request, or the modal's id
	envelope string
	at       time.Time
}

func (a act) String() string {
	if a.verb == "" {
		return fmt.Sprintf("%s's submission of %s (%s)", a.who, a.about, a.envelope)
	}
	return fmt.Sprintf("%s's press of %s on %s (%s)", a.who, a.verb, a.about, a.envelope)
}

// patience is how long somebody waits before doing it again.
const patience = 5 * time.Second

var idOnCard = regexp.MustCompile(`(kt-[a-z0-9]{8})\W+entry #(\d+) of the trail`)

// cards returns the newest card of each request.
func (w *world) cards() map[string]slacksim.Message {
	cards := map[string]slacksim.Message{}
	for _, m := range w.slack.Messages(room) {
		if id := idOnCard.FindStringSubmatch(m.Shows()); id != nil {
			cards[id[1]] = m
		}
	}
	return cards
}

func isPending(m slacksim.Message) bool {
	return strings.Contains(m.Shows(), "Waits for a second person")
}

// pending returns the requests whose cards wait for somebody, in a fixed order.
func (w *world) pending() []string {
	var ids []string
	for id, m := range w.cards() {
		if isPending(m) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// told returns how often somebody was told something.
func (w *world) told(who string) int { return len(w.slack.Ephemerals(who, room)) }

// ask types a command, fills in the modal and submits it, once, and returns what
// Slack took; ok is false where it came to nothing.
func (w *world) ask(who, line string) (did act, ok bool) {
	ready := func() bool { v, up := w.slack.View(who); return up && v.Submit != "" && len(v.Errors) == 0 }
	if !ready() {
		w.slack.CloseView(who)
		out, err := w.slack.Slash(who, room, line)
		if err != nil || !out.Acked {
			w.await(patience, w.up)
			return act{}, false
		}
		before, starts := w.told(who), w.started()
		w.await(patience, func() bool {
			v, up := w.slack.View(who)
			return ready() || w.told(who) > before || w.started() > starts || up && !strings.Contains(slacksim.PlainText(v.Blocks), "Reading the keys")
		})
		if !ready() {
			return act{}, false
		}
	}
	v, _ := w.slack.View(who)
	at := time.Now()
	out, err := w.slack.Submit(who, filled(v))
	switch {
	case errors.Is(err, slacksim.ErrNotConnected) || err == nil && !out.Acked:
		w.await(patience, w.up) // the modal stays, with the words
		return act{}, false
	case err != nil:
		w.fault("%s submits: %v", who, err)
		return act{}, false
	}
	if len(out.Payload) > 0 {
		w.slack.CloseView(who) // what is wrong with it is no fault of theirs: type it again
		return act{}, false
	}
	return act{who: who, about: v.ID, envelope: out.Envelope, at: at}, true
}

// filled is what a person fills in: a reason, and the first key where one is to be chosen.
func filled(v slacksim.View) map[string]any {
	values := map[string]any{"reason": "it leaked"}
	var blocks []struct {
		ID      string `json:"block_id"`
		Element struct {
			Chosen  json.RawMessage `json:"initial_option"`
			Options []struct {
				Value string `json:"value"`
			} `json:"options"`
		} `json:"element"`
	}
	if err := json.Unmarshal(v.Blocks, &blocks); err != nil {
		panic(err) // Slack takes no such view
	}
	for _, b := range blocks {
		if b.ID == "key" && b.Element.Chosen == nil {
			values["key"] = b.Element.Options[0].Value
		}
	}
	return values
}

// started returns how often keyturn was started.
func (w *world) started() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.starts
}

// press presses a button on the newest card of a request, once.
func (w *world) press(who string, verb approval.Verb, id string) (did act, ok bool) {
	at := time.Now()
	out, err := w.slack.Press(who, room, w.cards()[id].TS, slacksim.Button{Action: string(verb)})
	if err != nil || !out.Acked {
		w.await(patience, w.up) // or the buttons are gone by now
		return act{}, false
	}
	return act{who: who, verb: verb, about: id, envelope: out.Envelope, at: at}, true
}

// asks asks until there is a card.
func (w *world) asks(who, line string) bool {
	carded := func() bool { return len(w.cards()) > 0 }
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if carded() {
			return true
		}
		before := w.told(who)
		if _, ok := w.ask(who, line); ok {
			w.await(patience, func() bool { return carded() || w.told(who) > before })
		}
	}
	return false
}

// approves approves the one request that waits until it does not wait any more.
func (w *world) approves(who string) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		waiting := w.pending()
		if len(waiting) == 0 {
			return true
		}
		before := w.told(who)
		if _, ok := w.press(who, approval.Approve, waiting[0]); ok {
			w.await(patience, func() bool { return len(w.pending()) == 0 || w.mustAgain(who, before) })
		}
	}
	return false
}

// mustAgain reports whether somebody was told, after so many other things, that a
// press did not count.
func (w *world) mustAgain(who string, before int) bool {
	all := w.slack.Ephemerals(who, room)
	return slices.ContainsFunc(all[min(before, len(all)):], func(m slacksim.Message) bool {
		return !strings.Contains(m.Shows(), "You approved it") && !strings.Contains(m.Shows(), "it stands")
	})
}
