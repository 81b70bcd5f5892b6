package bot

import (
	"regexp"
	"strings"

	"keyturn/bot/approval"
)

// reference is what Slack makes, in a command, of a person, a group, a channel, a link or
// @here. Slack escapes the angle brackets that people type.
// Assumption: it does; where it does not, what looks like a reference is read as one.
var reference = regexp.MustCompile(`<([@#!][^<>]*|[A-Za-z][A-Za-z0-9+.-]*:[^<>]*)>`)

// unescape undoes what Slack does to the text of a command: each reference becomes what
// its reader would see, with the address of a link, and each entity its character. What
// comes back is text and no markup.
func unescape(s string) string {
	s = reference.ReplaceAllStringFunc(s, func(ref string) string {
		return referenceText(ref[1 : len(ref)-1])
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// referenceText is the text of what was in angle brackets.
func referenceText(ref string) string {
	body, label, _ := strings.Cut(ref, "|")
	label = strings.TrimSpace(label)
	switch {
	case body[0] == '!' && strings.HasPrefix(body, "!date^"):
		return label
	case body[0] == '!' && label == "":
		label = body[1:]
		fallthrough
	case body[0] == '!':
		return "@" + strings.TrimPrefix(label, "@")
	case body[0] == '@', body[0] == '#':
		if label == "" { // a name that Slack keeps to itself
			return body
		}
		return body[:1] + strings.TrimPrefix(label, body[:1])
	}
	scheme, rest, _ := strings.Cut(body, ":")
	if strings.EqualFold(scheme, "mailto") || strings.EqualFold(scheme, "tel") {
		body = rest
	}
	// A label that is the address, or its end, tells nothing besides it.
	shown, address := strings.TrimSuffix(label, "/"), strings.TrimSuffix(body, "/")
	if shown == "" || shown == address || strings.HasSuffix(address, "/"+shown) {
		return body
	}
	return label + " (" + body + ")"
}

// firstLink returns the first address of a page in text that can be a request's link; ""
// where there is none.
func firstLink(text string) string {
	for at := 0; ; {
		i := strings.Index(text[at:], "https://")
		if i < 0 {
			return ""
		}
		at += i
		address := text[at:]
		if end := strings.IndexFunc(address, endsAddress); end >= 0 {
			address = address[:end]
		}
		at += len(address)
		address = strings.TrimRight(address, ".,;:!?…*~'’”»")
		for unopened(address) {
			address = strings.TrimRight(strings.TrimSuffix(address, ")"), ".,;:!?…")
		}
		if approval.CheckWords("-", address) == nil {
			return address
		}
	}
}

// unopened reports whether s ends with a bracket that was opened before it.
func unopened(s string) bool {
	return strings.HasSuffix(s, ")") && strings.Count(s, "(") < strings.Count(s, ")")
}

// endsAddress reports whether r ends an address in running text.
func endsAddress(r rune) bool { return isSpace(r) || strings.ContainsRune("<>\"`|“「」", r) }
