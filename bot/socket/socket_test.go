package socket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

func TestConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		p := r.connection()
		synctest.Wait()
		if r.socket.Connected() {
			t.Error("connected before the hello")
		}
		p.send(hello)
		synctest.Wait()
		if !r.socket.Connected() {
			t.Error("not connected after the hello")
		}
		want := []Status{{State: Connected, Connections: 1, Held: 1, Lifetime: 18060 * time.Second, App: "A1"}}
		if diff := cmp.Diff(want, r.reported(Connected)); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		r.end()
		if err := r.ended(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		p.closedInOrder()
		if r.socket.Connected() {
			t.Error("connected after the end")
		}
	})
}

// One of too many is given up at once, unless presses come by it: then it is read until
// Slack closes it or a successor is there.
func TestTooManyWebsockets(t *testing.T) {
	for name, greet := range map[string]bool{"after the hello": true, "instead of a hello": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				p := r.connection()
				if greet {
					p.send(hello)
				}
				p.disconnect("too_many_websockets")
				if greet {
					time.Sleep(tooManyWait - time.Second)
					p.deliver("e1", "interactive", false)
					p.acked("e1")
					r.greeted()
				}
				p.closedInOrder()
				if !greet {
					r.greeted()
				}
				opens := r.opens()
				if got := opens[1].Sub(opens[0]); got < 30*time.Second {
					t.Errorf("the next connection was asked for after %v, want 30s at least", got)
				}
			})
		})
	}
}

// Too many for hours, as with ghosts that do not go: one try in half a minute.
func TestTooManyForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		for range 100 {
			r.connection().disconnect("too_many_websockets")
		}
		opens := r.opens()
		for i := range opens[1:] {
			if got := opens[i+1].Sub(opens[i]); got < 30*time.Second || got > 61*time.Second {
				t.Fatalf("asked again after %v, want 30s to 60s", got)
			}
		}
	})
}

// Slack's codes that no retry mends (facts/slack.md, section 1.1). What each is told to
// change is read by people; that it is there is tested here.
var permanentCodes = []string{
	"invalid_auth", "not_authed", "account_inactive", "token_revoked", "missing_scope",
	"not_allowed_token_type", "token_expired", "forbidden_team", "team_access_not_granted",
	"access_denied", "no_permission", "org_login_required", "two_factor_setup_required",
}

func TestPermanentErrors(t *testing.T) {
	for _, code := range permanentCodes {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{open: func(int) error {
					return fmt.Errorf("wrapped: %w", &OpenError{Code: code, Err: errors.New(code)})
				}}, bare)
				wantPermanent(t, r.ended(), code)
				if n := len(r.opens()); n != 1 {
					t.Errorf("asked %d times, want once", n)
				}
			})
		})
	}
}

func wantPermanent(t *testing.T, err error, code string) {
	t.Helper()
	var p *PermanentError
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("Serve returned %v, want a PermanentError of %s", err, code)
	}
	if text := p.Error(); !strings.Contains(text, code) || strings.HasSuffix(text, ": ") {
		t.Errorf("%q does not say %s and what to change", text, code)
	}
}

// Whatever is not known to be permanent is tried again.
func TestTransientErrors(t *testing.T) {
	for _, err := range []error{
		&OpenError{Code: "internal_error", Err: errors.New("internal_error")},
		&OpenError{Code: "fatal_error", Err: errors.New("fatal_error")},
		&OpenError{Code: "service_unavailable", Err: errors.New("service_unavailable")},
		&OpenError{Code: "ratelimited", Err: errors.New("ratelimited")},
		&OpenError{Code: "request_timeout", Err: errors.New("request_timeout")},
		&OpenError{Code: "team_added_to_org", Err: errors.New("team_added_to_org")},
		&OpenError{Code: "a_new_one", Err: errors.New("a_new_one")},
		&OpenError{Err: errors.New("no answer")},
		errors.New("a plain error"),
	} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{open: func(n int) error {
					if n < 5 {
						return err
					}
					return nil
				}}, bare)
				p := r.greeted()
				p.deliver("e1", "interactive", false)
				p.acked("e1")
				for _, s := range r.reported(Waiting) {
					if !errors.Is(s.Err, err) {
						t.Errorf("reported %v, want %v in it", s.Err, err)
					}
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{open: func(n int) error {
			if n == 0 {
				return &OpenError{Code: "ratelimited", RetryAfter: 40 * time.Second, Err: errors.New("429")}
			}
			return nil
		}}, bare)
		r.greeted()
		opens := r.opens()
		if got := opens[1].Sub(opens[0]); got < 40*time.Second || got > 41*time.Second {
			t.Errorf("asked again after %v, want 40s and a little", got)
		}
	})
}

