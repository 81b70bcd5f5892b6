package bot_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
)

func TestOnlyTheRightPeopleDecide(t *testing.T) {
	for _, tc := range []struct{ user, action, words string }{
		{"UALICE", "approve", "a second person has to decide"},
		{"UALICE", "deny", "a second person has to decide"},
		{"UDAVE", "approve", "not among the approvers"},
		{"UDAVE", "deny", "not among the approvers"},
		{"UDAVE", "cancel", "Only @UALICE, who asked for it, can cancel"},
		{"UBOB", "cancel", "Only @UALICE, who asked for it, can cancel"},
		{"UGINA", "approve", "Guests of this workspace cannot"},
		{"UGUS", "approve", "Guests of this workspace cannot"},
		{"UDAN", "approve", "account is deactivated"},
		{"UXENA", "approve", "Members of another workspace cannot"},
		{"UBERT", "approve", "A bot or an app's user does not count"},
		{"UAPP", "approve", "A bot or an app's user does not count"},
	} {
		t.Run(tc.user+" "+tc.action, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.press(tc.user, card, tc.action)
				wantIn(t, "what "+tc.user+" was told", h.told(tc.user), tc.words)
				if now := h.card(card.TS); now.Shows() != card.Shows() {
					t.Errorf("the card changed:\n%s", now.Shows())
				}
				h.press("UBOB", card, "approve") // and it can still be approved
				if h.writes() != 1 {
					t.Errorf("%d writes, want the one that bob approved", h.writes())
				}
			})
		})
	}
}

func TestWhatIsNotEstablishedIsANo(t *testing.T) {
	const late = "did not say in time who and where you are, so this did not count. Press again"
	for _, tc := range []struct {
		name  string
		fault slacksim.Fault
		words string
	}{
		{"users.info fails", slacksim.Fault{Method: "users.info", Error: "user_not_found"},
			"does not say who you are (user_not_found)"},
		{"users.info hangs", slacksim.Fault{Method: "users.info", Delay: time.Minute}, late},
		{"the group cannot be read",
			slacksim.Fault{Method: "usergroups.users.list", Error: "plan_upgrade_required"},
			"user group SONCALL, which cannot be read (plan_upgrade_required)"},
		{"Slack is out of its senses", slacksim.Fault{Method: "users.info", Status: 500}, late},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.slack.Fault(tc.fault)
				h.press("UBOB", card, "approve")
				time.Sleep(approval.StaleAfter + time.Minute)
				h.rest()
				wantIn(t, "what bob was told", h.told("UBOB"), tc.words)
				if h.writes() != 0 {
					t.Error("something was written")
				}
				h.slack.ClearFaults()
				h.press("UBOB", card, "approve")
				if h.writes() != 1 {
					t.Error("the press after it did not count")
				}
			})
		})
	}
}

// TestAPressIsKeptWhileSlackDoesNotSayWhoItWas: nobody has to press again.
func TestAPressIsKeptWhileSlackDoesNotSayWhoItWas(t *testing.T) {
	for name, fault := range map[string]slacksim.Fault{
		"users.info hangs":               {Method: "users.info", Delay: time.Hour},
		"users.info is limited":          {Method: "users.info", Status: 429, RetryAfter: 30 * time.Second},
		"users.info is down":             {Method: "users.info", Status: 503},
		"the group is limited":           {Method: "usergroups.users.list", Error: "ratelimited"},
		"conversations.info is in doubt": {Method: "conversations.info", Error: "fatal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				time.Sleep(2 * time.Minute)
				h.slack.Fault(fault)
				h.press("UBOB", card, "approve")
				time.Sleep(time.Minute)
				wantIn(t, "what bob was told", h.told("UBOB"), "Your press is kept")
				if h.writes() != 0 {
					t.Error("something was written")
				}
				h.slack.ClearFaults()
				time.Sleep(50 * time.Second)
				h.rest()
				wantIn(t, "the card", h.card(card.TS).Shows(), "Done", "Approved by @UBOB")
			})
		})
	}
}

func TestCancelNeedsNoGroup(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		time.Sleep(2 * time.Minute)
		h.slack.Fault(slacksim.Fault{Method: "usergroups.users.list", Error: "internal_error"})
		h.press("UALICE", card, "cancel")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Cancelled by @UALICE")
	})
}

