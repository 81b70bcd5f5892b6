package bot_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// standing is what keyturn says of itself after a look.
func (h *house) standing() (ready, warnings string) {
	time.Sleep(6 * time.Minute) // until the next look
	synctest.Wait()
	ready = "ready"
	if err := h.bot.Ready(); err != nil {
		ready = err.Error()
	}
	return ready, strings.Join(h.bot.Warnings(), "\n")
}

// TestReadyMeansIt makes one thing wrong at a time, and expects it by its name: as a reason
// not to be ready where an incident needs it, and otherwise as a warning; in the log, too.
func TestReadyMeansIt(t *testing.T) {
	all := []string{"commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read"}
	lacking := func(scope string) func(h *house) {
		return func(h *house) {
			h.slack.SetScopes(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == scope })...)
		}
	}
	approvers := func(ids ...string) func(h *house) {
		return func(h *house) { h.policy.Approvers = ids }
	}
	for _, tc := range []struct {
		name   string
		wrong  func(h *house)
		ready  string // what is no reason to be ready; "": it is
		warned string
	}{
		{"nothing", func(*house) {}, "", ""},
		{"no chat:write", lacking("chat:write"), "scopes: the bot token lacks chat:write", ""},
		{"no users:read", lacking("users:read"), "scopes: the bot token lacks users:read", ""},
		{"no usergroups:read", lacking("usergroups:read"), "", "scopes: the bot token lacks usergroups:read"},
		{"groups that cannot be read for it", lacking("usergroups:read"), "", "groups: these user groups cannot be read: SONCALL (missing_scope: usergroups:read)"},
		{"no groups:read", lacking("groups:read"), "", "scopes: the bot token lacks groups:read"},
		{"more scopes", func(h *house) { h.slack.SetScopes(append(all, "admin")...) }, "", "scopes_not_needed: the bot token has scopes that keyturn does not need: admin"},
		{"a group that is disabled", func(h *house) {
			h.policy.Approvers = append(h.policy.Approvers, "UDAVE")
			h.slack.DisableGroup("SONCALL")
		}, "", "groups: these user groups cannot be read: SONCALL (no_such_subteam)"},
		{"no approver", approvers("UDAN", "SNONE"), "approvers: nobody could approve what another person asks for prod", ""},
		{"one approver of many who ask", approvers("UALICE"), "", "approvers: only UALICE could approve for prod"},
		{"one person alone", func(h *house) {
			h.policy = approval.Policy{Approvers: []string{"UALICE"}, Requesters: []string{"UALICE"}}
		},
			"approvers: nobody could approve what another person asks for prod", ""},
		{"approvers who do not count", approvers("UALICE", "UBOB", "UDAN", "UGINA", "UBERT", "UNOBODY"), "",
			"approvers: these ids of the configuration count for nothing: UDAN (deactivated), UGINA (a guest), UBERT (a bot), UNOBODY (unknown to Slack)"},
		{"the audit channel without keyturn", func(h *house) { h.slack.AddChannel(slacksim.Channel{ID: trail}) }, "", "audit_channel: the audit channel cannot be posted in: C0TRAIL"},
		{"a channel without keyturn", func(h *house) { h.places = []string{room, "C0EMPTY"} }, "", "channels: these channels of KEYTURN_CHANNELS cannot be used: C0EMPTY (bot_not_in_channel)"},
		{"no channel with keyturn", func(h *house) { h.places = []string{"C0EMPTY", "C0SHARED"} }, "channels: these channels of KEYTURN_CHANNELS cannot be used: C0EMPTY", ""},
		{"another process", func(h *house) { h.slack.SetGhosts(1) }, "", "connections: Slack counts 2 connections of this app, and 1 are ours"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				tc.wrong(h)
				h.open()
				ready, warned := h.standing()
				if want := tc.ready; want == "" {
					want = "ready"
					if ready != want {
						t.Errorf("it is %q, want that it is ready", ready)
					}
				} else if !strings.Contains(ready, want) {
					t.Errorf("it is %q, want %q", ready, want)
				}
				if !strings.Contains(warned, tc.warned) || tc.warned == "" && tc.ready == "" && warned != "" {
					t.Errorf("it warns of %q, want %q", warned, tc.warned)
				}
				if name, _, ok := strings.Cut(tc.ready+tc.warned, ":"); ok {
					wantIn(t, "the log", h.log.String(), `"finding":"`+name+`"`)
				}
			})
		})
	}
}

func TestWhatIsRightAgainIsReady(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.SetScopes("commands")
		ready, _ := h.standing()
		wantIn(t, "ready", ready, "scopes: ")
		h.slack.SetScopes("commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read")
		if ready, warned := h.standing(); ready != "ready" || warned != "" {
			t.Errorf("it is %q, and warns of %q", ready, warned)
		}
	})
}

