package bot

import (
	"slices"
	"strings"
	"unicode"

	"keyturn/bot/approval"
)

// verbs are the first words there are.
var verbs = []string{
	"list", "revoke", "rotate", "rotate-and-revoke", "requests", "certificate", "audit", "help",
}

// IsVerb reports whether word is a first word of the command, and so no name for a tenant.
func IsVerb(word string) bool { return slices.Contains(verbs, word) }

// keyWords are what people call the key in general. keyLeads stand before it, and tenantLeads
// before the name of a tenant.
var (
	keyWords    = []string{"key", "keys", "it", "them"}
	keyLeads    = []string{"the", "this", "my", "our", "a", "an", "signing", "application"}
	tenantLeads = append([]string{"of", "for", "in", "on", "tenant", "keys"}, fillers...)
)

// IsPassedOver reports whether a command passes over word where it looks for the name of a
// tenant: it names none of several.
func IsPassedOver(word string) bool {
	return slices.Contains(slices.Concat(keyWords, keyLeads, tenantLeads), word)
}

// trim takes the command itself away, where somebody typed it again after it.
func (s slash) trim(text string) string {
	for {
		word, rest := cut(text)
		name := bare(word)
		ours := name == bare(string(s)) || name == bare(string(defaultSlash))
		if !ours || name == "" || IsVerb(name) {
			return text
		}
		text = rest
	}
}

// bare is a word as it is understood: in small letters, full-width letters as ours, every
// dash a hyphen, and without what stands around it.
func bare(word string) string {
	word = strings.Map(plainRune, word)
	return strings.TrimFunc(word, func(r rune) bool { return r == '-' || r == '_' || !inPiece(r) })
}

// plainRune returns the rune that is understood; negative: none.
func plainRune(r rune) rune {
	switch {
	case isUnseen(r):
		return -1
	case r >= '！' && r <= '～': // full-width
		r -= '！' - '!'
	case isDash(r):
		return '-'
	}
	return unicode.ToLower(r)
}

func isDash(r rune) bool { return unicode.Is(unicode.Pd, r) || r == '−' }

// isLongDash reports whether r stands between two thoughts, and not within a word.
func isLongDash(r rune) bool { return strings.ContainsRune("–—―⸺⸻", r) }

// lexeme is a run of letters and digits as it is understood, or a sign for and.
type lexeme struct {
	text       string
	start, end int
}

// maxLexeme is how many bytes of a lexeme are looked at: more than any word of ours has.
const maxLexeme = 100

// lexemes are the first of a text, at most as many as given.
func lexemes(s string, most int) (out []lexeme) {
	inside := false
	for i, r := range s {
		p := plainRune(r)
		size := len(string(r))
		switch {
		case p < 0: // not seen
		case inside && unicode.IsMark(r): // an accent changes no word of ours
			out[len(out)-1].end = i + size
		case p == '&' || p == '+':
			out, inside = append(out, lexeme{string(p), i, i + size}), false
		case p != '-' && p != '_' && inPiece(r) && !isSpace(r):
			if !inside {
				out = append(out, lexeme{start: i})
			}
			last := &out[len(out)-1]
			if last.end, inside = i+size, true; len(last.text) < maxLexeme {
				last.text += string(p)
			}
		default:
			inside = false
		}
		if len(out) > most {
			return out[:most]
		}
	}
	return out
}

// connectors stand between rotate and revoke where both are meant.
var connectors = []string{"and", "&", "+", "then", "n", "plus", "also"}

// cutVerb cuts the verb off, with the key that it is about where no one is named:
// "Rotate & Revoke Key", as Auth0's button says, is rotate-and-revoke. Where it reports
// false, text begins with no verb and comes back whole.
func cutVerb(text string) (verb, rest string, ok bool) {
	lx := lexemes(text, 16)
	if len(lx) == 0 {
		return "", text, false
	}
	first := lx[0]
	switch first.text {
	case "rotateandrevoke", "rotatethenrevoke", "rotaterevoke":
		return string(approval.RotateAndRevoke), afterVerb(text, first.end), true
	case string(approval.Rotate):
		if i := connected(text, lx, string(approval.Revoke)); i > 0 {
			return string(approval.RotateAndRevoke), afterVerb(text, lx[i].end), true
		}
	}
	if !slices.Contains(verbs, first.text) {
		return "", text, false
	}
	end := first.end
	if isJoined(text, end) { // list-keys, but not revoke-xyz
		i := object(lx, 1)
		if i == 1 || isJoined(text, lx[i-1].end) {
			return "", text, false
		}
		end = lx[i-1].end
	}
	return first.text, afterVerb(text, end), true
}

