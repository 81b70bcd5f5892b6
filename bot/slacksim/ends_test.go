package slacksim_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"keyturn/bot/slacksim"
)

// slash types a command that must be acknowledged.
func (a *app) slash() {
	a.t.Helper()
	if out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); err != nil || !out.Acked {
		a.t.Fatalf("%+v, %v", out, err)
	}
}

func TestLifetime(t *testing.T) {
	for life, told := range map[time.Duration]float64{0: 18_060, time.Minute: 60} {
		t.Run(life.String(), func(t *testing.T) {
			inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
				if life != 0 {
					a.w.SetLifetime(life)
				}
				s := a.dial()
				defer s.ws.Close()
				s.ws.SetPingHandler(func(string) error { return nil })
				began := time.Now()
				if got := s.hello.Debug["approximate_connection_time"]; got != told {
					t.Errorf("told to live %v s, want %v", got, told)
				}
				life := time.Duration(told) * time.Second
				for _, want := range []struct {
					reason string
					at     time.Duration
				}{{"warning", life - 10*time.Second}, {"refresh_requested", life}} {
					f, err := s.read()
					if err != nil || f.Type != "disconnect" || f.Reason != want.reason || time.Since(began) != want.at {
						t.Errorf("after %v: %+v, %v, want %s after %v", time.Since(began), f, err, want.reason, want.at)
					}
				}
				if _, err := s.read(); err == nil || time.Since(began) != life {
					t.Errorf("ended after %v with %v", time.Since(began), err)
				}
			})
		})
	}
}

// Sockets that were told to leave get envelopes until they are cut, in turn with others.
func TestEnvelopesWhileASocketLeaves(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		old := a.dial()
		go old.acknowledge(t)
		a.w.DisconnectWithin("refresh_requested", 2*time.Second)
		a.slash()
		next := a.dial()
		defer next.ws.Close()
		go next.acknowledge(t)
		for range 4 {
			a.slash()
		}
		time.Sleep(1999 * time.Millisecond)
		a.slash()
		a.slash()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		a.slash() // after the cut
		type at struct {
			Socket          int
			Newest, Leaving bool
		}
		want := map[at]int{
			{1, true, true}: 1, {1, false, true}: 3, {2, true, false}: 4,
		}
		got := map[at]int{}
		for _, ack := range a.w.Acks() {
			got[at{ack.Socket, ack.Newest, ack.Leaving}]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGhosts(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.SetGhosts(8)
		one, two := a.dial(), a.dial()
		defer one.ws.Close()
		defer two.ws.Close()
		if one.hello.NumConnections != 9 || two.hello.NumConnections != 10 || a.w.Sockets() != 2 {
			t.Errorf("told %d and %d of %d sockets", one.hello.NumConnections, two.hello.NumConnections, a.w.Sockets())
		}
		three := a.dial()
		defer three.ws.Close()
		if three.hello.Reason != "too_many_websockets" {
			t.Errorf("beside 8 ghosts and 2 sockets: %+v", three.hello)
		}
	})
}

func TestLongestGap(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		want := func(d time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := a.w.LongestGap(); got != d {
				t.Errorf("the longest gap is %v, want %v", got, d)
			}
		}
		time.Sleep(time.Minute)
		want(0) // not yet connected
		one := a.dial()
		two := a.dial()
		one.ws.Close()
		time.Sleep(time.Minute)
		want(0)
		a.w.Drop()
		defer two.ws.Close()
		time.Sleep(3 * time.Second)
		want(3 * time.Second)
		three := a.dial()
		time.Sleep(time.Minute)
		want(3 * time.Second)
		three.ws.Close()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		want(3 * time.Second)
		time.Sleep(2 * time.Second)
		want(4 * time.Second)
	})
}

func TestStall(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		signs := 0
		s.ws.SetPingHandler(func(string) error { signs++; return nil })
		s.ws.SetPongHandler(func(string) error { signs++; return nil })
		a.w.Stall()
		go s.acknowledge(t)
		s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		out, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys")
		if err != nil || out.Acked || out.Warning != "operation_timeout" {
			t.Errorf("a command on it: %+v, %v", out, err)
		}
		words := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		s.ws.WriteControl(websocket.CloseMessage, words, time.Now().Add(time.Second))
		time.Sleep(time.Minute)
		if signs != 0 || len(s.envelopes) != 0 || a.w.Sockets() != 1 {
			t.Errorf("%d signs of life, %d envelopes, %d sockets", signs, len(s.envelopes), a.w.Sockets())
		}
		next := a.dial()
		defer next.ws.Close()
		go next.acknowledge(t)
		s.ws.Close()
		synctest.Wait()
		a.slash()
		a.slash()
		want := []slacksim.End{{Socket: 1, At: time.Now()}}
		if diff := cmp.Diff(want, a.w.Ends()); diff != "" {
			t.Error(diff)
		}
		next.ws.Close()
		synctest.Wait()
		if _, err := a.w.Slash("UANN", "C0ROOM", "/signing-keys"); !errors.Is(err, slacksim.ErrNotConnected) {
			t.Errorf("with none left: %v", err)
		}
	})
}
