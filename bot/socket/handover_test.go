package socket

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var errInternal = &OpenError{Code: "internal_error", Err: errors.New("internal_error")}

// What Slack delivers while one connection takes over from another is acknowledged,
// on the connection that brought it.
func TestHandOver(t *testing.T) {
	for _, reason := range []string{"warning", "refresh_requested", "some_day"} {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				old := r.greeted()
				old.disconnect(reason)
				old.works("e1")
				next := r.connection()
				old.works("e2")
				next.send(hello)
				began := time.Now()
				time.Sleep(drainTime - time.Second)
				if !r.socket.Connected() {
					t.Error("not connected during the hand-over")
				}
				next.deliver("e3", "interactive", false)
				old.deliver("e4", "interactive", false)
				next.acked("e3")
				old.acked("e4")
				old.closedInOrder()
				if got := time.Since(began); got != drainTime {
					t.Errorf("the old connection was closed %v after its successor's hello, want %v", got, drainTime)
				}
				synctest.Wait()
				if !r.socket.Connected() {
					t.Error("not connected after the hand-over")
				}
				old.quiet()
				next.quiet()
				var held []int
				for _, s := range r.reported(Connected) {
					held = append(held, s.Held)
				}
				if len(held) != 2 || held[0] != 1 || held[1] != 2 {
					t.Errorf("held at each hello: %d, want 1 and 2", held)
				}
			})
		})
	}
}

// Without a word of Slack's the successor is there before the life time is over, and
// the old connection is read until Slack has had the time to end it.
func TestHandOverByItself(t *testing.T) {
	const life = 40 * time.Minute
	seen := map[time.Duration]bool{}
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				old := r.connection()
				old.greet("2400")
				began := time.Now()
				time.Sleep(life * 8 / 10)
				synctest.Wait()
				if n := len(r.opens()); n != 1 {
					t.Fatalf("%d connections before 80%% of the life time, want 1", n)
				}
				next := r.connection()
				opened := time.Since(began)
				if opened > life*9/10+shortest+time.Millisecond {
					t.Errorf("a successor was opened after %v, want it at 90%% of the life time at the latest", opened)
				}
				seen[opened] = true
				old.works("before the successor's hello")
				next.send(hello)
				next.works("on the successor")
				time.Sleep(time.Until(began.Add(life + drainTime - time.Second)))
				old.works("late")
				old.closedInOrder()
				if got := time.Since(began); got != life+drainTime {
					t.Errorf("the old connection was closed after %v, want %v", got, life+drainTime)
				}
				next.works("on the successor alone")
			})
		})
	}
	if len(seen) < 10 {
		t.Errorf("20 connections asked for a successor after %v, want them spread", seen)
	}
}

// Once Slack says that it ends a connection which has its successor already, it has
// drainTime for that.
func TestSlackEndsWhatIsSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		old := r.connection()
		old.greet("2400")
		time.Sleep(32 * time.Minute) // 80%
		next := r.greeted()
		old.disconnect("warning")
		began := time.Now()
		time.Sleep(10 * time.Second)
		old.disconnect("refresh_requested")
		old.works("e1")
		old.closedInOrder()
		if got := time.Since(began); got != drainTime {
			t.Errorf("closed %v after the warning, want %v", got, drainTime)
		}
		next.works("e2")
		if n := len(r.opens()); n != 2 {
			t.Errorf("%d connections were opened, want 2", n)
		}
	})
}

// A life time that is none makes no storm: the connection is left when Slack says so.
func TestLifetimesThatAreNone(t *testing.T) {
	for _, told := range []string{"null", "0", "-3600", "1", "59", `"3600"`, "1e300", "[]"} {
		t.Run(told, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				p := r.connection()
				p.greet(told)
				time.Sleep(8 * time.Hour)
				p.works("e1")
				if n := len(r.opens()); n != 1 {
					t.Errorf("%d connections were opened, want 1", n)
				}
			})
		})
	}
}

// The shortest life time that is heeded makes no storm either.
func TestShortestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		done := time.After(time.Hour)
		for over := false; !over; {
			select {
			case p := <-r.peers:
				p.greet("60")
				time.AfterFunc(time.Minute, func() { p.ws.Close() })
			case <-done:
				over = true
			}
		}
		// One in 48 to 54 s.
		if n := len(r.opens()); n < 60 || n > 76 {
			t.Errorf("%d connections were opened in an hour, want 66 to 75", n)
		}
		for _, s := range r.reported(Waiting) {
			if s.Wait > 2*shortest {
				t.Errorf("waited %v before a successor", s.Wait)
			}
		}
	})
}

