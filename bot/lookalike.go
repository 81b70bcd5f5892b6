package bot

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLooked is how many characters of a piece are looked at: no word has more.
const maxLooked = 1000

// looksLike reports whether a piece that fits no key may be meant as one. It is wide: a
// word taken for a kid costs a tap, and a kid taken for a word could cost a key.
func (p *piece) looksLike(kids []string) (doubt, bool) {
	core := strings.Trim(p.text, "-_")
	n := utf8.RuneCountInString(core)
	d := doubt{word: p.text}
	if n > maxLooked {
		d.plain = true
		return d, true
	}
	if d.near = p.near(core, n, kids); len(d.near) > 0 {
		switch {
		case utf8.RuneCountInString(p.text) < minPrefix:
			d.why = tooShort
		case p.odd:
			d.why = hidden
		}
		return d, true
	}
	d.plain = !isKidLike(core, n)
	if requestLike.MatchString(strings.ToLower(core)) {
		return d, false
	}
	switch {
	case p.odd && n >= minHint:
		return d, true
	case n >= minPrefix:
		return d, !isWord(core)
	case p.cut && n >= minHint:
		return d, !isWord(core) || hasDigit(core)
	}
	mixed := strings.ContainsFunc(core, unicode.IsUpper) && strings.ContainsFunc(core, unicode.IsLower)
	return d, n >= 6 && mixed && hasDigit(core)
}

// near are the kids that a piece may be meant for. core is its text without - and _ around
// it, of n characters.
func (p *piece) near(core string, n int, kids []string) []string {
	return those(kids, func(kid string) bool {
		begins := hasPrefixFold(strings.Trim(kid, "-_"), core) || hasPrefixFold(kid, p.text)
		return n >= minHint && begins || n >= minPrefix && isNear(core, kid)
	})
}

func hasDigit(s string) bool { return strings.ContainsFunc(s, unicode.IsNumber) }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isNear reports whether s, of 8 characters or more without - and _ around it, is almost
// kid or a part of it: but for the case of its letters, but for a letter or two, or as far
// as its beginning goes.
func isNear(s, kid string) bool {
	const sameStart, slips = 6, 2
	kid = strings.Trim(kid, "-_") // as s
	switch {
	case strings.Contains(kid, s), hasPrefixFold(kid, s):
		return true
	case len(kid) < minPrefix:
		return false
	case strings.Contains(s, kid), hasPrefixFold(s, kid[:sameStart]):
		return true
	}
	a, b := []rune(strings.ToLower(s)), []rune(strings.ToLower(kid))
	start := b[:min(len(a), len(b))]
	return within(a, b, slips) || within(a, start, slips)
}

// within reports whether b is a with at most so many slips: letters changed, added, taken
// away or swapped with their neighbour.
func within(a, b []rune, slips int) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	switch {
	case len(a) == 0 || len(b) == 0:
		return max(len(a), len(b)) <= slips
	case slips == 0:
		return false
	case len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && within(a[2:], b[2:], slips-1):
		return true
	}
	return within(a[1:], b[1:], slips-1) || within(a[1:], b, slips-1) || within(a, b[1:], slips-1)
}

// distance is how many letters have to be changed, added, taken away or swapped with their
// neighbour, each once, to make b of a.
func distance(a, b []rune) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		now := make([]int, len(b)+1)
		now[0] = i + 1
		for j := range b {
			changed := 1
			if a[i] == b[j] {
				changed = 0
			}
			now[j+1] = min(last[j]+changed, last[j+1]+1, now[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last = last, now
	}
	return last[len(b)]
}

// hexDigits is a hash, or an id of something else.
var hexDigits = regexp.MustCompile(`^[0-9a-f]*$|^[0-9A-F]*$`)

// isKidLike reports whether s could be a whole kid of Auth0's, which have 21 characters,
// and 54 where they are from before 2020: about as long, and not a word.
func isKidLike(s string, n int) bool {
	return (n >= 18 && n <= 26 || n >= 50 && n <= 58) && !isWord(s) && !hexDigits.MatchString(s)
}

var (
	ourWord = regexp.MustCompile(`^(\p{Lu}?[\p{Ll}\p{M}]{1,15}|\p{Lu}{1,15}s?|` +
		`(\p{Lu}[\p{Ll}\p{M}]{3,15}|[\p{Ll}\p{M}]{4,15})(\p{Lu}[\p{Ll}\p{M}]{3,15}){0,3}\p{Lu}{0,4}|` +
		`\p{Nd}{1,7})$`)
	otherWord = regexp.MustCompile(`^[\p{Lo}\p{Lm}\p{M}]+$`) // without case, some without spaces
	shortName = regexp.MustCompile(`^[\p{L}\p{Nd}]{1,3}$`)   // v2, 1a, x86
	timeStamp = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d*[Zz]?$`)
	ourLetter = regexp.MustCompile(`[A-Za-z]`)
)

// isWord reports whether s is a word or several, or a number, such as people write them:
// what a random kid hardly ever is.
func isWord(s string) bool {
	isForeign := func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) }
	if strings.ContainsFunc(s, isForeign) && ourLetter.MatchString(s) {
		return false // two alphabets in one word
	}
	if timeStamp.MatchString(s) {
		return true
	}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' }) {
		if !ourWord.MatchString(part) && !otherWord.MatchString(part) && !shortName.MatchString(part) {
			return false
		}
	}
	return true
}
