package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const (
	hello   = `{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":18060},"connection_info":{"app_id":"A1"}}`
	patient = 5 * time.Minute // how long a test waits for what has to come
)

// rig is a socket that is being served, and the Slack at the other end.
type rig struct {
	t      *testing.T
	socket *Socket
	end    context.CancelFunc
	result chan error // of Serve
	peers  chan *peer // connections, as they come in

	mu      sync.Mutex
	reports []Status
	opened  []time.Time
}

// setup is how a rig's Slack departs from the usual; its zero value is the usual.
type setup struct {
	open   func(n int) error       // of the n-th apps.connections.open, from 0
	url    string                  // that it answers with
	deaf   bool                    // reads nothing
	silent bool                    // reads, but answers no ping
	late   func() time.Duration    // by how much a ping is answered late; nil: not at all
	pings  time.Duration           // how often Slack pings; 0: never
	dial   func(net.Conn) net.Conn // wraps the client's end
	raw    bool                    // takes connections and never answers the handshake
	status int                     // answers the handshake with this, if not 0
	first  string                  // the type of envelopes that are acknowledged first
}

// serve starts a socket in the bubble of the test; it is ended with the test.
func serve(t *testing.T, set setup, h Handler) *rig {
	t.Helper()
	r := &rig{t: t, result: make(chan error, 1), peers: make(chan *peer, 1000)}
	ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	slack := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if set.status != 0 {
			w.WriteHeader(set.status)
			return
		}
		upgrader := websocket.Upgrader{}
		ws, err := upgrader.Upgrade(w, q, nil)
		if err != nil {
			t.Errorf("upgrading: %v", err)
			return
		}
		p := &peer{t: t, ws: ws, texts: make(chan string, 1000), gone: make(chan error, 1)}
		ws.SetPingHandler(func(words string) error {
			if set.silent || p.stalled.Load() {
				return nil
			}
			if set.late == nil {
				p.control(websocket.PongMessage, words)
				return nil
			}
			// Never 0: with the race detector, two such timers of a bubble crash Go 1.26.
			time.AfterFunc(set.late()+1, func() { p.control(websocket.PongMessage, words) })
			return nil
		})
		stop := make(chan struct{})
		if set.pings > 0 {
			go p.ping(set.pings, stop)
		}
		t.Cleanup(func() { close(stop); ws.Close() })
		if !set.deaf {
			go p.read()
		}
		r.peers <- p
	})}
	if set.raw {
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { c.Close() })
				go c.Read(make([]byte, 4096))
			}
		}()
	} else {
		go slack.Serve(ln)
	}
	t.Cleanup(func() { slack.Close(); ln.Close() })
	r.socket = New(Config{
		Open: func(context.Context) (string, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.opened = append(r.opened, time.Now())
			if set.open != nil {
				if err := set.open(len(r.opened) - 1); err != nil {
					return "", err
				}
			}
			if set.url != "" {
				return set.url, nil
			}
			return "ws://slack.example/link/?ticket=sesame", nil
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := ln.dial(ctx)
			if err == nil && set.dial != nil {
				c = set.dial(c)
			}
			return c, err
		},
		AckFirst: func(envelopeType string) bool { return envelopeType == set.first },
		Report: func(s Status) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports = append(r.reports, s)
			if s.Err != nil && strings.Contains(s.Err.Error(), "sesame") {
				t.Errorf("the ticket is in a report: %v", s.Err)
			}
		},
	})
	ctx, end := context.WithCancel(t.Context())
	r.end = end
	go func() { r.result <- r.socket.Serve(ctx, h) }()
	t.Cleanup(end)
	return r
}

// reported returns the reports of one state, so far.
func (r *rig) reported(state State) []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Status
	for _, s := range r.reports {
		if s.State == state {
			found = append(found, s)
		}
	}
	return found
}

func (r *rig) opens() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.opened...)
}

// connection returns the next connection that comes in.
func (r *rig) connection() *peer { r.t.Helper(); return receive(r.t, r.peers, "a connection") }

// greeted returns the next connection that comes in, after a hello was sent on it.
func (r *rig) greeted() *peer {
	r.t.Helper()
	p := r.connection()
	p.send(hello)
	return p
}

