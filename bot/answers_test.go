package bot_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// This file tests the ways in which people are answered, and how posts wait for each other.

// TestAListIsShownThoughSlackFails in each way, once or for good.
func TestAListIsShownThoughSlackFails(t *testing.T) {
	inConversation := func(h *house) []slacksim.Message { return h.slack.Messages("DUALICE") }
	for name, tc := range map[string]struct {
		faults []slacksim.Fault
		where  func(h *house) []slacksim.Message
	}{
		"the response URL fails once": {faults: []slacksim.Fault{
			{Method: "response_url", Times: 1, Status: 500}}},
		"the response URL is limited": {faults: []slacksim.Fault{
			{Method: "response_url", Times: 1, Status: 429, RetryAfter: 3 * time.Second}}},
		"the response URL is gone": {faults: []slacksim.Fault{
			{Method: "response_url", Status: 404}}},
		"the response URL hangs": {faults: []slacksim.Fault{
			{Method: "response_url", Delay: time.Hour}}},
		"nothing is shown in the channel": {faults: []slacksim.Fault{
			{Method: "response_url", Status: 404},
			{Method: "chat.postEphemeral", Error: "restricted_action"}}, where: inConversation},
		"the channel is in trouble": {faults: []slacksim.Fault{
			{Method: "response_url", Status: 503},
			{Method: "chat.postEphemeral", Status: 429, RetryAfter: time.Hour},
			{Method: "chat.postMessage", Times: 2, Status: 503}}, where: inConversation},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				for _, f := range tc.faults {
					h.slack.Fault(f)
				}
				h.slash("UALICE", "/signing-keys list")
				time.Sleep(45 * time.Second)
				shown := h.slack.Ephemerals("UALICE", room)
				if tc.where != nil {
					shown = tc.where(h)
				}
				if len(shown) != 1 || !strings.Contains(shown[0].Shows(), "Signing keys of prod") {
					t.Errorf("alice sees %q, want the list once\n%s", shows(shown), h.log)
				}
			})
		})
	}
}

func TestAFormIsFilledInThoughSlackFails(t *testing.T) {
	for name, f := range map[string]slacksim.Fault{
		"filling in is down":        {Method: "views.update", Times: 2, Status: 503},
		"filling in is limited":     {Method: "views.update", Times: 1, Status: 429, RetryAfter: 4 * time.Second},
		"filling in breaks off":     {Method: "views.update", Times: 2, Lose: slacksim.LoseBefore},
		"opening is down":           {Method: "views.open", Times: 2, Status: 503},
		"opening is limited":        {Method: "views.open", Times: 1, Status: 429, RetryAfter: time.Second},
		"opening breaks off":        {Method: "views.open", Times: 2, Lose: slacksim.LoseBefore},
		"opening is not answered":   {Method: "views.open", Times: 1, Lose: slacksim.LoseAfter},
		"who asks is not said":      {Method: "users.info", Times: 2, Status: 503},
		"where it is asked is lost": {Method: "conversations.info", Times: 2, Lose: slacksim.LoseAfter},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.slack.Fault(f)
				h.slash("UALICE", "/signing-keys rotate")
				time.Sleep(10 * time.Second)
				h.submit("UALICE", map[string]any{"reason": "leak"})
				if len(h.cards()) != 1 {
					t.Errorf("there is no card; alice was told %q\n%s", h.told("UALICE"), h.log)
				}
			})
		})
	}
}

// TestWhoseFormStaysEmptyIsTold, with their words.
func TestWhoseFormStaysEmptyIsTold(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.Fault(slacksim.Fault{Method: "views.update", Status: 503})
		h.slash("UALICE", "/signing-keys rotate pasted in a build log")
		time.Sleep(15 * time.Second)
		wantIn(t, "what alice was told", h.told("UALICE"), "type the command again", "pasted in a build log")
		h.slack.ClearFaults()
		h.slack.Fault(slacksim.Fault{Method: "views.open", Error: "expired_trigger_id"})
		h.slash("UALICE", "/signing-keys rotate pasted elsewhere")
		time.Sleep(5 * time.Second)
		wantIn(t, "what alice was told", h.told("UALICE"), "no time to open the form", "pasted elsewhere")
	})
}