// A server that greets and closes at once is not stormed.
func TestNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		done := time.After(20 * time.Minute)
		var waits []time.Duration
		for over := false; !over; {
			select {
			case p := <-r.peers:
				p.send(hello)
				p.ws.Close()
			case <-done:
				over = true
			}
		}
		for _, s := range r.reported(Waiting) {
			waits = append(waits, s.Wait)
		}
		// 20 waits of between 0 and 30 s, as they are from the tenth on: 300 s, and less
		// than 100 s once in 10^8 runs.
		if len(waits) < 30 {
			t.Fatalf("%d connections in 20 minutes, want more", len(waits))
		}
		var sum time.Duration
		for _, w := range waits[10:30] {
			sum += w
		}
		if sum < 100*time.Second {
			t.Errorf("waited %v before 20 connections in a row, want more: %v", sum, waits)
		}
	})
}

// A connection that was good for a while makes the next come at once.
func TestStableConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		for range 30 {
			p := r.greeted()
			time.Sleep(stable + time.Second)
			p.ws.Close()
		}
		r.connection()
		for _, s := range r.reported(Waiting) {
			if s.Wait > 2*shortest {
				t.Errorf("waited %v after a stable connection", s.Wait)
			}
		}
	})
}

func TestNoHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		p := r.connection()
		began := time.Now()
		p.closedInOrder()
		if got := time.Since(began); got != helloWithin {
			t.Errorf("given up after %v, want %v", got, helloWithin)
		}
		q := r.greeted()
		q.deliver("e1", "interactive", false)
		q.acked("e1")
	})
}

func TestDisconnectInsteadOfHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		p := r.connection()
		p.disconnect("warning")
		r.greeted()
		began := time.Now()
		p.closedInOrder()
		if got := time.Since(began); got > drainTime {
			t.Errorf("kept for %v, want %v at the most", got, drainTime)
		}
	})
}

func TestOpenHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := New(Config{Open: func(ctx context.Context) (string, error) {
			asked++
			<-ctx.Done()
			return "", ctx.Err()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), openWithin+5*time.Second)
		defer cancel()
		if err := s.Serve(ctx, bare); err != nil {
			t.Errorf("Serve: %v", err)
		}
		if asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
	})
}

// The address has a ticket in it: serve (server_test.go) fails where a report has it.
func TestDialErrors(t *testing.T) {
	for name, set := range map[string]setup{
		"an address that is none": {url: "ws://slack.example/%zz?ticket=sesame"},
		"a scheme that is none":   {url: "gopher://slack.example/?ticket=sesame"},
		"a handshake refused":     {status: 404},
		"a handshake that hangs":  {raw: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, set, bare)
				time.Sleep(dialWithin + time.Second)
				waiting := r.reported(Waiting)
				if len(waiting) == 0 || waiting[0].Err == nil {
					t.Fatalf("reported %v, want why there is no connection", waiting)
				}
				if set.status != 0 && !strings.Contains(waiting[0].Err.Error(), "404") {
					t.Errorf("reported %v, want the status in it", waiting[0].Err)
				}
			})
		})
	}
}

// Without a Dial the connection goes over the network: the one test with real sockets.
func TestNetwork(t *testing.T) {
	acked := make(chan string, 1)
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		upgrader := websocket.Upgrader{}
		ws, err := upgrader.Upgrade(w, q, nil)
		if err != nil {
			t.Errorf("upgrading: %v", err)
			return
		}
		defer ws.Close()
		ws.WriteMessage(websocket.TextMessage, []byte(hello))
		ws.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"e1","type":"interactive"}`))
		_, b, _ := ws.ReadMessage()
		acked <- string(b)
		ws.ReadMessage() // the Close frame
	}))
	defer slack.Close()
	s := New(Config{Open: func(context.Context) (string, error) {
		return strings.Replace(slack.URL, "http", "ws", 1), nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, bare) }()
	select {
	case got := <-acked:
		if want := `{"envelope_id":"e1"}`; got != want {
			t.Errorf("the ack is %s, want %s", got, want)
		}
	case <-ctx.Done():
		t.Error("no ack came")
	}
	cancel()
	if err := <-result; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