// ended waits for Serve to return.
func (r *rig) ended() error { r.t.Helper(); return receive(r.t, r.result, "the end of Serve") }

// peer is Slack's end of one connection.
type peer struct {
	t       *testing.T
	ws      *websocket.Conn
	texts   chan string
	gone    chan error  // what reading ended with
	stalled atomic.Bool // open but dead: nothing is sent any more
}

func (p *peer) control(kind int, words string) {
	if !p.stalled.Load() {
		p.ws.WriteControl(kind, []byte(words), time.Now().Add(time.Second))
	}
}

func (p *peer) ping(every time.Duration, stop <-chan struct{}) {
	for wait(every, stop) {
		p.control(websocket.PingMessage, "Ping from applink-1")
	}
}

func (p *peer) read() {
	for {
		_, b, err := p.ws.ReadMessage()
		if err != nil {
			p.gone <- err
			return
		}
		p.texts <- string(b)
	}
}

func (p *peer) send(frame string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		p.t.Fatalf("sending %.60q: %v", frame, err)
	}
}

// greet sends a hello that tells a life time, as JSON has it.
func (p *peer) greet(lifetime string) {
	p.t.Helper()
	p.send(`{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":` + lifetime + `}}`)
}

// deliver sends an envelope.
func (p *peer) deliver(id, kind string, accepts bool) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"envelope_id":%q,"type":%q,"payload":{"n":1},"accepts_response_payload":%v}`,
		id, kind, accepts))
}

// works delivers an envelope and takes its ack.
func (p *peer) works(id string) {
	p.t.Helper()
	p.deliver(id, "interactive", false)
	p.acked(id)
}

// disconnect sends a disconnect frame.
func (p *peer) disconnect(reason string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"type":"disconnect","reason":%q,"debug_info":{"host":"applink-1"}}`, reason))
}

// acked returns the next ack, and fails if it is not for the envelope id.
func (p *peer) acked(id string) (payload json.RawMessage) {
	p.t.Helper()
	text := receive(p.t, p.texts, "an ack of "+id)
	var ack struct {
		Envelope string `json:"envelope_id"`
		Payload  json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &ack); err != nil {
		p.t.Fatalf("an ack that is no JSON: %v: %.100s", err, text)
	}
	if ack.Envelope != id {
		p.t.Fatalf("got %s, want an ack of %q", text, id)
	}
	return ack.Payload
}

// quiet fails if a frame came that no acked took.
func (p *peer) quiet() {
	p.t.Helper()
	select {
	case text := <-p.texts:
		p.t.Errorf("got %s, want nothing", text)
	default:
	}
}

// closedInOrder waits for the end, which has to begin with a Close frame of code 1000.
func (p *peer) closedInOrder() {
	p.t.Helper()
	err := receive(p.t, p.gone, "the end of a connection")
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		p.t.Errorf("the connection ended with %v, want a Close frame of code 1000", err)
	}
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patient):
		t.Fatalf("waited %v for %s", patient, what)
		panic("not reached")
	}
}

// pipes is a listener whose connections are net.Pipes, which wait in a way that a
// bubble of synctest understands.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- newBuffered(server):
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// buffered is Slack's end of a pipe whose writes do not wait for a reader, as on a real
// network: otherwise two ends that ping at the same moment wait for each other.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	closed bool
	out    chan []byte
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c, out: make(chan []byte, 1000)}
	go func() {
		defer b.Conn.Close()
		for chunk := range b.out {
			b.Conn.Write(chunk)
		}
	}()
	return b
}

func (b *buffered) Write(chunk []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	select {
	case b.out <- append([]byte(nil), chunk...):
		return len(chunk), nil
	default:
		return 0, errors.New("the buffer is full")
	}
}

// Close lets what was written go out first.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.out)
		b.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	}
	return nil
}

func (b *buffered) SetDeadline(t time.Time) error    { return b.Conn.SetReadDeadline(t) }
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// bare acknowledges everything with nothing.
func bare(context.Context, Envelope) (any, error) { return nil, nil }

var errRefused = errors.New("refused by the handler")
