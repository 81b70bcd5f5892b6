package bot

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyturn/bot/approval"
)

// certificates are those that can be asked for.
var certificates = []string{"next", "current", "previous"}

// requestLike is what a word must look like to be taken as a request's id.
var requestLike = regexp.MustCompile(`^kt-[a-z0-9]{8}$`)

// words is a command as it was understood.
type words struct {
	slash   slash // the command, as it is called here
	verb    string
	tenant  string
	typed   typed       // revoke, rotate, rotate-and-revoke
	role    string      // certificate: next, current, previous
	n       int         // audit: how many entries
	request approval.ID // audit: of this request alone
}

// misread says what was not understood. It repeats what was typed, so it is only
// ever shown as plain text.
type misread string

func (m misread) Error() string { return string(m) }

// parse reads what was typed after a command. The first word is the verb; with several
// tenants the second is a tenant's name, with one it may be left out. Which key is meant
// is found out once the keys are known: see resolve.
func parse(text string, tenants []string, command slash) (words, error) {
	rest := trimLead(command.trim(unescape(text)))
	w := words{slash: command, verb: "list", n: 10, role: "next"}
	if rest != "" {
		var ok bool
		if w.verb, rest, ok = cutVerb(rest); !ok {
			return w, unknownVerb(rest, command)
		}
	}
	rest = trimLead(rest)
	if w.verb == "help" || w.verb == "requests" || w.verb == "audit" {
		return w, w.readRest(rest)
	}
	name, after, ok := cutTenant(rest, tenants)
	switch {
	case ok:
		w.tenant, rest = name, after
	case len(tenants) == 1:
		w.tenant = tenants[0]
	case dropObject(rest) == "":
		return w, misread("Which tenant? Say " + command.with(w.verb+" "+tenants[0]) +
			". The tenants are " + strings.Join(tenants, ", ") + ".")
	default:
		word, _ := cut(dropObject(rest))
		return w, misread("There is no tenant “" + shorten(word, 80) + "”. The tenants are " +
			strings.Join(tenants, ", ") + ", and the name is the second word.")
	}
	return w, w.readRest(dropObject(rest))
}

func (w *words) readRest(rest string) error {
	switch approval.Action(w.verb) {
	case approval.Revoke, approval.Rotate, approval.RotateAndRevoke:
		w.typed = typed{text: rest, other: saysOther(approval.Action(w.verb), rest)}
		return nil
	}
	said := saidIn(rest)
	switch {
	case w.verb == "help", len(said) == 0:
		return nil
	case w.verb == "certificate" && len(said) == 1 && slices.Contains(certificates, said[0]):
		w.role = said[0]
		return nil
	case w.verb == "certificate":
		return misread("Which certificate? Say next, current or previous. " +
			"With next, a service provider can be prepared for a rotation.")
	case w.verb == "audit":
		return w.readAudit(said)
	}
	return misread(w.slash.with(w.verb) + " takes no more words, and there was “" +
		shorten(rest, 80) + "”.")
}

func (w *words) readAudit(said []string) error {
	if len(said) == 1 {
		if n, err := strconv.Atoi(said[0]); err == nil && n >= 1 && n <= maxEntries {
			w.n = n
			return nil
		}
		if requestLike.MatchString(said[0]) {
			w.request = approval.ID(said[0])
			return nil
		}
	}
	return misread("Which entries? Say how many of the last, from 1 to 40, such as " +
		w.slash.with("audit 20") + ", or a request, such as " + w.slash.with("audit kt-abcdefgh") + ".")
}

// saidIn are the words of a text that say something, as they are understood.
func saidIn(text string) (out []string) {
	filler := []string{"the", "last", "latest", "of", "for", "entry", "entries", "request",
		"certificate", "cert", "key", "keys", "signing"}
	for word, rest := cut(text); word != ""; word, rest = cut(rest) {
		if word = bare(word); word != "" && !slices.Contains(filler, word) {
			out = append(out, word)
		}
	}
	return out
}

// cutTenant cuts the name of a tenant off, with what leads to it.
func cutTenant(text string, tenants []string) (name, after string, ok bool) {
	for word, rest := cut(text); word != ""; word, rest = cut(rest) {
		name := bare(word)
		i := slices.IndexFunc(tenants, func(t string) bool { return bare(t) == name })
		if name != "" && i >= 0 {
			return tenants[i], trimLead(rest), true
		}
		if !slices.Contains(tenantLeads, name) {
			break
		}
	}
	return "", text, false
}

// unknownVerb says that a text begins with no verb, and what may be meant.
func unknownVerb(text string, command slash) misread {
	word, _ := cut(text)
	m := "I do not know the word “" + shorten(word, 80) + "”. "
	if near := nearVerb(text); near != "" {
		m += "Did you mean " + command.with(near) + "? "
	}
	return misread(m + "The words are " + strings.Join(verbs, ", ") + "; " +
		command.with("help") + " explains them.")
}

// otherWords are words that people use for ours.
var otherWords = map[string]string{
	"keys": "list", "key": "list", "show": "list", "ls": "list", "status": "list", "share": "list",
	"delete": "revoke", "remove": "revoke", "disable": "revoke", "kill": "revoke",
	"invalidate": "revoke",
	"roll":       "rotate", "renew": "rotate", "replace": "rotate",
	"approve": "requests", "deny": "requests", "cancel": "requests", "open": "requests",
	"pending":           "requests",
	"revoke-and-rotate": "rotate-and-revoke", "revokeandrotate": "rotate-and-revoke",
	"revoke_and_rotate": "rotate-and-revoke", "revoke-rotate": "rotate-and-revoke",
	"revoke_rotate": "rotate-and-revoke",
	"cert":          "certificate", "certs": "certificate", "pem": "certificate",
	"log": "audit", "logs": "audit", "history": "audit", "trail": "audit",
}

// nearVerb returns the verb that may be meant where a text begins with none; "": none.
func nearVerb(text string) string {
	word, rest := cut(text)
	joined := strings.NewReplacer("-", "", "_", "", "&", "and")
	plain := func(s string) []rune { return []rune(joined.Replace(s)) }
	if said := plain(bare(word)); len(said) >= 3 && len(said) <= 40 {
		nearest, least := "", min(2, len(said)/3)+1
		for _, verb := range verbs {
			if d := distance(said, plain(verb)); d < least {
				nearest, least = verb, d
			}
			if nearest == "" && strings.HasPrefix(string(plain(verb)), string(said)) {
				nearest = verb
			}
		}
		if nearest != "" {
			return nearest
		}
	}
	if verb := otherWords[bare(word)]; verb != "" {
		return verb
	}
	if lx := lexemes(word, 1); len(lx) > 0 && IsVerb(lx[0].text) { // revoke-xyz
		return lx[0].text
	}
	for range 5 { // it may stand a little later
		if word, rest = cut(rest); word == "" {
			break
		}
		if verb, _, ok := cutVerb(word + " " + rest); ok {
			return verb
		}
	}
	return ""
}
