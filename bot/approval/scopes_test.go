package approval_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/mgmt/auth0sim"
)

const read, create, update = "read:signing_keys", "create:signing_keys", "update:signing_keys"

// TestAMissingScopeIsRefusedAtTheAsk: each action with each set of scopes that can read.
func TestAMissingScopeIsRefusedAtTheAsk(t *testing.T) {
	for _, tc := range []struct {
		scopes []string
		action approval.Action
		lacks  []string
	}{
		{[]string{read}, approval.Rotate, []string{create, update}},
		{[]string{read}, approval.RotateAndRevoke, []string{create, update}},
		{[]string{read}, approval.Revoke, []string{update}},
		{[]string{read, update}, approval.Rotate, []string{create}},
		{[]string{read, update}, approval.RotateAndRevoke, []string{create}},
		{[]string{read, update}, approval.Revoke, nil},
		{[]string{read, create}, approval.Rotate, []string{update}},
		{[]string{read, create}, approval.Revoke, []string{update}},
		{[]string{read, create, update}, approval.RotateAndRevoke, nil},
	} {
		inHouse(t, auth0sim.Config{Previous: 1, Scopes: tc.scopes}, func(t *testing.T, h *house) {
			kid := ""
			if tc.action == approval.Revoke {
				kid = h.kid("previous")
			}
			_, err := h.desk.Ask(t.Context(), asking(tc.action, kid))
			var no *approval.Refusal
			switch {
			case tc.lacks == nil:
				if err != nil {
					t.Errorf("%s with %v: %v", tc.action, tc.scopes, err)
				}
			case !errors.As(err, &no) || no.Why != approval.LacksScope || !slices.Equal(no.Scopes,
				tc.lacks):
				t.Errorf("%s with %v: %v, want to lack %v", tc.action, tc.scopes, err, tc.lacks)
			}
		})
	}
}

// TestAMissingScopeIsRefusedAtApprove: it was taken away since the ask, and is granted again;
// neither needs a restart.
func TestAMissingScopeIsRefusedAtApprove(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.tenant.Grant(read, update)
		h.reader.DropToken() // as it expires
		err := h.press(approval.Approve, r.ID, "UBOB")
		var no *approval.Refusal
		if !errors.As(err, &no) || no.Why != approval.LacksScope || !slices.Equal(no.Scopes,
			[]string{create}) || no.Request == nil {
			t.Fatalf("Approve: %v", err)
		}
		h.tenant.Grant(read, create, update)
		fetched := len(h.tenant.Tokens())
		for range 10 { // within the minute nobody asks for a token each time
			if got := why(t, h.press(approval.Approve, r.ID, "UBOB")); got != approval.LacksScope {
				t.Errorf("Approve: %s", got)
			}
		}
		if n := len(h.tenant.Tokens()); n != fetched {
			t.Errorf("%d tokens were fetched within a minute", n-fetched)
		}
		time.Sleep(time.Minute)
		h.approve(r.ID)
		h.await(r.ID, approval.Done)
	})
}

// TestAnUnknownScopeRefusesNobody: a token that cannot be had proves nothing.
func TestAnUnknownScopeRefusesNobody(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, func(t *testing.T, h *house) {
		r := h.ask(approval.Rotate, "")
		h.reader.DropToken()
		h.tenant.Fault(auth0sim.Fault{Op: "token", Times: 3, Status: 503})
		h.approve(r.ID)
		h.tenant.ClearFaults()
		h.await(r.ID, approval.Done)
	})
}
