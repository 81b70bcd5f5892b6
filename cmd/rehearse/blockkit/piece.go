package blockkit

import "strings"

// kind says what a piece of text is.
type kind string

const (
	text    kind = "text"
	lineEnd kind = "line end"
	mention kind = "mention"
	when    kind = "time"
	emoji   kind = "emoji"

	// These hold other pieces.
	strong    kind = "strong"
	italic    kind = "italic"
	strike    kind = "strike"
	code      kind = "code"
	pre       kind = "pre"
	quote     kind = "quote"
	link      kind = "link"
	paragraph kind = "paragraph"
	bullets   kind = "bullets"
	numbers   kind = "numbers"
	item      kind = "item"
)

// piece is a part of a text, as the template text.html draws it.
type piece struct {
	Kind   kind
	Text   string // of a piece that holds no others
	Class  string // of a mention
	Href   string // of a link
	Time   string // RFC 3339
	Name   string // of an emoji
	Start  int    // of numbers
	Indent int    // of a list
	Inner  []piece
}

// literal shows s as it is, line by line.
func literal(s string) []piece {
	var out []piece
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			out = append(out, piece{Kind: lineEnd})
		}
		if line != "" {
			out = append(out, piece{Kind: text, Text: line})
		}
	}
	return out
}

// plain is what pieces read as, for where there is no markup: in an attribute.
func plain(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.Kind == lineEnd {
			b.WriteByte('\n')
		}
		b.WriteString(p.Text + plain(p.Inner))
	}
	return b.String()
}
