package bot_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

func (h *house) rename(from, to string) {
	h.t.Helper()
	if err := os.Rename(h.path+from, h.path+to); err != nil {
		h.t.Fatal(err)
	}
}

// TestWithoutATrailNothingIsDone takes the database away while it is asked, approved, and
// carried out; and puts it back.
func TestWithoutATrailNothingIsDone(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.rename("", ".away")
		out, err := h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"}, card)
		if err != nil || out.Acked {
			t.Errorf("the press is acknowledged, and on no disk: %+v, %v", out, err)
		}
		time.Sleep(time.Minute)
		wantIn(t, "what bob is told", h.told("UBOB"), "did not count", "the trail cannot be written")
		h.slash("UALICE", "/signing-keys rotate")
		if out, err := h.slack.Submit("UALICE", map[string]any{"reason": "leak"}); err != nil || !strings.Contains(string(out.Payload), "could not be kept") {
			t.Errorf("the submission is answered with %s, %v", out.Payload, err)
		}
		h.slash("UALICE", "/signing-keys list") // what only reads still works
		wantIn(t, "the list", h.told("UALICE"), h.kid("current"))

		h.rename(".away", "")
		h.press("UBOB", card, "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
		if n := h.writes(); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
	})
}

// TestNoIntentNoWrite takes the database away between the approval and the intent.
func TestNoIntentNoWrite(t *testing.T) {
	for _, back := range []bool{true, false} {
		inHouse(t, func(t *testing.T, h *house) {
			card := h.ask("rotate-and-revoke")
			h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable}) // holds it up
			h.press("UBOB", card, "approve")
			h.rename("", ".away")
			h.tenant.ClearFaults()
			time.Sleep(2 * time.Minute)
			if n := h.writes(); n != 0 {
				t.Fatalf("%d writes without an intent", n)
			}
			if !back {
				time.Sleep(10 * time.Minute)
			}
			h.rename(".away", "")
			time.Sleep(3 * time.Minute)
			h.rest()
			// An approval does not outlive its moment.
			want, writes := approval.Done, 2
			if !back {
				want, writes = approval.Expired, 0
			}
			open, err := h.store.OpenRequests(t.Context())
			if err != nil || len(open) != 0 || h.writes() != writes {
				t.Errorf("back at once %v: %d writes, want %d; open: %v, %v", back, h.writes(), writes, open, err)
			}
			wantIn(t, "the card", strings.ToLower(h.card(card.TS).Shows()), string(want))
		})
	}
}

// TestWhatCannotBeKeptIsPostedOnce takes the database away while a card and a post are on
// their way to Slack.
func TestWhatCannotBeKeptIsPostedOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UALICE", "/signing-keys rotate")
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 2, Delay: 10 * time.Second})
		if out, err := h.slack.Submit("UALICE", map[string]any{"reason": "leak"}); err != nil || !out.Acked {
			t.Fatalf("alice submits: %+v, %v", out, err)
		}
		time.Sleep(2 * time.Second)
		h.rename("", ".away")
		time.Sleep(5 * time.Minute)
		if n, posts := len(h.cards()), h.slack.Messages(trail); n != 1 || len(posts) != 1 {
			t.Errorf("%d cards and %d posts while the disk takes nothing, want one of each", n, len(posts))
		}
		h.rename(".away", "")
		time.Sleep(time.Minute)
		h.rest()
		h.press("UBOB", h.cards()[0], "deny")
		if n, posts := len(h.cards()), h.slack.Messages(trail); n != 1 || len(posts) != 2 {
			t.Errorf("%d cards and %d posts afterwards, want 1 and 2", n, len(posts))
		}
		wantIn(t, "the card", h.cards()[0].Shows(), "Denied")
	})
}