// TestWhoseCardCannotBeShownIsTold what to do about it.
func TestWhoseCardCannotBeShownIsTold(t *testing.T) {
	for code, advice := range map[string]string{
		"restricted_action_read_only_channel": "posting permissions", "is_archived": "Unarchive it", "not_in_channel": "Invite me",
	} {
		t.Run(code, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Error: code,
					If: func(args map[string]string) bool { return args["channel"] == room }})
				h.slash("UALICE", "/signing-keys revoke")
				h.submit("UALICE", map[string]any{"reason": "leak"})
				time.Sleep(5 * time.Minute)
				told := shows(h.slack.Messages("DUALICE"))
				if len(told) != 1 {
					t.Fatalf("alice was told %q, want one message", told)
				}
				wantIn(t, "what alice was told", told[0], "cannot show its card", code, advice, "/signing-keys requests")
				wantIn(t, "the audit channel", strings.Join(shows(h.slack.Messages(trail)), "\n"), advice)
			})
		})
	}
}

// TestAThreadThatTakesNoRepliesConcernsItsLinesAlone: the next card comes at once.
func TestAThreadThatTakesNoRepliesConcernsItsLinesAlone(t *testing.T) {
	for _, code := range []string{
		"restricted_action_thread_locked", "restricted_action_non_threadable_channel", "cannot_reply_to_message", "a_code_of_next_year",
	} {
		t.Run(code, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Error: code,
					If: func(args map[string]string) bool { return args["thread_ts"] == card.TS }})
				h.press("UBOB", card, "deny")
				asked := time.Now()
				next := h.ask("rotate")
				if d := time.Since(asked); d > 10*time.Second {
					t.Errorf("the next card came after %v", d)
				}
				h.press("UBOB", next, "approve")
				wantIn(t, "the next thread", h.thread(next.TS), "Approved by", "Done")
				if s := strings.Join(shows(h.slack.Messages(trail)), "\n"); strings.Contains(s, "Slack takes nothing") {
					t.Errorf("a channel is parked:\n%s", s)
				}
			})
		})
	}
}

// TestCardsComeBeforeShares, and one person shares once a minute.
func TestCardsComeBeforeShares(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UGINA", "/signing-keys list")
		lists := h.slack.Ephemerals("UGINA", room)
		list := lists[len(lists)-1]
		before := len(h.slack.Messages(room))
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					go h.slack.Press("UGINA", room, list.TS, slacksim.Button{Action: "share"}, list)
				}
			}
		}()
		time.Sleep(30 * time.Second)
		h.slash("UALICE", "/signing-keys revoke")
		h.slack.Submit("UALICE", map[string]any{"reason": "leak"})
		asked := time.Now()
		for len(h.cards()) == 0 && time.Since(asked) < time.Minute {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if d := time.Since(asked); d > 3*time.Second {
			t.Errorf("the card came after %v", d)
		}
		close(stop)
		time.Sleep(time.Minute)
		if n := len(h.slack.Messages(room)) - before - 1; n > 3 {
			t.Errorf("the list was shared %d times in a minute and a half", n)
		}
	})
}

// TestARetryAfterOfAYearIsNotBelieved: one odd answer does not silence keyturn.
func TestARetryAfterOfAYearIsNotBelieved(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Status: 429, RetryAfter: 365 * 24 * time.Hour})
		h.slash("UALICE", "/signing-keys revoke")
		h.submit("UALICE", map[string]any{"reason": "leak"})
		time.Sleep(3 * time.Minute)
		h.rest()
		if len(h.cards()) != 1 || len(h.slack.Messages(trail)) != 1 {
			t.Errorf("%d cards and %d posts, want one of each", len(h.cards()), len(h.slack.Messages(trail)))
		}
		wantIn(t, "the log", h.log.String(), "slack asked for a longer pause than is heeded")
	})
}

