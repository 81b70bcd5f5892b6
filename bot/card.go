package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// board is what a card shows of the configuration.
type board struct {
	approvers []string // ids of users and user groups, as configured
	mention   bool
	frozen    bool // nothing may be written to the tenant
}

// frozenWords are on whatever could lead to a write.
const frozenWords = "🧊 *keyturn is frozen: it writes nothing to Auth0.* " +
	"Changes can be asked for, denied and cancelled. *Approve* is refused " +
	"until the operator sets `KEYTURN_FROZEN=off` and starts keyturn again."

// noteFrozen puts these words behind the header of blocks, if one of the tenants is frozen.
func (b *Bot) noteFrozen(blocks []slack.Block, tenants ...string) []slack.Block {
	if !slices.ContainsFunc(tenants, func(t string) bool { return b.Tenants[t].Frozen }) {
		return blocks
	}
	return slices.Insert(blocks, min(1, len(blocks)), slack.Block(section(frozenWords)))
}

// card draws a request: from its row, and from the entries that the row's revision
// counts. Drawn again it is the same card, so it may be drawn whenever it is behind.
func card(r approval.Request, story []audit.Entry, b board) (text string, blocks []slack.Block) {
	text = fmt.Sprintf("%s of %s: %s", inWords(r.Action), r.Tenant, stateWords(r.State))
	look := &audit.Look{}
	if asked := audit.Last(story, audit.Asked); asked != nil && asked.Look != nil {
		look = asked.Look
	}
	name := naming(b.mention)
	blocks = []slack.Block{
		header(inWords(r.Action) + " of " + r.Tenant),
		section(status(r, story, name)),
		section(name(&r.Requester) + " asks, because:"),
		quote(r.Reason),
	}
	if r.Link != "" {
		blocks = append(blocks, link("Incident: ", r.Link))
	}
	if b.frozen && !r.State.IsFinal() {
		blocks = slices.Insert(blocks, 2, slack.Block(section(frozenWords))) // below the status
	}
	blocks = append(blocks, keyFacts(r, look)...)
	if r.State == approval.Pending {
		blocks = append(blocks,
			section("*What will happen*\n"+plan(r)),
			section("*What it breaks*\n"+consequence(r.Action)),
			section("*What was checked*, "+at(look.At)+"\n"+checked(r, look, b)))
		if b.mention {
			blocks = append(blocks, section("To decide: "+mentionIDs(b.approvers)))
		}
		blocks = append(blocks, decideButtons(r))
	}
	blocks = append(blocks, evidence(r, story)...)
	switch r.State {
	case approval.InDoubt:
		blocks = append(blocks, section(doubtWords(story, name)), settleButtons(r))
	case approval.Halted:
		blocks = append(blocks, slack.NewActionBlock(fmt.Sprintf("again:%s:%d", r.ID, r.Revision),
			askButton("Revoke…", target{Tenant: r.Tenant, Action: approval.Revoke, KID: r.KID})))
	}
	return text, append(blocks, contextLine(fmt.Sprintf("%s · entry #%d of the trail", code(string(r.ID)), r.Revision)))
}

// forgedCard is the card of a request of which the trail holds an entry that is not the
// one that was sealed. It has nothing to press: what a card would say cannot be proven.
func forgedCard(r approval.Request, command slash) (text string, blocks []slack.Block) {
	text = "The trail of " + string(r.ID) + " was changed from outside"
	return text, []slack.Block{
		header("Do not believe this request"),
		section("🚨 The trail of " + code(string(r.ID)) + " was changed from outside, so nothing that is said of it can be believed. Tell the operator, who runs `keyturn audit verify`. " +
			"Until then change keys in the tenant's Dashboard, and look at them with " +
			command.code("list") + "."),
	}
}

// status is the line that says how it stands, and who decided.
func status(r approval.Request, story []audit.Entry, name func(*audit.Actor) string) string {
	who := func(kind audit.Kind) string {
		if e := audit.Last(story, kind); e != nil && e.Actor != nil {
			return " by " + name(e.Actor) + " " + at(e.Time)
		}
		return ""
	}
	ended := ", " + at(r.EnteredAt)
	switch r.State {
	case approval.Pending:
		return "⏳ *Waits for a second person.* Expires " + at(r.ExpiresAt) + "."
	case approval.Approved:
		return "▶️ *Approved*" + who(audit.Approved) + "."
	case approval.Working:
		return "▶️ *Being carried out.* Approved" + who(audit.Approved) + "."
	case approval.Done:
		return "✅ *Done*" + ended + ". Approved" + who(audit.Approved) + "."
	case approval.Denied:
		return "⛔ *Denied*" + who(audit.Denied) + ". No key was touched."
	case approval.Cancelled:
		return "⛔ *Cancelled*" + who(audit.Cancelled) + ". No key was touched."
	case approval.Expired:
		return "⌛ *Expired*" + ended + ". No key was touched."
	case approval.Voided:
		return "⚠️ *Voided*" + ended + ". Nothing was applied."
	case approval.Failed:
		return "❌ *Failed*" + ended + "."
	case approval.Halted:
		return "⚠️ *Halted*" + ended + ": rotated, and *the key is not revoked*. Approved" + who(audit.Approved) + "."
	case approval.InDoubt:
		return "❓ *In doubt*" + ended + ": look at the tenant's Dashboard. Approved" + who(audit.Approved) + "."
	}
	return escape(string(r.State))
}

// keyFacts shows the keys that the request is about.
func keyFacts(r approval.Request, look *audit.Look) []slack.Block {
	title := "Key to be revoked"
	if r.Action == approval.Rotate {
		title = "Key that stops signing"
	}
	out := []slack.Block{keyFact(title, r.KID, look)}
	if r.Pins.Next != nil {
		out = append(out, keyFact("Key that comes into use", r.Pins.Next.KID, look))
	}
	return out
}

