package blockkit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file reads mrkdwn in two steps. The scanner cuts it into lines of tokens: text,
// references, code, and marks that may begin or end a style. Then nest puts what stands
// between two marks of a kind, in one line, into a styled piece.
//
// A mark begins a style only where no letter or digit stands before it and no space after
// it, and ends one only where it is the other way round; so snake_case is a word. Marks
// that follow one another, such as **, are text. What nothing ends is text as well.

// token is a piece, or a mark that becomes the text of one if it styles nothing.
type token struct {
	piece
	mark          byte // of a style; 0: none
	opens, closes bool
}

// line is what stands between two line ends; a block of code may reach over several.
type line struct {
	quoted bool
	tokens []token
}

func (r Reader) mrkdwn(s string, verbatim bool) []piece {
	sc := scanner{r: r, s: strings.ToValidUTF8(s, "\uFFFD"), verbatim: verbatim}
	return layout(sc.lines())
}

// layout puts lines together: a quotation out of those that follow one another quoted, and
// line ends between others, except beside what ends its line by itself.
func layout(lines []line) []piece {
	var out []piece
	for i, l := range lines {
		pieces := nest(l.tokens)
		follows := i > 0 && l.quoted == lines[i-1].quoted
		if follows && !lines[i-1].ends(pre) && !l.begins(pre) {
			pieces = append([]piece{{Kind: lineEnd}}, pieces...)
		}
		switch {
		case l.quoted && follows:
			last := &out[len(out)-1]
			last.Inner = append(last.Inner, pieces...)
		case l.quoted:
			out = append(out, piece{Kind: quote, Inner: pieces})
		default:
			out = append(out, pieces...)
		}
	}
	return out
}

func (l line) begins(k kind) bool { return len(l.tokens) > 0 && l.tokens[0].Kind == k }
func (l line) ends(k kind) bool   { return len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].Kind == k }

var styles = map[byte]kind{'*': strong, '_': italic, '~': strike}

// nest finds the styles in a line.
func nest(tokens []token) []piece {
	var out []piece
	open := map[byte]bool{} // marks that nothing ends up to the end of the stretch
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if t.Kind == pre {
			clear(open)
		}
		if t.opens && !open[t.mark] {
			if n := closing(tokens[i:]); n > 0 {
				out = append(out, piece{Kind: styles[t.mark], Inner: nest(tokens[i+1 : i+n])})
				i += n
				continue
			}
			open[t.mark] = true
		}
		out = append(out, t.piece)
	}
	return out
}

// closing returns the place of the mark that ends what the first token begins; 0: there is
// none. A style does not reach over a block of code.
func closing(tokens []token) int {
	for i := 1; i < len(tokens) && tokens[i].Kind != pre; i++ {
		if tokens[i].closes && tokens[i].mark == tokens[0].mark {
			return i
		}
	}
	return 0
}

// scanner cuts mrkdwn into lines of tokens.
type scanner struct {
	r        Reader
	s        string
	verbatim bool // Slack finds nothing that is not written as a reference
	from, at int  // the text that is no token yet
	line     line
}

func (sc *scanner) lines() []line {
	var all []line
	sc.begin()
	for sc.at < len(sc.s) {
		if sc.s[sc.at] == '\n' {
			sc.flush()
			all = append(all, sc.line)
			sc.at++
			sc.begin()
			continue
		}
		if t, n := sc.token(); n > 0 {
			sc.flush()
			sc.line.tokens = append(sc.line.tokens, t)
			sc.at += n
			sc.from = sc.at
			continue
		}
		sc.at++
	}
	sc.flush()
	return append(all, sc.line)
}

// begin starts a line, and takes the sign of a quotation away.
func (sc *scanner) begin() {
	rest, quoted := strings.CutPrefix(sc.s[sc.at:], "&gt;")
	if !quoted {
		rest, quoted = strings.CutPrefix(rest, ">")
	}
	if quoted {
		rest = strings.TrimPrefix(rest, " ")
	}
	sc.at = len(sc.s) - len(rest)
	sc.from, sc.line = sc.at, line{quoted: quoted}
}

