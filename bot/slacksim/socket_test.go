package slacksim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"keyturn/bot/slacksim"
)

// socket is a socket of the app's, by hand.
type socket struct {
	ws        *websocket.Conn
	url       string
	hello     frame
	envelopes chan frame // what acknowledge read
	answer    string     // what acknowledge sends as payload; "": a bare ack
}

type frame struct {
	Type           string          `json:"type"`
	Reason         string          `json:"reason"`
	NumConnections int             `json:"num_connections"`
	Envelope       string          `json:"envelope_id"`
	Accepts        bool            `json:"accepts_response_payload"`
	Payload        map[string]any  `json:"payload"`
	Debug          map[string]any  `json:"debug_info"`
	Connection     map[string]any  `json:"connection_info"`
	Raw            json.RawMessage `json:"-"`
}

func (a *app) dial() *socket {
	a.t.Helper()
	return a.dialBy(a.w.Dial)
}

// dialBy opens a socket and reads its first frame.
func (a *app) dialBy(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *socket {
	a.t.Helper()
	_, url, err := a.api.StartSocketModeContext(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	dialer := websocket.Dialer{NetDialContext: dial, WriteBufferSize: 64 << 10}
	ws, _, err := dialer.Dial(url, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	s := &socket{ws: ws, url: url, envelopes: make(chan frame, 100)}
	if err := ws.ReadJSON(&s.hello); err != nil {
		a.t.Fatal(err)
	}
	return s
}

// acknowledge reads envelopes until the socket ends, and acknowledges each.
func (s *socket) acknowledge(t *testing.T) {
	for {
		f, err := s.read()
		if err != nil {
			return
		}
		s.envelopes <- f
		if f.Envelope != "" {
			s.ack(t, f.Envelope, s.answer)
		}
	}
}

func (s *socket) read() (frame, error) {
	var f frame
	_, b, err := s.ws.ReadMessage()
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	f.Raw = b
	return f, err
}

func (s *socket) ack(t *testing.T, envelope, payload string) {
	t.Helper()
	body := map[string]any{"envelope_id": envelope}
	if payload != "" {
		body["payload"] = json.RawMessage(payload)
	}
	if err := s.ws.WriteJSON(body); err != nil {
		t.Errorf("acknowledging: %v", err)
	}
}

// next returns the next envelope that acknowledge read.
func (s *socket) next(t *testing.T) frame {
	t.Helper()
	select {
	case f := <-s.envelopes:
		return f
	case <-time.After(5 * time.Second):
		t.Fatal("no envelope came")
		return frame{}
	}
}

func TestHello(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		want := frame{
			Type: "hello", NumConnections: 1, Connection: map[string]any{"app_id": slacksim.AppID},
			Debug: map[string]any{"host": "applink-1", "build_number": 1.0, "approximate_connection_time": 18060.0},
		}
		if diff := cmp.Diff(want, s.hello); diff != "" {
			t.Error(diff)
		}
		dialer := websocket.Dialer{NetDialContext: a.w.Dial}
		if _, _, err := dialer.Dial(s.url, nil); err == nil {
			t.Error("the address was good twice")
		}
		if n := a.w.Sockets(); n != 1 {
			t.Errorf("%d sockets", n)
		}
	})
}

func TestTooManySockets(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		for i := range 10 {
			s := a.dial()
			defer s.ws.Close()
			if s.hello.Type != "hello" || s.hello.NumConnections != i+1 {
				t.Errorf("socket %d: %+v", i+1, s.hello)
			}
		}
		s := a.dial()
		defer s.ws.Close()
		if s.hello.Type != "disconnect" || s.hello.Reason != "too_many_websockets" {
			t.Errorf("the eleventh: %+v", s.hello)
		}
		if _, err := s.read(); err == nil {
			t.Error("the eleventh stays")
		}
		if n := a.w.Sockets(); n != 10 {
			t.Errorf("%d sockets", n)
		}
	})
}

func TestPings(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		began := time.Now()
		pongs := 0
		var pings []string
		s.ws.SetPingHandler(func(words string) error {
			pings = append(pings, time.Since(began).String()+" "+words)
			return nil
		})
		s.ws.SetPongHandler(func(string) error { pongs++; return nil })
		go s.acknowledge(t)
		s.ws.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Second))
		time.Sleep(25 * time.Second)
		synctest.Wait()
		want := []string{"10s Ping from applink-1", "20s Ping from applink-1"}
		if diff := cmp.Diff(want, pings); diff != "" || pongs != 1 {
			t.Errorf("%d pongs, pings:\n%s", pongs, diff)
		}
	})
}

func TestEnds(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		closing := func(s *socket) error {
			words := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			return s.ws.WriteControl(websocket.CloseMessage, words, time.Now().Add(time.Second))
		}
		polite, rude, cut, ended := a.dial(), a.dial(), a.dial(), a.dial()
		if err := closing(polite); err != nil {
			t.Fatal(err)
		}
		if _, err := polite.read(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("the Close frame was answered with %v", err)
		}
		synctest.Wait()
		// Slack does not close TCP: that is for the app.
		polite.ws.NetConn().SetReadDeadline(time.Now().Add(2 * time.Second))
		var timeout net.Error
		if _, err := polite.ws.NetConn().Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("after the Close frames: %v, want it to stay open", err)
		}
		polite.ws.Close()
		rude.ws.Close()
		synctest.Wait()
		if n := a.w.Sockets(); n != 2 {
			t.Errorf("%d sockets, want 2", n)
		}
		if err := closing(ended); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.w.Drop()
		if _, err := cut.read(); err == nil || websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("the cut socket: %v", err)
		}
		synctest.Wait()
		var clean []bool
		for _, e := range a.w.Ends() {
			clean = append(clean, e.Clean)
		}
		if diff := cmp.Diff([]bool{true, false, true, false}, clean); diff != "" {
			t.Error(diff)
		}
		for _, s := range []*socket{cut, ended} {
			s.ws.Close()
		}
	})
}

