package bot_test

import (
	"testing"
	"time"

	"keyturn/bot/slacksim"
)

// TestFrozenIsSaidWhereverAWriteCouldBegin: on the list, in the form, on the card, among the
// open requests, and to whoever presses Approve.
func TestFrozenIsSaidWhereverAWriteCouldBegin(t *testing.T) {
	const words = "keyturn is frozen: it writes nothing to Auth0"
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.frozen = true
		h.open()
		h.slash("UALICE", "/signing-keys list")
		wantIn(t, "the list", h.told("UALICE"), words, "Revoke…")
		h.slash("UALICE", "/signing-keys rotate")
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the form", slacksim.PlainText(v.Blocks), words)
		h.submit("UALICE", map[string]any{"reason": "pasted in a build log"})
		card := h.cards()[0]
		wantIn(t, "the card", card.Shows(), words, "KEYTURN_FROZEN=off")
		h.slash("UALICE", "/signing-keys requests")
		wantIn(t, "the open requests", h.told("UALICE"), words)

		h.press("UBOB", card, "approve")
		wantIn(t, "bob", h.told("UBOB"), words, "did not count", "KEYTURN_FROZEN=off")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Waits for a second person")
		h.press("UBOB", h.card(card.TS), "deny")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Denied")
		if n := h.writes(); n != 0 {
			t.Errorf("%d writes arrived", n)
		}
	})
}

// TestAMissingScopeIsSaidBeforeAnythingIsTyped, and once it is granted nothing has to be
// started again.
func TestAMissingScopeIsSaidBeforeAnythingIsTyped(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.tenant.Grant("read:signing_keys")
		h.reader.DropToken()
		for command, scopes := range map[string][]string{
			"rotate":            {"create:signing_keys", "update:signing_keys"},
			"rotate-and-revoke": {"create:signing_keys"}, "revoke": {"update:signing_keys"},
		} {
			h.slash("UALICE", "/signing-keys "+command)
			v, _ := h.slack.View("UALICE")
			wantIn(t, "the form", slacksim.PlainText(v.Blocks), append(scopes,
				"Machine to Machine Applications", "restart is not needed")...)
			if _, err := h.slack.Submit("UALICE", map[string]any{"reason": "x"}); err == nil {
				t.Errorf("%s: there is a form to fill in", command)
			}
			h.slack.CloseView("UALICE")
		}
		h.slash("UALICE", "/signing-keys list")
		wantIn(t, "the list", h.told("UALICE"), "Currently used")
		h.tenant.Grant("read:signing_keys", "create:signing_keys", "update:signing_keys")
		time.Sleep(time.Minute)
		card := h.ask("rotate")
		h.press("UBOB", card, "approve")
		time.Sleep(time.Minute)
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
	})
}
