package bot_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// This file tests what is shown when Slack is slow, down, or takes something back.

// api calls Slack as keyturn does, beside it: what a call of a keyturn that is dead still
// does.
func (h *house) api() *slack.Client {
	client := &http.Client{Transport: &http.Transport{DialContext: h.slack.Dial, DisableKeepAlives: true}}
	return slack.New("xoxb-sim", slack.OptionAPIURL("http://slack.test/api/"), slack.OptionHTTPClient(client))
}

// copyOf posts a message again, as a keyturn does that was killed before it could note it.
func (h *house) copyOf(m slacksim.Message) slacksim.Message {
	h.t.Helper()
	var blocks slack.Blocks
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		h.t.Fatal(err)
	}
	_, ts, err := h.api().PostMessageContext(context.Background(), m.Channel, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(blocks.BlockSet...))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.card(ts)
}

// numbers are the entries that messages are about, by the number they begin with.
func numbers(all []slacksim.Message) (out []string) {
	for _, m := range all {
		number, _, _ := strings.Cut(m.Shows(), " ")
		out = append(out, number)
	}
	return out
}

func TestOneMessageASecondAChannel(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		revoke := h.ask("revoke")
		h.press("UBOB", revoke, "approve")
		h.press("UBOB", h.ask("rotate-and-revoke"), "approve")
		h.press("UBOB", h.ask("rotate"), "deny")
		last, posts := map[string]time.Time{}, 0
		for _, c := range h.slack.History() {
			if c.Method != "chat.postMessage" {
				continue
			}
			channel := c.Args["channel"]
			if d := c.At.Sub(last[channel]); d < time.Second {
				t.Errorf("%v between two posts in %s", d, channel)
			}
			last[channel] = c.At
			posts++
		}
		if posts < 20 {
			t.Errorf("%d posts, want more for this to show anything", posts)
		}
	})
}

// TestSlacksPostingDelaysNoDecision spoils all posting, in each way, while a change is
// approved; and then looks whether what was not shown is, once, and in order.
func TestSlacksPostingDelaysNoDecision(t *testing.T) {
	for name, fault := range map[string]slacksim.Fault{
		"down":          {Status: http.StatusBadGateway},
		"slow":          {Delay: 15 * time.Second},
		"hanging":       {Delay: time.Hour},
		"in trouble":    {Error: "fatal_error"},
		"too much":      {Status: http.StatusTooManyRequests, RetryAfter: 20 * time.Second},
		"too much, too": {Error: "ratelimited"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("rotate-and-revoke")
				for _, method := range []string{"chat.postMessage", "chat.update", "chat.postEphemeral"} {
					fault.Method = method
					h.slack.Fault(fault)
				}
				pressed := time.Now()
				out, err := h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"})
				if err != nil || !out.Acked || out.Latency > time.Second {
					t.Fatalf("bob approves: %+v, %v", out, err)
				}
				if err := h.tenant.Await(context.Background(), func() bool { return h.writes() == 2 }); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(pressed); d > 5*time.Second {
					t.Errorf("it was carried out %v after the press", d)
				}
				time.Sleep(5 * time.Minute)
				h.slack.ClearFaults()
				time.Sleep(5 * time.Minute)
				h.rest()
				wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
				// The answer to the approved write is no line: what the look shows is.
				want := []string{"#2", "#4", "#6", "#7", "#9", "#10"}
				if diff := cmp.Diff(want, slices.Compact(numbers(h.slack.Thread(room, card.TS)))); diff != "" {
					t.Errorf("the thread (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{"#1", "#2", "#10"}, slices.Compact(numbers(h.slack.Messages(trail)))); diff != "" {
					t.Errorf("the audit channel (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestRetryAfterIsHonoured also for other channels: Slack means the whole workspace.
func TestRetryAfterIsHonoured(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Status: http.StatusTooManyRequests, RetryAfter: 20 * time.Second})
		card := h.ask("revoke")
		h.press("UBOB", card, "approve")
		h.rest()
		var limited time.Time
		for _, c := range h.slack.History() {
			switch {
			case c.Method != "chat.postMessage":
			case c.Error != "":
				limited = c.At
			case c.At.After(limited) && c.At.Sub(limited) < 20*time.Second: // one that was under way is none
				t.Errorf("a post in %s %v after a 429 that asks for 20 s", c.Args["channel"], c.At.Sub(limited))
			}
		}
		if limited.IsZero() {
			t.Error("there was no 429")
		}
	})
}

func TestAParkedChannelStopsNobodyElse(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		everybody := []string{"UALICE", "UBOB", slacksim.BotID}
		other := slacksim.Channel{ID: "C0OTHER", Name: "other", Members: everybody}
		h.slack.AddChannel(other)
		h.slashIn("C0OTHER", "UALICE", "/signing-keys rotate")
		h.submit("UALICE", map[string]any{"reason": "leak"})
		there := h.slack.Messages("C0OTHER")[0]
		other.Archived = true
		h.slack.AddChannel(other)

		h.slash("UALICE", "/signing-keys requests") // the second way to decide
		all := h.slack.Ephemerals("UALICE", room)
		if out, err := h.slack.Press("UALICE", room, all[len(all)-1].TS, slacksim.Button{Action: "cancel"}); err != nil || !out.Acked {
			t.Fatalf("alice cancels: %+v, %v", out, err)
		}
		card := h.ask("revoke")
		h.press("UBOB", card, "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
		wantIn(t, "the audit channel", strings.Join(shows(h.slack.Messages(trail)), "\n"),
			"🚨 #4 Alarmed", "me for C0OTHER (is_inactive)", "@SONCALL", "word requests", "Cancelled", "Done")
		wantIn(t, "the log", h.log.String(), "Slack takes nothing for a channel")

		other.Archived = false
		h.slack.AddChannel(other)
		time.Sleep(2 * time.Minute)
		wantIn(t, "the card in the other channel", h.slack.Messages("C0OTHER")[0].Shows(), "Cancelled")
		wantIn(t, "its thread", strings.Join(shows(h.slack.Thread("C0OTHER", there.TS)), "\n"), "Cancelled by @UALICE")
		if n := strings.Count(strings.Join(shows(h.slack.Messages(trail)), "\n"), "Slack takes nothing from me"); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
	})
}

func shows(all []slacksim.Message) (out []string) {
	for _, m := range all {
		out = append(out, m.Shows())
	}
	return out
}

func TestWhatSlackCannotShowIsPostedAsText(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Error: "invalid_blocks"})
		h.press("UBOB", card, "deny")
		wantIn(t, "the thread", h.thread(card.TS), "Denied by @UBOB")
		if got := numbers(h.slack.Messages(trail)); !slices.Equal(got, []string{"#1", "#2"}) {
			t.Errorf("the audit channel has %v", got)
		}
	})
}

