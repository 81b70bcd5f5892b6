package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"keyturn/bot/panics"
)

// Envelope is one delivery of Slack's.
type Envelope struct {
	ID             string
	Type           string // slash_commands, interactive, events_api, or a newer one
	Payload        json.RawMessage
	AcceptsPayload bool      // whether the ack may bear a payload
	RetryAttempt   int       // 1 to 3 when Slack delivers an event again, otherwise 0
	RetryReason    string    // set with RetryAttempt
	Received       time.Time // when its last byte was read
}

// Handler returns what to acknowledge an envelope with: a payload, or nil for a bare
// ack. A payload is sent only where the envelope accepts one. With an error the
// envelope is not acknowledged, and Slack shows the person that nothing came of it;
// a panic counts as an error. Of what Config.AckFirst names, the ack went before.
//
// Each envelope is handled in a goroutine of its own, 256 at once at the most. Beyond
// that reading waits, at most until the ack of the waiting envelope would come too
// late, and then that one is not acknowledged.
//
// ctx ends 3 s after the envelope was read, when an ack would come too late, or with
// the grace that Serve gives when it is stopped; not at the stop itself. A handler has
// to return then: Serve does not wait for one that goes on.
type Handler func(ctx context.Context, e Envelope) (payload any, err error)

// start gives an envelope to h, and acknowledges it with what that says, or before.
func (c *conn) start(handling context.Context, f frame, at time.Time, h Handler) {
	err := c.begin(handling, at)
	if err != nil {
		c.s.cfg.Report(Status{State: Unacknowledged, Envelope: f.Envelope, Err: err})
		return
	}
	first := c.s.cfg.AckFirst(f.Type)
	if first {
		c.ack(f.Envelope, nil) // here: in a goroutine it would wait for that to run
	}
	ctx, cancel := context.WithDeadline(handling, at.Add(ackWindow))
	go func() {
		defer c.end()
		defer func() { <-c.s.handled }()
		defer cancel()
		payload, err := call(ctx, h, f.envelope(at))
		switch {
		case err != nil && first:
			c.s.cfg.Report(Status{State: Failed, Envelope: f.Envelope, Err: err})
		case err != nil:
			c.s.cfg.Report(Status{State: Unacknowledged, Envelope: f.Envelope, Err: err})
		case first:
		case f.Accepts:
			c.ack(f.Envelope, payload)
		default:
			c.ack(f.Envelope, nil)
		}
	}()
}

// begin counts one more envelope in, and waits for its turn, until ctx ends or an ack
// of what was read at would come too late.
func (c *conn) begin(ctx context.Context, at time.Time) error {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return errClosing
	}
	c.running++
	c.mu.Unlock()
	select {
	case c.s.handled <- struct{}{}:
		return nil
	default: // a timer takes its time, and is seldom needed
	}
	ctx, cancel := context.WithDeadline(ctx, at.Add(ackWindow))
	defer cancel()
	select {
	case c.s.handled <- struct{}{}:
		return nil
	case <-ctx.Done():
		c.end()
		if errors.Is(ctx.Err(), context.Canceled) {
			return errClosing
		}
		return errFull
	}
}

// end counts an envelope out.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 && c.settled != nil {
		c.shut = true
		close(c.settled)
		c.settled = nil
	}
}

// settle waits until nothing is being handled, for d at the most. From then on no
// further envelope is: until then one that still comes in has its chance.
func (c *conn) settle(d time.Duration) {
	c.mu.Lock()
	if c.running == 0 {
		c.shut = true
		c.mu.Unlock()
		return
	}
	settled := make(chan struct{})
	c.settled = settled
	c.mu.Unlock()
	wait(d, settled)
	c.mu.Lock()
	c.shut, c.settled = true, nil
	c.mu.Unlock()
}

// call asks the handler. A panic in it is an error, so that one odd envelope does not
// stop the presses of everybody else.
func call(ctx context.Context, h Handler, e Envelope) (payload any, err error) {
	err = panics.Caught(func() (err error) { payload, err = h(ctx, e); return err })
	return payload, err
}

// ack writes an ack on this connection. If that is gone, so is the ack: Slack takes
// it from no other.
func (c *conn) ack(envelope string, payload any) {
	b, err := encode(envelope, payload)
	if err != nil {
		c.s.cfg.Report(Status{State: AckCut, Envelope: envelope, Err: err})
	}
	c.writing <- struct{}{}
	c.ws.SetWriteDeadline(time.Now().Add(ackWindow))
	err = c.ws.WriteMessage(websocket.TextMessage, b)
	<-c.writing
	switch {
	case err != nil:
		err = fmt.Errorf("writing an ack: %w", err)
		c.fail(err)
	case c.isDead():
		err = c.reason() // written, but hardly to anybody
	default:
		return
	}
	c.s.cfg.Report(Status{State: AckLost, Envelope: envelope, Err: err})
}
