package bot_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
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

// inDoubt brings a rotation that alice asked for into doubt: its answer is lost, and the
// list explains nothing.
func (h *house) inDoubt() slacksim.Message {
	h.t.Helper()
	h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore})
	card := h.ask("rotate")
	h.tenant.Fault(auth0sim.Fault{Op: "list", After: 2, Status: http.StatusOK, Body: "[]"})
	h.press("UBOB", card, "approve")
	h.await("doubt", func() bool { return strings.Contains(h.card(card.TS).Shows(), "In doubt") })
	h.rest()
	return h.card(card.TS)
}

func TestTwoPeopleEndADoubtOnTheCard(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.inDoubt()
		wantIn(t, "the card", card.Shows(), "In doubt", "What was tried", "rotate, attempt 1", "The answer was lost",
			"What could not be proven", "Whether our rotation took effect", "two people who say the same", "[It took effect] [It did not]")
		h.slash("UALICE", "/signing-keys requests")
		wantIn(t, "the open requests", h.told("UALICE"), "in doubt", "[It took effect] [It did not]")

		h.press("UDAVE", card, "did_not") // he may ask, and is no approver
		wantIn(t, "what dave was told", h.told("UDAVE"), "A second person has to say the same")
		wantIn(t, "the card", h.card(card.TS).Shows(), "@UDAVE says that it did not take effect")
		h.press("UGINA", card, "did_not")
		wantIn(t, "what gina was told", h.told("UGINA"), "Guests of this workspace cannot")
		h.press("UDAVE", card, "did_not")
		wantIn(t, "what dave was told", h.told("UDAVE"), "You did that already")

		h.press("UBOB", h.card(card.TS), "did_not")
		wantIn(t, "what bob was told", h.told("UBOB"), "Two people say the same now, so the request is failed")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Failed", "The rotation did not take effect. Nothing was applied. dave and bob say so, who looked.")
		if strings.Contains(h.card(card.TS).Shows(), "[It took effect]") {
			t.Error("the card still has buttons")
		}
		wantIn(t, "the thread", h.thread(card.TS), "@UDAVE says that it did not take effect. A second person has to say the same.", "Failed.", "@UALICE @UBOB")
		h.press("UALICE", card, "took_effect") // on the card as she saw it
		wantIn(t, "what alice was told", h.told("UALICE"), "Too late: this request is already failed")
		if h.writes() != 1 {
			t.Errorf("%d writes, want the one before the doubt", h.writes())
		}
	})
}

func TestAPendingRequestWhosePinsNoLongerHoldIsVoided(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		rotate, revoke := h.ask("rotate"), h.ask("revoke")
		h.press("UBOB", revoke, "approve")
		wantIn(t, "the card", h.card(revoke.TS).Shows(), "Done")
		wantIn(t, "the other card", h.card(rotate.TS).Shows(), "Voided", "Another change came first")
		h.press("UBOB", rotate, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "Too late: this request is already voided")
	})
}

func TestAChangeThatWaitsForAuth0SaysSo(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.tenant.Fault(auth0sim.Fault{Op: "list", After: 2, Status: http.StatusServiceUnavailable})
		h.press("UBOB", card, "approve")
		h.await("the card to say so", func() bool { return strings.Contains(h.card(card.TS).Shows(), "Waiting") })
		wantIn(t, "the card", h.card(card.TS).Shows(), "Being carried out", "Auth0 does not answer as it should, still looking", "503")
		h.tenant.ClearFaults()
		h.await("the end", func() bool { return strings.Contains(h.card(card.TS).Shows(), "Done") })
		if strings.Contains(h.card(card.TS).Shows(), "Waiting") {
			t.Error("the card of what is done still waits")
		}
		wantIn(t, "the card", h.card(card.TS).Shows(), "Verifiers that keep the key set may accept the key until", "(node-jwks-rsa, auth0-python)", "(.NET)")
	})
}

// TestReadyMeansThatPressesReachUs takes the socket away and gives it back.
func TestReadyMeansThatPressesReachUs(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		if err := h.bot.Ready(); err != nil {
			t.Errorf("connected, and not ready: %v", err)
		}
		h.slack.Fault(slacksim.Fault{Method: "apps.connections.open", Error: "internal_error"})
		h.slack.Drop()
		h.await("the socket to be gone", func() bool { return h.slack.Sockets() == 0 })
		h.rest()
		if h.bot.Ready() == nil {
			t.Error("ready without a socket")
		}
		h.slack.ClearFaults()
		h.await("a socket", func() bool { return h.slack.Sockets() == 1 })
		h.rest()
		if err := h.bot.Ready(); err != nil {
			t.Errorf("connected again, and not ready: %v", err)
		}
	})
}

// TestGhostsAreSeenAndNoReasonToStop: Slack counts connections that are gone.
func TestGhostsAreSeenAndNoReasonToStop(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		if strings.Contains(h.log.String(), "not ours") {
			t.Errorf("ghosts are seen where there are none:\n%s", h.log)
		}
		h.slack.SetGhosts(3)
		h.slack.Disconnect("warning")
		time.Sleep(time.Minute)
		h.rest()
		if counted, held := h.bot.Connections(); counted != 5 || held != 2 {
			t.Errorf("Slack counts %d and %d are held, want 5 and 2: the hello comes before the old one is left", counted, held)
		}
		wantIn(t, "the log", h.log.String(), "connections of this app that are not ours")
		h.slash("UALICE", "/signing-keys help")
		wantIn(t, "what alice was told", h.told("UALICE"), "Two people turn the key")
	})
}
