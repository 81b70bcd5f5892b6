package bot_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/slacksim"
)

// The README says: your first Approve of a request is always judged. Who was refused a look
// as a guest, and is a full member since, is still taken for a guest.
func TestAFirstApproveIsJudgedByWhatSlackSaysNow(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		card := h.ask("revoke")
		h.slash("UGINA", "/signing-keys list")
		h.slack.AddPerson(slacksim.Person{ID: "UGINA", Name: "gina"})
		h.press("UGINA", card, "approve")
		if h.writes() != 1 {
			t.Errorf("gina is a full member and an approver, and was told %q", h.told("UGINA"))
		}
	})
}

// Slack says of a method, and not of the token, that it is not allowed; auth.test is well.
func TestACodeOfOneMethodIsNotOfTheToken(t *testing.T) {
	for _, code := range []string{"access_denied", "team_access_not_granted", "enterprise_is_restricted", "not_allowed_token_type"} {
		t.Run(code, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.close()
				h.slack.Fault(slacksim.Fault{Method: "usergroups.users.list", Error: code})
				h.open()
				_, warned := h.standing()
				if !strings.Contains(warned, "SONCALL") {
					t.Errorf("the group cannot be read, and the warnings are %q", warned)
				}
				h.slash("UALICE", "/signing-keys revoke")
				v, _ := h.slack.View("UALICE")
				wantIn(t, "the form", string(v.Blocks), "a group that cannot be read")
			})
		})
	}
}

// More people who are named by id than one look asks about.
func TestManyNamedApproversAreLookedAtAsSeldom(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.policy.Approvers = nil
		for i := range 70 {
			id := fmt.Sprintf("UA%03d", i)
			h.slack.AddPerson(slacksim.Person{ID: id, Name: strings.ToLower(id)})
			h.policy.Approvers = append(h.policy.Approvers, id)
		}
		h.open()
		time.Sleep(time.Second)
		count := func() (n int) {
			for _, c := range h.slack.History() {
				if c.Method == "users.info" {
					n++
				}
			}
			return n
		}
		before := count()
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if n := count() - before; n > 150 {
			t.Errorf("%d calls of users.info in 9 minutes without anybody's doing", n)
		}
	})
}