func TestADeletedCardIsPostedAnew(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Delete(room, card.TS)
		h.press("UBOB", card, "deny") // his client still shows it
		cards := h.cards()
		if len(cards) != 1 || cards[0].TS == card.TS {
			t.Fatalf("%d cards, want a new one", len(cards))
		}
		wantIn(t, "the card", cards[0].Shows(), "Denied by @UBOB")
		wantIn(t, "its thread", h.thread(cards[0].TS), "Denied by @UBOB")
		h.press("UALICE", card, "cancel")
		wantIn(t, "what alice was told", h.told("UALICE"), "Too late: this request is already denied by @UBOB")
		if n := len(h.cards()); n != 1 {
			t.Errorf("%d cards after another press on the deleted one, want 1", n)
		}
	})
}

// TestTheNewestPressedCardIsAdopted leaves a second card behind, as a crash can, and
// deletes the first.
func TestTheNewestPressedCardIsAdopted(t *testing.T) {
	for name, deleted := range map[string]bool{"the first is there": false, "the first is deleted": true} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				first := h.ask("revoke")
				second := h.copyOf(first)
				if deleted {
					h.slack.Delete(room, first.TS)
				}
				h.press("UBOB", second, "approve")
				for _, card := range h.cards() {
					wantIn(t, "a card", card.Shows(), "Done", "Approved by @UBOB")
				}
				wantIn(t, "the thread of the card that was pressed", h.thread(second.TS), "Approved by @UBOB", "Done.")
				if n, want := len(h.cards()), map[bool]int{true: 1, false: 2}[deleted]; n != want {
					t.Errorf("%d cards, want %d", n, want)
				}
			})
		})
	}
}

// TestALateCallOfADeadProcessIsPaintedOver draws an older state on a card, as a call that
// was under way at a kill can, after the next keyturn has drawn the newest.
func TestALateCallOfADeadProcessIsPaintedOver(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UBOB", card, "approve")
		done := h.card(card.TS).Shows()
		h.close()
		h.open()
		var old slack.Blocks
		if err := json.Unmarshal(card.Blocks, &old); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := h.api().UpdateMessageContext(context.Background(), room, card.TS, slack.MsgOptionText(card.Text, false), slack.MsgOptionBlocks(old.BlockSet...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := h.card(card.TS).Shows(); got != done {
			t.Errorf("the card shows:\n%s", got)
		}
		edits := h.card(card.TS).Edits
		time.Sleep(time.Hour)
		if n := h.card(card.TS).Edits - edits; n != 0 {
			t.Errorf("the card was drawn %d times more", n)
		}
	})
}

// TestAPressOnWhatIsOverDrawsTheCardAnew: whoever presses that saw something old.
func TestAPressOnWhatIsOverDrawsTheCardAnew(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UBOB", card, "deny")
		edits := h.card(card.TS).Edits
		h.press("UALICE", card, "cancel")
		if n := h.card(card.TS).Edits - edits; n != 1 {
			t.Errorf("the card was drawn %d times, want once", n)
		}
	})
}

