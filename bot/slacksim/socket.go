package slacksim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxSockets = 10
	lifetime   = 18_060 * time.Second // unless SetLifetime says otherwise
	ackLimit   = 20_480               // an ack of this size or more is not noticed
	pingEvery  = 10 * time.Second
	grace      = 10 * time.Second // between a disconnect frame and the end
	lingering  = 30 * time.Second // assumption: how long TCP stays after a Close frame
	writeTime  = 5 * time.Second
)

// conn is one socket of the app's.
type conn struct {
	number  int // from 1
	ws      *websocket.Conn
	write   sync.Mutex
	closed  chan struct{}
	stalled atomic.Bool // open but dead

	// Guarded by Workspace.mu.
	aging  *time.Timer // until the warning before its end
	ending *time.Timer // after a disconnect frame
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

// Sockets returns how many sockets are open and have their hello.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

// LongestGap returns the longest time so far, from the first hello on, in which no
// socket was open that had its hello. A gap that is not over counts up to now.
func (w *Workspace) LongestGap() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.longest, w.gap())
}

// gap is how long there has been no socket, since the last was gone. w.mu is held.
func (w *Workspace) gap() time.Duration {
	if w.alone.IsZero() {
		return 0
	}
	return w.cfg.Now().Sub(w.alone)
}

// SetLifetime sets how long the sockets live that are opened from now on, as their
// hello tells; more than 10 s. Each gets a warning 10 s before its end, and at the end it
// is told refresh_requested and cut. Assumption: in this order; Slack documents only that
// there are both, and what a warning means.
func (w *Workspace) SetLifetime(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lifetime = d
}

// SetGhosts sets how many sockets Slack counts that are gone: a hello tells of them,
// and there is the less room for others. They get no envelopes.
func (w *Workspace) SetGhosts(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ghosts = n
}

// Disconnect is DisconnectWithin the 10 s that Slack gives after a warning, and by
// assumption after the others.
func (w *Workspace) Disconnect(reason string) { w.DisconnectWithin(reason, grace) }

// DisconnectWithin sends a disconnect frame on all sockets, such as warning or
// refresh_requested, and cuts them after the grace; only the first frame on a socket says
// when. Until then they get envelopes in turn with all others, as what Slack had sent
// already would come.
func (w *Workspace) DisconnectWithin(reason string, grace time.Duration) {
	w.mu.Lock()
	sockets := slices.Clone(w.sockets)
	w.mu.Unlock()
	for _, c := range sockets {
		w.disconnect(c, reason, grace, func() { w.cut(c) })
	}
}

// disconnect sends a disconnect frame, and calls end after the grace.
func (w *Workspace) disconnect(c *conn, reason string, grace time.Duration, end func()) {
	w.mu.Lock()
	if c.ending == nil && w.open[c] {
		c.ending = time.AfterFunc(grace, end)
	}
	w.mu.Unlock()
	c.sendDisconnect(reason)
}

// Drop cuts all sockets without a disconnect frame.
func (w *Workspace) Drop() {
	w.mu.Lock()
	sockets := slices.Clone(w.sockets)
	w.mu.Unlock()
	for _, c := range sockets {
		w.cut(c)
	}
}

// Stall makes all sockets that are open now dead, while they stay open: nothing more
// comes out of them, no ping is answered, and what comes in is not noticed, a Close
// frame neither. They get their share of envelopes until the app closes TCP.
func (w *Workspace) Stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.sockets {
		c.stalled.Store(true)
	}
}

// cut ends a socket without a Close frame. From here on it gets no envelope.
func (w *Workspace) cut(c *conn) {
	w.mu.Lock()
	w.countOut(c)
	w.mu.Unlock()
	c.ws.Close()
}

// countOut takes a socket out of those that get envelopes. w.mu is held.
func (w *Workspace) countOut(c *conn) {
	before := len(w.sockets)
	w.sockets = slices.DeleteFunc(w.sockets, func(s *conn) bool { return s == c })
	if before == 1 && len(w.sockets) == 0 {
		w.alone = w.cfg.Now()
	}
}

