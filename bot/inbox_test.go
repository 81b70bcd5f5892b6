package bot_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// This file tests that what was acknowledged is worked and answered: whatever fails in
// passing, whatever Slack does not take, whoever presses beside.

// pressAlone presses, and waits for the ack alone.
func (h *house) pressAlone(user string, card slacksim.Message, action string) {
	h.t.Helper()
	out, err := h.slack.Press(user, card.Channel, card.TS, slacksim.Button{Action: action}, card)
	if err != nil || !out.Acked {
		h.t.Fatalf("%s presses %s: %+v, %v", user, action, out, err)
	}
}

// carriedOut waits until something was written to the tenant, and fails after limit.
func (h *house) carriedOut(limit time.Duration) {
	h.t.Helper()
	for began := time.Now(); h.writes() == 0; {
		if time.Since(began) > limit {
			log := h.log.String()
			h.t.Fatalf("%v after the approval nothing is done\n%s", limit, log[max(0, len(log)-3000):])
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
}

// TestAnswersThatSlackDoesNotTakeHoldNoPress: a hundred and more of them, over the life of
// a process.
func TestAnswersThatSlackDoesNotTakeHoldNoPress(t *testing.T) {
	for name, f := range map[string]slacksim.Fault{
		"too much": {Status: 429, RetryAfter: 30 * time.Second},
		"down":     {Status: 503},
		"hanging":  {Delay: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				for _, method := range []string{"chat.postEphemeral", "chat.postMessage"} {
					f.Method = method
					h.slack.Fault(f)
				}
				for range 130 {
					h.pressAlone("UDAVE", card, "approve")
					h.pressAlone("UGINA", card, "deny")
					time.Sleep(time.Second)
				}
				h.pressAlone("UBOB", card, "approve")
				h.carriedOut(10 * time.Second)
				time.Sleep(5 * time.Minute)
				h.slack.ClearFaults()
				time.Sleep(5 * time.Minute)
				if left := h.unworked(); len(left) > 0 {
					t.Errorf("%d rows are not worked", len(left))
				}
				next := h.ask("rotate")
				h.press("UBOB", next, "approve")
				wantIn(t, "the next card", h.card(next.TS).Shows(), "Done")
			})
		})
	}
}

// sickInbox is an inbox on a disk that fails when it is told to.
type sickInbox struct {
	bot.Inbox
	unread, unmarked atomic.Int64 // so many reads and marks fail
	panics           atomic.Bool  // a mark panics
}

func (s *sickInbox) Unworked(
	ctx context.Context, from time.Time, take func(id, payload string, received time.Time) bool,
) error {
	if s.unread.Add(-1) >= 0 {
		return errors.New("reading the inbox: the disk was busy")
	}
	return s.Inbox.Unworked(ctx, from, take)
}

func (s *sickInbox) Worked(ctx context.Context, ids ...string) error {
	if s.panics.Swap(false) {
		panic("a row that nobody thought of")
	}
	if s.unmarked.Add(-1) >= 0 {
		return errors.New("marking as worked: the disk was busy")
	}
	return s.Inbox.Worked(ctx, ids...)
}

// inSickHouse is inHouse with an inbox that can be made to fail.
func inSickHouse(t *testing.T, test func(t *testing.T, h *house, sick *sickInbox)) {
	inHouse(t, func(t *testing.T, h *house) {
		sick := &sickInbox{}
		h.close()
		h.wrap = func(i bot.Inbox) bot.Inbox {
			sick.Inbox = i
			return sick
		}
		h.open()
		test(t, h, sick)
	})
}

func TestAReadOfTheInboxThatFailsLosesNoPress(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.unread.Store(3)
		h.pressAlone("UBOB", card, "approve")
		h.carriedOut(20 * time.Second)
		h.rest()
		wantIn(t, "what bob was told", h.told("UBOB"), "You approved it")
	})
}

// TestRowsThatCannotBeMarkedHoldNobodyUp: a hundred of them, and they are marked later.
func TestRowsThatCannotBeMarkedHoldNobodyUp(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.unmarked.Store(1 << 40)
		for range 120 {
			h.pressAlone("UDAVE", card, "cancel")
			time.Sleep(3 * time.Second)
		}
		h.pressAlone("UBOB", card, "approve")
		h.carriedOut(10 * time.Second)
		sick.unmarked.Store(0)
		time.Sleep(2 * time.Minute)
		if left := h.unworked(); len(left) > 0 {
			t.Errorf("%d rows are not marked two minutes after they can be", len(left))
		}
		approved := 0
		for _, e := range h.trail() {
			if e.Kind == audit.Approved {
				approved++
			}
		}
		if approved != 1 || h.writes() != 1 {
			t.Errorf("%d approvals and %d writes, want one of each", approved, h.writes())
		}
	})
}

