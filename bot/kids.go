package bot

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// This file finds the keys that a person names among their words. A revocation cannot be
// undone, so the rule is: a word that fits one key names it, a word that looks like a kid
// and fits none is said, and where there is doubt nothing is chosen. That costs a tap.

const (
	minPrefix = 8 // characters that name a key
	minHint   = 4 // characters that may be meant as a key
)

// typed is what a command says beside its verb and its tenant.
type typed struct {
	text  string
	other bool // it also says the other one of rotate and revoke, and so that both may be meant
}

// meant is what was typed, held against the keys of a tenant.
type meant struct {
	kids   []string // those that were named, each once
	kid    string   // the one that was named beyond doubt; "": none
	reason string   // what else was typed; everything, where kid is ""
	link   string   // the first address of a page in it, which stays in the reason as well
	other  bool     // as in typed
	doubts []doubt
}

// doubt is a word that may be meant as a key.
type doubt struct {
	word  string
	why   whyDoubt
	near  []string // the kids that may be meant
	plain bool     // it may as well be something else, and is no doubt about a key that was named
}

// whyDoubt is why a word chooses no key.
type whyDoubt int

const (
	fitsNone whyDoubt = iota
	fitsSeveral
	tooShort
	inLink
	ofRole   // it names a role, and not a key
	hidden   // by characters that are not seen
	excepted // the words before it say that it is not meant
)

// resolve holds what was typed against the kids of a tenant's keys.
func resolve(t typed, kids []string) meant {
	m := meant{reason: strings.TrimSpace(t.text), link: firstLink(t.text), other: t.other}
	tokens := tokensOf(t.text)
	looked := map[piece]bool{} // a word that is there a thousand times is looked at once
	for i := range tokens {
		for j := range tokens[i].pieces {
			p := &tokens[i].pieces[j]
			if key := *p; !looked[key] {
				looked[key] = m.hold(p, kids)
			}
		}
	}
	if word := otherRole(t.text); word != "" {
		m.doubt(doubt{word: word, why: ofRole, plain: true})
	}
	if len(m.kids) != 1 {
		return m
	}
	only := m.kids[0]
	if isExcepted(t.text, tokens, only) {
		m.doubt(doubt{word: only, why: excepted, near: m.kids})
		return m
	}
	aboutIt := func(d doubt) bool { return slices.Equal(d.near, m.kids) }
	m.doubts = slices.DeleteFunc(m.doubts, aboutIt)
	if slices.ContainsFunc(m.doubts, func(d doubt) bool { return !d.plain }) {
		return m
	}
	m.kid, m.doubts = only, nil
	m.reason = without(t.text, tokens, only)
	return m
}

// hold finds out which key a piece of a word names, or may be meant to name. It reports
// whether all is said of the piece: one that names a key is told so wherever it stands.
func (m *meant) hold(p *piece, kids []string) (said bool) {
	fits := p.fits(kids)
	switch {
	case p.address: // it leads somewhere; that is no choice of a key
		if len(fits) > 0 && slices.Contains(fits, p.text) {
			m.doubt(doubt{word: p.text, why: inLink, near: fits})
		}
	case len(fits) == 1:
		p.kid = fits[0]
		if !slices.Contains(m.kids, p.kid) {
			m.kids = append(m.kids, p.kid)
		}
		return false
	case len(fits) > 1:
		m.doubt(doubt{word: p.text, why: fitsSeveral, near: fits})
	default:
		if d, ok := p.looksLike(kids); ok && !(p.person && d.plain) {
			m.doubt(d)
		}
	}
	return true
}

func (m *meant) doubt(d doubt) {
	if !slices.ContainsFunc(m.doubts, func(o doubt) bool { return o.word == d.word }) {
		m.doubts = append(m.doubts, d)
	}
}

// token is what stands between two spaces.
type token struct {
	start, end int
	pieces     []piece
	more       bool // there is something in it besides the pieces, marks and punctuation
}

// piece is a part of a token that could be a kid: letters, digits, - and _, without the
// characters that are not seen.
type piece struct {
	text  string
	whole bool   // it stands in a text without spaces, so only a whole kid counts
	cut   bool   // an ellipsis follows
	odd   bool   // what is in it changes how it is seen
	kid   string // the key that it names

	address bool // it is in one, of a page or a mailbox
	person  bool // or in the name of a person, a group or a channel
}

// isSpace reports whether r separates words.
func isSpace(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0': // fillers: letters that are seen as a space
		return true
	}
	return unicode.IsSpace(r)
}

// isUnseen reports whether r is not seen itself: format characters such as a zero width
// space, a byte order mark or a mark of direction, and variation selectors.
func isUnseen(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector) || r == '\u034f'
}

