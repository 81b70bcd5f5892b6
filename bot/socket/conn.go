package socket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var (
	errEnded   = errors.New("serving was ended")
	errClosing = errors.New("the connection was being closed")
	errFull    = fmt.Errorf("%d envelopes were being handled already", maxHandled)
)

// conn is one connection. Its reader gives each envelope to a goroutine of its own,
// which writes the ack here and nowhere else (envelope.go), unless the reader already has.
//
// It goes one way: greeted, left (a successor is wanted), retired (the successor is
// there), and the end. It can be left, or die, at any point of it.
type conn struct {
	s       *Socket
	ws      *websocket.Conn
	handler Handler
	stop    context.CancelCauseFunc // ends Serve

	greeted chan struct{} // closed at the hello, with lifetime set
	left    chan struct{} // closed when a successor is wanted
	retired chan struct{} // closed when the successor is there
	ending  chan struct{} // closed when Slack is about to end it, or should have
	closed  chan struct{} // closed when the reader has ended
	writing chan struct{} // held by whoever writes an ack

	retire   func() // closes retired
	expire   func() // closes ending
	lifetime time.Duration

	mu      sync.Mutex
	hello   time.Time     // when it came; zero: not yet
	ended   time.Time     // when the connection was left; zero: not yet
	why     error         // set with ended
	dead    bool          // nothing is to be expected of it any more
	running int           // envelopes that were read and have no end yet
	shut    bool          // no further envelope is handled
	settled chan struct{} // closed with shut, once running is 0; nil: nobody waits
}

func newConn(s *Socket, ws *websocket.Conn, h Handler, stop context.CancelCauseFunc) *conn {
	c := &conn{
		s: s, ws: ws, handler: h, stop: stop,
		greeted: make(chan struct{}), left: make(chan struct{}), retired: make(chan struct{}),
		ending: make(chan struct{}), closed: make(chan struct{}), writing: make(chan struct{}, 1),
	}
	c.retire = sync.OnceFunc(func() { close(c.retired) })
	c.expire = sync.OnceFunc(func() { close(c.ending) })
	s.add(c)
	return c
}

// run serves the connection until it is over: because ctx ended, it was left and then
// drained, or it died. It returns after its reader and, if they heed their context,
// its handlers have ended.
func (c *conn) run(ctx context.Context) {
	handling, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var own sync.WaitGroup
	own.Go(func() { c.read(handling) })
	own.Go(c.ping)
	own.Go(c.age)
	select {
	case <-ctx.Done():
	case <-c.left:
		c.drain(ctx)
	}
	// Once the Close frame is out no ack can follow, so those that are due go first.
	c.settle(ackWindow)
	abandon()
	c.die(errEnded)
	// Without a Close frame Slack might count this connection for hours, and deliver
	// presses to it that nobody reads.
	c.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeWait))
	wait(closeWait, c.closed)
	c.ws.Close()
	own.Wait()
	c.settle(closeWait) // what was stuck in a write is free now
	c.s.remove(c)
	c.s.cfg.Report(Status{State: Disconnected, Err: c.reason()})
}

