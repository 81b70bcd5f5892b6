package bot_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/slacksim"
)

// Full members type or click as fast as the budgets let them, and the approver's press still
// has to be judged at once: Slack takes a hundred users.info and fifty conversations.info a
// minute.
func TestFormsAndCommandsDoNotHoldUpAnApproval(t *testing.T) {
	for _, how := range []string{"types list", "presses Revoke", "types revoke"} {
		t.Run(how, func(t *testing.T) {
			if testing.Short() && how != "types list" {
				t.Skip("one of them is enough for the race detector, which takes minutes for it")
			}
			inHouse(t, func(t *testing.T, h *house) {
				h.slack.SetLimits(true)
				card := h.ask("revoke")
				h.slash("UDAVE", "/signing-keys list")
				all := h.slack.Ephemerals("UDAVE", room)
				list := all[len(all)-1]
				stop := time.Now().Add(5 * time.Minute)
				go func() {
					for time.Now().Before(stop) {
						h.slack.CloseView("UDAVE")
						go func() {
							switch how {
							case "types list":
								h.slack.Slash("UDAVE", room, "/signing-keys list")
								h.slack.Slash("UALICE", room, "/signing-keys list")
							case "types revoke":
								h.slack.Slash("UDAVE", room, "/signing-keys revoke")
							default:
								h.slack.Press("UDAVE", room, list.TS, slacksim.Button{Action: "ask:revoke"}, list)
							}
						}()
						time.Sleep(500 * time.Millisecond)
					}
				}()
				time.Sleep(2 * time.Minute)
				began := time.Now()
				go h.slack.Press("UBOB", room, card.TS, slacksim.Button{Action: "approve"}, card)
				h.await("the write", func() bool {
					return h.writes() == 1 || time.Since(began) > 3*time.Minute
				})
				for h.writes() == 0 && time.Since(began) < 3*time.Minute {
					time.Sleep(time.Second)
				}
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("bob's Approve came to a write after %v (writes: %d); he was told\n%s", d, h.writes(),
						strings.Join(shows(h.slack.Ephemerals("UBOB", room)), "\n"))
				}
				n := map[string]int{}
				for _, c := range h.slack.History() {
					n[c.Method+" "+c.Error]++
				}
				t.Log(n)
				time.Sleep(6 * time.Minute)
				synctest.Wait()
			})
		})
	}
}
