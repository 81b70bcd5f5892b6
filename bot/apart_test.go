package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// TestOneOddAnswerEndsNothingWhileAuthTestIsAway: a bad token is confirmed by auth.test, and
// not by its silence.
func TestOneOddAnswerEndsNothingWhileAuthTestIsAway(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		end := make(chan error, 1)
		h.ended = func(err error) { end <- err }
		h.open()
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "users.info", Times: 1, Error: "invalid_auth"})
		h.slack.Fault(slacksim.Fault{Method: "auth.test", Times: 3, Status: 503})
		h.pressAlone("UBOB", card, "approve")
		select {
		case err := <-end:
			t.Errorf("it ended with %v", err)
		case <-time.After(time.Minute):
		}
		if err := h.bot.Ready(); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// TestACodeAboutOneChannelMakesNobodyDeaf: chat.postMessage documents access_denied and more
// for the place or the caller's rights; auth.test says that the token is good.
func TestACodeAboutOneChannelMakesNobodyDeaf(t *testing.T) {
	for _, code := range []string{"access_denied", "team_access_not_granted", "accesslimited"} {
		t.Run(code, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Error: code,
					If: func(args map[string]string) bool { return args["channel"] == trail }})
				h.slack.Fault(slacksim.Fault{Method: "auth.test", Delay: 2 * time.Second})
				h.slack.Slash("UDAVE", room, "/signing-keys rotate")
				time.Sleep(3 * time.Second)
				h.slack.Submit("UDAVE", map[string]any{"reason": "leak"})
				lost := 0
				for range 40 {
					time.Sleep(1500 * time.Millisecond)
					out, _ := h.slack.Press("UDAVE", room, card.TS, slacksim.Button{Action: "deny"}, card)
					if !out.Acked {
						lost++
					}
				}
				if lost > 2 {
					t.Errorf("%d of 40 presses in another channel were not taken", lost)
				}
			})
		})
	}
}

// TestAForgedEntryBehindAnAskDoesNotSilenceTheTrail where the audit channel is behind.
func TestAForgedEntryBehindAnAskDoesNotSilenceTheTrail(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("revoke"), "deny")
		for range 12 {
			time.Sleep(15 * time.Second) // what one person may ask
			h.press("UBOB", h.ask("rotate"), "deny")
		}
		h.close()
		h.forge(`UPDATE posts SET seq = 0`)
		h.forge(`UPDATE trail SET line = replace(line, 'UBOB', 'UMALLE') WHERE seq = 5`)
		h.open()
		before := len(h.slack.Messages(trail))
		time.Sleep(5 * time.Minute)
		h.rest()
		if n := len(h.slack.Messages(trail)) - before; n < 15 {
			log := h.log.String()
			t.Errorf("%d posts in five minutes\n%s", n, log[max(0, len(log)-800):])
		}
		wantIn(t, "the audit channel", h.trailPosts(), "Entry #5 of the trail")
	})
}

// TestAForgedStoryHoldsUpNoRefusedPress: the post of a refused press reads the whole story.
func TestAForgedStoryHoldsUpNoRefusedPress(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		h.close()
		h.forge(`UPDATE posts SET seq = 1`)
		h.forge(`DELETE FROM joined`)
		h.forge(`UPDATE trail SET line = replace(line, 'UALICE', 'UMALLE') WHERE seq = 1`)
		h.open()
		h.rest()
		h.press("UBOB", h.ask("rotate"), "deny")
		time.Sleep(3 * time.Minute)
		h.rest()
		wantIn(t, "the audit channel", h.trailPosts(), "Denied")
	})
}

// TestWhosePressIsKeptIsToldOnce, and not at each try.
func TestWhosePressIsKeptIsToldOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "users.info", Status: 503})
		h.pressAlone("UBOB", card, "deny")
		time.Sleep(5 * time.Minute)
		if n := strings.Count(strings.Join(shows(h.slack.Ephemerals("UBOB", room)), "\n"), "is kept"); n != 1 {
			t.Errorf("bob was told %d times in five minutes that one press is kept, want once", n)
		}
	})
}

// sickTrail fails to read requests when it is told to.
type sickTrail struct {
	bot.Trail
	unread atomic.Int64
}

func (s *sickTrail) Request(ctx context.Context, id approval.ID) (approval.Request, error) {
	if s.unread.Add(-1) >= 0 {
		return approval.Request{}, errors.New("reading a request: the disk was busy")
	}
	return s.Trail.Request(ctx, id)
}