// drain reads on for as long as Slack may deliver here. The end is Slack's to make: to
// what meets our Close frame on its way no ack can be written. Only where Slack does
// not make it, the drain is over drainTime after the successor is there and Slack said
// that it ends this one, or should have ended it; and not while it is the only one that
// presses come by.
func (c *conn) drain(ctx context.Context) {
	if c.isDead() {
		return
	}
	c.s.cfg.Report(Status{State: Leaving, Err: c.reason()})
	for _, first := range []<-chan struct{}{c.retired, c.ending} {
		select {
		case <-first:
		case <-c.closed:
			return
		case <-ctx.Done():
			return
		}
	}
	for alone := true; alone; alone = !c.s.live(c) {
		select {
		case <-time.After(drainTime):
		case <-c.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// age asks for a successor before the life time is over that the hello told, and lets
// the drain come to an end after it.
func (c *conn) age() {
	select {
	case <-c.greeted:
	case <-c.closed:
		return
	}
	if c.lifetime < shortestLife {
		return
	}
	tenth := c.lifetime / 10
	early := 8*tenth + rand.N(tenth)
	if !wait(early, c.closed) {
		return
	}
	c.leave(planned(fmt.Sprintf("%v of its life time of %v are over",
		early.Round(time.Second), c.lifetime)))
	if wait(c.lifetime-early, c.closed) {
		c.expire()
	}
}

// leave records why a successor is wanted. Only the first reason counts. Without a
// hello it is die: nothing is delivered yet, and it may be one of too many.
func (c *conn) leave(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = c.dead || c.hello.IsZero()
	c.leaveLocked(why)
}

func (c *conn) leaveLocked(why error) {
	if c.ended.IsZero() {
		c.why, c.ended = why, time.Now()
		close(c.left)
	}
}

// die leaves the connection for good: there is nothing to drain.
func (c *conn) die(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	c.s.mark(c, false)
	c.leaveLocked(why)
}

// fail is die where nothing can be written any more. Slack's frames may go on coming
// in, but what they bring could not be acknowledged.
func (c *conn) fail(why error) {
	c.die(why)
	if !errors.Is(why, websocket.ErrCloseSent) {
		c.ws.Close() // ends the reader
	}
}

// greet counts the connection as good. Only the reader calls it.
func (c *conn) greet(f frame, at time.Time) {
	c.mu.Lock()
	first := !c.dead && c.hello.IsZero()
	held := 0
	if first {
		c.hello = at
		held = c.s.mark(c, true)
	}
	c.mu.Unlock()
	if first {
		c.s.cfg.Report(Status{
			State: Connected, Connections: f.Connections, Held: held, Lifetime: f.Lifetime, App: f.App,
		})
		c.lifetime = f.Lifetime
		close(c.greeted)
	}
}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

func (c *conn) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// lasted is how long the connection was good for: more than 0 once it was greeted, and 0
// if it never was, or if there was no connection (nil).
func (c *conn) lasted() time.Duration {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hello.IsZero() || c.ended.IsZero() {
		return 0
	}
	return max(time.Nanosecond, c.ended.Sub(c.hello)) // both may come in one moment
}

// ping keeps the connection from looking idle, and asks for the sign of life that the
// reader waits for.
func (c *conn) ping() {
	for wait(pingEvery, c.closed) {
		err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(ackWindow))
		if err != nil {
			c.fail(fmt.Errorf("writing a ping: %w", err))
			return
		}
	}
}

// read takes frames until there are none. Handlers run under handling.
func (c *conn) read(handling context.Context) {
	defer close(c.closed)
	c.ws.SetReadLimit(maxFrame)
	alive := func() { c.ws.SetReadDeadline(time.Now().Add(deadAfter)) }
	alive()
	pong := c.ws.PingHandler() // answers with a pong; a control frame may be written beside an ack
	c.ws.SetPingHandler(func(data string) error { alive(); return pong(data) })
	c.ws.SetPongHandler(func(string) error { alive(); return nil })
	// Slack's Close frame is answered after the acks that are due, not here.
	c.ws.SetCloseHandler(func(int, string) error { return nil })
	for {
		kind, b, err := c.ws.ReadMessage()
		if err != nil {
			c.die(fmt.Errorf("reading: %w", err))
			return
		}
		alive()
		if kind == websocket.TextMessage {
			c.take(handling, b, time.Now())
		}
	}
}

// take does what a frame asks for.
func (c *conn) take(handling context.Context, b []byte, at time.Time) {
	f, err := decode(b)
	if err != nil {
		c.s.cfg.Report(Status{State: Undecodable, Envelope: f.Envelope, Err: err})
		if f.Envelope != "" {
			// Acknowledged all the same: an event would only be sent again as it is.
			c.start(handling, f, at, func(context.Context, Envelope) (any, error) { return nil, nil })
		}
		return
	}
	switch f.Type {
	case "hello":
		c.greet(f, at)
	case "disconnect":
		why := disconnected(f.Reason)
		var permanent *PermanentError
		if errors.As(why, &permanent) {
			c.stop(permanent) // whatever else this connection was left for
		}
		c.leave(why)
		c.expire()
	default:
		c.start(handling, f, at, c.handler)
	}
}

// wait waits for done to be closed, for d at the most, and reports whether the whole
// of d went by.
func wait(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return false
	case <-timer.C:
		return true
	}
}
