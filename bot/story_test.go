package bot_test

import (
	"strings"
	"testing"
)

func TestEachActionFromCommandToTrail(t *testing.T) {
	for _, tc := range []struct {
		line, role, title string
		thread            []string
		writes            int
	}{
		{"revoke", "previous", "Revoke a signing key", []string{"Approved by @UBOB", "Revoking", "Revoked.", "Done."}, 1},
		{"rotate", "current", "Rotate the signing key", []string{"Approved by @UBOB", "Rotating", "Rotated.", "Done."}, 1},
		{"rotate-and-revoke", "current", "Rotate, then revoke the signing key", []string{"Approved by @UBOB", "Rotating", "Rotated.", "Revoking", "Revoked.", "Done."}, 2},
	} {
		t.Run(tc.line, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				kid := h.kid(tc.role)
				card := h.ask(tc.line)
				wantIn(t, "the card", card.Shows(), tc.title, "Waits for a second person", kid, "pasted in a build log", "[Approve] [Deny] [Cancel]")
				if h.writes() != 0 {
					t.Fatal("something was written before anybody approved")
				}
				h.press("UBOB", card, "approve")
				done := h.card(card.TS)
				wantIn(t, "the card", done.Shows(), "Done", "Approved by @UBOB", kid)
				if strings.Contains(done.Shows(), "[Approve]") {
					t.Errorf("the card still has buttons:\n%s", done.Shows())
				}
				wantIn(t, "the thread", h.thread(card.TS), tc.thread...)
				if h.writes() != tc.writes {
					t.Errorf("%d writes, want %d", h.writes(), tc.writes)
				}
				var posts []string
				for _, m := range h.slack.Messages(trail) {
					posts = append(posts, m.Shows())
				}
				wantIn(t, "the audit channel", strings.Join(posts, "\n"), "#1 Asked", "#2 Approved", "Done", "asked by @UALICE, approved by @UBOB")
			})
		})
	}
}