// connected returns the index of other among lx where it directly follows the first, with
// nothing between them but "the key" and "and"; 0: it does not.
func connected(text string, lx []lexeme, other string) int {
	i := object(lx, 1, "current", "active")
	for i < len(lx) && slices.Contains(connectors, lx[i].text) {
		i++
	}
	if i >= len(lx) || lx[i].text != other {
		return 0
	}
	if putsOff(lx[i+1:]) {
		return 0
	}
	for j := range i {
		if endsSentence(text[lx[j].end:lx[j+1].start]) {
			return 0
		}
	}
	return i
}

// endsSentence reports whether what stands between two words ends a sentence.
func endsSentence(gap string) bool {
	gap = strings.ReplaceAll(gap, "...", "…")
	return strings.ContainsAny(gap, ".;:!?\n。！？")
}

// object returns the index after a mention of the key in general at lx[i], such as "the
// signing key" or "it"; i where there is none. More words may stand before the key.
func object(lx []lexeme, i int, more ...string) int {
	j := i
	leads := append(more, keyLeads...)
	for j < len(lx) && slices.Contains(leads, lx[j].text) {
		j++
	}
	if j < len(lx) && slices.Contains(keyWords, lx[j].text) {
		return j + 1
	}
	return i
}

// isJoined reports whether a hyphen or an underscore joins what ends at end with a word.
func isJoined(text string, end int) bool {
	rest := strings.TrimLeftFunc(text[end:], isUnseen)
	after := strings.TrimLeftFunc(rest, func(r rune) bool {
		return r == '_' || isDash(r) && !isLongDash(r) || isUnseen(r)
	})
	if len(after) == len(rest) || after == "" {
		return false
	}
	for _, r := range after {
		return !isSpace(r) && !unicode.IsPunct(r)
	}
	return false
}

// afterVerb returns what follows a verb, without the marks that are on it.
func afterVerb(text string, end int) string {
	rest := strings.TrimLeftFunc(text[end:], func(r rune) bool {
		return isUnseen(r) || isLongDash(r) || strings.ContainsRune(":,;.!?…)]}*~`'\"’”»", r)
	})
	return dropObject(trimLead(rest))
}

// dropObject takes "the key" away at the beginning, where nothing of it is said, or a
// mark follows: what is typed after it is the reason.
func dropObject(text string) string {
	lx := lexemes(text, 8)
	i := object(lx, 0)
	if i == 0 || lx[0].start > 0 {
		return text
	}
	rest := text[lx[i-1].end:]
	marked := strings.TrimLeft(rest, ",:.;…")
	if len(marked) < len(rest) || trimLead(rest) == "" {
		return trimLead(marked)
	}
	return text
}

// otherRole returns the word by which a text may mean a key that cannot be revoked: the
// one in use, or the next; "": none.
func otherRole(text string) string {
	lx := lexemes(text, 1000)
	follows := func(i int, words ...string) bool {
		return i < len(lx) && slices.Contains(words, lx[i].text)
	}
	for i, l := range lx {
		switch l.text {
		case "current", "active", "next":
			if len(lx) == 1 || follows(i+1, "key", "keys", "kid", "signing", "one") {
				return l.text
			}
		case "currently":
			if follows(i+1, "used", "active", "in") {
				return l.text
			}
		case "in":
			if follows(i+1, "use", "queue") && !follows(i+2, "until") {
				return l.text + " " + lx[i+1].text
			}
		}
	}
	return ""
}

// saysOther reports whether a text that asks for one of rotate and revoke may mean the
// other as well. It is wide: what it leads to is one more sentence.
func saysOther(action approval.Action, text string) bool {
	lx := lexemes(text, 1000)
	switch action {
	case approval.Rotate:
		return slices.ContainsFunc(lx, func(l lexeme) bool {
			return strings.Contains(l.text, "revok") || strings.Contains(l.text, "revoc") ||
				len(l.text) <= 8 && distance([]rune(l.text), []rune("revoke")) <= 1
		})
	case approval.Revoke:
		return slices.ContainsFunc(lx, func(l lexeme) bool {
			return strings.HasPrefix(l.text, "rotat") ||
				len(l.text) <= 8 && distance([]rune(l.text), []rune("rotate")) <= 1
		})
	}
	return false
}
