// Package socket keeps a Socket Mode connection to Slack: it delivers each envelope
// to a handler once, and acknowledges it on the connection that brought it. It never
// looks into a payload, never logs, and never acknowledges what its handler refused,
// unless it was told to acknowledge first.
//
// Serve is a small loop above connections. Each connection (conn.go) reads, pings and
// closes by itself, and acknowledges what it brought (envelope.go). When Slack says that
// it will end a connection, or most of the life time is over that its hello told, the
// loop opens a successor. The old one is read and acknowledged meanwhile, and after the
// successor's hello for as long as Slack keeps it open, within reason: nothing falls
// between them. Where no successor can be had the old one goes on. When a connection is
// found dead, the loop just opens another.
//
// How long the loop waits before it opens one (backoff.go) grows with each connection
// that did not last, whether it failed at the start or said hello first: a server that
// takes connections only to drop them must not be stormed. Where the end was announced the
// successor comes within 1.2 s, since presses find nobody once the old one is closed.
//
// Slack delivers presses and commands once and never again (facts: only events are
// retried), and goes on delivering for hours to a connection whose end it did not
// notice, up to ten of them: so each connection that is left gets a Close frame. Status
// tells how many connections Slack counts, and how many of them are ours.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	ackWindow   = 3 * time.Second  // Slack's, for every type of envelope
	openWithin  = 30 * time.Second // for Config.Open
	dialWithin  = 10 * time.Second // to the end of the websocket handshake
	helloWithin = 10 * time.Second // from there; assumption: Slack names no limit
	pingEvery   = 10 * time.Second
	// deadAfter is the silence that makes a connection dead: one of our pings went out
	// in its first 10 s, and nothing came in the 15 s after that. Slack's own pings
	// alone would not do: they come every 10 s, or 30 s (facts: both were seen).
	deadAfter = pingEvery + 15*time.Second
	// drainTime is how long Slack has to close a connection that it said it ends: thrice
	// what it needs (facts: about 10 s), and longer than it takes to find the successor
	// dead.
	drainTime = deadAfter + 5*time.Second
	closeWait = time.Second // Slack does not end the TCP connection by itself
	// shortestLife is the shortest life time that is heeded. Assumption: a shorter one is
	// a mistake (facts: 6 min is the shortest that Slack gives, and 5 h the usual). Then,
	// and without one, the successor comes when Slack says so.
	shortestLife = time.Minute

	// maxFrame bounds what is read at once. A modal may have 250 KB, and what was typed
	// into it comes on top; beyond this the connection is given up.
	maxFrame = 4 << 20
	// maxAck is the largest ack that Slack takes, in one frame (facts: found by trial).
	maxAck = 20_480 - 1
	// maxHandled bounds how many envelopes are handled at once, over all connections.
	maxHandled = 256
	// maxHeld bounds how many connections are open at once, those that are drained
	// included. Slack takes ten of an app, and ghosts are among them.
	maxHeld = 8
)

// Config is what a socket is made of.
type Config struct {
	// Open asks Slack for the address of a new connection (apps.connections.open), which
	// is good for one. Its error should be an *OpenError where Slack gave a reason. It is
	// given 30 s.
	Open func(ctx context.Context) (url string, err error)
	// Dial opens the connection to the address. With nil it is opened over the network,
	// through the proxy that the environment names.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// AckFirst reports whether envelopes of a type are acknowledged as soon as they are
	// read, without a payload, and only then handled: where nothing has to come before
	// the ack, nothing does. The handler's payload is not sent. May be nil: none are.
	AckFirst func(envelopeType string) bool
	// Report is told of each change, by several goroutines at once. It must not block.
	// It is told no secret: the address of a connection is one. May be nil.
	Report func(Status)
}

// Socket is one connection to Slack, made of many that follow each other.
type Socket struct {
	cfg     Config
	handled chan struct{} // one for each envelope that is being handled

	mu    sync.Mutex
	conns map[*conn]bool // all that are open; true: has its hello and is not known dead
	freed chan struct{}  // closed and replaced when one of conns is gone
}

// New returns a socket that is not connected yet.
func New(cfg Config) *Socket {
	if cfg.Report == nil {
		cfg.Report = func(Status) {}
	}
	if cfg.AckFirst == nil {
		cfg.AckFirst = func(string) bool { return false }
	}
	return &Socket{
		cfg: cfg, handled: make(chan struct{}, maxHandled),
		conns: map[*conn]bool{}, freed: make(chan struct{}),
	}
}

