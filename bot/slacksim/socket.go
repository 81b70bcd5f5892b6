package slacksim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxSockets = 10
	ackWindow  = 3 * time.Second
	ackLimit   = 20_480 // an ack of this size or more is not noticed
	pingEvery  = 10 * time.Second
)

// conn is one socket of the app's.
type conn struct {
	number int
	ws     *websocket.Conn
	write  sync.Mutex
	closed chan struct{}
	clean  bool // a Close frame came

	waiting map[string]chan json.RawMessage // envelopes that were sent here and not acknowledged
}

// Ack is what became of an envelope.
type Ack struct {
	Envelope string
	Type     string
	Sent     time.Time
	Latency  time.Duration // until it was acknowledged
	Acked    bool          // in time, and on the socket that it was sent on
}

// Acks returns what became of every envelope so far.
func (w *Workspace) Acks() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acks)
}

// Sockets returns how many sockets are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

func (w *Workspace) openConnection(r *http.Request, _ args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticket := w.newID("ticket-")
	w.tickets[ticket], w.host = true, r.Host
	return result{"url": "ws://" + r.Host + "/link?ticket=" + ticket + "&app_id=" + AppID}, nil
}

var upgrader = websocket.Upgrader{WriteBufferSize: 64 << 10}

// serveSocket takes a connection for a ticket, which is good for one.
func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	w.mu.Lock()
	good := w.tickets[ticket]
	delete(w.tickets, ticket)
	w.mu.Unlock()
	if !good {
		http.Error(rw, "the ticket is used or unknown", http.StatusForbidden)
		return
	}
	ws, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	c := &conn{ws: ws, closed: make(chan struct{}), waiting: map[string]chan json.RawMessage{}}
	w.mu.Lock()
	w.number++
	c.number = w.number
	full := len(w.sockets) >= maxSockets
	if !full {
		w.sockets = append(w.sockets, c)
	}
	count := len(w.sockets)
	w.tellChange()
	w.mu.Unlock()
	if full {
		c.send(map[string]any{"type": "disconnect", "reason": "too_many_websockets", "num_connections": count})
		ws.Close()
		return
	}
	c.send(map[string]any{
		"type": "hello", "num_connections": count, "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
	})
	go c.ping()
	w.read(c)
}

func (c *conn) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	return c.ws.WriteMessage(websocket.TextMessage, b)
}

func (c *conn) ping() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.ws.WriteControl(websocket.PingMessage, []byte("Ping from applink-1"), time.Now().Add(time.Second))
		case <-c.closed:
			return
		}
	}
}

// read takes acks until the socket is closed.
func (w *Workspace) read(c *conn) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sockets = slices.DeleteFunc(w.sockets, func(s *conn) bool { return s == c })
		close(c.closed)
		c.ws.Close()
		w.tellChange()
	}()
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			c.clean = websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway)
			return
		}
		if len(b) >= ackLimit {
			continue
		}
		var ack struct {
			Envelope string          `json:"envelope_id"`
			Payload  json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(b, &ack) != nil {
			continue
		}
		w.mu.Lock()
		got := c.waiting[ack.Envelope]
		delete(c.waiting, ack.Envelope)
		w.mu.Unlock()
		if got != nil {
			got <- ack.Payload
		}
	}
}

// Outcome is what came back to somebody who typed, pressed or submitted.
type Outcome struct {
	Envelope string
	Acked    bool
	Latency  time.Duration
	Payload  json.RawMessage // of the ack
	Warning  string          // what Slack shows where there was no ack
}

// deliver sends an envelope on one of the sockets, and waits for its ack there.
func (w *Workspace) deliver(kind string, accepts bool, payload map[string]any) (Outcome, error) {
	w.mu.Lock()
	if len(w.sockets) == 0 {
		w.mu.Unlock()
		return Outcome{Warning: "dispatch_failed"}, fmt.Errorf("dispatch_failed: the app has no socket open")
	}
	w.turn++
	c := w.sockets[w.turn%len(w.sockets)]
	id := w.newID("envelope-")
	got := make(chan json.RawMessage, 1)
	c.waiting[id] = got
	sent := w.cfg.Now()
	w.mu.Unlock()

	out := Outcome{Envelope: id}
	err := c.send(map[string]any{"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": accepts})
	ctx, cancel := context.WithTimeout(context.Background(), ackWindow)
	defer cancel()
	select {
	case out.Payload = <-got:
		out.Acked, out.Latency = true, w.cfg.Now().Sub(sent)
	case <-c.closed:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(c.waiting, id)
	w.acks = append(w.acks, Ack{Envelope: id, Type: kind, Sent: sent, Latency: out.Latency, Acked: out.Acked})
	w.tellChange()
	if !out.Acked {
		out.Warning = "operation_timeout"
	}
	return out, err
}

// Disconnect sends a disconnect frame on all sockets, and closes them after the grace
// that Slack gives with a warning.
func (w *Workspace) Disconnect(reason string) {
	w.mu.Lock()
	sockets := slices.Clone(w.sockets)
	w.mu.Unlock()
	for _, c := range sockets {
		c.send(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"}})
		time.AfterFunc(10*time.Second, func() { c.ws.Close() })
	}
}

// Drop cuts all sockets without a Close frame.
func (w *Workspace) Drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.sockets {
		c.ws.Close()
	}
}