// The old connection is read for as long as there is no successor, whoever wants one.
func TestHandOverWithoutSuccessor(t *testing.T) {
	for name, warned := range map[string]bool{"Slack asked for it": true, "by itself": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{open: func(n int) error {
					if n > 0 {
						return errInternal
					}
					return nil
				}}, bare)
				old := r.connection()
				old.greet("600")
				if warned {
					old.disconnect("warning")
				}
				time.Sleep(20 * time.Minute)
				old.works("late")
				if !r.socket.Connected() {
					t.Error("not connected, though Slack still delivers")
				}
				// With back-off: about one in 15 s.
				if n := len(r.opens()); n < 20 || n > 150 {
					t.Errorf("asked %d times for a successor", n)
				}
				old.ws.Close() // Slack is done with it
				synctest.Wait()
				if r.socket.Connected() {
					t.Error("connected, though no connection is left")
				}
			})
		})
	}
}

// A successor that is there and gone again is none: what is left of the old connection
// is not closed before another one stands.
func TestTheLastOneIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := serve(t, setup{open: func(n int) error {
			if n > 1 && time.Since(began) < 10*time.Minute {
				return errInternal
			}
			return nil
		}}, bare)
		old := r.greeted()
		old.disconnect("warning")
		r.greeted().ws.Close()
		time.Sleep(9 * time.Minute)
		old.works("late")
		next := r.greeted()
		old.closedInOrder()
		next.works("e2")
	})
}

// A successor may be asked to leave while the one before it is still drained.
func TestHandOverTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		one := r.greeted()
		one.disconnect("warning")
		one.disconnect("refresh_requested")
		two := r.greeted()
		two.disconnect("warning")
		three := r.greeted()
		for i := range 3 {
			for j, p := range []*peer{one, two, three} {
				p.works(fmt.Sprint("e", i, j))
			}
			time.Sleep(5 * time.Second)
		}
		one.closedInOrder()
		two.closedInOrder()
		three.works("e4")
		if n := len(r.opens()); n != 3 {
			t.Errorf("%d connections were opened, want 3", n)
		}
	})
}

func TestBothDieAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, setup{}, bare)
		old := r.greeted()
		time.Sleep(stable)
		old.disconnect("warning")
		next := r.greeted()
		time.Sleep(stable)
		old.ws.Close()
		next.ws.Close()
		began := time.Now()
		r.greeted().works("e1")
		if got := time.Since(began); got > shortest+time.Millisecond {
			t.Errorf("the next connection came after %v", got)
		}
		time.Sleep(time.Minute)
		if n := len(r.opens()); n != 3 {
			t.Errorf("%d connections were opened, want 3", n)
		}
	})
}

// When Serve is stopped in the middle of a hand-over, what either connection brought is
// acknowledged, and both get their Close frame.
func TestEndDuringHandOver(t *testing.T) {
	for name, greet := range map[string]bool{"before the successor's hello": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, func(context.Context, Envelope) (any, error) {
					time.Sleep(2 * time.Second)
					return nil, nil
				})
				old := r.greeted()
				old.disconnect("warning")
				next := r.connection()
				if greet {
					next.send(hello)
					next.deliver("e2", "interactive", false)
				}
				old.deliver("e1", "interactive", false)
				synctest.Wait()
				r.end()
				old.acked("e1")
				old.closedInOrder()
				if greet {
					next.acked("e2")
				}
				next.closedInOrder()
				if err := r.ended(); err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}

// link_disabled ends Serve whichever connection says so, also one that is left already.
func TestLinkDisabled(t *testing.T) {
	for name, before := range map[string]func(r *rig) (says, other *peer){
		"the only one": func(r *rig) (says, other *peer) { return r.greeted(), nil },
		"after a warning": func(r *rig) (says, other *peer) {
			p := r.greeted()
			p.disconnect("warning")
			return p, r.greeted()
		},
		"the successor": func(r *rig) (says, other *peer) {
			p := r.greeted()
			p.disconnect("warning")
			return r.greeted(), p
		},
		"instead of a hello": func(r *rig) (says, other *peer) { return r.connection(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, setup{}, bare)
				says, other := before(r)
				synctest.Wait()
				says.disconnect("link_disabled")
				began := time.Now()
				n := len(r.opens())
				wantPermanent(t, r.ended(), "link_disabled")
				if got := time.Since(began); got > 2*closeWait {
					t.Errorf("ended after %v", got)
				}
				says.closedInOrder()
				if other != nil {
					other.closedInOrder()
				}
				if len(r.opens()) != n {
					t.Error("another connection was asked for")
				}
			})
		})
	}
}