// TestAReadThatFailsRefusesNoApprover: bob is an approver by his group alone.
func TestAReadThatFailsRefusesNoApprover(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		sick := &sickTrail{}
		h.close()
		h.wrapTrail = func(t bot.Trail) bot.Trail { sick.Trail = t; return sick }
		h.open()
		card := h.ask("revoke")
		sick.unread.Store(2) // of adopt, and of rightsFor
		h.pressAlone("UBOB", card, "approve")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for _, e := range h.trail() {
			if e.Kind == audit.Refused {
				t.Errorf("bob was refused: %+v; told %q", e.Press, h.told("UBOB"))
			}
		}
		if h.writes() != 1 {
			t.Errorf("%d writes, want one", h.writes())
		}
	})
}

// TestOurOwnTriesAreNobodysClicks: bob pressed twice; that Slack did not answer is not his.
func TestOurOwnTriesAreNobodysClicks(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "users.info", Times: 1, Error: "user_not_found"})
		h.press("UBOB", card, "approve")
		time.Sleep(3 * time.Second)
		h.slack.ClearFaults()
		h.slack.Fault(slacksim.Fault{Method: "users.info", Status: 503})
		h.pressAlone("UBOB", card, "approve")
		time.Sleep(14 * time.Second)
		h.slack.ClearFaults()
		time.Sleep(15 * time.Second)
		h.rest()
		if h.writes() != 1 {
			t.Errorf("%d writes, want one; bob was told %q", h.writes(), h.told("UBOB"))
		}
	})
}

// TestWhatCountedIsNotSaidNotToCount: the mark panics after the approval is in the trail.
func TestWhatCountedIsNotSaidNotToCount(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.panics.Store(true)
		h.press("UBOB", card, "approve")
		time.Sleep(time.Minute)
		for _, e := range h.trail() {
			if e.Kind == audit.Alarmed && strings.Contains(e.Note, "did not count") && h.writes() > 0 {
				t.Errorf("the key is revoked, and the trail says: %s", e.Note)
			}
		}
	})
}

// TestAnInboxThatCannotBeReadIsNotReady: presses are acknowledged, and none is worked.
func TestAnInboxThatCannotBeReadIsNotReady(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.unread.Store(1 << 40)
		h.pressAlone("UBOB", card, "approve")
		time.Sleep(3 * time.Minute)
		if err := h.bot.Ready(); err == nil && h.writes() == 0 {
			t.Error("a press waits for three minutes, and keyturn is ready")
		}
	})
}

// TestACardThatCannotBeDrawnAnewParksNoChannel: the class of a thread that takes no replies.
func TestACardThatCannotBeDrawnAnewParksNoChannel(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.update", Error: "a_code_of_next_year",
			If: func(args map[string]string) bool { return args["ts"] == card.TS }})
		h.press("UBOB", card, "deny")
		asked := time.Now()
		h.slack.Slash("UALICE", room, "/signing-keys rotate")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.slack.Submit("UALICE", map[string]any{"reason": "leak"})
		for len(h.cards()) < 2 && time.Since(asked) < 3*time.Minute {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if d := time.Since(asked); d > 10*time.Second {
			t.Errorf("the next card came after %v", d)
		}
		time.Sleep(10 * time.Minute)
		if s := h.trailPosts(); strings.Contains(s, "Slack takes nothing") {
			t.Errorf("the channel was parked, and parked again:\n%d times in the log",
				strings.Count(h.log.String(), "Slack takes nothing for a channel"))
		}
	})
}

// TestACommandsOwnWayWaitsForNoOther: the response URL works; the ephemerals do not.
func TestACommandsOwnWayWaitsForNoOther(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.postEphemeral", Delay: time.Minute})
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Status: 503,
			If: func(args map[string]string) bool { return strings.HasPrefix(args["channel"], "U") }})
		h.pressAlone("UDAVE", card, "deny")
		time.Sleep(time.Second)
		typed := time.Now()
		h.slack.Slash("UDAVE", room, "/signing-keys list")
		for !strings.Contains(strings.Join(shows(h.slack.Ephemerals("UDAVE", room)), "\n"), "Signing keys") {
			if time.Since(typed) > 5*time.Minute {
				t.Fatal("never shown")
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if d := time.Since(typed); d > 10*time.Second {
			t.Errorf("the list was shown after %v", d)
		}
	})
}

// TestRefusedPressesAreCountedOnceThoughWeDie between the entry and the mark.
func TestRefusedPressesAreCountedOnceThoughWeDie(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		sick.unmarked.Store(1 << 40) // the entries are kept, the marks are not
		for range 10 {
			h.pressAlone("UDAVE", card, "deny")
			time.Sleep(3 * time.Second)
		}
		h.close()
		sick.unmarked.Store(0)
		h.open()
		time.Sleep(2 * time.Minute)
		h.rest()
		times := 0
		for _, e := range h.trail() {
			if e.Kind == audit.Refused {
				times += max(1, e.Press.Times)
			}
		}
		if times != 10 {
			t.Errorf("the trail counts %d refused presses, want 10", times)
		}
	})
}

