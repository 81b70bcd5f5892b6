package bot_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/bot"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// kids are those of a role, the newest first.
func (h *house) kids(role string) (kids []string) {
	for _, k := range h.tenant.Keys() {
		if k.Role == role {
			kids = append(kids, k.KID)
		}
	}
	return kids
}

// TestWhatPeopleTypeInSlack types each of bot.Forms in Slack, and looks at the modal.
func TestWhatPeopleTypeInSlack(t *testing.T) {
	for previous := range 4 {
		inHouseOf(t, "/signing-keys", previous, func(t *testing.T, h *house) {
			for _, f := range bot.Forms {
				if f.Previous != previous {
					continue
				}
				f = f.Filled(h.kid("next"), h.kid("current"), h.kids("previous"))
				h.slash("UDAVE", "/signing-keys "+f.Typed) // who is mentioned nowhere
				v, open := h.slack.View("UDAVE")
				if !open {
					t.Fatalf("%q opens nothing", f.Typed)
				}
				f.Check(t, v.Title, v.Blocks)
				h.slack.CloseView("UDAVE")
				time.Sleep(3 * time.Second) // one person may not open more of them
			}
		})
	}
}

// TestTheKeyThatWasNamedIsTheOneRevoked goes the whole way: the eight characters that a
// card shows, with a mark on them.
func TestTheKeyThatWasNamedIsTheOneRevoked(t *testing.T) {
	inHouseOf(t, "/signing-keys", 3, func(t *testing.T, h *house) {
		named := h.kids("previous")[2]
		h.slash("UALICE", "/signing-keys revoke `"+named[:8]+"…` leaked in CI")
		h.submit("UALICE", nil)
		cards := h.cards()
		if len(cards) != 1 {
			t.Fatalf("%d cards; alice was told %q", len(cards), h.told("UALICE"))
		}
		wantIn(t, "the card", cards[0].Shows(), "Key to be revoked: "+named, "> leaked in CI")
		h.press("UBOB", cards[0], "approve")
		if got := h.kids("revoked"); len(got) != 1 || got[0] != named {
			t.Errorf("revoked are %q, want %q alone", got, named)
		}
	})
}

// TestAFormWithoutAChosenKeyIsNotTaken submits it as it opened.
func TestAFormWithoutAChosenKeyIsNotTaken(t *testing.T) {
	inHouseOf(t, "/signing-keys", 2, func(t *testing.T, h *house) {
		h.slash("UALICE", "/signing-keys revoke Qx7Gone4KeyOfLastYear leaked")
		if _, err := h.slack.Submit("UALICE", nil); err == nil {
			t.Error("the form is submitted without a key")
		}
		kids := h.kids("previous")
		// The reason may name another key than the chosen one.
		h.submit("UALICE", map[string]any{"key": kids[1], "reason": "leaked, as " + kids[0] + " was"})
		wantIn(t, "the card", h.cards()[0].Shows(), "Key to be revoked: "+kids[1])
	})
}

// TestACommandOfAnotherName is used everywhere where people are told what to type.
func TestACommandOfAnotherName(t *testing.T) {
	const command = "/keys-staging"
	inHouseOf(t, command, 1, func(t *testing.T, h *house) {
		var shown []string
		see := func(what, want string) {
			t.Helper()
			got := h.told("UALICE")
			if v, open := h.slack.View("UALICE"); open {
				got = slacksim.PlainText(v.Blocks)
				h.slack.CloseView("UALICE")
			}
			wantIn(t, what, got, want)
			shown = append(shown, got)
		}
		type step struct{ line, want string }
		previous := h.kid("previous")
		for _, s := range []step{
			{"help", command + " rotate-and-revoke [reason]"},
			{command + " helb", "Did you mean " + command + " help?"},
			{"audit many", command + " audit 20"},
			{"list all", command + " list takes no more words"},
			{"audit kt-22222222", "Type " + command + " audit for the last"},
			{"certificate newest", "Which certificate?"},
			{"revoke " + h.kid("current"), "Ask for " + command + " rotate-and-revoke"},
			{"rotate or revoke", "type " + command + " rotate-and-revoke"},
			{"revoke & rotate", "type " + command + " rotate-and-revoke"},
			{"rotate-and-revoke " + previous, "type " + command + " revoke prod " + previous},
		} {
			h.slash("UALICE", command+" "+s.line)
			see(s.line, s.want)
		}
		// A press does not say how the command is called.
		card := func() slacksim.Message {
			h.slash("UALICE", command+" revoke")
			h.submit("UALICE", map[string]any{"reason": "leak"})
			return h.cards()[0]
		}()
		h.press("UBOB", card, "approve")
		h.slash("UALICE", command+" revoke")
		see("a revoke with nothing left", "Ask for "+command+" rotate-and-revoke")
		h.slash("UALICE", command+" certificate previous")
		see("no certificate", "Type "+command+" list")
		for _, m := range append(h.slack.Messages(room), h.slack.Messages(trail)...) {
			shown = append(shown, m.Shows())
		}
		if all := strings.Join(shown, "\n"); strings.Contains(all, "/signing-keys") {
			t.Errorf("somebody is told of another command:\n%s", all)
		}
	})
}

// TestAPressNamesTheCommandThatWasTyped presses a button for a key that is there no more.
// Its payload does not say how the command is called.
func TestAPressNamesTheCommandThatWasTyped(t *testing.T) {
	inHouseOf(t, "/keys", 1, func(t *testing.T, h *house) {
		h.slash("UALICE", "/keys")
		list := h.slack.Ephemerals("UALICE", room)[0]
		h.close()
		h.tenant = auth0sim.New(auth0sim.Config{Previous: 1})
		defer h.tenant.Close()
		h.open()
		press := func(want string) {
			t.Helper()
			h.press("UALICE", list, "ask:revoke")
			v, _ := h.slack.View("UALICE")
			wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "The tenant has no key", want)
			h.slack.CloseView("UALICE")
		}
		press("Type /signing-keys list") // nobody said otherwise since the start
		h.slash("UDAVE", "/keys help")
		press("Type /keys list")
	})
}

// TestACommandInTheConversationWithKeyturn gets the sentence that there is for it.
func TestACommandInTheConversationWithKeyturn(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		for _, line := range []string{"revoke", "rotate leaked", "rotate & revoke"} {
			h.slashIn("DUBOB", "UBOB", "/signing-keys "+line)
			v, open := h.slack.View("UBOB")
			if !open || v.Submit != "" {
				t.Fatalf("%s: the modal is open: %v, and takes %q", line, open, v.Submit)
			}
			wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "needs a channel in which a second person")
			h.slack.CloseView("UBOB")
		}
		h.slashIn("DUBOB", "UBOB", "/signing-keys list")
		all := h.slack.Ephemerals("UBOB", "DUBOB")
		if len(all) == 0 || !strings.Contains(all[len(all)-1].Shows(), "Signing keys of prod") {
			t.Errorf("the list is not shown: %d messages", len(all))
		}
	})
}
