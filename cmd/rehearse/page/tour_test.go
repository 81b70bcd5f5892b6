package page_test

import (
	"fmt"
	"testing"
)

// TestTheTour takes all five steps: some are done by hand, as it says, and others by
// itself.
func TestTheTour(t *testing.T) {
	b := open(t)
	b.asks("/signing-keys rotate", "before the tour, which does not count")
	b.click(".tour button", "Begin the tour")
	step := func(n int, title string) {
		t.Helper()
		b.sees(".tour .note", fmt.Sprintf("Step %d of 5", n))
		b.sees(".tour h3", title)
		b.awaits(`document.querySelector("#tour-next").disabled`, "a step that is not done")
	}
	next := func() {
		t.Helper()
		b.sees(".tour .done", "Done.")
		b.click(".tour button", "Next step")
	}
	step(1, "Something leaked")
	b.types("/signing-keys list") // by hand
	b.sees(".tour .done", "Done.")
	b.click(".message .dismiss", "Dismiss") // what was seen stays done
	b.seesNo(".message", "Signing keys of prod")
	next()
	step(2, "Ask for the change")
	b.click(".tour button", "Do it for me")
	b.sees(".message", "forged tokens are in use")
	next()
	step(3, "One person alone cannot")
	b.click(".tour button", "Do it for me")
	b.sees(".message.only", "a second person has to decide")
	next()
	step(4, "The second person")
	b.click(".tour button", "Be bob")
	b.approves()
	b.sees(".message", "✅ Done")
	b.sees(".role", "revoked")
	next()
	step(5, "Prove it")
	b.click(".tour button", "Do it for me")
	b.sees(".proof.holds", "keyturn audit show kt-")
	b.contains(".proof pre", "forged tokens are in use", "alice", "bob", "rotate")
	b.click("#proofs button", "Verify the trail")
	b.sees(".proof.holds", "Everything holds")
	b.sees(".tour .done", "Done.")
	b.click(".tour button", "End the tour")
	b.sees(".tour", "Begin the tour")
}

func TestTheTourCanBeLeft(t *testing.T) {
	b := open(t)
	b.click(".tour button", "Begin the tour")
	b.sees(".tour h3", "Something leaked")
	b.click(".tour button", "Leave the tour")
	b.sees(".tour", "Begin the tour")
}

// TestTheTourSaysWhyItIsStuck begins it where the same is asked for already.
func TestTheTourSaysWhyItIsStuck(t *testing.T) {
	b := open(t)
	b.asks("/signing-keys rotate-and-revoke", "before the tour")
	b.click(".tour button", "Begin the tour")
	b.click(".tour button", "Do it for me")
	b.sees(".tour .done", "Done.")
	b.click(".tour button", "Next step")
	b.click(".tour button", "Do it for me")
	b.sees("#modal", "The same is asked for already")
	b.sees("#modal-alert", "No form came for alice")
	b.click("#modal a", "kt-") // which leads to the card of before
	b.awaits(`document.activeElement.matches(".message") && document.activeElement.innerText.includes("before the tour")`, "the card to have the focus")
}