// TestAPostIsNotRepeatedForALineThatFails where the audit channel is the incident's channel.
func TestAPostIsNotRepeatedForALineThatFails(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slashIn(trail, "UALICE", "/signing-keys revoke")
		h.submit("UALICE", map[string]any{"reason": "leak"})
		var card slacksim.Message
		for _, m := range h.slack.Messages(trail) {
			if strings.Contains(m.Shows(), " · entry #") {
				card = m
			}
		}
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 10, Status: 503,
			If: func(args map[string]string) bool { return args["thread_ts"] != "" }})
		h.pressAlone("UALICE", card, "cancel")
		time.Sleep(2 * time.Minute)
		h.rest()
		if n := strings.Count(h.trailPosts(), "#2 Cancelled"); n != 1 {
			t.Errorf("the entry was posted %d times", n)
		}
	})
}

// TestARowOfNoKnownKindIsSetAside, and not marked in silence.
func TestARowOfNoKnownKindIsSetAside(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.breakInbox(fmt.Sprintf(`INSERT INTO inbox (id, payload, received_at) VALUES ('e-new',
			'{"who":{"user":"UBOB","team":"T0"},"channel":"C0ROOM","verdict":{"approve":"kt-1"}}', %d)`,
			time.Now().UnixMicro()))
		time.Sleep(30 * time.Second)
		if len(h.unworked()) == 0 && !strings.Contains(h.log.String(), "e-new") {
			t.Error("it is marked as worked; nobody was told, and the log is silent")
		}
	})
}

