package bot_test

import (
	"encoding/json"
	"strings"
	"testing"

	"keyturn/bot/slacksim"
)

// Where a field that decides has another shape, pressing again does not help, and the person
// is not told that it does.
func TestAnOddFieldIsNotALateAnswer(t *testing.T) {
	for _, patch := range []string{`{"is_restricted":1}`, `{"deleted":0}`, `{"is_bot":[]}`} {
		t.Run(patch, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.slack.AddPerson(slacksim.Person{ID: "UBOB", Name: "bob", Patch: json.RawMessage(patch)})
				h.press("UBOB", card, "approve")
				if h.writes() != 0 {
					t.Fatal("it counts")
				}
				if got := h.told("UBOB"); strings.Contains(got, "Press again in a moment") {
					t.Errorf("bob is told %q", got)
				}
			})
		})
	}
}

// Slack says of everybody who is not deactivated whether they are a guest. An answer that does
// not say it establishes nothing.
func TestAnAnswerThatDoesNotSayWhetherSomebodyIsAGuest(t *testing.T) {
	for _, patch := range []string{
		`{"is_restricted":null,"is_ultra_restricted":null}`, `{"deleted":null}`, `{"is_bot":null}`,
	} {
		t.Run(patch, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				card := h.ask("revoke")
				h.slack.AddPerson(slacksim.Person{ID: "UBOB", Name: "bob", Guest: true, Patch: json.RawMessage(patch)})
				h.press("UBOB", card, "approve")
				if h.writes() != 0 {
					t.Errorf("the press of a guest counts")
				}
			})
		})
	}
}
