package bot

import (
	"slices"
	"strings"
	"unicode"
)

// This file reads the words that take back, or put off, what stands beside them.

// laterWords are words after which a revocation is not meant, or not to follow at once.
var laterWords = []string{
	"later", "tomorrow", "tonight", "afterwards", "after", "once", "when", "if", "until", "unless",
	"only", "is", "isn't", "isnt", "not", "no", "nothing", "none", "never", "next", "soon",
}

// putsOff reports whether words begin with one that puts off what stands before them; "in two
// hours" does, and "in prod" does not.
func putsOff(lx []lexeme) bool {
	switch {
	case len(lx) == 0:
		return false
	case lx[0].text == "in" && len(lx) > 1:
		after := lx[1].text
		return unicode.IsDigit(rune(after[0])) || slices.Contains(amounts, after)
	}
	return slices.Contains(laterWords, lx[0].text)
}

// amounts begin a span of time.
var amounts = []string{
	"a", "an", "half", "one", "two", "three", "four", "five", "ten", "some", "few", "several",
}

// exceptions are words that, right before a key or one word before it, say that it is not the
// one that is meant.
var exceptions = []string{
	"not", "no", "never", "but", "except", "excepting", "excluding", "besides", "without", "keep",
	"don't", "dont", "don’t", "leave", "spare",
}

// isExcepted reports whether the words before a key say that it is not meant.
func isExcepted(text string, tokens []token, kid string) bool {
	names := func(t token) bool {
		return slices.ContainsFunc(t.pieces, func(p piece) bool { return p.kid == kid })
	}
	i := slices.IndexFunc(tokens, names)
	before := text
	if i >= 0 {
		before = text[:tokens[i].start]
	}
	words := strings.FieldsFunc(strings.ToLower(before), func(r rune) bool {
		return !unicode.IsLetter(r) && r != '\'' && r != '’'
	})
	return slices.ContainsFunc(words[max(0, len(words)-2):], func(w string) bool {
		return slices.Contains(exceptions, w)
	})
}
