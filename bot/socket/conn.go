package socket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// conn is one connection. Its reader gives each envelope to a goroutine of its own,
// which writes the ack here and nowhere else.
type conn struct {
	s       *Socket
	ws      *websocket.Conn
	handler Handler

	greeted chan struct{} // closed at the hello
	left    chan struct{} // closed when a successor is wanted
	closed  chan struct{} // closed when the reader has ended
	pongs   chan []byte   // answers to Slack's pings

	write    sync.Mutex // one frame at a time
	handlers sync.WaitGroup

	mu      sync.Mutex
	hello   time.Time // when it came; zero: not yet
	ended   time.Time // when it was left
	why     error
	atOnce  bool // do not drain: it is dead, or was never good
	closing sync.Once
}

func newConn(s *Socket, ws *websocket.Conn, h Handler) *conn {
	return &conn{
		s: s, ws: ws, handler: h,
		greeted: make(chan struct{}), left: make(chan struct{}), closed: make(chan struct{}), pongs: make(chan []byte, 1),
	}
}

// run reads until the connection is over: because ctx ended, it was left and is
// drained, or it broke. Then it closes it in order.
func (c *conn) run(ctx context.Context) {
	defer c.s.setLive(c, false)
	go c.read(ctx)
	go c.beat()
	select {
	case <-c.closed:
	case <-ctx.Done():
	case <-c.left:
		c.s.cfg.Report(Status{State: Leaving, Err: c.reason()})
		if !c.isAtOnce() {
			// Slack may still deliver here for a while; what it does is read and
			// acknowledged.
			timer := time.NewTimer(drainTime)
			defer timer.Stop()
			select {
			case <-c.closed:
			case <-ctx.Done():
			case <-timer.C:
			}
		}
	}
	c.waitHandlers()
	// Without a Close frame Slack would count this connection for hours and deliver
	// presses to it that nobody reads.
	c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeWait))
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-c.closed:
	case <-timer.C:
	}
	c.ws.Close()
	<-c.closed
	c.leave(errors.New("closed"), true)
	c.s.cfg.Report(Status{State: Disconnected, Err: c.reason()})
}

// waitHandlers waits for what is being handled; each has an end by the ack window.
func (c *conn) waitHandlers() {
	done := make(chan struct{})
	go func() {
		c.handlers.Wait()
		close(done)
	}()
	timer := time.NewTimer(ackWindow)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// leave records why a successor is wanted; the first reason counts.
func (c *conn) leave(why error, atOnce bool) {
	c.closing.Do(func() {
		c.mu.Lock()
		c.why, c.atOnce, c.ended = why, atOnce, time.Now()
		c.mu.Unlock()
		if atOnce {
			c.s.setLive(c, false)
		}
		close(c.left)
	})
}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

func (c *conn) isAtOnce() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atOnce
}

// lasted is how long the connection was good for; nil: never.
func (c *conn) lasted() time.Duration {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hello.IsZero() || c.ended.IsZero() {
		return 0
	}
	return c.ended.Sub(c.hello)
}

// beat keeps the connection from looking idle, asks for the sign of life that the
// reader waits for, and answers Slack's pings: beside the reader, which never waits
// for a write.
func (c *conn) beat() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		// An error here is also the reader's, sooner or later.
		select {
		case <-ticker.C:
			c.ws.WriteControl(websocket.PingMessage, []byte("keyturn"), time.Now().Add(pingEvery))
		case data := <-c.pongs:
			c.ws.WriteControl(websocket.PongMessage, data, time.Now().Add(pingEvery))
		case <-c.closed:
			return
		}
	}
}

// read takes frames until there are none.
func (c *conn) read(ctx context.Context) {
	defer close(c.closed)
	c.ws.SetReadLimit(maxFrame)
	alive := func() { c.ws.SetReadDeadline(time.Now().Add(deadAfter)) }
	alive()
	c.ws.SetPingHandler(func(data string) error {
		alive()
		select {
		case c.pongs <- []byte(data):
		default: // the one before is still to be sent, and does as well
		}
		return nil
	})
	c.ws.SetPongHandler(func(string) error { alive(); return nil })
	for {
		kind, b, err := c.ws.ReadMessage()
		if err != nil {
			c.leave(fmt.Errorf("reading: %w", err), true)
			return
		}
		alive()
		if kind == websocket.TextMessage {
			c.take(ctx, b, time.Now())
		}
	}
}

// take does what a frame asks for.
func (c *conn) take(ctx context.Context, b []byte, at time.Time) {
	f, err := decode(b)
	switch {
	case err != nil:
		// Acknowledged all the same, where it can be told what: nobody would send it
		// again, and the person should not be shown a failure of ours as Slack's.
		c.s.cfg.Report(Status{State: Undecodable, Envelope: f.Envelope, Err: err})
		if f.Envelope != "" {
			c.handlers.Go(func() { c.ack(f.Envelope, nil) })
		}
	case f.Envelope != "":
		c.handle(ctx, f, at)
	case f.Type == "hello":
		c.greet(f, at)
	case f.Type == "disconnect":
		c.leave(disconnected(f.Reason), false)
	}
}

func (c *conn) greet(f frame, at time.Time) {
	c.mu.Lock()
	again := !c.hello.IsZero()
	c.hello = at
	c.mu.Unlock()
	if again {
		return
	}
	c.s.setLive(c, true)
	close(c.greeted)
	c.s.cfg.Report(Status{State: Connected, Connections: f.Connections, Lifetime: f.lifetime(), App: f.App.ID})
}

// disconnected puts the reason of a disconnect frame in an error.
func disconnected(reason string) error {
	switch reason {
	case "link_disabled":
		return &PermanentError{Code: reason}
	case "too_many_websockets":
		return errTooMany
	}
	return fmt.Errorf("Slack asked to reconnect (%s)", reason)
}

// handle gives an envelope to the handler, and acknowledges it with what that says.
func (c *conn) handle(ctx context.Context, f frame, at time.Time) {
	c.s.handled <- struct{}{}
	c.handlers.Go(func() {
		defer func() { <-c.s.handled }()
		payload, err := c.call(ctx, f, at)
		if err != nil {
			c.s.cfg.Report(Status{State: Unacknowledged, Envelope: f.Envelope, Err: err})
			return
		}
		if !f.accepts() {
			payload = nil
		}
		c.ack(f.Envelope, payload)
	})
}

func (c *conn) call(ctx context.Context, f frame, at time.Time) (payload any, err error) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), at.Add(ackWindow))
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the handler panicked: %v", r)
		}
	}()
	return c.handler(ctx, Envelope{ID: f.Envelope, Type: f.Type, Payload: f.Payload, AcceptsPayload: f.accepts(), Received: at})
}

// ack writes an ack on this connection. If that is gone, the ack is gone too: Slack
// takes it from no other.
func (c *conn) ack(envelope string, payload any) {
	b, err := encode(envelope, payload)
	if err != nil {
		c.s.cfg.Report(Status{State: AckCut, Envelope: envelope, Err: err})
	}
	c.write.Lock()
	defer c.write.Unlock()
	c.ws.SetWriteDeadline(time.Now().Add(ackWindow))
	if err := c.ws.WriteMessage(websocket.TextMessage, b); err != nil {
		c.s.cfg.Report(Status{State: AckLost, Envelope: envelope, Err: err})
	}
}
