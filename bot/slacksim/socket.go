package slacksim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxSockets = 10
	lifetime   = 18_060 // seconds, as Slack tells them; here no socket ends by itself
	ackLimit   = 20_480 // an ack of this size or more is not noticed
	pingEvery  = 10 * time.Second
	grace      = 10 * time.Second // between a disconnect frame and the end
	lingering  = 30 * time.Second // assumption: how long TCP stays after a Close frame
	writeTime  = 5 * time.Second
)

// conn is one socket of the app's.
type conn struct {
	number int // from 1
	ws     *websocket.Conn
	write  sync.Mutex
	closed chan struct{}
	ending *time.Timer // after a disconnect frame; guarded by Workspace.mu
}

// End is how a socket ended.
type End struct {
	Socket int
	At     time.Time
	Clean  bool // with a Close frame of the app's
}

// Ends returns how sockets ended so far, in order.
func (w *Workspace) Ends() []End {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ends)
}

// Sockets returns how many sockets are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

// Disconnect sends a disconnect frame on all sockets, such as warning or
// refresh_requested, and cuts them 10 s later: the time that Slack gives after a
// warning, and by assumption after the others. Until then they get envelopes, as what
// Slack had sent already would come.
func (w *Workspace) Disconnect(reason string) {
	w.mu.Lock()
	sockets := slices.Clone(w.sockets)
	for _, c := range sockets {
		if c.ending == nil {
			c.ending = time.AfterFunc(grace, func() { c.ws.Close() })
		}
	}
	w.mu.Unlock()
	for _, c := range sockets {
		c.send(map[string]any{
			"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"},
		})
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

func (w *Workspace) openConnection(r *http.Request, _ args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticket := w.newID("ticket-")
	w.tickets[ticket], w.host = true, r.Host
	return result{"url": "ws://" + r.Host + "/link?ticket=" + ticket + "&app_id=" + AppID}, nil
}

// takeTicket reports whether a ticket is good; it is so once. The caller counts as
// running until it says Done.
func (w *Workspace) takeTicket(ticket string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	good := w.tickets[ticket] && !w.closed
	delete(w.tickets, ticket)
	if good {
		w.running.Add(1)
	}
	return good
}

// upgrader writes each frame in one piece, and takes acks of any size.
var upgrader = websocket.Upgrader{ReadBufferSize: 4 << 10, WriteBufferSize: 64 << 10}

// serveSocket serves a socket from its ticket until its connection is gone.
func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	if !w.takeTicket(r.URL.Query().Get("ticket")) {
		http.Error(rw, "the ticket is used or unknown", http.StatusForbidden)
		return
	}
	defer w.running.Done()
	ws, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	defer ws.Close()
	c := &conn{ws: ws, closed: make(chan struct{})}
	count, ok := w.join(c, r.Host)
	defer w.forget(c)
	hello := map[string]any{
		"num_connections": count, "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{
			"host": "applink-1", "build_number": 1, "approximate_connection_time": lifetime,
		},
	}
	if !ok {
		hello["type"], hello["reason"] = "disconnect", "too_many_websockets"
		c.send(hello)
		return
	}
	hello["type"] = "hello"
	c.send(hello)
	var pings sync.WaitGroup
	pings.Go(c.ping)
	clean := w.read(c)
	w.leave(c, clean)
	pings.Wait()
	if clean {
		// Slack leaves it to the app to close TCP after the Close frames.
		ws.NetConn().SetReadDeadline(time.Now().Add(lingering))
		io.Copy(io.Discard, ws.NetConn())
	}
}

// join counts a socket in, if there is room, and returns how many there are.
func (w *Workspace) join(c *conn, host string) (count int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.tellChange()
	w.joined++
	c.number = w.joined
	w.open[c] = true
	if w.closed { // since the ticket was taken
		c.ws.Close()
	}
	if len(w.sockets) >= maxSockets {
		return len(w.sockets), false
	}
	w.sockets = append(w.sockets, c)
	w.host = host
	return len(w.sockets), true
}

// leave counts a socket out: it gets no more envelopes, and what waits for an ack on it
// waits no longer.
func (w *Workspace) leave(c *conn, clean bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets = slices.DeleteFunc(w.sockets, func(s *conn) bool { return s == c })
	w.ends = append(w.ends, End{Socket: c.number, At: w.cfg.Now(), Clean: clean})
	close(c.closed)
	w.tellChange()
}

func (w *Workspace) forget(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
	if c.ending != nil {
		c.ending.Stop()
	}
}

// send writes a frame. Where it cannot be written, the socket ends.
func (c *conn) send(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // we made it of maps and of JSON that was valid
	}
	c.write.Lock()
	defer c.write.Unlock()
	c.ws.SetWriteDeadline(time.Now().Add(writeTime))
	if err := c.ws.WriteMessage(websocket.TextMessage, b); err != nil {
		c.ws.Close() // nothing more can be said on it
	}
}

func (c *conn) ping() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			until := time.Now().Add(time.Second)
			c.ws.WriteControl(websocket.PingMessage, []byte("Ping from applink-1"), until)
		case <-c.closed:
			return
		}
	}
}

// read takes acks until the socket ends, and reports whether it ended with a Close
// frame. Pings are answered meanwhile.
func (w *Workspace) read(c *conn) (clean bool) {
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			var closed *websocket.CloseError
			return errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
		}
		if len(b) >= ackLimit {
			continue
		}
		var a struct {
			Envelope string          `json:"envelope_id"`
			Payload  json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(b, &a) == nil {
			w.acknowledge(c, a.Envelope, a.Payload)
		}
	}
}