func (sc *scanner) flush() {
	if sc.from < sc.at {
		words := resolve(sc.s[sc.from:sc.at])
		sc.line.tokens = append(sc.line.tokens, token{piece: piece{Kind: text, Text: words}})
	}
	sc.from = sc.at
}

// token returns what begins here, and its length; 0: nothing, it is text.
func (sc *scanner) token() (token, int) {
	rest := sc.s[sc.at:]
	switch c := rest[0]; c {
	case '<':
		if end := strings.IndexAny(rest[1:], "<>\n"); end > 0 && rest[1+end] == '>' {
			return token{piece: sc.r.reference(rest[1 : 1+end])}, end + 2
		}
	case '`':
		return sc.code(rest)
	case '*', '_', '~':
		before, after := sc.before(), first(rest[1:])
		alone := before != rune(c) && after != rune(c)
		return token{
			piece: piece{Kind: text, Text: string(rune(c))}, mark: c,
			opens:  alone && !isWord(before) && !isSpace(after),
			closes: alone && !isSpace(before) && !isWord(after),
		}, 1
	case '@', 'h', 'H':
		if !sc.verbatim && !isWord(sc.before()) {
			return bare(rest)
		}
	}
	return token{}, 0
}

// code reads a span of code, or a block of it, in which nothing is markup.
func (sc *scanner) code(rest string) (token, int) {
	if body, is := strings.CutPrefix(rest, "```"); is {
		if end := strings.Index(body, "```"); end > 0 {
			words := strings.TrimSuffix(strings.TrimPrefix(body[:end], "\n"), "\n")
			return codeToken(pre, words), end + 6
		}
	}
	if isWord(sc.before()) {
		return token{}, 0
	}
	body, _, _ := strings.Cut(rest[1:], "\n")
	for end := 1; end < len(body); end++ {
		if body[end] == '`' && body[0] != '`' && !isWord(first(body[end+1:])) {
			return codeToken(code, body[:end]), end + 2
		}
	}
	return token{}, 0
}

func codeToken(k kind, words string) token {
	return token{piece: piece{Kind: k, Inner: []piece{{Kind: text, Text: resolve(words)}}}}
}

// bare reads a mention or an address that is not written as a reference.
func bare(rest string) (token, int) {
	if word, is := strings.CutPrefix(rest, "@"); is {
		if i := strings.IndexFunc(word, func(c rune) bool { return !isWord(c) }); i >= 0 {
			word = word[:i]
		}
		if isBroadcast(word) {
			return token{piece: broadcast(word)}, 1 + len(word)
		}
		return token{}, 0
	}
	scheme, _, _ := strings.Cut(rest[:min(len(rest), len("https:"))], ":")
	if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return token{}, 0
	}
	address := bareAddress(rest)
	if !leads(address) {
		return token{}, 0
	}
	return token{piece: linkTo(resolve(address), "")}, len(address)
}

// bareAddress returns the address with which s begins, without what ends the sentence.
func bareAddress(s string) string {
	if i := strings.IndexFunc(s, func(c rune) bool { return isSpace(c) || strings.ContainsRune("<>\"`|", c) }); i >= 0 {
		s = s[:i]
	}
	for _, bracket := range []string{"&lt;", "&gt;"} {
		s, _, _ = strings.Cut(s, bracket)
	}
	for s != "" && !strings.HasSuffix(s, "&amp;") { // whose semicolon ends no sentence
		c, n := utf8.DecodeLastRuneInString(s)
		if !strings.ContainsRune(".,;:!?'’*_~]})", c) || c == ')' && strings.Contains(s, "(") {
			break
		}
		s = s[:len(s)-n]
	}
	return s
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// resolve undoes the escaping of the three characters that Slack has escaped.
func resolve(s string) string { return entities.Replace(s) }

// before returns the character before this place; U+FFFD, which is no word: there is none.
func (sc *scanner) before() rune {
	c, _ := utf8.DecodeLastRuneInString(sc.s[:sc.at])
	return c
}

// first returns the first character of s; 0: there is none.
func first(s string) rune {
	if s == "" {
		return 0
	}
	c, _ := utf8.DecodeRuneInString(s)
	return c
}

func isWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// isSpace reports whether nothing stands there: a space, a line end, or no character.
func isSpace(c rune) bool { return c == 0 || unicode.IsSpace(c) }
