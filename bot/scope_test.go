package bot_test

import (
	"strings"
	"testing"

	"keyturn/bot/slacksim"
)

// A scope that only user groups need is needed by nobody where two people are named by id.
func TestAScopeForGroupsIsNotNeededWhereTwoPeopleAreNamed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.close()
		h.policy.Approvers = []string{"UALICE", "UBOB", "SONCALL"}
		h.slack.SetScopes("commands", "chat:write", "users:read", "channels:read", "groups:read")
		h.open()
		if ready, _ := h.standing(); ready != "ready" {
			t.Errorf("it is %q", ready)
		}
	})
}

// The only approvers are one person: that is said as what it is, under either id.
func TestTwoIDsOfOneApproverAreOneApprover(t *testing.T) {
	inGrid(t, func(t *testing.T, h *house) {
		h.close()
		h.policy.Approvers, h.policy.Requesters = []string{"UALICE", "WALICE"}, []string{"UALICE", "WALICE"}
		h.open()
		if ready, _ := h.standing(); !strings.Contains(ready, "nobody could approve") {
			t.Errorf("it is %q", ready)
		}
		for _, id := range []string{"UALICE", "WALICE"} {
			h.slash(id, "/signing-keys revoke")
			v, _ := h.slack.View(id)
			wantIn(t, "the form", string(v.Blocks), "Nobody besides you")
			h.slack.CloseView(id)
		}
	})
}

// A guest reads nothing by any way: not by a button that a full member left behind, either.
func TestAGuestReadsNothingByAnyWay(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slack.AddPerson(slacksim.Person{ID: "UGINA", Name: "gina"})
		h.slash("UGINA", "/signing-keys list")
		all := h.slack.Ephemerals("UGINA", room)
		list := all[len(all)-1]
		h.slack.AddPerson(slacksim.Person{ID: "UGINA", Name: "gina", Guest: true})
		kid := h.kid("currently used")
		before := len(h.slack.Messages(room))
		for _, action := range []string{"share", "ask:revoke", "ask:rotate"} {
			h.slack.Press("UGINA", room, list.TS, slacksim.Button{Action: action}, list)
			h.rest()
			if v, ok := h.slack.View("UGINA"); ok && kid != "" && strings.Contains(string(v.Blocks), kid) {
				t.Errorf("%s shows the keys", action)
			}
			h.slack.CloseView("UGINA")
		}
		if n := len(h.slack.Messages(room)); n != before {
			t.Errorf("%d more messages", n-before)
		}
		seen := len(h.slack.Ephemerals("UGINA", room))
		for _, line := range []string{"list", "audit", "audit 40", "requests", "certificate", "revoke", "rotate"} {
			h.slash("UGINA", "/signing-keys "+line)
			h.slack.CloseView("UGINA")
		}
		for _, m := range h.slack.Ephemerals("UGINA", room)[seen:] {
			if s := m.Shows(); !strings.Contains(s, "Guests of this workspace") {
				t.Errorf("she reads %q", s)
			}
		}
	})
}
