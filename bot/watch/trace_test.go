package watch_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

var withLogs = []string{"read:signing_keys", "create:signing_keys", "update:signing_keys", "read:logs"}

func TestAuth0sLogSaysWho(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1, Scopes: withLogs, LogLag: 3 * time.Minute}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.changed(approval.Rotate, "") // which is in the log as well, at about the same time
		h.pass(5 * time.Second)
		rotated := h.kid("current")
		h.tenant.Rotate()
		if err := h.tenant.Revoke(rotated); err != nil {
			t.Fatal(err)
		}
		h.pass(interval)
		alarm := h.wantAlarms(1)[0]
		if !strings.Contains(alarm.Note, "follows as soon as Auth0's log has it") {
			t.Errorf("the alarm: %s", alarm.Note)
		}
		if n := len(h.noted(audit.Traced)); n != 0 {
			t.Fatalf("%d traces before the log has it", n)
		}
		h.pass(5 * time.Minute)
		h.restart()
		h.pass(time.Hour)
		all := h.noted(audit.Traced)
		if len(all) != 1 || all[0].Trace.Alarm != alarm.Seq || len(all[0].Trace.Events) != 2 {
			t.Fatalf("the traces: %+v", all)
		}
		for i, want := range []audit.Event{{What: "rotate"}, {What: "revoke", KID: rotated}} {
			got := all[0].Trace.Events[i]
			if got.What != want.What || got.KID != want.KID || got.Who != auth0sim.AdminName || got.From != auth0sim.AdminIP || got.Channel == "" {
				t.Errorf("event %d is %+v", i, got)
			}
		}
		if !strings.Contains(all[0].Note, "by "+auth0sim.AdminName+", from "+auth0sim.AdminIP) {
			t.Errorf("the note: %s", all[0].Note)
		}
	})
}

func TestWithoutTheScopeNobodyIsNamed(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.tenant.Rotate()
		h.pass(time.Hour)
		if alarm := h.wantAlarms(1)[0]; !strings.Contains(alarm.Note, "with the scope read:logs") {
			t.Errorf("the alarm: %s", alarm.Note)
		}
		for _, c := range h.tenant.History() {
			if c.Op == "logs" {
				t.Error("the log was asked for without the scope")
			}
		}
	})
}

// TestALogThatLagsTooLong is not waited for.
func TestALogThatLagsTooLong(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1, Scopes: withLogs, LogLag: 2 * time.Hour}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.tenant.Rotate()
		h.pass(5 * time.Hour)
		asked := 0
		for _, c := range h.tenant.History() {
			if c.Op == "logs" {
				asked++
			}
		}
		if n := len(h.noted(audit.Traced)); n != 0 || asked == 0 || asked > 40 {
			t.Errorf("%d traces, and the log was read %d times", n, asked)
		}
	})
}
