package bot

import (
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// maxKeys is how many keys a list shows; a message holds 50 blocks.
const maxKeys = 40

// keyBlocks draws the keys of a tenant, with buttons to ask for each change.
func keyBlocks(tenant string, look *audit.Look, now time.Time, share bool) []slack.Block {
	blocks := []slack.Block{header("Signing keys of " + tenant)}
	for _, k := range look.Keys[:min(len(look.Keys), maxKeys)] {
		s := section("*" + role(k) + "*\n" + code(k.KID) + "\n" + keyDetails(k, look, now))
		if k.Role == mgmt.RolePrevious.String() {
			s.Accessory = slack.NewAccessory(askButton("Revoke…", target{Tenant: tenant, Action: approval.Revoke, KID: k.KID}))
		}
		blocks = append(blocks, s)
	}
	if len(look.Keys) == 0 {
		blocks = append(blocks, section("Auth0 shows no keys."))
	}
	if n := len(look.Keys) - maxKeys; n > 0 {
		blocks = append(blocks, contextLine(count(n, "more key")+" not shown."))
	}
	rotate := []slack.BlockElement{
		askButton("Rotate…", target{Tenant: tenant, Action: approval.Rotate}),
		askButton("Rotate & revoke…", target{Tenant: tenant, Action: approval.RotateAndRevoke}),
	}
	if share {
		rotate = append(rotate, slack.NewButtonBlockElement(actShare, tenant, plain("Share", 75)))
	}
	return append(blocks,
		slack.NewActionBlock("keys", rotate...),
		contextLine("Read from Auth0 "+at(look.At)+". Nothing changes before a second person approves it."))
}

// skewWords says that this machine's clock differs from Auth0's, where it does by more than
// a minute; skew is how far Auth0's is ahead. "": it does not.
func skewWords(skew time.Duration) string {
	if skew.Abs() <= mgmt.MaxSkew {
		return ""
	}
	side := "behind"
	if skew < 0 {
		side = "ahead of"
	}
	return "This machine's clock is " + age(skew.Abs().Round(time.Minute)) + " " + side +
		" Auth0's, so times here may be wrong. Tell the operator."
}

func askButton(label string, t target) *slack.ButtonBlockElement {
	// An action id is unique within its block.
	id := actAsk + ":" + string(t.Action)
	return slack.NewButtonBlockElement(id, encode(t), plain(label, 75))
}

// role is a key's role, as a heading.
func role(k audit.Key) string {
	if k.Role == "" {
		return "Unknown"
	}
	return strings.ToUpper(k.Role[:1]) + k.Role[1:]
}

func keyDetails(k audit.Key, look *audit.Look, now time.Time) string {
	parts := []string{}
	switch {
	case !k.RevokedAt.IsZero():
		parts = append(parts, "revoked "+at(k.RevokedAt))
	case !k.Until.IsZero():
		parts = append(parts, "in use until "+at(k.Until)+", "+age(now.Sub(k.Until))+" ago")
	case !k.Since.IsZero() && k.Role == mgmt.RoleCurrent.String():
		parts = append(parts, "in use for "+age(now.Sub(k.Since)))
	}
	if k.SHA1 != "" {
		parts = append(parts, "SHA-1 "+code(k.SHA1))
	}
	return strings.Join(append(parts, publishedWords(k.KID, look)...), "\n")
}

// publishedWords says for each domain whether its JWKS lists a key.
func publishedWords(kid string, look *audit.Look) []string {
	var out []string
	for _, p := range look.JWKS {
		domain := escape(p.Domain)
		switch {
		case p.Err != "":
			out = append(out, "the JWKS of "+domain+" could not be read")
		case slices.Contains(p.KIDs, kid):
			out = append(out, "in the JWKS of "+domain)
		default:
			out = append(out, "not in the JWKS of "+domain)
		}
	}
	return out
}

// certificateBlocks shows the certificates of the keys in a role, for service
// providers that pin one.
func certificateBlocks(tenant, which string, keys mgmt.Keys, command slash) []slack.Block {
	var found mgmt.Keys
	switch which {
	case "next":
		if k, ok := keys.Next(); ok {
			found = mgmt.Keys{k}
		}
	case "current":
		if k, ok := keys.Current(); ok {
			found = mgmt.Keys{k}
		}
	case "previous":
		found = keys.Previous()
	}
	blocks := []slack.Block{header("Certificate of the " + which + " signing key of " + tenant)}
	if len(found) == 0 {
		return append(blocks, section("The tenant has no such key. Type "+command.code("list")+
			" for those it has."))
	}
	for _, k := range found[:min(len(found), 5)] {
		blocks = append(blocks,
			section("*"+k.Role().String()+"* "+code(k.KID)+"\nSHA-1 "+code(k.Fingerprint)+"\nSHA-256 "+code(colons(k.SHA256()))),
			preformatted(strings.TrimSpace(strings.ReplaceAll(k.Cert, "\r\n", "\n"))))
	}
	if which == "next" {
		blocks = append(blocks, contextLine("SAML and WS-Fed service providers that pin the certificate need this one *before* a rotation; those who do not know it refuse logins from the moment of the rotation on."))
	}
	return blocks
}

// colons writes hex digits as fingerprints are written.
func colons(hexDigits string) string {
	up := strings.ToUpper(hexDigits)
	var pairs []string
	for i := 0; i+2 <= len(up); i += 2 {
		pairs = append(pairs, up[i:i+2])
	}
	return strings.Join(pairs, ":")
}
