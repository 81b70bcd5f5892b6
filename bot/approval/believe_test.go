package approval_test

import (
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// TestARowHasToAgreeWithItsStory changes each part of a row, and cuts its story.
func TestARowHasToAgreeWithItsStory(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.RotateAndRevoke, "")
		for _, state := range []approval.State{approval.Pending, approval.Done} {
			if state == approval.Done {
				h.approve(r.ID)
			}
			h.await(r.ID, state)
			row, err := h.store.Request(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			story := h.story(r.ID)
			if err := approval.Agrees(row, story); err != nil {
				t.Fatalf("%s: %v", state, err)
			}
			for name, forge := range map[string]func(r *approval.Request){
				"tenant":     func(r *approval.Request) { r.Tenant = "staging" },
				"action":     func(r *approval.Request) { r.Action = approval.Rotate },
				"state":      func(r *approval.Request) { r.State = approval.Approved },
				"key":        func(r *approval.Request) { r.KID = "other" },
				"requester":  func(r *approval.Request) { r.Requester.User = "UCAROL" },
				"its name":   func(r *approval.Request) { r.Requester.Name = "carol" },
				"approver":   func(r *approval.Request) { r.Approver = audit.Actor{Team: "T1", User: "UCAROL"} },
				"pins":       func(r *approval.Request) { r.Pins.Next = &audit.Pin{KID: "other"} },
				"reason":     func(r *approval.Request) { r.Reason = "none" },
				"link":       func(r *approval.Request) { r.Link = "https://elsewhere.example" },
				"prepared":   func(r *approval.Request) { r.Prepared = !r.Prepared },
				"channel":    func(r *approval.Request) { r.Channel = "C0OTHER" },
				"expiry":     func(r *approval.Request) { r.ExpiresAt = r.ExpiresAt.Add(time.Hour) },
				"since when": func(r *approval.Request) { r.EnteredAt = r.EnteredAt.Add(-time.Second) },
				"last entry": func(r *approval.Request) { r.Revision-- },
			} {
				forged := row
				forge(&forged)
				if approval.Agrees(forged, story) == nil {
					t.Errorf("%s: another %s agrees, too", state, name)
				}
			}
			for i := range story {
				if approval.Agrees(row, story[:i]) == nil || i > 0 && approval.Agrees(row, story[i:]) == nil {
					t.Errorf("%s: it agrees without its entries from or to number %d", state, i)
				}
			}
			if approval.Agrees(row, append(story, story...)) == nil {
				t.Errorf("%s: it agrees with its story told twice", state)
			}
		}
	})
}

func TestOnePersonTwiceNeverAgrees(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
		row, err := h.store.Request(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		story := h.story(r.ID)
		for i, e := range story {
			if e.Kind == audit.Approved {
				change := *e.Change
				change.Approver = &row.Requester
				story[i].Actor, story[i].Change = &row.Requester, &change
			}
		}
		row.Approver = row.Requester
		if approval.Agrees(row, story) == nil {
			t.Error("one person asked and approved, and it agrees")
		}
	})
}
