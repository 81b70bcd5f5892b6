package socket

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// A connection that shows a sign of life now and then is not taken for dead, whichever
// sign it is.
func TestNoFalseAlarm(t *testing.T) {
	late := func() time.Duration { return rand.N(10 * time.Second) }
	for name, set := range map[string]setup{
		"answers":                            {},
		"answers and pings":                  {pings: 10 * time.Second},
		"answers and pings each 20 s":        {pings: 20 * time.Second},
		"answers and pings each 30 s":        {pings: 30 * time.Second},
		"only pings":                         {silent: true, pings: 10 * time.Second},
		"only pings each 24 s":               {silent: true, pings: 24 * time.Second},
		"answers late":                       {late: late},
		"answers late and pings each 30 s":   {late: late, pings: 30 * time.Second},
		"answers now at once, now 14 s late": {late: func() time.Duration { return rand.N[time.Duration](2) * 14 * time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, set, bare)
				p := r.greeted()
				time.Sleep(4 * time.Hour)
				p.works("e1")
				if n := len(r.opens()); n != 1 {
					t.Errorf("%d connections were opened, want 1", n)
				}
			})
		})
	}
}

// A connection that is open but dead is noticed within 25 s, at whatever moment it dies,
// and another is opened.
func TestDeadMan(t *testing.T) {
	for name, set := range map[string]setup{
		"answers":                          {},
		"answers and pings each 10 s":      {pings: 10 * time.Second},
		"answers and pings each 30 s":      {pings: 30 * time.Second},
		"only pings":                       {silent: true, pings: 10 * time.Second},
		"answers late and pings each 10 s": {late: func() time.Duration { return 9 * time.Second }, pings: 10 * time.Second},
	} {
		for after := time.Duration(0); after <= 32*time.Second; after += 4 * time.Second {
			t.Run(fmt.Sprint(name, " until ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := serve(t, set, bare)
					p := r.greeted()
					time.Sleep(time.Minute + after)
					synctest.Wait()
					p.stalled.Store(true)
					died := time.Now()
					next := r.greeted()
					if got := time.Since(died); got > 25*time.Second+shortest+time.Millisecond {
						t.Errorf("the next connection came after %v, want it after 25s and a moment at the latest", got)
					}
					next.works("e1")
					p.closedInOrder() // should the network still carry it
				})
			})
		}
	}
}

// Whoever answers nothing, and pings more rarely than what is dead has to be noticed,
// cannot be told from the dead (assumption: Slack is not like this; it answers).
func TestSilence(t *testing.T) {
	for name, set := range map[string]setup{
		"nothing":                         {silent: true},
		"only a ping that comes too late": {silent: true, pings: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, set, bare)
				r.greeted()
				began := time.Now()
				time.Sleep(25*time.Second - time.Millisecond)
				synctest.Wait()
				if !r.socket.Connected() {
					t.Fatalf("dead after %v", time.Since(began))
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if r.socket.Connected() {
					t.Fatalf("not dead after %v of silence", time.Since(began))
				}
				r.greeted()
			})
		})
	}
}
