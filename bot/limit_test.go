package bot_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/mgmt/auth0sim"
)

// Where Auth0 takes no more reads, people are told when to come back, whatever they typed.
func TestAuth0sLimitIsTold(t *testing.T) {
	for name, after := range map[string]string{"with a time": "40", "without": ""} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.tenant.Fault(auth0sim.Fault{
					Op: "list", Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}},
				})
				want := "Try again in a minute"
				if after != "" {
					want = "Try again after Jan 1, 2000 00:00:41."
				}
				for _, line := range []string{"list", "certificate"} {
					h.slash("UDAVE", "/signing-keys "+line)
					time.Sleep(15 * time.Second)
					wantIn(t, "the answer to "+line, h.told("UDAVE"), "Auth0 limits how often", want)
				}
				h.slash("UALICE", "/signing-keys rotate")
				time.Sleep(15 * time.Second)
				v, _ := h.slack.View("UALICE")
				if got := string(v.Blocks); !strings.Contains(got, "Auth0 limits how often") {
					t.Errorf("the modal says %s", got)
				}
			})
		})
	}
}

// A clock that differs from Auth0's is said where times are shown.
func TestTheListTellsOfTheClock(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.slash("UDAVE", "/signing-keys list")
		if got := h.told("UDAVE"); strings.Contains(got, "clock") {
			t.Errorf("the clocks agree, and the list says %s", got)
		}
		h.close()
		ahead := func() time.Time { return time.Now().Add(3 * time.Hour) }
		h.tenant = auth0sim.New(auth0sim.Config{Previous: 1, Now: ahead})
		defer h.tenant.Close()
		h.tenant.Rotate() // just now, and by our clock in three hours
		h.open()
		h.slash("UDAVE", "/signing-keys list")
		wantIn(t, "the list", h.told("UDAVE"),
			"This machine's clock is 3 hours behind Auth0's, so times here may be wrong.", "in use for 0 minutes")
		h.close()
		h.open() // for the end of the test
	})
}
