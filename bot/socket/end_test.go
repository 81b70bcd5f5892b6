package socket

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// A connection on which nothing can be written is of no use, even if Slack's frames
// still come in.
func TestStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{deaf: true}, bare)
		p := r.greeted()
		began := time.Now()
		for i := range 5 {
			p.deliver(fmt.Sprint("e", i), "interactive", false)
		}
		r.connection()
		if got := time.Since(began); got > 2*ackWindow {
			t.Errorf("the next connection came after %v", got)
		}
		time.Sleep(time.Minute)
		if got := len(r.reported(AckLost)); got != 5 {
			t.Errorf("%d lost acks were reported, want 5", got)
		}
	})
}

// The same while it is only read on for want of a successor.
func TestStuckWriteWhileLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{deaf: true, open: func(n int) error {
			if n > 0 {
				return &OpenError{Code: "internal_error", Err: errors.New("internal_error")}
			}
			return nil
		}}, bare)
		p := r.greeted()
		p.disconnect("warning")
		p.deliver("e1", "interactive", false)
		time.Sleep(2 * ackWindow)
		synctest.Wait()
		if r.socket.Connected() || len(r.reported(Disconnected)) != 1 {
			t.Error("the connection was not given up")
		}
	})
}

// The end does not cut short what was being handled, takes what still comes in
// meanwhile, and sends the Close frame after the acks.
func TestEndDuringHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
			time.Sleep(2 * time.Second)
			return nil, ctx.Err()
		})
		p := r.greeted()
		p.deliver("e1", "interactive", false)
		time.Sleep(time.Second)
		r.end()
		synctest.Wait()
		p.deliver("e2", "interactive", false)
		p.acked("e1")
		p.acked("e2")
		p.closedInOrder()
		if err := r.ended(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// An envelope that comes during the grace has no longer than that.
func TestGraceBoundsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
			if e.ID == "stubborn" {
				time.Sleep(10 * time.Second)
				return nil, nil
			}
			began := time.Now()
			<-ctx.Done()
			took <- time.Since(began)
			return nil, ctx.Err()
		})
		p := r.greeted()
		p.deliver("stubborn", "interactive", false)
		synctest.Wait()
		r.end()
		time.Sleep(2 * time.Second)
		p.deliver("e2", "interactive", false)
		if got := <-took; got != time.Second {
			t.Errorf("the context lasted %v, want the last 1s of the grace", got)
		}
		if err := r.ended(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(time.Minute) // for the stubborn one
	})
}

// A handler gets the grace and no more.
func TestEndDuringLongHandler(t *testing.T) {
	for name, heeds := range map[string]bool{"one that heeds its context": true, "one that does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
					if heeds {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					time.Sleep(time.Minute)
					return nil, nil
				})
				p := r.greeted()
				p.deliver("e1", "interactive", false)
				synctest.Wait()
				began := time.Now()
				r.end()
				p.closedInOrder()
				if err := r.ended(); err != nil {
					t.Errorf("Serve: %v", err)
				}
				if got := time.Since(began); got < ackWindow || got > ackWindow+2*closeWait {
					t.Errorf("the end took %v, want the 3 s of grace and a moment", got)
				}
				p.quiet()
				time.Sleep(2 * time.Minute) // for the one that does not
			})
		})
	}
}

// Slack does not end the TCP connection, and may not even answer the Close frame.
func TestEndWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{deaf: true}, bare)
		r.greeted()
		synctest.Wait()
		began := time.Now()
		r.end()
		synctest.Wait()
		if r.socket.Connected() {
			t.Error("connected, though it is being closed")
		}
		if err := r.ended(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		if got := time.Since(began); got > 2*closeWait {
			t.Errorf("the end took %v, want a moment", got)
		}
	})
}

// Slack may close a connection while its last envelopes are handled. It can still read
// then, so they are acknowledged before the Close frame is answered.
func TestSlackClosesDuringHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(context.Context, Envelope) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		})
		p := r.greeted()
		p.deliver("e1", "interactive", false)
		words := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
		if err := p.ws.WriteControl(websocket.CloseMessage, words, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r.socket.Connected() {
			t.Error("connected, though Slack closed the connection")
		}
		p.acked("e1")
		p.closedInOrder()
	})
}

// An envelope that waits for its turn, because others fill the house, keeps its
// connection open as one that is being handled does.
func TestCloseWhileAnEnvelopeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(_ context.Context, e Envelope) (any, error) {
			if e.Type == "slow" {
				time.Sleep(2 * time.Second)
			}
			return nil, nil
		})
		old := r.greeted()
		old.disconnect("warning")
		next := r.greeted()
		time.Sleep(drainTime - time.Second)
		for i := range maxHandled {
			next.deliver(fmt.Sprint("s", i), "slow", false)
		}
		synctest.Wait()
		old.works("e1")
		old.closedInOrder()
	})
}

// What comes in behind our Close frame cannot be acknowledged any more, so it is not
// handled either.
func TestDeliveryBehindTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{deaf: true}, func(_ context.Context, e Envelope) (any, error) {
			t.Errorf("the handler got %v", e)
			return nil, nil
		})
		p := r.greeted()
		synctest.Wait()
		r.end()
		synctest.Wait()
		const n = 20
		for i := range n {
			p.deliver(fmt.Sprint("e", i), "interactive", false)
		}
		if err := r.ended(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		got := r.reported(Unacknowledged)
		if len(got) != n {
			t.Errorf("%d envelopes were reported, want %d", len(got), n)
		}
		for _, s := range got {
			if !errors.Is(s.Err, errClosing) {
				t.Errorf("reported %v, want %v", s.Err, errClosing)
			}
		}
		if n := len(r.socket.handled); n != 0 {
			t.Errorf("%d envelopes are still counted as being handled", n)
		}
	})
}

func TestEndWhileConnecting(t *testing.T) {
	failing := func(int) error { return &OpenError{RetryAfter: time.Hour, Err: errors.New("no")} }
	for name, set := range map[string]setup{
		"during the handshake":     {raw: true},
		"before the hello":         {},
		"waiting to ask once more": {open: failing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, set, bare)
				synctest.Wait()
				began := time.Now()
				r.end()
				if err := r.ended(); err != nil {
					t.Errorf("Serve: %v", err)
				}
				if got := time.Since(began); got != 0 {
					t.Errorf("the end took %v, want none", got)
				}
			})
		})
	}
}
