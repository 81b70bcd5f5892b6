package page_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"keyturn/cmd/rehearse/world"
)

// TestTwoPeopleRevokeAKey is the main job, with keyboard and mouse: the line is completed,
// the requester is refused, the second person approves, and the evidence is on the card.
func TestTwoPeopleRevokeAKey(t *testing.T) {
	b := open(t)
	b.dark("light")
	b.types("/signing-keys list")
	b.sees(".message.only", "Signing keys of prod")
	b.shot("list")

	b.keys("/sign")
	b.sees("#completions li", "/signing-keys revoke")
	b.keys(kb.ArrowDown + kb.ArrowDown + kb.ArrowDown + kb.Enter)
	b.awaits(`document.querySelector("#line").value === "/signing-keys revoke "`, "the completed line")
	b.keys(kb.Enter)
	b.awaits(`Boolean(document.querySelector("#modal[open] textarea[name=reason]:focus"))`, "the modal, with the focus on the reason")
	b.keys("pasted in a public build log")
	b.shot("modal")
	b.keys(kb.Escape)
	b.awaits(`!document.querySelector("#modal[open]")`, "the modal to close")
	b.asks("/signing-keys revoke", "pasted in a public build log")
	b.sees(".message", "Waits for a second person")
	b.shot("card-pending")

	b.click(".message button", "Approve")
	b.click("#confirm button", "Not yet")
	b.awaits(`!document.querySelector("#confirm[open]")`, "the confirm dialog to close")
	b.approves()
	b.sees(".message.only", "a second person has to decide")

	b.be("carol")
	b.approves()
	b.sees(".message.only", "You are not among the approvers")
	b.be("gina")
	b.approves()
	b.sees(".message.only", "Guests of this workspace")
	b.be("xena")
	b.approves()
	b.sees(".message.only", "Members of another workspace")
	b.seesNo(".message.only", "Guests of this workspace")

	b.be("bob")
	b.sees(".keys .age", "until 200 days ago")
	b.approves()
	b.sees(".message", "✅ Done")
	b.sees(".keys .role", "revoked")
	b.sees(".calls", "changed a key")
	// The application's copy of the key set has the key still.
	b.contains("[data-pane=copy]", "It is not what the tenant publishes any more")
	b.click("#restart", "Restart")
	b.sees(".not-accepted", "no key of this kid")

	b.click(".message .replies", "replies")
	b.sees("#thread .message", "Done. Read back")
	b.shot("card-done")
	b.click("#close-thread", "")

	b.click(".channel-link", "signing-keys-trail")
	b.sees(".message", "Refused")
	b.sees(".message", "the checkpoint, for")
	if keys := b.world.Tenant.Keys(); keys[2].Role != "revoked" {
		t.Errorf("the tenant's keys are %v", keys)
	}
	if n := len(b.world.Slack.Messages(world.Trail)); n < 5 {
		t.Errorf("the channel of the trail has %d posts", n)
	}
}