func TestAskingIsRefusedWhereItCouldOnlyFail(t *testing.T) {
	for _, tc := range []struct {
		name, channel, user, line string
		words                     string
	}{
		{"a guest", room, "UGINA", "revoke", "Guests of this workspace cannot"},
		{"a bot", room, "UBERT", "revoke", "A bot or an app's user"},
		{"a channel without the bot", "C0EMPTY", "UALICE", "rotate", "/invite @keyturn"},
		{"a shared channel", "C0SHARED", "UALICE", "rotate", "shared with another organisation"},
		{"a direct message", "D0ALICE", "UALICE", "rotate", "needs a channel"},
		{"a kid that is current", room, "UALICE", "revoke $current", "currently used"},
		{"a kid that is next", room, "UALICE", "revoke $next", "next in queue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				line := strings.NewReplacer("$current", h.kid("current"), "$next", h.kid("next")).Replace(tc.line)
				h.slashIn(tc.channel, tc.user, "/signing-keys "+line)
				v, open := h.slack.View(tc.user)
				if !open || v.Submit != "" {
					t.Fatalf("the modal is %+v, want one without a submit button", v)
				}
				wantIn(t, "the modal", slacksim.PlainText(v.Blocks), tc.words)
				if n := len(h.slack.Messages(room)); n != 0 {
					t.Errorf("%d messages were posted", n)
				}
			})
		})
	}
}

func TestARevokedKeyIsNotRevokedAgain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		kid := h.kid("previous")
		h.press("UBOB", h.ask("revoke"), "approve")
		h.slash("UALICE", "/signing-keys revoke "+kid)
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "revoked already, since", "nothing left to do")
		h.slack.CloseView("UALICE")
		h.slash("UALICE", "/signing-keys revoke")
		v, _ = h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "no previously used key", "rotate-and-revoke")
	})
}

func TestTheSameIsAskedForOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UBOB", "/signing-keys rotate") // before alice asks, so that both fill in
		card := h.ask("rotate")
		h.submit("UBOB", map[string]any{"reason": "me too"})
		wantIn(t, "what bob was told", h.told("UBOB"), "asked for already", "me too")
		h.slash("UBOB", "/signing-keys rotate")
		v, _ := h.slack.View("UBOB")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "asked for already: kt-")
		if n := len(h.slack.Messages(room)); n != 1 {
			t.Errorf("%d cards, want 1", n)
		}
		h.slack.CloseView("UBOB")
		h.press("UALICE", card, "cancel")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Cancelled by @UALICE")
		h.slash("UBOB", "/signing-keys rotate")
		h.submit("UBOB", map[string]any{"reason": "now it is free"})
		if n := len(h.slack.Messages(room)); n != 2 {
			t.Errorf("%d cards, want 2", n)
		}
	})
}

func TestATrailThatCannotBePostedIsToldAtTheStart(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.slack.AddChannel(slacksim.Channel{ID: trail, Name: "trail", Members: []string{"UALICE"}})
		h.open()
		h.rest()
		wantIn(t, "the log", h.log.String(), "the audit channel cannot be posted in")
		card := h.ask("revoke")
		h.press("UBOB", card, "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
		alarms := func() (n int) {
			for _, m := range h.slack.Messages(room) {
				if strings.Contains(m.Shows(), "Slack takes nothing from me for") {
					n++
					wantIn(t, "the alarm", m.Shows(), "not_in_channel", "the channel of the trail", "Invite me")
				}
			}
			return n
		}
		time.Sleep(10 * time.Minute) // in which it is tried again
		if n := alarms(); n != 1 {
			t.Errorf("%d alarms in the room, want 1", n)
		}
		h.slack.Invite(trail)
		time.Sleep(2 * time.Minute)
		// The checkpoint of the end, #9, is in the end's post.
		if got := numbers(h.slack.Messages(trail)); !slices.Equal(got, []string{"#1", "🚨", "#3", "#8"}) {
			t.Errorf("after the bot was invited there are the posts %v", got)
		}
	})
}

func TestKeysThatChangedAreShownAnew(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UALICE", "/signing-keys rotate")
		next := h.tenant.Rotate()
		h.submit("UALICE", map[string]any{"reason": "leak"})
		wantIn(t, "what alice was told", h.told("UALICE"), "The keys changed since", next, "leak")
		if n := len(h.slack.Messages(room)); n != 0 {
			t.Errorf("%d cards were posted", n)
		}
	})
}

func TestNobodyElse(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.policy = approval.Policy{Approvers: []string{"UALICE"}, Requesters: []string{"*"}}
		h.open()
		h.slash("UALICE", "/signing-keys rotate")
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "Nobody besides you could approve")
		card := func() slacksim.Message {
			h.slash("UBOB", "/signing-keys rotate")
			h.submit("UBOB", map[string]any{"reason": "leak"})
			return h.slack.Messages(room)[0]
		}()
		h.press("UALICE", card, "approve")
		if h.writes() != 1 {
			t.Error("alice could not approve what bob asked for")
		}
	})
}