// TestAskingAndCancellingHoldsUpNobody: once a second, for five minutes.
func TestAskingAndCancellingHoldsUpNobody(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.rest()
		for began := time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(500 * time.Millisecond) {
			h.slack.Slash("UDAVE", room, "/signing-keys rotate")
			time.Sleep(200 * time.Millisecond)
			h.slack.Submit("UDAVE", map[string]any{"reason": strings.Repeat("x", 3000)})
			time.Sleep(200 * time.Millisecond)
			h.slack.Slash("UDAVE", room, "/signing-keys requests")
			time.Sleep(100 * time.Millisecond)
			if all := h.slack.Ephemerals("UDAVE", room); len(all) > 0 {
				m := all[len(all)-1]
				h.slack.Press("UDAVE", room, m.TS, slacksim.Button{Action: "cancel"}, m)
			}
		}
		asked := 0
		for _, e := range h.trail() {
			if e.Kind == audit.Asked {
				asked++
			}
		}
		if asked < 6 || asked > 70 {
			t.Errorf("dave asked %d times in five minutes", asked)
		}
		began := time.Now()
		h.slack.Slash("UALICE", room, "/signing-keys revoke")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.slack.Submit("UALICE", map[string]any{"reason": "ALICE leak"})
		in := func(channel string) bool {
			return strings.Contains(strings.Join(shows(h.slack.Messages(channel)), "\n"), "ALICE leak")
		}
		for !in(room) || !in(trail) {
			if time.Since(began) > 15*time.Second {
				t.Fatalf("after %v: her card is there %v, the post of it %v", time.Since(began), in(room), in(trail))
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
	})
}

// TestAStopEndsWhatOnlyLooks: it waits for no tenant that does not answer.
func TestAStopEndsWhatOnlyLooks(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "list", Delay: time.Hour})
		for i := range 300 {
			go h.slack.Slash([]string{"UALICE", "UBOB", "UDAVE"}[i%3], room, "/signing-keys list")
		}
		time.Sleep(time.Second)
		began := time.Now()
		h.stop()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it stopped after %v", d)
		}
		h.stop = func() {}
	})
}

// TestWhatOnePersonWithdrewSharesAPost where the audit channel is behind; what others did,
// and what still stands, has posts of its own.
func TestWhatOnePersonWithdrewSharesAPost(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Status: 503,
			If: func(args map[string]string) bool { return args["channel"] == trail }})
		for range 12 {
			h.slash("UDAVE", "/signing-keys rotate")
			h.submit("UDAVE", map[string]any{"reason": "trying it out"})
			all := h.cards()
			h.press("UDAVE", all[len(all)-1], "cancel")
		}
		h.slash("UDAVE", "/signing-keys rotate")
		h.submit("UDAVE", map[string]any{"reason": "this one stays"})
		h.press("UBOB", card, "deny")
		h.slack.ClearFaults()
		time.Sleep(time.Minute)
		h.rest()
		posts := shows(h.slack.Messages(trail))
		all := strings.Join(posts, "\n")
		if len(posts) > 6 || strings.Count(all, "Withdrawn") != 1 {
			t.Errorf("%d posts, want the twelve joined:\n%s", len(posts), all)
		}
		wantIn(t, "the audit channel", all, "UDAVE asked for 12 changes", "this one stays", "denied by @UBOB", "(#2 asked, #3 cancelled)")
	})
}

// TestAnOpenCardNamesTheApproversOfToday: the configuration changed since it was drawn.
func TestAnOpenCardNamesTheApproversOfToday(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		time.Sleep(20 * time.Minute)
		h.close()
		h.policy = approval.Policy{Approvers: []string{"UALICE", "UDAVE"}, Requesters: []string{"*"}}
		h.open()
		time.Sleep(2 * time.Minute)
		h.rest()
		shows := h.card(card.TS).Shows()
		wantIn(t, "the card", shows, "@UDAVE")
		if strings.Contains(shows, "SONCALL") {
			t.Errorf("the card names those who may no more:\n%s", shows)
		}
	})
}