// TestARowThatCannotBeWorkedIsSetAside with an alarm, and the others go on.
func TestARowThatCannotBeWorkedIsSetAside(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.panics.Store(true)
		h.press("UDAVE", card, "cancel")
		wantIn(t, "what dave was told", h.told("UDAVE"), "Something went wrong", "in the log under envelope")
		h.breakInbox(`INSERT INTO inbox (id, payload, received_at) VALUES ('e-odd', '[]', ` + micros(time.Now()) + `)`)
		h.press("UBOB", card, "approve")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Done")
		time.Sleep(10 * time.Second)
		h.rest()
		if left := h.unworked(); len(left) > 0 {
			t.Errorf("not worked: %v", left)
		}
		var alarms []string
		for _, e := range h.trail() {
			if e.Kind == audit.Alarmed && e.Alarm.What == audit.RowSetAside {
				alarms = append(alarms, e.Note)
			}
		}
		if len(alarms) != 2 {
			t.Errorf("alarms %q, want two", alarms)
		}
		wantIn(t, "the log", h.log.String(), "a row of the inbox is set aside", "panic: a row that nobody thought of")
	})
}

// TestAnEntryThatCannotBeDrawnStopsNobody: it is left out with an alarm.
func TestAnEntryThatCannotBeDrawnStopsNobody(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		story, err := h.store.Story(context.Background(), h.newest())
		if err != nil {
			t.Fatal(err)
		}
		odd := audit.Entry{Kind: audit.Intended, Tenant: "prod", Request: story[0].Request} // no Step
		if err := h.store.Note(context.Background(), odd); err != nil {
			t.Fatal(err)
		}
		h.rest()
		h.press("UBOB", h.ask("rotate"), "approve")
		h.press("UBOB", card, "deny")
		wantIn(t, "the audit channel", strings.Join(shows(h.slack.Messages(trail)), "\n"),
			"Entry #2 cannot be posted in C0ROOM", "Denied", "Done")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Denied")
	})
}

// TestAGuestsClicksHoldUpNobody: four a second, for three minutes, with Slack's limits.
func TestAGuestsClicksHoldUpNobody(t *testing.T) {
	for _, user := range []string{"UGINA", "UDAVE"} {
		for _, action := range []string{"approve", "deny"} {
			t.Run(user+" "+action, func(t *testing.T) {
				if testing.Short() && (user != "UGINA" || action != "approve") {
					t.Skip("one of them is enough for the race detector, which takes minutes for it")
				}
				inHouse(t, func(t *testing.T, h *house) {
					card := h.ask("revoke")
					h.slack.SetLimits(true)
					for range 3 * 60 * 4 {
						h.pressAlone(user, card, action)
						time.Sleep(time.Second / 4)
					}
					h.pressAlone("UBOB", card, "approve")
					h.carriedOut(5 * time.Second)
					time.Sleep(90 * time.Second)
					h.rest()
					times, entries := 0, 0
					for _, e := range h.trail() {
						if e.Kind == audit.Refused {
							entries++
							times += max(1, e.Press.Times)
						}
					}
					if times != 720 || entries > 20 {
						t.Errorf("%d refused presses in %d entries, want 720 in a few", times, entries)
					}
					if told := len(h.slack.Ephemerals(user, room)); told < 2 || told > 60 {
						t.Errorf("%s was told %d times", user, told)
					}
				})
			})
		}
	}
}

// TestPressingAgainAndAgainIsToldApart from not being an approver.
func TestPressingAgainAndAgainIsToldApart(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		for range 8 {
			h.pressAlone("UDAVE", card, "approve")
			time.Sleep(2500 * time.Millisecond)
		}
		h.rest()
		time.Sleep(5 * time.Second)
		wantIn(t, "what dave was told", h.told("UDAVE"), "many times within a minute")
		// Another request, and what harms nobody, meet no budget.
		h.press("UDAVE", h.ask("rotate"), "approve")
		wantIn(t, "what dave was told of another", h.told("UDAVE"), "not among the approvers")
		for range 6 {
			h.press("UDAVE", card, "deny")
			time.Sleep(3 * time.Second)
		}
		time.Sleep(5 * time.Second)
		wantIn(t, "what dave was told of denying", h.told("UDAVE"), "not among the approvers")
	})
}

// TestWhatWaitsIsToldOf: what was acknowledged and cannot be worked is first a warning, and
// then a reason not to be ready.
func TestWhatWaitsIsToldOf(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "users.info", Status: 503})
		h.pressAlone("UBOB", card, "approve")
		time.Sleep(20 * time.Second)
		if all := strings.Join(h.bot.Warnings(), "\n"); !strings.Contains(all, "inbox: what people did waits") {
			t.Errorf("after 20 s the warnings are %q", all)
		}
		time.Sleep(50 * time.Second)
		if err := h.bot.Ready(); err == nil || !strings.Contains(err.Error(), "inbox: what people did waits") {
			t.Errorf("after 70 s: %v, want it not to be ready", err)
		}
		h.slack.ClearFaults()
		time.Sleep(20 * time.Second)
		if err := h.bot.Ready(); err != nil {
			t.Errorf("with nothing left to do: %v", err)
		}
	})
}
