package watch_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/watch"
	"keyturn/mgmt/auth0sim"
)

// interval is within which a change has to be an alarm: one look, and one that agrees.
const interval = time.Minute + 5*time.Second

func TestAChangeBehindItsBackIsOneAlarm(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.wantAlarms(0)
		if n := len(h.noted(audit.Watched)); n != 1 {
			t.Fatalf("the watch began %d times", n)
		}
		k, n := h.kid("current"), h.kid("next")
		m := h.tenant.Rotate()
		rotated := time.Now()
		h.pass(interval)
		alarm := h.wantAlarms(1)[0]
		want := &audit.Alarm{What: audit.KeysChanged, Before: alarm.Alarm.Before, Changes: []audit.KeyChange{
			{KID: m, Is: "next in queue"}, {KID: n, Was: "next in queue", Is: "currently used"}, {KID: k, Was: "currently used", Is: "previously used"},
		}}
		if diff := cmp.Diff(want.Changes, sorted(alarm.Alarm.Changes, m, n, k)); diff != "" || alarm.Alarm.What != want.What {
			t.Errorf("the alarm (-want +got):\n%s", diff)
		}
		if d := rotated.Sub(alarm.Alarm.Before); d < 0 || d > time.Minute {
			t.Errorf("it was otherwise %v before the rotation", d)
		}
		for _, words := range []string{k + " was currently used and is previously used", "no request of keyturn explains it", "First seen at"} {
			if !strings.Contains(alarm.Note, words) {
				t.Errorf("the note lacks %q: %s", words, alarm.Note)
			}
		}

		h.pass(time.Hour)
		h.restart()
		h.pass(time.Hour)
		h.wantAlarms(1)

		if err := h.tenant.Revoke(k); err != nil {
			t.Fatal(err)
		}
		h.close() // and nobody looks for a while
		h.pass(time.Hour)
		h.open()
		h.pass(interval)
		alarm = h.wantAlarms(2)[1]
		if diff := cmp.Diff([]audit.KeyChange{{KID: k, Was: "previously used", Is: "revoked"}}, alarm.Alarm.Changes); diff != "" {
			t.Errorf("the second alarm (-want +got):\n%s", diff)
		}
		h.pass(time.Hour)
		h.wantAlarms(2)
	})
}

// sorted puts changes in the order of kids.
func sorted(changes []audit.KeyChange, kids ...string) (out []audit.KeyChange) {
	for _, kid := range kids {
		for _, c := range changes {
			if c.KID == kid {
				out = append(out, c)
			}
		}
	}
	return out
}

func TestWhatKeyturnDoesIsNoAlarm(t *testing.T) {
	for name, fault := range map[string]auth0sim.Fault{
		"as it should":        {},
		"the answer lost":     {Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter},
		"lost before":         {Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore},
		"it lands late":       {Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 12 * time.Second},
		"the revoke lost":     {Op: "revoke", Times: 1, Lose: auth0sim.LoseAfter},
		"the list is delayed": {Op: "list", Times: 3, Delay: 4 * time.Second},
		"in doubt for hours":  {Op: "list", After: 2, Times: 500, Status: http.StatusServiceUnavailable},
	} {
		for _, again := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
					h.pass(interval)
					if fault.Op != "" {
						h.tenant.Fault(fault)
					}
					id := h.changed(approval.RotateAndRevoke, "")
					if again {
						h.pass(5 * time.Second)
						h.restart()
					}
					h.pass(3 * time.Hour)
					h.tenant.ClearFaults()
					h.pass(time.Hour)
					keys := 0
					for _, e := range h.noted(audit.Alarmed) {
						if e.Alarm.What == audit.KeysChanged {
							keys++
							t.Errorf("an alarm, and the request is %s: %s", h.state(id), e.Note)
						}
					}
					if again {
						h.restart()
						h.pass(interval)
						if n := len(h.noted(audit.Alarmed)); n > 1 {
							t.Errorf("%d alarms after another start", n)
						}
					}
					// What comes behind its back afterwards is one.
					h.tenant.Rotate()
					h.pass(interval)
					last := h.noted(audit.Alarmed)
					if len(last) == 0 || last[len(last)-1].Alarm.What != audit.KeysChanged {
						t.Error("a rotation in the Dashboard afterwards is no alarm")
					}
				})
			})
		}
	}
}

