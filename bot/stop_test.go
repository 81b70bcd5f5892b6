package bot_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// What only reads ends when keyturn stops: a form and a shared list as well as a command.
func TestAStopEndsAFormThatIsBeingFilledIn(t *testing.T) {
	for _, line := range []string{"list", "revoke"} {
		t.Run(line, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.tenant.Fault(auth0sim.Fault{Op: "list", Delay: time.Minute})
				h.slack.Slash("UALICE", room, "/signing-keys "+line)
				synctest.Wait()
				began := time.Now()
				h.close()
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("the stop took %v", d)
				}
				h.tenant.ClearFaults()
				h.open()
			})
		})
	}
}

// While Slack refuses one method for good with a code of the token's, the token is good, and
// keyturn is not deaf.
func TestACodeOfOneMethodMakesNobodyDeaf(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slack.Fault(slacksim.Fault{Method: "usergroups.users.list", Error: "access_denied"})
		h.slack.Fault(slacksim.Fault{Method: "auth.test", Delay: 2 * time.Second})
		h.press("UBOB", card, "approve") // kept, and tried for two minutes
		deaf := 0
		for range 60 {
			out, err := h.slack.Slash("UDAVE", room, "/signing-keys help")
			if err != nil || !out.Acked {
				deaf++
			}
			time.Sleep(time.Second)
		}
		if deaf > 2 {
			t.Errorf("%d of 60 commands were not acknowledged", deaf)
		}
		if n := strings.Count(h.log.String(), "keyturn is not ready"); n > 1 {
			t.Errorf("it was not ready %d times", n)
		}
	})
}
