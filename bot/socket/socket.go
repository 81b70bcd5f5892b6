// Package socket keeps a Socket Mode connection to Slack: it delivers each envelope
// to a handler once, and acknowledges it on the connection that brought it. It never
// looks into a payload.
//
// Serve is a small loop above connections. Each connection (conn.go) reads, pings and
// acknowledges by itself. When one says that it is going to be left, because Slack
// asked for it, the loop opens its successor while the old one is still read and
// acknowledged; when one is found dead, the loop opens another. How long the loop
// waits before opening grows with each connection that did not last, whether it
// failed at the start or said hello first: a server that takes connections only to
// drop them must not be stormed.
//
// Slack delivers presses and commands once and never again (facts: only events are
// retried), counts up to ten connections of an app, and goes on delivering to one
// that was not closed: so every connection that is left gets a Close frame.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	ackWindow   = 3 * time.Second  // Slack's, for every type of envelope
	helloWithin = 10 * time.Second // assumption: Slack names no limit
	pingEvery   = 10 * time.Second
	// deadAfter without any frame, a connection is dead: one of our pings went out
	// at most 10 s before the last 15 s, and was not answered in those.
	deadAfter = pingEvery + 15*time.Second
	drainTime = 10 * time.Second // how long a connection that is left is still read
	closeWait = time.Second      // Slack does not end the TCP connection by itself

	// maxFrame bounds what is read at once; a view may have 250 KB, and its state and
	// the message of a press come on top.
	maxFrame = 4 << 20
	// maxAck is the largest ack that Slack takes, in one frame (facts: found by trial).
	maxAck = 20_480 - 1
	// maxHandled bounds how many envelopes are handled at once over all connections.
	// Beyond it reading waits, which Slack's own limits make unlikely.
	maxHandled = 256
)

// Envelope is one delivery of Slack's.
type Envelope struct {
	ID             string
	Type           string // slash_commands, interactive, events_api
	Payload        json.RawMessage
	AcceptsPayload bool // whether the ack may bear a payload
	Received       time.Time
}

// Handler returns what to acknowledge an envelope with: a payload, or nil for a bare
// ack. A payload is only sent where the envelope accepts one. With an error the
// envelope is not acknowledged, and Slack shows the person that nothing came of it.
//
// It runs in a goroutine of its own. ctx ends when the ack would come too late, and
// not before: being stopped does not cut a handler short.
type Handler func(ctx context.Context, e Envelope) (payload any, err error)

// Config is what a socket is made of.
type Config struct {
	// Open asks Slack for the address of a new connection, which is good for one. Its
	// errors should be *OpenError where Slack gave a reason.
	Open func(ctx context.Context) (url string, err error)
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network
	// Report is told of each change. It must not block. It is told no secret: the
	// address of a connection is one.
	Report func(Status)
}

// Socket is a connection that outlives its connections.
type Socket struct {
	cfg     Config
	dialer  websocket.Dialer
	handled chan struct{}

	mu   sync.Mutex
	live map[*conn]bool // those with a hello that are not known dead
}

// New returns a socket that is not connected yet.
func New(cfg Config) *Socket {
	if cfg.Report == nil {
		cfg.Report = func(Status) {}
	}
	s := &Socket{cfg: cfg, handled: make(chan struct{}, maxHandled), live: map[*conn]bool{}}
	s.dialer = websocket.Dialer{
		NetDialContext: cfg.Dial, HandshakeTimeout: helloWithin,
		WriteBufferSize: 32 << 10, // an ack has to be one frame
	}
	if cfg.Dial == nil {
		s.dialer.Proxy = http.ProxyFromEnvironment
	}
	return s
}

// Connected reports whether there is a connection that Slack greeted and that is not
// known to be dead.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live) > 0
}

func (s *Socket) setLive(c *conn, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live {
		s.live[c] = true
	} else {
		delete(s.live, c)
	}
}

// Serve delivers envelopes to h until ctx ends, and returns nil then, after what was
// being handled is acknowledged and each connection has its Close frame. It returns a
// *PermanentError where trying again cannot help.
func (s *Socket) Serve(ctx context.Context, h Handler) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var gaps backoff
	for {
		c, err := s.connect(ctx, h, &conns)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			select {
			case <-c.left:
			case <-ctx.Done():
				return nil
			}
			err = c.reason()
		}
		var permanent *PermanentError
		if errors.As(err, &permanent) {
			return permanent
		}
		wait := gaps.next(c.lasted(), err)
		s.cfg.Report(Status{State: Waiting, Err: err, Wait: wait})
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// connect opens a connection and returns it once Slack has greeted it. It goes on by
// itself from there.
func (s *Socket) connect(ctx context.Context, h Handler, conns *sync.WaitGroup) (*conn, error) {
	s.cfg.Report(Status{State: Connecting})
	url, err := s.cfg.Open(ctx)
	if err != nil {
		var open *OpenError
		if errors.As(err, &open) && Permanent(open.Code) {
			return nil, &PermanentError{Code: open.Code}
		}
		return nil, fmt.Errorf("asking for a connection: %w", err)
	}
	ws, _, err := s.dialer.DialContext(ctx, url, nil)
	if err != nil {
		// The error of a dial may name the address, and so its ticket.
		return nil, fmt.Errorf("dialling: %w", withoutURL(err))
	}
	c := newConn(s, ws, h)
	conns.Go(func() { c.run(ctx) })
	timer := time.NewTimer(helloWithin)
	defer timer.Stop()
	select {
	case <-c.greeted:
		return c, nil
	case <-c.left:
		return c, c.reason()
	case <-timer.C:
		c.leave(errors.New("no hello came"), true)
		return c, c.reason()
	case <-ctx.Done():
		return c, ctx.Err()
	}
}

// sleep reports whether the whole of d went by; it ends early with ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