func TestRequestersAndChannelsOfTheConfiguration(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.policy.Requesters, h.places = []string{"UBOB"}, []string{room}
		h.open()
		h.slash("UALICE", "/signing-keys rotate")
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "not among those who may ask")
		h.slashIn("C0EMPTY", "UBOB", "/signing-keys rotate")
		v, _ = h.slack.View("UBOB")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "may not be used in this channel")
	})
}

func TestPressesOnWhatIsOver(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UBOB", card, "deny")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Denied by @UBOB", "No key was touched")
		wantIn(t, "what bob was told", h.told("UBOB"), "You denied it", "[Say why…]")
		h.press("UBOB", card, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "Too late: this request is already denied by @UBOB")
		h.press("UBOB", card, "deny")
		wantIn(t, "what bob was told", h.told("UBOB"), "You did that already, and it stands")
		h.press("UALICE", card, "cancel")
		wantIn(t, "what alice was told", h.told("UALICE"), "Too late: this request is already denied by @UBOB")
		if h.writes() != 0 {
			t.Error("something was written")
		}
	})
}

func TestTheSamePressTwice(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		for range 3 {
			h.press("UBOB", card, "approve")
		}
		wantIn(t, "what bob was told", h.told("UBOB"), "You did that already, and it stands: the request is done")
		if h.writes() != 1 {
			t.Errorf("%d writes, want 1", h.writes())
		}
	})
}

func TestExpiredRequests(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		time.Sleep(31 * time.Minute)
		h.rest()
		wantIn(t, "the card", h.card(card.TS).Shows(), "Expired", "No key was touched")
		h.press("UBOB", card, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "Too late: this request is already expired")
		if h.writes() != 0 {
			t.Error("something was written")
		}
	})
}

func TestWhyWasItDenied(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UBOB", card, "deny")
		all := h.slack.Ephemerals("UBOB", room)
		h.press("UBOB", all[len(all)-1], "explain")
		h.submit("UBOB", map[string]any{"reason": "it is the <!here> wrong key"})
		wantIn(t, "the thread", h.thread(card.TS), "@UBOB says why", "it is the <!here> wrong key")
		wantIn(t, "what bob was told", h.told("UBOB"), "Your words are in the trail")
	})
}

func TestWordsThatPeopleType(t *testing.T) {
	for line, words := range map[string]string{
		"/signing-keys <!channel> now":     "I do not know the word “<!channel>”",
		"/signing-keys frobnicate":         "I do not know the word “frobnicate”",
		"/signing-keys audit many":         "Say how many of the last, from 1 to 40",
		"/signing-keys certificate newest": "Say next, current or previous",
		"/signing-keys list everything":    "takes no more words",
	} {
		t.Run(line, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.slash("UALICE", line)
				wantIn(t, "what alice was told", h.told("UALICE"), words)
				for _, m := range h.slack.Ephemerals("UALICE", room) {
					if len(m.Mentions) > 0 {
						t.Errorf("the answer mentions %v", m.Mentions)
					}
				}
			})
		})
	}
}

func TestSeveralTenants(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.names = []string{"prod", "staging"}
		h.open()
		h.slash("UALICE", "/signing-keys list")
		wantIn(t, "what alice was told", h.told("UALICE"), "Which tenant?", "prod, staging")
		h.slash("UALICE", "/signing-keys list test")
		wantIn(t, "what alice was told", h.told("UALICE"), "There is no tenant “test”", "prod, staging")
		h.slash("UALICE", "/signing-keys list staging")
		wantIn(t, "what alice was told", h.told("UALICE"), "Signing keys of staging")
		card := h.ask("rotate staging the reason")
		wantIn(t, "the card", card.Shows(), "Rotate the signing key of staging")
	})
}

// TestAReasonThatWouldHarm types 5,000 characters of markup. Slack's client holds the
// modal's input to 3,000; whoever gets around it is told so by keyturn.
func TestAReasonThatWouldHarm(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		evil := strings.Repeat("<!channel> <@UDAVE> @here `x` *b* & ", 140)[:5000]
		h.slash("UALICE", "/signing-keys rotate "+evil)
		v, _ := h.slack.View("UALICE")
		wantIn(t, "the modal", slacksim.PlainText(v.Blocks), "<!channel> <@UDAVE>",
			"The reason is cut at 3,000 characters")
		h.submit("UALICE", nil)
		card := h.slack.Messages(room)[0]
		wantIn(t, "the card", card.Shows(), "> <!channel> <@UDAVE> @here `x` *b* & ", "cut here; the trail has it whole")
		for _, m := range append(h.slack.Messages(room), h.slack.Messages(trail)...) {
			for _, id := range m.Mentions {
				if id != "UALICE" && id != "SONCALL" {
					t.Errorf("the typed words mention %s", id)
				}
			}
		}
	})
}