// TestTheTrailBeforeOutsidersIsAnAlarm is about the audit channel: it is read by outsiders
// from some time on, not any more, and again.
func TestTheTrailBeforeOutsidersIsAnAlarm(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		share := func(shared bool) {
			h.slack.AddChannel(slacksim.Channel{ID: trail, Members: []string{"UALICE", slacksim.BotID}, ExtShared: shared})
			for range 3 {
				h.standing()
			}
		}
		alarms := func() (n int) {
			for _, e := range h.trail() {
				if e.Kind == audit.Alarmed && e.Alarm.What == audit.ChannelShared && e.Alarm.Channel == trail {
					n++
				}
			}
			return n
		}
		for n, shared := range []bool{false, true, false, true} {
			share(shared)
			if want := (n + 1) / 2; alarms() != want {
				t.Errorf("%d alarms, want %d", alarms(), want)
			}
		}
		if _, warned := h.standing(); !strings.Contains(warned, "audit_channel: people of another organisation read C0TRAIL") {
			t.Errorf("it warns of %q", warned)
		}
	})
}

func TestATokenThatIsGoneIsNotReadyAndEndsIt(t *testing.T) {
	for _, code := range []string{"token_revoked", "token_expired", "account_inactive", "invalid_auth"} {
		t.Run(code, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				end := make(chan error, 1)
				h.ended = func(err error) { end <- err }
				h.open()
				card := h.ask("revoke")
				h.slack.SetBotToken("xoxb-sim", code)
				go h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"}) // finds it
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if err := h.bot.Ready(); err == nil || !strings.Contains(err.Error(), "bot_token: ") {
					t.Errorf("ready: %v", err)
				}
				out, _ := h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"})
				if out.Acked {
					t.Error("a press was acknowledged that nobody can be judged for")
				}
				select {
				case err := <-end:
					if err == nil || !strings.Contains(err.Error(), code) {
						t.Errorf("it ended with %v", err)
					}
				case <-time.After(time.Minute):
					t.Error("it did not end")
				}
			})
		})
	}
}

func TestAnIdleTokenIsLookedAt(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		end := make(chan error, 1)
		h.ended = func(err error) { end <- err }
		h.open()
		h.slack.SetBotToken("xoxb-sim", "token_revoked")
		time.Sleep(2 * time.Minute)
		select {
		case err := <-end:
			if err == nil {
				t.Error("it ended without an error")
			}
		default:
			t.Error("two minutes after its token was revoked it goes on")
		}
	})
}

func TestANewTokenIsTakenFromItsFile(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		var token atomic.Value // what the file has
		token.Store("xoxb-sim")
		h.reload = func() (string, error) { return token.Load().(string), nil }
		h.open()
		card := h.ask("revoke")
		h.slack.SetBotToken("xoxb-sim", "token_revoked")
		h.slack.SetBotToken("xoxb-new", "")
		token.Store("xoxb-new")
		time.Sleep(2 * time.Minute)
		h.rest()
		if err := h.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		h.press("UBOB", card, "approve")
		if h.writes() != 1 {
			t.Errorf("%d writes, want 1\n%s", h.writes(), h.log)
		}
		if strings.Contains(h.log.String(), "xoxb") {
			t.Error("the log has a token")
		}
	})
}

func TestOneOddAnswerIsNoEnd(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "users.info", Times: 1, Error: "invalid_auth"})
		h.press("UBOB", card, "approve")
		time.Sleep(10 * time.Second)
		h.rest()
		if err := h.bot.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		h.press("UBOB", card, "approve")
		if h.writes() != 1 {
			t.Errorf("%d writes, want 1", h.writes())
		}
	})
}

// TestWhatIsApprovedIsCarriedOutBeforeTheEnd revokes the token while a rotation waits for
// Auth0.
func TestWhatIsApprovedIsCarriedOutBeforeTheEnd(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		end := make(chan error, 1)
		h.ended = func(err error) { end <- err }
		h.open()
		card := h.ask("revoke")
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
		h.press("UBOB", card, "approve")
		h.slack.SetBotToken("xoxb-sim", "token_revoked")
		time.Sleep(2 * time.Minute)
		if len(end) != 0 {
			t.Error("it ended before what was approved did")
		}
		h.tenant.ClearFaults()
		if err := <-end; err == nil {
			t.Error("it ended without an error")
		}
		open, err := h.store.OpenRequests(t.Context())
		if err != nil || len(open) != 0 || h.writes() != 1 {
			t.Errorf("at the end %d requests are open (%v), and %d writes were made", len(open), err, h.writes())
		}
	})
}