func keyFact(title, kid string, look *audit.Look) slack.Block {
	k, _ := look.Key(kid)
	pairs := []string{title, code(kid), "Role when asked", "_" + k.Role + "_" + lifetime(k, look.At)}
	if k.SHA1 != "" {
		pairs = append(pairs, "Thumbprint (SHA-1)", code(k.SHA1))
	}
	return fields(pairs...)
}

func lifetime(k audit.Key, now time.Time) string {
	switch {
	case !k.Until.IsZero():
		return ", in use until " + age(now.Sub(k.Until)) + " before"
	case !k.Since.IsZero():
		return " for " + age(now.Sub(k.Since))
	}
	return ""
}

// plan says what will happen, step by step.
func plan(r approval.Request) string {
	steps := []string{"I look whether the keys are still as shown here; if not, nothing happens."}
	if r.Action != approval.Revoke {
		steps = append(steps,
			"Rotate: "+short(r.Pins.Next.KID)+" comes into use, "+short(r.KID)+" becomes previously used.",
			"I look whether exactly that happened.")
	}
	if r.Action == approval.RotateAndRevoke {
		steps = append(steps, "I get a token that the new key signed. If there is none, I stop here.")
	}
	if r.Action != approval.Rotate {
		steps = append(steps, "Revoke "+short(r.KID)+".")
	}
	steps = append(steps, "I read it back, with a token signed by the key then in use, and look at the public JWKS.")
	for i := range steps {
		steps[i] = fmt.Sprintf("%d. %s", i+1, steps[i])
	}
	return strings.Join(steps, "\n")
}

// checked says what an approver would otherwise have to look up.
func checked(r approval.Request, look *audit.Look, b board) string {
	var lines []string
	add := func(ok bool, words string) {
		mark := "•"
		if !ok {
			mark = "⚠️"
		}
		lines = append(lines, mark+" "+words)
	}
	if r.Pins.Next != nil {
		for _, p := range look.JWKS {
			switch {
			case p.Err != "":
				add(false, "The JWKS of "+escape(p.Domain)+" could not be read, so it is not known whether verifiers can see the next key.")
			case slices.Contains(p.KIDs, r.Pins.Next.KID):
				add(true, "The next key is in the JWKS of "+escape(p.Domain)+".")
			default:
				add(false, "The next key is *not* in the JWKS of "+escape(p.Domain)+".")
			}
		}
		if n := len(r.Pins.Previous); n > 0 {
			add(false, count(n, "previously used key")+" not revoked yet; what Auth0 does with an older one at a further rotation is not documented.")
		}
		add(look.Rotations < 4, rotationWords(look.Rotations))
	} else {
		for _, line := range publishedWords(r.KID, look) {
			add(true, "The key is "+line+".")
		}
	}
	if r.Prepared {
		add(true, naming(b.mention)(&r.Requester)+" says that the verifiers already have the new key.")
	} else {
		add(false, "Nobody said that the applications and APIs that verify this tenant already have the new key.")
	}
	return strings.Join(lines, "\n")
}

func decideButtons(r approval.Request) *slack.ActionBlock {
	approve := slack.NewButtonBlockElement(string(approval.Approve), string(r.ID), plain("Approve", 75)).WithStyle(slack.StylePrimary)
	approve.Confirm = slack.NewConfirmationBlockObject(
		plain(inWords(r.Action)+"?", 100), plain(confirmWords(r), 300), plain("Approve", 30), plain("Not yet", 30))
	deny := slack.NewButtonBlockElement(string(approval.Deny), string(r.ID), plain("Deny", 75)).WithStyle(slack.StyleDanger)
	cancel := slack.NewButtonBlockElement(string(approval.Cancel), string(r.ID), plain("Cancel", 75))
	return slack.NewActionBlock(requestBlock(r.ID, r.Revision), approve, deny, cancel)
}

func confirmWords(r approval.Request) string {
	words := "Key " + r.KID + " of " + r.Tenant + ". "
	switch r.Action {
	case approval.Rotate:
		return words + "It stops signing; service providers that pin its certificate refuse logins."
	case approval.RotateAndRevoke:
		return words + "It stops signing and is revoked: all users are logged out. This cannot be undone."
	}
	return words + "Every token that it signed stops working. This cannot be undone."
}

// until is the part of a story up to an entry.
func until(story []audit.Entry, seq int64) []audit.Entry {
	i := slices.IndexFunc(story, func(e audit.Entry) bool { return e.Seq > seq })
	if i < 0 {
		return story
	}
	return story[:i]
}

// openBlocks draws the open requests with live buttons: the second way to decide,
// when a button on a card did nothing.
func openBlocks(requests []approval.Request, link func(*approval.Request) string) []slack.Block {
	blocks := []slack.Block{header("Open requests")}
	if len(requests) == 0 {
		return append(blocks, section("Nothing is open."))
	}
	for _, r := range requests[:min(len(requests), 15)] {
		blocks = append(blocks,
			section(fmt.Sprintf("*%s* of %s, key %s\n%s, asked for by %s; %s. Approvals end %s.", inWords(r.Action), code(r.Tenant), code(r.KID),
				link(&r), mention(r.Requester), stateWords(r.State), at(r.ExpiresAt))))
		switch r.State {
		case approval.Pending:
			blocks = append(blocks, decideButtons(r))
		case approval.InDoubt:
			blocks = append(blocks, settleButtons(r))
		}
	}
	if n := len(requests) - 15; n > 0 {
		blocks = append(blocks, contextLine(count(n, "more request")+" not shown."))
	}
	return blocks
}
