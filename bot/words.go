package bot

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyturn/bot/approval"
)

// kidLike is what a word must look like to be taken as a kid: Auth0's are 21
// characters, and 54 where they are from before 2020.
var kidLike = regexp.MustCompile(`^[A-Za-z0-9_-]{20,64}$`)

// requestLike is what a word must look like to be taken as a request's id.
var requestLike = regexp.MustCompile(`^kt-[a-z0-9]{8}$`)

// verbs are the first words there are.
var verbs = []string{"list", "revoke", "rotate", "rotate-and-revoke", "requests", "certificate", "audit", "help"}

// words is a command as it was understood.
type words struct {
	verb    string
	tenant  string
	kid     string      // revoke
	role    string      // certificate: next, current, previous
	n       int         // audit: how many entries
	request approval.ID // audit: of this request alone
	reason  string      // revoke, rotate, rotate-and-revoke
}

// misread says what was not understood. It repeats what was typed, so it is only
// ever shown as plain text.
type misread string

func (m misread) Error() string { return string(m) }

// parse reads what was typed after /signing-keys. The first word is the verb; with
// several tenants the second is a tenant's name, with one it may be left out.
func parse(text string, tenants []string) (words, error) {
	rest := strings.TrimSpace(unescape(text))
	w := words{verb: "list", n: 10, role: "next"}
	if verb, after := cut(rest); verb != "" {
		w.verb, rest = strings.ToLower(verb), after
	}
	if !slices.Contains(verbs, w.verb) {
		return w, misread("I do not know the word “" + shorten(w.verb, 80) + "”. The words are " + strings.Join(verbs, ", ") + "; /signing-keys help explains them.")
	}
	if w.verb == "help" || w.verb == "requests" || w.verb == "audit" {
		return w, w.readRest(rest)
	}
	name, after := cut(rest)
	switch {
	case slices.Contains(tenants, strings.ToLower(name)):
		w.tenant, rest = strings.ToLower(name), after
	case len(tenants) == 1:
		w.tenant = tenants[0]
	case name == "":
		return w, misread("Which tenant? Say /signing-keys " + w.verb + " " + tenants[0] + ". The tenants are " + strings.Join(tenants, ", ") + ".")
	default:
		return w, misread("There is no tenant “" + shorten(name, 80) + "”. The tenants are " + strings.Join(tenants, ", ") + ", and the name is the second word.")
	}
	return w, w.readRest(rest)
}

func (w *words) readRest(rest string) error {
	word, after := cut(rest)
	switch approval.Action(w.verb) {
	case approval.Revoke:
		if kidLike.MatchString(word) {
			w.kid, rest = word, after
		}
		w.reason = rest
		return nil
	case approval.Rotate, approval.RotateAndRevoke:
		w.reason = rest
		return nil
	}
	switch {
	case word == "":
		return nil
	case w.verb == "certificate" && after == "" && slices.Contains([]string{"next", "current", "previous"}, strings.ToLower(word)):
		w.role = strings.ToLower(word)
		return nil
	case w.verb == "certificate":
		return misread("Which certificate? Say next, current or previous. With next, a service provider can be prepared for a rotation.")
	case w.verb == "audit" && after == "":
		if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= maxEntries {
			w.n = n
			return nil
		}
		if id := strings.ToLower(word); requestLike.MatchString(id) {
			w.request = approval.ID(id)
			return nil
		}
		return misread("Which entries? Say how many of the last, from 1 to 40, such as /signing-keys audit 20, or a request, such as /signing-keys audit kt-abcdefgh.")
	case w.verb == "help":
		return nil
	}
	return misread("/signing-keys " + w.verb + " takes no more words, and there was “" + shorten(rest, 80) + "”.")
}

// cut splits the first word off.
func cut(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// IsVerb reports whether word is a first word of /signing-keys, and so no name for
// a tenant.
func IsVerb(word string) bool { return slices.Contains(verbs, word) }