// TestCountedRowsLeaveRoomForAnApprover: 5,000 presses of one person within a minute.
func TestCountedRowsLeaveRoomForAnApprover(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		payload := fmt.Sprintf(`{"who":{"user":"UDAVE","team":"%s"},"channel":"C0ROOM","request":"%s","verb":"approve","message":"%s"}`,
			"T0SIM", h.newest(), card.TS)
		h.breakInbox(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000)
			INSERT INTO inbox (id, payload, received_at) SELECT 'flood-' || i, '%s', %d + i FROM n`, payload, time.Now().UnixMicro()))
		time.Sleep(6 * time.Second)
		h.pressAlone("UBOB", card, "approve")
		h.carriedOut(15 * time.Second)
	})
}

// TestAJoinedPostThatCannotBeDrawnAnewHoldsUpNoOther: a code that is not in the table.
func TestAJoinedPostThatCannotBeDrawnAnewHoldsUpNoOther(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "approve")
		time.Sleep(2 * time.Minute)
		h.slack.Fault(slacksim.Fault{Method: "chat.update", Error: "a_code_of_next_year",
			If: func(args map[string]string) bool { return args["channel"] == trail }})
		h.press("UDAVE", card, "approve")
		h.press("UBOB", card, "deny")
		time.Sleep(5 * time.Minute)
		wantIn(t, "the audit channel", h.trailPosts(), "Denied")
	})
}

// TestEachCommandIsAnswered though their answers come at once: one look is shared by all.
func TestEachCommandIsAnswered(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "list", Delay: 3 * time.Second})
		for range 15 {
			if out, err := h.slack.Slash("UDAVE", room, "/signing-keys list"); err != nil || !out.Acked {
				t.Fatal(out, err)
			}
		}
		time.Sleep(5 * time.Minute)
		n := 0
		for _, s := range shows(h.slack.Ephemerals("UDAVE", room)) {
			if strings.Contains(s, "Signing keys") {
				n++
			}
		}
		if n != 15 {
			t.Errorf("%d of 15 commands were answered", n)
		}
	})
}

// TestCountingThatPanicsEndsNothing: record runs in the goroutine that knows all rows.
func TestCountingThatPanicsEndsNothing(t *testing.T) {
	inSickHouse(t, func(t *testing.T, h *house, sick *sickInbox) {
		card := h.ask("revoke")
		h.press("UDAVE", card, "deny")
		time.Sleep(3 * time.Second)
		h.press("UDAVE", card, "deny")
		time.Sleep(3 * time.Second)
		sick.panics.Store(true)
		time.Sleep(2 * time.Minute)
		h.press("UBOB", card, "deny")
		wantIn(t, "the card", h.card(card.TS).Shows(), "Denied")
	})
}

// TestFormsHoldUpNoDecision: 30 forms wait for an Auth0 that does not answer.
func TestFormsHoldUpNoDecision(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.tenant.Fault(auth0sim.Fault{Op: "list", Delay: time.Hour})
		for i := range 30 {
			h.breakInbox(fmt.Sprintf(`INSERT INTO inbox (id, payload, received_at) VALUES ('form-%d',
				'{"who":{"user":"UDAVE","team":"T0SIM"},"channel":"C0ROOM","ask":{"cause":"v%d","tenant":"prod","action":"rotate","reason":"leak","channel":"C0ROOM"}}', %d)`,
				i, i, time.Now().UnixMicro()+int64(i)))
		}
		time.Sleep(6 * time.Second)
		h.rest()
		pressed := time.Now()
		h.pressAlone("UBOB", card, "deny")
		for !strings.Contains(h.told("UBOB"), "You denied it") {
			if time.Since(pressed) > 2*time.Minute {
				t.Fatal("never")
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		t.Log(time.Since(pressed))
		if d := time.Since(pressed); d > 5*time.Second {
			t.Errorf("bob's Deny was worked after %v", d)
		}
	})
}

// TestAnAnswerOutlivesTwoMinutesOf429 in the person's conversation.
func TestAnAnswerOutlivesTwoMinutesOf429(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "chat.postEphemeral", Error: "user_not_in_channel"})
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Status: 429, RetryAfter: 2 * time.Minute,
			If: func(args map[string]string) bool { return strings.HasPrefix(args["channel"], "U") }})
		h.pressAlone("UDAVE", card, "deny")
		time.Sleep(10 * time.Minute)
		if n := len(h.slack.Messages("DUDAVE")); n != 1 {
			t.Errorf("dave was told %d times, want once", n)
		}
	})
}

// TestARefusalIsToldWhereItWasPressed: the same words in another channel are another answer.
func TestARefusalIsToldWhereItWasPressed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.Fault(slacksim.Fault{Method: "chat.postEphemeral", Times: 3, Status: 503})
		card := h.ask("revoke")
		h.slashIn(trail, "UALICE", "/signing-keys rotate")
		h.submit("UALICE", map[string]any{"reason": "leak"})
		var other slacksim.Message
		for _, m := range h.slack.Messages(trail) {
			if strings.Contains(m.Shows(), " · entry #") {
				other = m
			}
		}
		h.pressAlone("UALICE", card, "approve")
		h.pressAlone("UALICE", card, "deny")
		h.pressAlone("UALICE", other, "approve")
		time.Sleep(2 * time.Minute)
		if n := len(h.slack.Ephemerals("UALICE", trail)); n == 0 {
			t.Errorf("nothing was said in the channel where alice pressed; in the other: %q", shows(h.slack.Ephemerals("UALICE", room)))
		}
	})
}

// TestACardThatSlackRefusesHoldsUpNoOtherThread: its lines have no card to hang on.
func TestACardThatSlackRefusesHoldsUpNoOtherThread(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.Fault(slacksim.Fault{Method: "chat.postMessage", Error: "invalid_blocks",
			If: func(args map[string]string) bool {
				return args["channel"] == room && args["thread_ts"] == "" &&
					strings.Contains(args["text"], "evoke")
			}})
		h.slash("UALICE", "/signing-keys revoke")
		h.submit("UALICE", map[string]any{"reason": "leak"})
		time.Sleep(20 * time.Minute) // it is reminded of after 15
		card := h.ask("rotate")
		h.press("UBOB", card, "approve")
		time.Sleep(10 * time.Minute)
		wantIn(t, "the thread of the other", h.thread(card.TS), "Approved by", "Done")
	})
}

// spinningTrail panics where the story of a card is read, and counts how often it is looked at
// for changes.
type spinningTrail struct {
	bot.Trail
	sick atomic.Bool
	n    atomic.Int64
}

func (s *spinningTrail) Story(ctx context.Context, id approval.ID) ([]audit.Entry, error) {
	if s.sick.Load() {
		panic("a card that nobody thought of")
	}
	return s.Trail.Story(ctx, id)
}

func (s *spinningTrail) Changed() <-chan struct{} {
	if s.sick.Load() && s.n.Add(1) > 2000 {
		time.Sleep(time.Second) // or the bubble's time stands still
	}
	return s.Trail.Changed()
}

// TestACardThatPanicsIsNoBusyLoop while it rests.
func TestACardThatPanicsIsNoBusyLoop(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		s := &spinningTrail{}
		h.close()
		h.wrapTrail = func(t bot.Trail) bot.Trail { s.Trail = t; return s }
		h.open()
		card := h.ask("revoke")
		s.sick.Store(true)
		h.pressAlone("UBOB", card, "deny")
		time.Sleep(time.Minute)
		if n := s.n.Load(); n > 500 {
			t.Errorf("the channel was looked at %d times and more in a minute", n)
		}
		s.sick.Store(false)
	})
}
