package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

func TestAck(t *testing.T) {
	answer := map[string]string{"text": "<@U1> & co"}
	for name, tt := range map[string]struct {
		accepts bool
		payload any
		want    string
	}{
		"bare":                    {true, nil, ``},
		"with a payload":          {true, answer, `{"text":"<@U1> & co"}`},
		"a payload not asked for": {false, answer, ``},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := make(chan Envelope, 1)
				r := serve(t, setup{}, func(_ context.Context, e Envelope) (any, error) {
					got <- e
					return tt.payload, nil
				})
				p := r.greeted()
				p.send(fmt.Sprintf(`{"envelope_id":"e1","type":"events_api","payload":{"n":1},`+
					`"accepts_response_payload":%v,"retry_attempt":2,"retry_reason":"timeout"}`, tt.accepts))
				if payload := p.acked("e1"); string(payload) != tt.want {
					t.Errorf("the ack's payload is %s, want %s", payload, tt.want)
				}
				want := Envelope{
					ID: "e1", Type: "events_api", Payload: json.RawMessage(`{"n":1}`), AcceptsPayload: tt.accepts,
					RetryAttempt: 2, RetryReason: "timeout", Received: time.Now(),
				}
				if diff := cmp.Diff(want, <-got); diff != "" {
					t.Errorf("the envelope (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAckFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := serve(t, setup{first: "slash_commands"}, func(context.Context, Envelope) (any, error) {
			<-release
			return "words", nil
		})
		p := r.greeted()
		p.deliver("e1", "slash_commands", true)
		if payload := p.acked("e1"); payload != nil { // and its handler has not returned
			t.Errorf("the ack has the payload %s", payload)
		}
		p.deliver("e2", "interactive", false)
		synctest.Wait()
		p.quiet()
		close(release)
		p.acked("e2")
		synctest.Wait()
		p.quiet()
	})
}

// What is acknowledged first and then fails is reported: nobody else hears of it.
func TestAckFirstAndFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{first: "slash_commands"}, func(context.Context, Envelope) (any, error) { panic(errRefused.Error()) })
		p := r.greeted()
		p.deliver("e1", "slash_commands", true)
		p.acked("e1")
		synctest.Wait()
		p.quiet()
		got := r.reported(Failed)
		if len(got) != 1 || got[0].Envelope != "e1" || !strings.Contains(got[0].Err.Error(), errRefused.Error()) {
			t.Errorf("reported %v, want e1 with %q", got, errRefused)
		}
		if got := r.reported(Unacknowledged); len(got) != 0 {
			t.Errorf("reported as not acknowledged: %v", got)
		}
	})
}

// What there is no room for is not acknowledged, since it will not be handled.
func TestAckFirstWhereThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = ackWindow + time.Second
		r := serve(t, setup{first: "slash_commands"}, func(context.Context, Envelope) (any, error) {
			time.Sleep(takes)
			return nil, nil
		})
		p := r.greeted()
		for i := range maxHandled {
			p.deliver(fmt.Sprint("e", i), "interactive", false)
		}
		p.deliver("late", "slash_commands", true)
		time.Sleep(2 * takes)
		synctest.Wait()
		if got := len(p.texts); got != maxHandled {
			t.Errorf("%d envelopes were acknowledged, want %d", got, maxHandled)
		}
		if got := r.reported(Unacknowledged); len(got) != 1 || got[0].Envelope != "late" || !errors.Is(got[0].Err, errFull) {
			t.Errorf("reported %v, want late with %q", got, errFull)
		}
	})
}

// A handler that takes its time delays nobody else.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
			if e.ID == "slow" {
				time.Sleep(2 * time.Second)
			}
			return nil, nil
		})
		p := r.greeted()
		began := time.Now()
		p.deliver("slow", "interactive", false)
		p.deliver("quick", "interactive", false)
		p.acked("quick")
		if got := time.Since(began); got != 0 {
			t.Errorf("the quick one was acknowledged after %v", got)
		}
		p.acked("slow")
	})
}

func TestHandlersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		p := r.greeted()
		began := time.Now()
		p.deliver("e1", "interactive", false)
		time.Sleep(ackWindow)
		synctest.Wait()
		lost := r.reported(Unacknowledged)
		if len(lost) != 1 || !errors.Is(lost[0].Err, context.DeadlineExceeded) {
			t.Errorf("%v later reported %v, want one envelope that took too long", time.Since(began), lost)
		}
		p.quiet()
	})
}

func TestUnacknowledged(t *testing.T) {
	for name, h := range map[string]Handler{
		"an error": func(_ context.Context, e Envelope) (any, error) { return "words", errRefused },
		"a panic":  func(_ context.Context, e Envelope) (any, error) { panic(errRefused.Error()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, func(ctx context.Context, e Envelope) (any, error) {
					if e.ID == "e1" {
						return h(ctx, e)
					}
					return nil, nil
				})
				p := r.greeted()
				p.deliver("e1", "slash_commands", true)
				synctest.Wait()
				p.quiet()
				got := r.reported(Unacknowledged)
				if len(got) != 1 || got[0].Envelope != "e1" || !strings.Contains(got[0].Err.Error(), errRefused.Error()) {
					t.Errorf("reported %v, want e1 with %q", got, errRefused)
				}
				p.deliver("e2", "slash_commands", true)
				p.acked("e2")
			})
		})
	}
}

// Beyond maxHandled the reader waits, and goes on when there is room again.
func TestFull(t *testing.T) {
	for name, tt := range map[string]struct {
		takes    time.Duration
		refused  int
		answered int
	}{
		"room in time":    {takes: time.Second, answered: maxHandled + 1},
		"room comes late": {takes: ackWindow + time.Second, answered: maxHandled, refused: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, func(context.Context, Envelope) (any, error) {
					time.Sleep(tt.takes)
					return nil, nil
				})
				p := r.greeted()
				for i := range maxHandled + 1 {
					p.deliver(fmt.Sprint("e", i), "interactive", false)
				}
				time.Sleep(2 * tt.takes)
				synctest.Wait()
				if got := len(p.texts); got != tt.answered {
					t.Errorf("%d envelopes were acknowledged, want %d", got, tt.answered)
				}
				lost := r.reported(Unacknowledged)
				if len(lost) != tt.refused {
					t.Fatalf("%d envelopes were refused, want %d", len(lost), tt.refused)
				}
				for _, s := range lost {
					if !errors.Is(s.Err, errFull) {
						t.Errorf("refused with %v, want %v", s.Err, errFull)
					}
				}
				if !r.socket.Connected() || len(r.opens()) != 1 {
					t.Error("the connection was given up")
				}
			})
		})
	}
}

// written keeps each write of the client's end.
type written struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.writes = append(w.writes, append([]byte(nil), b...))
	w.mu.Unlock()
	return w.Conn.Write(b)
}

func TestAckSizes(t *testing.T) {
	const around = len(`{"envelope_id":"e1","payload":""}`)
	for name, tt := range map[string]struct {
		words int
		cut   bool
	}{
		"the largest":  {words: maxAck - around},
		"one too many": {words: maxAck - around + 1, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tap *written
				r := serve(t, setup{dial: func(c net.Conn) net.Conn { tap = &written{Conn: c}; return tap }},
					func(context.Context, Envelope) (any, error) { return strings.Repeat("<", tt.words), nil })
				p := r.greeted()
				p.deliver("e1", "slash_commands", true)
				payload := p.acked("e1")
				if cut := len(payload) == 0; cut != tt.cut {
					t.Errorf("the payload was cut: %v, want %v", cut, tt.cut)
				}
				if got := len(r.reported(AckCut)); (got == 1) != tt.cut || got > 1 {
					t.Errorf("%d cuts were reported", got)
				}
				// A frame that is whole begins with 0x81; a part of one with 0x01 or 0x80.
				tap.mu.Lock()
				defer tap.mu.Unlock()
				last := tap.writes[len(tap.writes)-1]
				if last[0] != 0x81 || !tt.cut && len(last) < maxAck {
					t.Errorf("the last write begins with %#x and has %d bytes, want the ack in one frame", last[0], len(last))
				}
			})
		})
	}
}

