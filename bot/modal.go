package bot

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// The callback ids of our modals, and the block ids of their inputs.
const (
	askCallback     = "ask"
	explainCallback = "explain"

	keyBlock      = "key"
	reasonBlock   = "reason"
	linkBlock     = "link"
	preparedBlock = "prepared"
)

func modal(title string, blocks ...slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(title, maxTitle), Close: plain("Close", 24),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func modalTitle(a approval.Action) string {
	switch a {
	case approval.Revoke:
		return "Revoke a key"
	case approval.RotateAndRevoke:
		return "Rotate and revoke"
	}
	return "Rotate the key"
}

// loadingModal is opened at once, since the trigger that opens a modal lives for 3 s.
func loadingModal(a approval.Action) slack.ModalViewRequest {
	return modal(modalTitle(a), section("Reading the keys from Auth0…"))
}

// noModal says, in place of the modal, why there is nothing to fill in. What was typed
// before is shown, so that it can be copied.
func noModal(a approval.Action, words, typed string) slack.ModalViewRequest {
	blocks := []slack.Block{section(words)}
	if typed != "" {
		blocks = append(blocks, contextLine("Your words were:"), quoteTyped(typed))
	}
	return modal(modalTitle(a), blocks...)
}

// fillAsk returns the modal for what was asked, filled in as far as its words or its button
// went, and the key that it is about; "": not known before somebody chooses. A refusal says
// why the keys do not allow it.
func fillAsk(
	t target, channel string, look *audit.Look, keys mgmt.Keys, now time.Time,
) (view slack.ModalViewRequest, about string, no *approval.Refusal) {
	var kids []string
	for _, k := range keys {
		kids = append(kids, k.KID)
	}
	m := resolve(t.typed, kids)
	a := asking{
		Tenant: t.Tenant, Action: t.Action, Channel: channel, Shown: approval.Shown(look), KID: t.KID,
	}
	switch {
	case a.Action != approval.Revoke: // no key is to be chosen
		m.reason = t.typed.text
	case a.KID == "":
		a.KID = m.kid
	}
	switch {
	case a.Action != approval.Revoke || a.KID != "":
		if about, no = approval.Target(a.Action, a.KID, keys); no != nil {
			return view, about, no
		}
	case len(revocable(look)) == 0:
		words := append(m.doubtWords(a.Tenant, t.slash), noneToRevoke(t.slash))
		return noModal(a.Action, strings.Join(words, " "), t.typed.text), "", nil
	default:
		a.KID = m.chosen(look)
	}
	return askModal(a, look, m, t.slash, now), about, nil
}

// askModal is the modal in which a change is asked for, filled in as far as the
// words of the command went; a.KID is chosen in it. What it showed travels in its metadata.
func askModal(
	a asking, look *audit.Look, m meant, command slash, now time.Time,
) slack.ModalViewRequest {
	blocks := []slack.Block{section("*" + inWords(a.Action) + "* of " + code(a.Tenant) + ".\n" + consequence(a.Action))}
	for _, words := range m.notes(a, look, command) {
		blocks = append(blocks, section("⚠️ "+words))
	}
	if a.Action == approval.Revoke {
		blocks = append(blocks, keySelect(a.KID, look, now))
	} else {
		for _, k := range look.Keys {
			if k.Role == mgmt.RoleCurrent.String() || k.Role == mgmt.RoleNext.String() {
				blocks = append(blocks, section("*"+role(k)+"*\n"+code(k.KID)+"\n"+keyDetails(k, look, now)))
			}
		}
	}
	blocks = append(blocks, inputs(m)...)
	if units(m.reason) > approval.MaxReason {
		blocks = append(blocks, contextLine("Your words were longer than Slack takes here. "+
			"The reason is cut at 3,000 characters."))
	}
	v := modal(modalTitle(a.Action), blocks...)
	v.CallbackID, v.Submit, v.PrivateMetadata = askCallback, plain("Ask for approval", 24), encode(a)
	return v
}

// inputs are what a person fills in, besides the key.
func inputs(m meant) []slack.Block {
	hint := plain("What happened? The approver decides on this.", 150)
	reason := slack.NewPlainTextInputBlockElement(hint, reasonBlock)
	reason.Multiline, reason.MaxLength = true, approval.MaxReason
	reason.InitialValue = beginning(m.reason, approval.MaxReason)
	link := slack.NewPlainTextInputBlockElement(plain("https://…", 150), linkBlock)
	link.MaxLength, link.InitialValue = approval.MaxLink, m.link
	prepared := slack.NewCheckboxGroupsBlockElement(preparedBlock, slack.NewOptionBlockObject("yes",
		plain("Verifiers already have the new key", 75),
		plain("The applications and APIs that verify this tenant", 75)))
	linkInput := slack.NewInputBlock(linkBlock, plain("Incident link", 2000), nil, link)
	linkInput.Optional = true
	preparedInput := slack.NewInputBlock(preparedBlock, plain("Prepared", 2000), nil, prepared)
	preparedInput.Optional = true
	reasonInput := slack.NewInputBlock(reasonBlock, plain("Reason", 2000), nil, reason)
	return []slack.Block{reasonInput, linkInput, preparedInput}
}

// maxOptions is how many a select holds.
const maxOptions = 100

// keySelect lets a person choose the key to revoke. Only kid is chosen beforehand: ""
// leaves it to them.
func keySelect(kid string, look *audit.Look, now time.Time) slack.Block {
	var options []*slack.OptionBlockObject
	sel := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Which key?", 150), keyBlock)
	for _, k := range look.Keys {
		full := len(options) == maxOptions
		if k.Role != mgmt.RolePrevious.String() || len(k.KID) > 75 || full && k.KID != kid {
			continue
		}
		description := "previously used"
		if !k.Until.IsZero() {
			description = "in use until " + age(now.Sub(k.Until)) + " ago"
		}
		o := slack.NewOptionBlockObject(k.KID, plain(k.KID, 75), plain(description, 75))
		if full {
			options = options[:maxOptions-1]
		}
		options = append(options, o)
		if k.KID == kid {
			sel.InitialOption = o
		}
	}
	sel.Options = options
	return slack.NewInputBlock(keyBlock, plain("Key to revoke", 2000), nil, sel)
}

// revocable are the kids of the keys that can be revoked.
func revocable(look *audit.Look) (kids []string) {
	for _, k := range look.Keys {
		if k.Role == mgmt.RolePrevious.String() {
			kids = append(kids, k.KID)
		}
	}
	return kids
}

// chosen returns the kid that the form to revoke a key has chosen where none was named
// beyond doubt: the only one there is, if no word may mean a key. "": none.
func (m meant) chosen(look *audit.Look) string {
	if kids := revocable(look); len(kids) == 1 && len(m.kids) == 0 && len(m.doubts) == 0 {
		return kids[0]
	}
	return ""
}

// readAsk reads a submitted asking modal. What is wrong with it comes back by block,
// for Slack to show beside the input; then the modal stays open with all its words.
//
// A reason that names another key than the chosen one is taken: it may tell of both, and
// whoever approves reads the key above it.
func (i interaction) readAsk() (asking, map[string]string, error) {
	var a asking
	if err := json.Unmarshal([]byte(i.View.Metadata), &a); err != nil {
		return a, nil, fmt.Errorf("reading the modal's metadata: %w", err)
	}
	a.Cause = i.View.ID
	a.Reason, a.Link = i.input(reasonBlock).Value, strings.TrimSpace(i.input(linkBlock).Value)
	a.Prepared = len(i.input(preparedBlock).Checked) > 0
	wrong := map[string]string{}
	if a.Action == approval.Revoke {
		if a.KID = i.input(keyBlock).Selected.Value; a.KID == "" {
			wrong[keyBlock] = "Choose the key to revoke."
		}
	}
	if no := approval.CheckWords(a.Reason, a.Link); no != nil {
		block := reasonBlock
		if no.Why == approval.BadLink {
			block = linkBlock
		}
		wrong[block] = refusalWords(defaultSlash, no, nil) // none of these names the command
	}
	return a, wrong, nil
}

// explainModal asks whoever denied or cancelled to say why.
func explainModal(id approval.ID, channel string) slack.ModalViewRequest {
	reason := slack.NewPlainTextInputBlockElement(plain("The requester and the trail get it.", 150), reasonBlock)
	reason.Multiline, reason.MaxLength = true, approval.MaxReason
	m := modal("Say why", slack.NewInputBlock(reasonBlock, plain("Why?", 2000), nil, reason))
	m.CallbackID, m.Submit, m.PrivateMetadata = explainCallback, plain("Say so", 24), encode(received{Request: id, Channel: channel})
	return m
}

// consequence says what an action breaks.
func consequence(a approval.Action) string {
	switch a {
	case approval.Revoke:
		return "Every token that this key signed stops working once verifiers refresh their key sets: users are logged out. *It cannot be undone.*"
	case approval.RotateAndRevoke:
		return "The next key comes into use, and then every token that the current key signed stops working: all users are logged out. Service providers that pin the certificate refuse logins at once. *The revocation cannot be undone.*"
	}
	return "The next key comes into use; tokens that the current key signed still work. Service providers that pin the certificate (SAML, WS-Fed) refuse logins until they have the new one. Auth0 allows five rotations a day."
}