func (w *Workspace) openConnection(r *http.Request, _ args) (result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticket := w.secret("ticket-")
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
	defer w.forget(c)
	if !w.greet(c, r.Host) {
		return
	}
	var pings sync.WaitGroup
	pings.Go(c.ping)
	clean := w.read(c)
	if c.stalled.Load() {
		io.Copy(io.Discard, ws.NetConn())
		clean = false
	}
	w.leave(c, clean)
	pings.Wait()
	if clean {
		// Slack leaves it to the app to close TCP after the Close frames.
		ws.NetConn().SetReadDeadline(time.Now().Add(lingering))
		io.Copy(io.Discard, ws.NetConn())
	}
}

// greet sends a socket its first frame, which is no hello where there are too many. No
// envelope can come before it.
func (w *Workspace) greet(c *conn, host string) (ok bool) {
	c.write.Lock()
	defer c.write.Unlock()
	count, life, ok := w.join(c, host)
	hello := map[string]any{
		"type": "hello", "num_connections": count, "connection_info": map[string]any{"app_id": AppID},
		"debug_info": map[string]any{
			"host": "applink-1", "build_number": 1, "approximate_connection_time": life.Seconds(),
		},
	}
	if !ok {
		hello["type"], hello["reason"] = "disconnect", "too_many_websockets"
	}
	c.put(hello)
	return ok
}

// join counts a socket in, if there is room, and returns how many there are, and how
// long it is to live from now on.
func (w *Workspace) join(c *conn, host string) (count int, life time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.tellChange()
	w.joined++
	c.number = w.joined
	w.open[c] = true
	if w.closed { // since the ticket was taken
		c.ws.Close()
	}
	count, life = len(w.sockets)+w.ghosts, w.lifetime
	if count >= maxSockets {
		return count, life, false
	}
	w.longest, w.alone = max(w.longest, w.gap()), time.Time{}
	w.sockets = append(w.sockets, c)
	w.host = host
	c.aging = time.AfterFunc(life-grace, func() {
		w.disconnect(c, "warning", grace, func() {
			c.sendDisconnect("refresh_requested")
			w.cut(c)
		})
	})
	return count + 1, life, true
}

// leave counts a socket out: it gets no more envelopes, and what waits for an ack on it
// waits no longer.
func (w *Workspace) leave(c *conn, clean bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.countOut(c)
	w.ends = append(w.ends, End{Socket: c.number, At: w.cfg.Now(), Clean: clean})
	close(c.closed)
	w.tellChange()
}

func (w *Workspace) forget(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
	for _, t := range []*time.Timer{c.aging, c.ending} {
		if t != nil {
			t.Stop()
		}
	}
}

func (c *conn) sendDisconnect(reason string) {
	c.send(map[string]any{
		"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"},
	})
}

// send writes a frame. Where it cannot be written, the socket ends.
func (c *conn) send(v any) {
	c.write.Lock()
	defer c.write.Unlock()
	c.put(v)
}

// put is send where c.write is held.
func (c *conn) put(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // we made it of maps and of JSON that was valid
	}
	if c.stalled.Load() {
		return
	}
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
			c.control(websocket.PingMessage, []byte("Ping from applink-1"))
		case <-c.closed:
			return
		}
	}
}

// control writes a control frame.
func (c *conn) control(kind int, words []byte) {
	if !c.stalled.Load() {
		c.ws.WriteControl(kind, words, time.Now().Add(time.Second))
	}
}

// read takes acks until the socket ends, and reports whether it ended with a Close
// frame. Pings are answered meanwhile.
func (w *Workspace) read(c *conn) (clean bool) {
	c.ws.SetPingHandler(func(words string) error {
		c.control(websocket.PongMessage, []byte(words))
		return nil
	})
	c.ws.SetCloseHandler(func(code int, _ string) error {
		c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
		return nil
	})
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			var closed *websocket.CloseError
			return errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
		}
		if len(b) >= ackLimit || c.stalled.Load() {
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