// inPiece reports whether r may be in what is meant as a kid. Letters of other alphabets
// are, since many look like ours. Modifier letters are not: they are typed as quotes.
func inPiece(r rune) bool {
	if r >= '\u02b0' && r <= '\u02ff' {
		return false
	}
	return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// isRunOn reports whether r is of a script that is written without spaces, and has
// nothing that could be taken for a kid's letters.
func isRunOn(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

func tokensOf(s string) []token {
	var out []token
	for start := 0; start < len(s); {
		rest := s[start:]
		if i := strings.IndexFunc(rest, func(r rune) bool { return !isSpace(r) }); i < 0 {
			break
		} else if i > 0 {
			start += i
			continue
		}
		end := len(s)
		if i := strings.IndexFunc(rest, isSpace); i >= 0 {
			end = start + i
		}
		t := token{start: start, end: end}
		t.read(s[start:end])
		out = append(out, t)
		start = end
	}
	return out
}

// addressLike is an address of a page, with or without https://, or of a mailbox.
var addressLike = regexp.MustCompile(`://|^.+@.|[A-Za-z0-9]\.[a-z]{2,}/`)

// read takes a token apart.
func (t *token) read(word string) {
	address := addressLike.MatchString(word)
	person := strings.HasPrefix(word, "@") || strings.HasPrefix(word, "#")
	var p piece
	var b strings.Builder
	turned, afterRunOn := false, false
	end := func() {
		p.text, p.address, p.person = b.String(), address, person
		if strings.Trim(p.text, "-_") != "" {
			t.pieces = append(t.pieces, p)
		}
		p, turned = piece{}, false
		b.Reset()
	}
	for i, r := range word {
		switch {
		case isUnseen(r):
			turned = turned || b.Len() > 0 && unicode.Is(unicode.Bidi_Control, r)
			continue
		case isRunOn(r):
			p.whole = true
			end()
			afterRunOn, t.more = true, true
			continue
		case inPiece(r):
			p.whole, p.odd = p.whole || afterRunOn, p.odd || turned
			afterRunOn = false
			b.WriteRune(r)
			continue
		}
		p.cut = isEllipsis(word[i:])
		end()
		afterRunOn = false
		t.more = t.more || !isMark(r)
	}
	end()
}

// isMark reports whether r says nothing itself: punctuation, quotes of every kind, signs.
func isMark(r rune) bool {
	return unicode.IsPunct(r) || unicode.In(r, unicode.Sm, unicode.Sc) ||
		strings.ContainsRune("`´^¨", r) || r >= '\u02b0' && r <= '\u02ff'
}

func isEllipsis(s string) bool {
	for _, mark := range []string{"…", "..", "⋯", "‥"} {
		if strings.HasPrefix(s, mark) {
			return true
		}
	}
	return false
}

// variants are the texts that may be meant: the whole, and without the - and _ at its
// ends, which may be marks. A kid may begin or end with them too.
func (p *piece) variants() []string {
	const most = 8 // of them at an end
	inner := strings.TrimLeft(p.text, "-_")
	left := len(p.text) - len(inner)
	inner = strings.TrimRight(inner, "-_")
	right := len(p.text) - left - len(inner)
	var out []string
	for l := max(0, left-most); l <= left; l++ {
		for r := max(0, right-most); r <= right; r++ {
			out = append(out, p.text[l:len(p.text)-r])
		}
	}
	return append(out, p.text)
}

// fits returns the kids that a piece names: the one that it is, else the one that it is
// but for - and _ around it, else those that begin with it.
func (p *piece) fits(kids []string) []string {
	if p.odd {
		return nil
	}
	if slices.Contains(kids, p.text) {
		return []string{p.text}
	}
	variants := p.variants()
	is := func(kid string) bool { return slices.Contains(variants, kid) }
	if found := those(kids, is); len(found) > 0 || p.whole {
		return found
	}
	begins := func(kid string, v string) bool {
		return len(v) >= minPrefix && strings.HasPrefix(kid, v)
	}
	if found := those(kids, func(kid string) bool { return begins(kid, p.text) }); len(found) > 0 {
		return found
	}
	return those(kids, func(kid string) bool {
		return slices.ContainsFunc(variants, func(v string) bool { return begins(kid, v) })
	})
}

// those are the kids for which ok is true, each once.
func those(kids []string, ok func(kid string) bool) (out []string) {
	for _, kid := range kids {
		if ok(kid) && !slices.Contains(out, kid) {
			out = append(out, kid)
		}
	}
	return out
}

// fillers are words that people put before a kid.
var fillers = []string{"the", "this", "my", "our", "a", "signing", "key", "kid", "id"}

// without returns the text without the words that name a key, and without what only
// leads to it at the beginning. All else stays as it was typed.
func without(text string, tokens []token, kid string) string {
	var b strings.Builder
	at, leading := 0, true
	for i, t := range tokens {
		names := t.names(kid)
		if !names && !(leading && leadsTo(tokens[i:], kid)) {
			b.WriteString(text[at:t.end])
			at, leading = t.end, false
			continue
		}
		at = t.end
	}
	return trimLead(b.String() + text[at:])
}

// leadsTo reports whether tokens begin with fillers, and then name kid.
func leadsTo(tokens []token, kid string) bool {
	for _, t := range tokens {
		if t.names(kid) {
			return true
		}
		if !t.isFiller() {
			return false
		}
	}
	return false
}

func (t *token) isFiller() bool {
	for _, p := range t.pieces {
		if !p.isFiller() {
			return false
		}
	}
	return len(t.pieces) > 0 && !t.more
}

func (p *piece) isFiller() bool {
	return slices.Contains(fillers, strings.Trim(strings.ToLower(p.text), "-_"))
}

// names reports whether a token does nothing but name kid.
func (t *token) names(kid string) bool {
	named := false
	for _, p := range t.pieces {
		named = named || p.kid == kid
		if p.kid != kid && !p.isFiller() {
			return false
		}
	}
	return named && !t.more
}

// trimLead takes away spaces at both ends, and at the beginning what only separates, such
// as a dash that stands alone.
func trimLead(s string) string {
	for {
		s = strings.TrimFunc(s, func(r rune) bool { return isSpace(r) || isUnseen(r) })
		word, rest := cut(s)
		says := func(r rune) bool { return !isDash(r) && !strings.ContainsRune(":,;.…=>→|", r) }
		if s == "" || strings.ContainsFunc(word, says) {
			return s
		}
		s = rest
	}
}

// cut splits the first word off.
func cut(s string) (word, rest string) {
	s = strings.TrimFunc(s, isSpace)
	i := strings.IndexFunc(s, isSpace)
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimFunc(s[i:], isSpace)
}
