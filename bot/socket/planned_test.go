package socket

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// plays lets play be Slack on each connection that comes in, until the test ends.
func (r *rig) plays(play func(n int, p *peer)) {
	go func() {
		for n := 0; ; n++ {
			select {
			case p := <-r.peers:
				go play(n, p)
			case <-r.t.Context().Done():
				return
			}
		}
	}()
}

// waits waits for d, or ends what is played at the end of the test.
func (p *peer) waits(d time.Duration) {
	if !wait(d, p.t.Context().Done()) {
		runtime.Goexit() // nothing more is to be played
	}
}

// longestGap watches for d, and returns the longest time without a connection that
// presses can come by, in steps of 10 ms.
func (r *rig) longestGap(d time.Duration) (longest time.Duration) {
	gap := time.Duration(0)
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if gap += 10 * time.Millisecond; r.socket.Connected() {
			gap = 0
		}
		longest = max(longest, gap)
	}
	return longest
}

// Connections that Slack ends early, one after the other, leave nobody without one, and
// no more of them are opened than Slack allows.
func TestPlannedEndsInSeries(t *testing.T) {
	const latency = 150 * time.Millisecond // from the connection to its hello
	const short = 1500 * time.Millisecond
	for name, tt := range map[string]struct {
		reason      string
		life, grace time.Duration
		gap         time.Duration // that no pace of ours can do anything about
	}{
		"warning after a while":    {"warning", short, short, 0},
		"warning at once":          {"warning", 0, short, 0},
		"refresh_requested":        {"refresh_requested", short, short, 0},
		"a word that is not known": {"some_day", 0, short, 0},
		"the usual grace":          {"warning", time.Second, 10 * time.Second, 0},
		"hardly any grace":         {"warning", 2 * time.Second, 300 * time.Millisecond, 0},
		"hardly any life":          {"warning", 0, 100 * time.Millisecond, plannedPace},
		"no grace, but a life":     {"refresh_requested", 3 * time.Second, 0, 2*shortest + latency},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				r.plays(func(_ int, p *peer) {
					p.waits(latency)
					p.send(hello)
					p.waits(tt.life)
					p.disconnect(tt.reason)
					p.waits(tt.grace)
					p.ws.Close()
				})
				time.Sleep(time.Second)
				if gap := r.longestGap(5 * time.Minute); gap > tt.gap+10*time.Millisecond {
					t.Errorf("%v without a connection, want %v at the most", gap, tt.gap)
				}
				opens := r.opens()
				if len(opens) < 60 {
					t.Fatalf("%d connections were opened, want one after the other", len(opens))
				}
				for i := range len(opens) - 50 {
					if d := opens[i+50].Sub(opens[i]); d < time.Minute {
						t.Fatalf("51 connections were asked for in %v; Slack allows 50 a minute", d)
					}
				}
			})
		})
	}
}

// Planned ends hide nothing: where they take turns with failures there is no storm, and
// after each of them the next connection is asked for soon all the same.
func TestPlannedEndsAmongOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		refused bool                 // every second opening
		other   func(n int, p *peer) // what becomes of every second connection
	}{
		"no connection is given": {refused: true},
		"dropped without a word": {other: func(_ int, p *peer) { p.send(hello); p.ws.Close() }},
		"dropped without hello":  {other: func(_ int, p *peer) { p.ws.Close() }},
		"ended instead of hello": {other: func(_ int, p *peer) { p.disconnect("warning") }},
		"too many": {other: func(_ int, p *peer) {
			p.send(hello)
			p.disconnect("too_many_websockets")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{open: func(n int) error {
					if tt.refused && n%2 == 1 {
						return errInternal
					}
					return nil
				}}, bare)
				r.plays(func(n int, p *peer) {
					if tt.other != nil && n%2 == 1 {
						tt.other(n, p)
						return
					}
					p.send(hello)
					p.disconnect("warning")
					p.waits(10 * time.Second)
					p.ws.Close()
				})
				time.Sleep(20 * time.Minute)
				// Two in some 15 s, once the back-off has grown.
				if n := len(r.opens()); n > 250 {
					t.Errorf("%d connections were asked for in 20 minutes", n)
				}
				seen := 0
				for _, s := range r.reported(Waiting) {
					var end planned
					if errors.As(s.Err, &end) && s.Wait <= plannedPace+time.Millisecond {
						seen++
					}
				}
				if seen < 20 {
					t.Errorf("%d short waits after planned ends, want one after each", seen)
				}
			})
		})
	}
}

// Where Slack says that it ends each connection and does not, ours are never so many that
// it would refuse them.
func TestPlannedEndsThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		r.plays(func(_ int, p *peer) {
			p.send(hello)
			p.disconnect("warning")
		})
		time.Sleep(time.Second)
		if gap := r.longestGap(10 * time.Minute); gap > 0 {
			t.Errorf("%v without a connection", gap)
		}
		most := 0
		for _, s := range r.reported(Connected) {
			most = max(most, s.Held)
		}
		if most != maxHeld {
			t.Errorf("%d connections were open at once, want %d", most, maxHeld)
		}
	})
}

func TestBackoffAfterPlannedEnds(t *testing.T) {
	gone, end := errors.New("gone"), fmt.Errorf("x: %w", planned("warning"))
	synctest.Test(t, func(t *testing.T) {
		b := backoff{short: 9}
		for range 100 {
			b.opened = time.Now()
			if wait := b.next(time.Nanosecond, end); wait != plannedPace {
				t.Fatalf("waits %v right after an opening, want %v", wait, plannedPace)
			}
			time.Sleep(plannedPace)
			if wait := b.next(plannedPace, end); wait > shortest+time.Millisecond {
				t.Fatalf("waits %v when the pace is kept already", wait)
			}
		}
		if b.short != 9 {
			t.Errorf("after planned ends %d connections did not last, want 9 as before", b.short)
		}
		if b.next(0, end); b.short != 10 {
			t.Error("a connection that was never greeted does not count")
		}
		if b.next(stable, end); b.short != 0 {
			t.Error("a planned end of a stable connection does not make the others forgotten")
		}
		if b.next(time.Second, gone); b.short != 1 {
			t.Error("an end that nobody announced does not count")
		}
	})
}