func TestDisconnect(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		began := time.Now()
		a.w.Disconnect("warning")
		if f, err := s.read(); err != nil || f.Type != "disconnect" || f.Reason != "warning" {
			t.Errorf("%+v, %v", f, err)
		}
		if _, err := s.read(); err == nil || time.Since(began) != 10*time.Second {
			t.Errorf("ended after %v with %v", time.Since(began), err)
		}
		synctest.Wait()
		if n := a.w.Sockets(); n != 0 {
			t.Errorf("%d sockets", n)
		}
	})
}

func TestEnvelopesAreSpread(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		one, two := a.dial(), a.dial()
		defer one.ws.Close()
		defer two.ws.Close()
		go one.acknowledge(t)
		go two.acknowledge(t)
		for range 4 {
			if out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); err != nil || !out.Acked {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		if len(one.envelopes) != 2 || len(two.envelopes) != 2 {
			t.Errorf("%d and %d envelopes", len(one.envelopes), len(two.envelopes))
		}
		if f := one.next(t); f.Type != "slash_commands" || !f.Accepts || bytes.Contains(f.Raw, []byte("retry")) {
			t.Errorf("envelope: %s", f.Raw)
		}
		for _, ack := range a.w.Acks() {
			if !ack.Counts() {
				t.Errorf("%+v does not count", ack)
			}
		}
	})
}

// TestAcks has one socket that gets the envelope, and another.
func TestAcks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(t *testing.T, got, other *socket, envelope string)
		counts bool
		came   bool // the ack was read
	}{
		{"a bare ack", func(t *testing.T, got, _ *socket, id string) { got.ack(t, id, "") }, true, true},
		{"after 2.9 s", func(t *testing.T, got, _ *socket, id string) {
			time.Sleep(2900 * time.Millisecond)
			got.ack(t, id, "{}")
		}, true, true},
		{"after 3.1 s", func(t *testing.T, got, _ *socket, id string) {
			time.Sleep(3100 * time.Millisecond)
			got.ack(t, id, "{}")
		}, false, true},
		{"on the other socket", func(t *testing.T, _, other *socket, id string) { other.ack(t, id, "") }, false, true},
		{"on both", func(t *testing.T, got, other *socket, id string) {
			other.ack(t, id, "")
			synctest.Wait()
			got.ack(t, id, "")
		}, true, true},
		{"of another envelope", func(t *testing.T, got, _ *socket, _ string) { got.ack(t, "another", "") }, false, false},
		{"no JSON", func(_ *testing.T, got, _ *socket, id string) {
			got.ws.WriteMessage(websocket.TextMessage, []byte(id))
		}, false, false},
		{"of 20,479 bytes", func(_ *testing.T, got, _ *socket, id string) {
			got.ws.WriteMessage(websocket.TextMessage, ackOf(id, 20_479))
		}, true, true},
		{"of 20,480 bytes", func(_ *testing.T, got, _ *socket, id string) {
			got.ws.WriteMessage(websocket.TextMessage, ackOf(id, 20_480))
		}, false, false},
		{"none", func(*testing.T, *socket, *socket, string) {}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
				one, two := a.dial(), a.dial()
				defer one.ws.Close()
				defer two.ws.Close()
				for _, pair := range [][2]*socket{{one, two}, {two, one}} {
					go func() {
						if f, err := pair[0].read(); err == nil {
							tc.answer(t, pair[0], pair[1], f.Envelope)
						}
					}()
				}
				began := time.Now()
				out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys")
				if err != nil || out.Acked != tc.counts || (out.Warning == "operation_timeout") == tc.counts {
					t.Errorf("%+v, %v", out, err)
				}
				if took := time.Since(began); !tc.counts && took != 3*time.Second {
					t.Errorf("waited %v", took)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				acks := a.w.Acks()
				if len(acks) != 1 || acks[0].Envelope != out.Envelope || acks[0].Counts() != tc.counts || acks[0].AckedAt.IsZero() == tc.came {
					t.Errorf("acks: %+v", acks)
				}
			})
		})
	}
}

// ackOf returns an ack of so many bytes.
func ackOf(envelope string, size int) []byte {
	head, tail := `{"envelope_id":"`+envelope+`","payload":{"filler":"`, `"}}`
	return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
}

func TestNobodyThere(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys")
		if !errors.Is(err, slacksim.ErrNotConnected) || out.Warning != "dispatch_failed" {
			t.Errorf("without a socket: %+v, %v", out, err)
		}
		s := a.dial()
		go func() {
			s.read()
			s.ws.Close()
		}()
		began := time.Now()
		out, err = a.w.Slash("UANN", "C0ROOM", "/signing-keys")
		if err != nil || out.Acked || out.Warning != "operation_timeout" || time.Since(began) != 0 {
			t.Errorf("with a socket that ends: %+v, %v, after %v", out, err, time.Since(began))
		}
	})
}