func TestTheReminderAtHalfTime(t *testing.T) {
	for _, mentions := range []bool{true, false} {
		inHouse(t, func(t *testing.T, h *house) {
			h.close()
			h.mention = mentions
			h.open()
			card := h.ask("revoke")
			time.Sleep(16 * time.Minute)
			h.close()
			h.open()
			h.rest()
			lines := h.slack.Thread(room, card.TS)
			if len(lines) != 1 || !lines[0].Broadcast {
				t.Fatalf("the thread has %d lines, want one that the channel shows too", len(lines))
			}
			wantIn(t, "the reminder", lines[0].Shows(), "Still waits for a second person", "Half of the time is over", "Expires")
			want := []string(nil)
			if mentions {
				want = []string{"SONCALL", "UALICE"}
			}
			if !cmp.Equal(lines[0].Mentions, want) {
				t.Errorf("it mentions %v, want %v", lines[0].Mentions, want)
			}
			if n := len(h.slack.Messages(trail)); n != 1 {
				t.Errorf("%d posts in the audit channel, want 1", n)
			}
			h.press("UBOB", card, "deny")
			lines = h.slack.Thread(room, card.TS)
			want = nil
			if mentions {
				want = []string{"UALICE", "UBOB"}
			}
			if end := lines[len(lines)-1]; mentions && !slices.Contains(end.Mentions, "UALICE") || !mentions && end.Mentions != nil {
				t.Errorf("the end mentions %v, want %v", end.Mentions, want)
			}
		})
	}
}

// TestPressesThatDidNotCountAreEntries, and share a post for each person.
func TestPressesThatDidNotCountAreEntries(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		h.press("UALICE", card, "approve")
		h.press("UDAVE", card, "approve")
		h.press("UDAVE", card, "cancel")
		h.close()
		h.open()
		h.press("UDAVE", card, "approve")
		h.press("UXENA", card, "approve")
		h.press("UBOB", card, "deny")

		var got []string
		entries, err := h.store.Entries(context.Background(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Kind == audit.Refused {
				got = append(got, e.Actor.Team+" "+e.Actor.User+" "+e.Press.Verb+" "+e.Press.Why)
			}
		}
		// The same again within a minute is counted, at the stop at the latest.
		want := []string{
			"T0SIM UDAVE approve not_approver", "T0SIM UALICE approve requester", "T0SIM UDAVE cancel not_requester",
			"T0SIM UDAVE approve not_approver", "T0SIM UDAVE approve not_approver", "T0OTHER UXENA approve stranger",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		posts := h.slack.Messages(trail)
		if got := numbers(posts); !slices.Equal(got, []string{"#1", "#2", "#3", "#7", "#8"}) {
			t.Errorf("the audit channel has %v:\n%s", got, strings.Join(shows(posts), "\n"))
		}
		wantIn(t, "dave's post", posts[1].Shows(), "Refused", "@UDAVE pressed, and it did not count", "Approve, not_approver (3 times)", "Cancel, not_requester (1 time)", "(#6)")
		wantIn(t, "xena's post", posts[3].Shows(), "@UXENA pressed", "stranger (1 time)")
		if n := len(h.slack.Thread(room, card.TS)); n != 1 {
			t.Errorf("the thread has %d lines, want that of the end alone", n)
		}
	})
}

// TestAPressOnARequestThatIsUnknown comes from a card of a database that is no more.
func TestAPressOnARequestThatIsUnknown(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		m := move{name: "approve"}
		if out, err := h.slack.Deliver(m.payload(h, "kt-gone2345", everybody[1], shapes[0], 0)); err != nil || !out.Acked {
			t.Fatalf("bob presses: %+v, %v", out, err)
		}
		h.rest()
		wantIn(t, "what bob was told", h.told("UBOB"), "I have no such request", "/signing-keys requests")
		wantIn(t, "the audit channel", strings.Join(shows(h.slack.Messages(trail)), "\n"), "#1 Refused · kt-gone2345", "unknown_request")
	})
}

// TestWhoIsNotInTheChannelIsToldApart: they saw the card in a channel that is public.
func TestWhoIsNotInTheChannelIsToldApart(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.AddPerson(slacksim.Person{ID: "UOUT", Name: "out"})
		card := h.ask("revoke")
		h.press("UOUT", card, "approve")
		all := h.slack.Messages("DUOUT")
		if len(all) != 1 {
			t.Fatalf("%d messages in their conversation, want 1", len(all))
		}
		wantIn(t, "what they were told", all[0].Shows(), "not among the approvers")
	})
}

func TestAnAnswerIsTriedAgain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.postEphemeral", Times: 3, Error: "internal_error"})
		h.press("UBOB", card, "deny")
		h.rest()
		time.Sleep(5 * time.Second)
		wantIn(t, "what bob was told", h.told("UBOB"), "You denied it")
	})
}