// TestPeoplesWordExplains ends what is in doubt by two people, with nothing that a look
// could have shown.
func TestPeoplesWordExplains(t *testing.T) {
	for _, landed := range []bool{true, false} {
		inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
			h.pass(interval)
			fate := auth0sim.LoseBefore
			if landed {
				fate = auth0sim.LoseAfter
			}
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Lose: fate})
			id := h.changed(approval.Rotate, "")
			h.pass(time.Second)
			h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
			h.pass(2 * time.Hour)
			if got := h.state(id); got != approval.InDoubt {
				t.Fatalf("it is %s", got)
			}
			h.press(approval.TookEffect, id, "UALICE")
			h.press(approval.TookEffect, id, "UBOB")
			if got := h.state(id); got != approval.Done {
				t.Fatalf("it is %s", got)
			}
			h.tenant.ClearFaults()
			h.pass(interval)
			var keys []audit.Entry
			for _, e := range h.noted(audit.Alarmed) {
				if e.Alarm.What == audit.KeysChanged {
					keys = append(keys, e)
				}
			}
			// Where two people say what is not so, the keys contradict them.
			if want := map[bool]int{true: 0, false: 1}[landed]; len(keys) != want {
				t.Errorf("landed %v: %d alarms, want %d", landed, len(keys), want)
			}
		})
	}
}

// TestAChangeDuringOurs revokes another key while ours is carried out, and rotates in the
// gap between the last look and ours.
func TestAChangeDuringOurs(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		other := h.kid("previous")
		h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}) // it takes 15 s
		id := h.changed(approval.Rotate, "")
		h.pass(5 * time.Second)
		if err := h.tenant.Revoke(other); err != nil {
			t.Fatal(err)
		}
		h.pass(3 * time.Minute)
		alarms := h.noted(audit.Alarmed)
		if len(alarms) != 1 || len(alarms[0].Alarm.Changes) != 1 || alarms[0].Alarm.Changes[0] != (audit.KeyChange{KID: other, Was: "previously used", Is: "revoked"}) {
			t.Errorf("the request is %s, the alarms are %+v", h.state(id), alarms)
		}
		h.restart()
		h.pass(time.Hour)
		h.wantAlarms(1)
	})
	inHouse(t, auth0sim.Config{Previous: 2}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		previous := h.kid("previous")
		rotated := h.tenant.Rotate()
		h.changed(approval.Revoke, previous) // before the next look
		h.pass(3 * time.Minute)
		alarm := h.wantAlarms(1)[0]
		for _, c := range alarm.Alarm.Changes {
			if c.KID == previous {
				t.Errorf("what was ours is in the alarm: %+v", alarm.Alarm)
			}
		}
		if sorted(alarm.Alarm.Changes, rotated) == nil {
			t.Errorf("the rotation is not in the alarm: %+v", alarm.Alarm)
		}
	})
}

// unanswered is a store whose commits of alarms are not answered, or not made, at first.
type unanswered struct {
	watch.Store
	kept bool
	left int
}

func (u *unanswered) Note(ctx context.Context, e audit.Entry) error {
	if e.Kind != audit.Alarmed || u.left == 0 {
		return u.Store.Note(ctx, e)
	}
	u.left--
	if u.kept {
		if err := u.Store.Note(ctx, e); err != nil {
			return err
		}
	}
	return errors.New("the disk did not answer")
}

