package page_test

import (
	"slices"
	"testing"

	"keyturn/bot/slacksim"
)

// TestKilledWhileAnAnswerIsLost plays the worst hour: the answer to the rotate is lost,
// and keyturn is killed in the quiet time. Started again it goes on, and rotates once.
func TestKilledWhileAnAnswerIsLost(t *testing.T) {
	b := open(t)
	b.click(".fault button", "Lose the answer")
	b.sees(".fault .on", "on")
	b.asks("/signing-keys rotate", "it is a year old")
	b.be("bob")
	b.approves()
	b.sees(".calls", "the answer was lost")
	b.seesNo(".fault .on", "on") // it spoilt the one
	b.click(".fault button", "kill -9")
	b.sees(".status.down", "keyturn does not run (killed)")
	b.types("/signing-keys list")
	b.sees("#alert", "/signing-keys failed with the error “dispatch_failed”")
	b.click(".fault button", "Start keyturn")
	b.sees(".status", "keyturn runs, 1 socket")
	b.sees(".message", "✅ Done")
	if n := b.rotations(); n != 1 {
		t.Errorf("there were %d rotations, want 1", n)
	}
}

// TestEachFaultCanBePlayed plays the others, as far as each is to be watched.
func TestEachFaultCanBePlayed(t *testing.T) {
	b := open(t)

	b.click(".fault button", "429")
	b.asks("/signing-keys rotate", "the limit")
	b.be("bob")
	b.approves()
	b.sees(".message", "❌ Failed")
	b.sees(".message", "Auth0 says that it takes the next rotation")
	b.sees(".calls", "429 Too Many Requests")

	// Slack is down: who pressed cannot be established, so nothing is carried out. The press is
	// kept, and counts once Slack is back; what is posted catches up.
	b.be("alice")
	b.asks("/signing-keys revoke", "while Slack is down")
	b.click(".fault button", "Slack's API be down")
	b.sees(".fault .on", "on")
	b.be("bob")
	b.approves()
	asked := func(c slacksim.Call) bool { return c.Method == "users.info" && c.Error == "http 503" }
	if err := b.world.Await(t.Context(), func() bool { return slices.ContainsFunc(b.world.Slack.History(), asked) }); err != nil {
		t.Fatal(err)
	}
	b.seesNo(".role", "revoked")
	b.click(".fault button", "Slack's API be down")
	b.sees(".message", "✅ Done")
	b.sees(".role", "revoked")

	// The socket is dropped: another comes by itself.
	before := b.world.Slack.Ends()
	b.click(".fault button", "Drop the socket")
	if err := b.world.Await(t.Context(), func() bool { return len(b.world.Slack.Ends()) > len(before) && b.world.Slack.Sockets() == 1 }); err != nil {
		t.Fatal(err)
	}

	// A row is changed: the trail is believed, and the row is named.
	b.be("alice")
	b.asks("/signing-keys rotate", "somebody has the database")
	b.click("#proofs button", "Verify the trail")
	b.sees(".proof.holds", "Everything holds")
	b.click(".fault button", "Change a row")
	b.sees("#info", "mallory")
	b.click("#proofs button", "Verify the trail")
	b.sees(".proof.does-not", "the row is not what the trail says: other people")
	b.approves() // by alice, who asked
	b.sees(".message", "changed from outside")
	if n := b.rotations(); n != 0 {
		t.Errorf("a forged row rotated %d times", n)
	}

	// Somebody rotates in the Dashboard: an alarm.
	b.click(".fault button", "Rotate behind")
	b.sees(".calls", "in the Dashboard")
	b.click(".channel-link", "signing-keys-trail")
	b.sees(".message", "Alarm")
	b.sees(".message", "no request of keyturn explains it")

	b.click(".fault button", "Mend everything")
	b.sees(".status", "keyturn runs, 1 socket")
}

// TestAFormIsKeptWhileKeyturnIsGone submits one that nobody takes: Slack says so in it, and
// its words stay.
func TestAFormIsKeptWhileKeyturnIsGone(t *testing.T) {
	b := open(t)
	b.types("/signing-keys rotate")
	b.awaits(`Boolean(document.querySelector("#modal[open] textarea[name=reason]:focus"))`, "the modal, with the focus on the reason")
	b.keys("it leaked")
	b.world.Keyturn.Kill()
	b.click("#modal button", "Ask for approval")
	b.sees("#modal-alert", "We had some trouble connecting")
	if err := b.world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.click("#modal button", "Ask for approval")
	b.sees(".message", "it leaked")
}

func TestNothingToForge(t *testing.T) {
	b := open(t)
	b.click(".fault button", "Change a row")
	b.sees("#alert", "ask for something first")
}
