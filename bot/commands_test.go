package bot_test

import (
	"database/sql"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyturn/bot/slacksim"
)

func TestList(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UDAVE", "/signing-keys")
		list := h.told("UDAVE")
		wantIn(t, "the list", list, "Signing keys of prod",
			"Next in queue\n"+h.kid("next"), "Currently used\n"+h.kid("current"), "in use for 200 days",
			"Previously used\n"+h.kid("previous"), "in the JWKS of acme.test", "[Revoke…]", "[Rotate…] [Rotate & revoke…] [Share]")
		if n := len(h.slack.Messages(room)); n != 0 {
			t.Errorf("%d messages were posted for all to see", n)
		}

		all := h.slack.Ephemerals("UDAVE", room)
		h.press("UDAVE", all[0], "share")
		shared := h.slack.Messages(room)
		if len(shared) != 1 {
			t.Fatalf("%d messages after sharing, want 1", len(shared))
		}
		wantIn(t, "the shared list", shared[0].Shows(), h.kid("current"))
		if strings.Contains(shared[0].Shows(), "[Share]") {
			t.Error("the shared list can be shared")
		}

		h.press("UALICE", shared[0], "ask:revoke")
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "[Key to revoke: "+h.kid("previous")+"]")
	})
}

func TestRequestsHaveLiveButtons(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UBOB", "/signing-keys requests")
		wantIn(t, "what bob was told", h.told("UBOB"), "Nothing is open")
		card := h.ask("revoke")
		h.slash("UBOB", "/signing-keys requests")
		wantIn(t, "what bob was told", h.told("UBOB"), "Revoke a signing key of prod, key "+h.kid("previous"), "asked for by @UALICE", "[Approve] [Deny] [Cancel]")
		all := h.slack.Ephemerals("UBOB", room)
		h.press("UBOB", all[len(all)-1], "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done", "Approved by @UBOB")
	})
}

func TestCertificate(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		for role, keyRole := range map[string]string{"": "next", "current": "current", "previous": "previous"} {
			h.slash("UALICE", strings.TrimSpace("/signing-keys certificate "+role))
			for _, k := range h.tenant.Keys() {
				if k.Role == keyRole {
					wantIn(t, "the "+keyRole+" certificate", h.told("UALICE"), k.KID, "SHA-256", strings.ReplaceAll(k.Cert, "\r\n", "\n"))
				}
			}
		}
	})
}

func TestAuditAndHelp(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("revoke"), "approve")
		h.slash("UALICE", "/signing-keys audit 3")
		told := h.told("UALICE")
		wantIn(t, "the trail", told, "#6", "#7", "#8", "Done.", "A checkpoint", "Size 8 · root ")
		if strings.Contains(told, "#5") {
			t.Errorf("there are more than 3 entries:\n%s", told)
		}
		id := regexp.MustCompile(`kt-[a-z0-9]{8}`).FindString(told)
		h.slash("UALICE", "/signing-keys audit "+id)
		wantIn(t, "the request", h.told("UALICE"), "The trail of "+id, "#1", "asked for the revocation of the key "+h.kid("revoked"), "#2", "bob (UBOB) approved it", "keyturn audit show "+id)
		h.slash("UALICE", "/signing-keys audit kt-22222222")
		wantIn(t, "an unknown request", h.told("UALICE"), "The trail has no request kt-22222222")
		h.slash("UALICE", "/signing-keys help")
		wantIn(t, "the help", h.told("UALICE"), "Two people turn the key", "rotate-and-revoke", "The tenant is prod")
	})
}

func TestAuth0CannotBeRead(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.tenant.Close()
		h.slash("UALICE", "/signing-keys list")
		time.Sleep(time.Minute)
		wantIn(t, "what alice was told", h.told("UALICE"), "could not read that now", "the log under")
		h.slash("UALICE", "/signing-keys rotate")
		time.Sleep(time.Minute)
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "Auth0 could not be read", "Try again")
	})
}

func TestAPressThatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.breakInbox(`ALTER TABLE inbox RENAME TO gone`)
		out, err := h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"})
		if err != nil || out.Acked {
			t.Errorf("the press was acknowledged: %+v, %v", out, err)
		}
		h.rest()
		wantIn(t, "what bob was told", h.told("UBOB"), "did not count", "Press again")

		h.slash("UALICE", "/signing-keys rotate")
		if _, err := h.slack.Submit("UALICE", map[string]any{"reason": "leak"}); err != nil {
			t.Fatal(err)
		}
		v, open := h.slack.View("UALICE")
		if !open || !strings.Contains(v.Errors["reason"], "could not be kept") {
			t.Errorf("the modal is open: %v, with %v", open, v.Errors)
		}

		h.breakInbox(`ALTER TABLE gone RENAME TO inbox`)
		h.press("UBOB", card, "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
	})
}

// breakInbox changes the database from outside.
func (h *house) breakInbox(statement string) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatWasReceivedIsFoundAgain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		for _, tc := range []struct {
			age  time.Duration
			want string
		}{{3 * time.Minute, "reached me late"}, {time.Minute, "You approved it"}} {
			h.close()
			h.breakInbox(`INSERT INTO inbox (id, payload, received_at) VALUES ('e` + tc.age.String() + `',
				'{"who":{"user":"UBOB","team":"T0SIM"},"channel":"` + room + `","request":"' || (SELECT id FROM requests) || '","verb":"approve"}',
				` + micros(time.Now().Add(-tc.age)) + `)`)
			h.open()
			h.rest()
			wantIn(t, "what bob was told", h.told("UBOB"), tc.want)
		}
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
		if h.writes() != 1 {
			t.Errorf("%d writes, want 1", h.writes())
		}
	})
}

func TestNoSecretsOut(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("rotate-and-revoke"), "approve")
		h.slash("UALICE", "/signing-keys list")
		for _, way := range []string{"response_url", "chat.postEphemeral", "chat.postMessage"} {
			h.slack.Fault(slacksim.Fault{Method: way, Delay: time.Hour}) // the error names the address
		}
		h.slash("UALICE", "/signing-keys list")
		time.Sleep(4 * time.Minute)
		wantIn(t, "the log", h.log.String(), "an answer was not shown")
		var shown []string
		for _, c := range []string{room, trail} {
			for _, m := range h.slack.Messages(c) {
				shown = append(shown, string(m.Blocks), m.Text)
			}
		}
		out := h.log.String() + strings.Join(shown, "\n") + h.dump()
		for _, secret := range []string{"xapp-1-", "xoxb-", "sim-secret", "trigger.", "/response/", "ticket-", "eyJ"} {
			if strings.Contains(out, secret) {
				t.Errorf("%q is in the log, a message or the database", secret)
			}
		}
	})
}