func TestAnAlarmThatIsNotAnsweredIsOne(t *testing.T) {
	for _, kept := range []bool{true, false} {
		over := func(w *watch.Watch) { w.Store = &unanswered{Store: w.Store, kept: kept, left: 3} }
		inHouse(t, auth0sim.Config{Previous: 1}, over, func(t *testing.T, h *house) {
			h.pass(interval)
			h.tenant.Rotate()
			h.pass(10 * time.Minute)
			h.wantAlarms(1)
			h.restart()
			h.pass(10 * time.Minute)
			h.wantAlarms(1)
		})
	}
}

func TestUnreadableIsOneAlarm(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
		h.pass(25 * time.Minute)
		h.wantAlarms(0)
		h.pass(10 * time.Minute)
		if alarm := h.wantAlarms(1)[0]; alarm.Alarm.What != audit.TenantUnreadable || !strings.Contains(alarm.Note, "cannot be read since") {
			t.Errorf("the alarm: %+v", alarm)
		}
		h.pass(2 * time.Hour)
		h.restart()
		h.pass(2 * time.Hour)
		h.wantAlarms(1)
		h.tenant.Rotate()
		h.tenant.ClearFaults()
		h.pass(interval)
		if alarm := h.wantAlarms(2)[1]; alarm.Alarm.What != audit.KeysChanged {
			t.Errorf("the alarm of what changed meanwhile: %+v", alarm)
		}

		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
		h.pass(40 * time.Minute)
		h.wantAlarms(3)
		h.tenant.ClearFaults()
		h.pass(interval)
		h.wantAlarms(3)
		if all := h.noted(audit.Watched); len(all) != 2 || !strings.Contains(all[1].Note, "can be read again") {
			t.Errorf("that it can be read again: %+v", all)
		}
	})
}

func TestReminders(t *testing.T) {
	ages := func(w *watch.Watch) {
		w.Every, w.KeyMaxAge, w.PreviousMaxAge = time.Hour, 203*24*time.Hour, 30*24*time.Hour
	}
	// The current key is in use for 200 days already, and so is the previous one out of it.
	inHouse(t, auth0sim.Config{Previous: 1}, ages, func(t *testing.T, h *house) {
		previous := h.kid("previous")
		h.pass(2 * time.Hour)
		all := h.noted(audit.Overdue)
		if len(all) != 1 || !strings.Contains(all[0].Note, "The key "+previous) {
			t.Fatalf("at first: %+v", all)
		}
		h.restart()
		h.pass(24 * time.Hour)
		if n := len(h.noted(audit.Overdue)); n != 1 {
			t.Errorf("%d reminders after a day and a start", n)
		}
		h.pass(3 * 24 * time.Hour)
		all = h.noted(audit.Overdue)
		if last := all[len(all)-1]; !strings.Contains(last.Note, "is in use since") || !strings.Contains(last.Note, "203 days") {
			t.Errorf("after 204 days: %+v", last)
		}
		h.pass(14 * 24 * time.Hour)
		perKey := map[string]int{}
		for _, e := range h.noted(audit.Overdue) {
			perKey[strings.Fields(e.Note)[2]]++
		}
		if perKey[previous] != 3 || perKey[h.kid("current")] != 3 {
			t.Errorf("after 18 days the reminders are %v, want 3 of each key", perKey)
		}
		before := len(h.noted(audit.Overdue))
		h.ask(approval.Revoke, previous)
		h.wantAlarms(0)
		if got := len(h.noted(audit.Overdue)); got != before {
			t.Errorf("%d reminders, and %d before it was asked for", got, before)
		}
	})
}

func TestTheWatchIsOff(t *testing.T) {
	inHouse(t, auth0sim.Config{}, func(w *watch.Watch) { w.Every = 0 }, func(t *testing.T, h *house) {
		h.pass(time.Hour)
		h.tenant.Rotate()
		h.pass(time.Hour)
		h.wantAlarms(0)
		if n := len(h.tenant.History()); n != 1 {
			t.Errorf("%d calls, and the rotation was one", n)
		}
	})
}
