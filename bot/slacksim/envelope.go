package slacksim

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// ackWindow is how long Slack waits for an ack.
const ackWindow = 3 * time.Second

// Ack is what became of an envelope.
type Ack struct {
	Envelope string
	Type     string // slash_commands, interactive
	Socket   int    // that it was sent on, from 1
	Sent     time.Time
	AckedAt  time.Time // of the ack on its own socket, or else of the first; zero: none
	OnSame   bool      // on the socket that it was sent on

	// Of the socket, when the envelope was sent.
	Newest  bool // none that was open was younger
	Leaving bool // it had been sent a disconnect frame
}

// Counts reports whether the ack came in time, and where it is noticed.
func (a Ack) Counts() bool { return a.OnSame && a.AckedAt.Sub(a.Sent) < ackWindow }

// Acks returns what became of every envelope so far, in the order of sending. Acks that
// came too late are there too.
func (w *Workspace) Acks() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acks)
}

// Outcome is what came back to somebody who typed, pressed or submitted.
type Outcome struct {
	Envelope string
	Acked    bool
	Latency  time.Duration   // until the ack
	Payload  json.RawMessage // of the ack
	Warning  string          // what Slack shows where there was no ack that counts
}

// What Slack shows. The first two are its own words; for a press it is a sign beside
// the button, and a modal says that it has trouble connecting, and stays.
const (
	notTaken     = "dispatch_failed"   // no socket took the command
	notAnswered  = "operation_timeout" // the command was not acknowledged
	pressWarning = "warning triangle"
	modalWarning = "trouble connecting"
)

// ErrNotConnected is the error of an act that reached nobody: the app has no socket
// open. Slack keeps nothing for later.
var ErrNotConnected = errors.New("the app has no socket open")

// sent is an envelope that waits for its ack.
type sent struct {
	on  *conn
	got chan json.RawMessage // room for one
	ack int                  // index in acks
}

// envelope is what is about to be sent.
type envelope struct {
	kind    string // slash_commands, interactive
	accepts bool   // the ack may bear a payload
	payload map[string]any
	lost    string // what is shown where no socket took it
	warning string // what is shown where no ack came
}

// deliver sends an envelope on one of the sockets, in turn, and waits for its ack.
func (w *Workspace) deliver(e envelope) (Outcome, error) {
	w.mu.Lock()
	if len(w.sockets) == 0 {
		w.mu.Unlock()
		return Outcome{Warning: e.lost}, ErrNotConnected
	}
	w.turn++
	c := w.sockets[w.turn%len(w.sockets)]
	id, began := w.newID("envelope-"), w.cfg.Now()
	s := &sent{on: c, got: make(chan json.RawMessage, 1), ack: len(w.acks)}
	w.waiting[id] = s
	w.acks = append(w.acks, Ack{
		Envelope: id, Type: e.kind, Socket: c.number, Sent: began,
		Newest: c == w.sockets[len(w.sockets)-1], Leaving: c.ending != nil,
	})
	w.mu.Unlock()

	timer := time.NewTimer(ackWindow)
	defer timer.Stop()
	out := Outcome{Envelope: id, Warning: e.warning}
	c.send(map[string]any{
		"envelope_id": id, "type": e.kind, "payload": e.payload, "accepts_response_payload": e.accepts,
	})
	select {
	case out.Payload = <-s.got:
		out.Acked, out.Latency, out.Warning = true, w.cfg.Now().Sub(began), ""
	case <-c.closed:
	case <-timer.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellChange()
	return out, nil
}

// acknowledge notes an ack that came on a socket. Only the first on the socket that the
// envelope was sent on can count.
func (w *Workspace) acknowledge(c *conn, id string, payload json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.waiting[id]
	if s == nil {
		return
	}
	a := &w.acks[s.ack]
	if same := c == s.on; same || a.AckedAt.IsZero() {
		a.AckedAt, a.OnSame = w.cfg.Now(), same
		w.tellChange()
	}
	if c == s.on {
		delete(w.waiting, id)
		s.got <- payload
	}
}
