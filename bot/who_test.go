package bot_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// This file shows who counts, by stories.

// inGrid is inHouse in an Enterprise Grid, where alice and bob have two ids each, and both
// of alice's are approvers.
func inGrid(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.slack.SetEnterprise("E0ORG")
		for _, p := range []slacksim.Person{
			{ID: "UALICE", Name: "alice", Global: "WALICE"},
			{ID: "UBOB", Name: "bob", Global: "WBOB"},
			{ID: "UDAVE", Name: "dave"},
		} {
			p.Enterprise = "E0ORG"
			h.slack.AddPerson(p)
		}
		h.policy.Approvers = []string{"UALICE", "WALICE", "SONCALL"}
		h.open()
		test(t, h)
	})
}

func TestTwoIDsAreOnePerson(t *testing.T) {
	for _, ids := range [][2]string{{"UALICE", "WALICE"}, {"WALICE", "UALICE"}} {
		for _, verb := range []string{"approve", "deny", "cancel"} {
			t.Run(ids[0]+" asks, "+ids[1]+" presses "+verb, func(t *testing.T) {
				inGrid(t, func(t *testing.T, h *house) {
					h.slash(ids[0], "/signing-keys revoke")
					h.submit(ids[0], map[string]any{"reason": "pasted in a build log"})
					card := h.cards()[0]
					h.press(ids[1], card, verb)
					shown := h.card(card.TS).Shows()
					if verb == "cancel" {
						wantIn(t, "the card", shown, "Cancelled by")
						return
					}
					if h.writes() != 0 || shown != card.Shows() {
						t.Errorf("one person asked and decided; the card is\n%s", shown)
					}
					h.press("WBOB", card, "approve") // bob is in the group by his other id
					if h.writes() != 0 {
						t.Error("a group counts for an id that it does not list")
					}
					h.press("UBOB", card, "approve")
					if h.writes() != 1 {
						t.Errorf("%d writes, want the one that bob approved\n%s", h.writes(), h.log)
					}
				})
			})
		}
	}
}

func TestAPressUnderTheOtherIDIsTheSamePress(t *testing.T) {
	inGrid(t, func(t *testing.T, h *house) {
		h.slack.AddGroup("SONCALL", "UBOB", "WBOB")
		card := h.ask("revoke")
		h.press("UBOB", card, "deny")
		h.press("WBOB", card, "deny")
		wantIn(t, "what bob "+
			"was told", strings.Join(shows(h.slack.Ephemerals("WBOB", room)), "\n"), "You did "+
			"that already")
	})
}

func TestOnePersonEndsNoDoubtUnderTwoIDs(t *testing.T) {
	inGrid(t, func(t *testing.T, h *house) {
		card := h.inDoubt()
		h.press("UALICE", card, "did_not")
		h.press("WALICE", h.card(card.TS), "did_not")
		wantIn(t, "the card", h.card(card.TS).Shows(), "In doubt")
		story := h.story(h.newest())
		said := slices.DeleteFunc(story, func(e audit.Entry) bool { return e.Kind != audit.Stated })
		if len(said) != 1 || said[0].Actor.Alias != "WALICE" {
			t.Errorf("the trail has %+v, want one word, with both ids", said)
		}
	})
}

func TestWithoutTheOrganisationsIDNobodyIsEstablished(t *testing.T) {
	inGrid(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.AddPerson(slacksim.Person{ID: "UBOB", Name: "bob", Enterprise: "E0ORG",
			Patch: json.RawMessage(`{"enterprise_user": {"id": null}}`)})
		h.press("UBOB", card, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "Slack did not say in time who")
	})
}

func TestAGroupCountsAsItIsAtThePress(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		wantIn(t, "what dave was told", h.told("UDAVE"), "not among the approvers")
		h.slack.AddGroup("SONCALL", "UDAVE")
		time.Sleep(time.Millisecond)
		h.press("UBOB", card, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "not among the approvers")
		h.press("UDAVE", card, "approve")
		if h.writes() != 1 {
			t.Errorf("%d writes, want the one that dave approved", h.writes())
		}
	})
}

func TestOneListServesAllWhoPressedBefore(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		time.Sleep(time.Minute)
		h.slack.Fault(slacksim.Fault{Method: "usergroups.users.list", Delay: time.Second})
		before := h.calls("usergroups.users.list")
		for _, who := range []string{"UDAVE", "UDAVE", "UBOB"} {
			go h.slack.Press(who, room, card.TS, slacksim.Button{Action: "deny"})
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		h.rest()
		if n := h.calls("usergroups.users.list") - before; n > 2 {
			t.Errorf("%d calls for three presses, want the one under way and one for the others", n)
		}
		wantIn(t, "the card", h.card(card.TS).Shows(), "Denied by @UBOB")
	})
}

// calls counts the calls of a method.
func (h *house) calls(method string) (n int) {
	synctest.Wait()
	for _, c := range h.slack.History() {
		if c.Method == method {
			n++
		}
	}
	return n
}