// Serve delivers envelopes to h until ctx ends, and returns nil then: after handlers
// that still ran had up to 3 s to return, what they returned was acknowledged, and
// each connection got its Close frame. It returns a *PermanentError, in the same good
// order, where trying again cannot help. It is to be called once at a time.
func (s *Socket) Serve(ctx context.Context, h Handler) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		gaps      backoff
		old       *conn // read until its successor is there
		permanent *PermanentError
	)
	for ctx.Err() == nil {
		gaps.opened = time.Now()
		c, err := s.connect(ctx, func(ws *websocket.Conn) *conn {
			c := newConn(s, ws, h, stop)
			conns.Go(func() { c.run(ctx) })
			return c
		})
		if err == nil {
			if old != nil {
				old.retire()
			}
			old = c
			select {
			case <-c.left:
			case <-ctx.Done():
			}
			err = c.reason()
		}
		if errors.As(err, &permanent) {
			stop(permanent)
		}
		if ctx.Err() == nil {
			pause := gaps.next(c.lasted(), err)
			s.cfg.Report(Status{State: Waiting, Err: err, Wait: pause})
			wait(pause, ctx.Done())
			s.room(ctx, c)
		}
	}
	if errors.As(context.Cause(ctx), &permanent) {
		return permanent
	}
	return nil
}

// connect opens a connection, begins it, and returns it once Slack has greeted it. With
// an error the connection is on its way out, or nil if there never was one.
func (s *Socket) connect(ctx context.Context, begin func(*websocket.Conn) *conn) (*conn, error) {
	s.cfg.Report(Status{State: Connecting})
	address, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	ws, err := s.dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	c := begin(ws)
	timer := time.NewTimer(helloWithin)
	defer timer.Stop()
	select {
	case <-c.greeted:
		return c, nil
	case <-c.left:
	case <-timer.C:
		c.die(fmt.Errorf("no hello came in %v", helloWithin))
	case <-ctx.Done():
		return c, ctx.Err()
	}
	select {
	case <-c.greeted:
		return c, nil // for a moment
	default:
		return c, c.reason()
	}
}

func (s *Socket) open(ctx context.Context) (address string, err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	address, err = s.cfg.Open(ctx)
	var refused *OpenError
	switch {
	case errors.As(err, &refused) && Permanent(refused.Code):
		return "", &PermanentError{Code: refused.Code}
	case err != nil:
		return "", fmt.Errorf("asking for a connection: %w", err)
	}
	return address, nil
}

// dial makes the websocket. It returns soon after ctx ended, and its error does not
// name the address, which bears the connection's ticket.
func (s *Socket) dial(ctx context.Context, address string) (*websocket.Conn, error) {
	dial, proxy := s.cfg.Dial, (func(*http.Request) (*url.URL, error))(nil)
	if dial == nil {
		dial, proxy = new(net.Dialer).DialContext, http.ProxyFromEnvironment
	}
	unhook := func() bool { return true }
	dialer := websocket.Dialer{
		Proxy:            proxy,
		HandshakeTimeout: dialWithin,
		WriteBufferSize:  32 << 10, // larger than any ack, which has to be one frame
		NetDialContext: func(dialCtx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(dialCtx, network, addr)
			if err == nil {
				// The handshake heeds only its time limit, not that ctx ended.
				unhook = context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		},
	}
	ws, answer, err := dialer.DialContext(ctx, address, nil)
	unhook()
	var named *url.Error
	switch {
	case errors.As(err, &named):
		return nil, named.Err
	case err != nil && answer != nil:
		return nil, fmt.Errorf("%w: %s", err, answer.Status)
	}
	return ws, err
}

// Connected reports whether there is a connection that Slack greeted and that is not
// known to be dead. A dead one is known after 25 s at the latest.
func (s *Socket) Connected() bool { return s.live(nil) }

// live reports whether there is such a connection besides c.
func (s *Socket) live(besides *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, live := range s.conns {
		if live && c != besides {
			return true
		}
	}
	return false
}

// room returns once fewer than maxHeld connections are open. It does not wait where c,
// which is to be followed, is closed or was none (nil): while c is read nothing is lost.
func (s *Socket) room(ctx context.Context, c *conn) {
	for c != nil {
		s.mu.Lock()
		full, freed := len(s.conns) >= maxHeld, s.freed
		s.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-freed:
		case <-c.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// add counts a connection as open.
func (s *Socket) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = false
}

// mark notes whether presses can come by an open connection, and returns how many are
// open.
func (s *Socket) mark(c *conn, live bool) (held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[c]; open {
		s.conns[c] = live
	}
	return len(s.conns)
}

func (s *Socket) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	close(s.freed)
	s.freed = make(chan struct{})
}