func TestUnwritablePayload(t *testing.T) {
	for name, payload := range map[string]any{"a channel": make(chan int), "a panic": panicking{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, func(context.Context, Envelope) (any, error) { return payload, nil })
				p := r.greeted()
				p.deliver("e1", "slash_commands", true)
				if got := p.acked("e1"); len(got) != 0 {
					t.Errorf("the payload is %s", got)
				}
				synctest.Wait()
				if got := len(r.reported(AckCut)); got != 1 {
					t.Errorf("%d cuts were reported, want 1", got)
				}
			})
		})
	}
}

type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("no JSON of me") }

// A frame that cannot be decoded is acknowledged where it can be told what, without
// the handler, and nothing of it stops the connection.
func TestUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(_ context.Context, e Envelope) (any, error) {
			if e.ID != "good" {
				t.Errorf("the handler got %v", e)
			}
			return nil, nil
		})
		p := r.greeted()
		p.send(`{"envelope_id":"cut","type":"interactive","payload":{"act`)
		p.acked("cut")
		p.send(`{"envelope_id":"mistyped","type":7,"payload":{}}`)
		p.acked("mistyped")
		p.send(`{"type":"brand_new"}`)
		p.send(`not JSON`)
		p.send(`[]`)
		p.send(``)
		if err := p.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"envelope_id":"binary","type":"interactive"}`)); err != nil {
			t.Fatal(err)
		}
		p.deliver("good", "interactive", false)
		p.acked("good")
		p.quiet()
		var ids []string
		for _, s := range r.reported(Undecodable) {
			ids = append(ids, s.Envelope)
		}
		if diff := cmp.Diff([]string{"cut", "mistyped", "", "", "", ""}, ids); diff != "" {
			t.Errorf("reported as undecodable (-want +got):\n%s", diff)
		}
		if len(r.opens()) != 1 {
			t.Error("the connection was given up")
		}
	})
}

// An ack whose connection is gone goes nowhere, above all not to another connection.
func TestAckOfAConnectionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, func(context.Context, Envelope) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		})
		old := r.greeted()
		old.deliver("e1", "interactive", false)
		old.ws.Close()
		next := r.greeted()
		time.Sleep(time.Minute)
		next.quiet()
		if got := r.reported(AckLost); len(got) != 1 || got[0].Envelope != "e1" || got[0].Err == nil {
			t.Errorf("reported %v, want that the ack of e1 was lost, and why", got)
		}
	})
}

// The same where the network still takes what is written.
func TestAckOfAConnectionThatIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := make(chan net.Conn, 2)
		r := serve(t, setup{dial: func(c net.Conn) net.Conn { clients <- c; return c }},
			func(context.Context, Envelope) (any, error) {
				time.Sleep(time.Second)
				return nil, nil
			})
		old := r.greeted()
		old.deliver("e1", "interactive", false)
		synctest.Wait()
		(<-clients).SetReadDeadline(time.Now()) // it reads no more
		next := r.greeted()
		if got := len(r.reported(AckLost)); got != 0 {
			t.Fatalf("%d lost acks were reported while the handler ran", got)
		}
		old.closedInOrder()
		next.quiet()
		if got := r.reported(AckLost); len(got) != 1 || got[0].Envelope != "e1" {
			t.Errorf("reported %v, want that the ack of e1 may be lost", got)
		}
	})
}

// A press on a big modal is read; what is bigger than anything of Slack's is not.
func TestFrameSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		p := r.greeted()
		p.send(`{"envelope_id":"big","type":"interactive","payload":"` + strings.Repeat("x", 1<<20) + `"}`)
		p.acked("big")
		p.send(`{"envelope_id":"huge","type":"interactive","payload":"` + strings.Repeat("x", maxFrame) + `"}`)
		r.greeted()
		p.quiet()
		if got := r.reported(Disconnected); len(got) != 1 || !errors.Is(got[0].Err, websocket.ErrReadLimit) {
			t.Errorf("reported %v, want a frame over the limit", got)
		}
	})
}