func TestWhatOneIsIsRememberedForAMinute(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		before := h.calls("users.info")
		for range 5 {
			h.press("UGINA", card, "approve")
		}
		if n := h.calls("users.info") - before; n != 1 {
			t.Errorf("%d calls for five presses of a guest, want one", n)
		}
		h.slack.AddPerson(slacksim.Person{ID: "UGINA", Name: "gina"})
		time.Sleep(time.Minute)
		h.press("UGINA", card, "approve")
		if h.writes() != 1 {
			t.Error("somebody who is a full member by now does not count")
		}
	})
}

func TestAGroupThatIsGoneMakesNoOtherUseless(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.policy.Approvers = []string{"SGONE", "UALICE", "SONCALL"}
		h.open()
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		wantIn(t, "what dave was told", h.told("UDAVE"), "You may be in the user group "+
			"SGONE", "no_such_subteam", "Tell the operator")
		if strings.Contains(h.told("UDAVE"), "Press again") {
			t.Error("dave is told to press again, for nothing")
		}
		time.Sleep(time.Minute) // until groups may be read again
		h.press("UBOB", card, "approve")
		if h.writes() != 1 {
			t.Errorf("%d writes, want the one that bob approved", h.writes())
		}
	})
}

func TestOnlyPeopleWhoCouldApproveAreCounted(t *testing.T) {
	other := json.RawMessage(`{"enterprise_user": {"id": "UALICE"}}`)
	for name, tc := range map[string]struct {
		who   slacksim.Person
		words string
	}{
		"deactivated":     {slacksim.Person{Deactivated: true}, "UEVE (deactivated)"},
		"a guest":         {slacksim.Person{Guest: true}, "UEVE (a guest)"},
		"a bot":           {slacksim.Person{Bot: true}, "UEVE (a bot)"},
		"of another team": {slacksim.Person{Team: "T0OTHER"}, "UEVE (of another workspace)"},
		"nobody":          {slacksim.Person{ID: "UELSE"}, "UEVE (unknown to Slack)"},
		"able":            {slacksim.Person{}, ""},
		"not to be read":  {slacksim.Person{Patch: json.RawMessage(`{"deleted": 1}`)}, "(not established)"},
		"of two ids":      {slacksim.Person{Patch: other}, "could only fail"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				tc.who.ID = cmp.Or(tc.who.ID, "UEVE")
				h.slack.AddPerson(tc.who)
				h.policy.Approvers = []string{"UALICE", "UEVE"}
				h.open()
				h.slash("UALICE", "/signing-keys revoke")
				v, _ := h.slack.View("UALICE")
				shown := slacksim.PlainText(v.Blocks)
				if isAsk := v.Submit != ""; isAsk != (tc.words == "") {
					t.Errorf("the modal is\n%s", shown)
				}
				if tc.words != "" {
					wantIn(t, "the modal", shown, "Nobody besides you could approve this", tc.words)
				}
			})
		})
	}
}

func TestAFieldThatNobodyNeedsLocksNobodyOut(t *testing.T) {
	for patch, counts := range map[string]bool{
		`{"profile": {"status_expiration": ""}}`: true,
		`{"profile": [], "updated": "now"}`:      true,
		`{"enterprise_user": {}}`:                true,
		`{"name": 7, "has_2fa": "no"}`:           true,
		`{"deleted": "true"}`:                    false,
		`{"is_restricted": 1}`:                   false,
		`{"is_bot": []}`:                         false,
		`{"team_id": 5}`:                         false,
	} {
		t.Run(patch, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.slack.AddChannel(slacksim.Channel{
					ID: room, Members: []string{"UALICE", "UBOB", slacksim.BotID},
					Patch: json.RawMessage(`{"properties": [], "topic": "", "created": "x"}`),
				})
				card := h.ask("revoke")
				bob := slacksim.Person{ID: "UBOB", Name: "bob", Patch: json.RawMessage(patch)}
				h.slack.AddPerson(bob)
				h.press("UBOB", card, "approve")
				if got := h.writes() == 1; got != counts {
					t.Errorf("counts %v, want %v; bob was told %q", got, counts, h.told("UBOB"))
				}
			})
		})
	}
}

func TestAConversationOfAFewNeedsAChannel(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		everybody := []string{"UALICE", "UBOB", slacksim.BotID}
		h.slack.AddChannel(slacksim.Channel{ID: "G0FEW", MPIM: true, Members: everybody[:2]})
		h.slack.AddChannel(slacksim.Channel{ID: "C0FEW", MPIM: true, Members: everybody})
		h.slack.AddChannel(slacksim.Channel{ID: "C0NEWS", ReadOnly: true, Members: everybody})
		for channel, words := range map[string]string{
			"G0FEW": "This needs a channel", "C0FEW": "This needs a channel",
			"C0NEWS": "I may not post in this channel (is_read_only)",
		} {
			h.slashIn(channel, "UALICE", "/signing-keys revoke")
			v, _ := h.slack.View("UALICE")
			wantIn(t, channel, slacksim.PlainText(v.Blocks), words)
		}
	})
}

func TestPeopleWithoutAScopeAreToldWhich(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.SetScopes("commands", "chat:write", "channels:read", "usergroups:read")
		h.press("UBOB", card, "approve")
		wantIn(t, "what bob was told", h.told("UBOB"), "Pressing again does not help", "users:read")
	})
}
