package blockkit

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
)

// rich is an element of rich text: a section, a list, a quotation or preformatted text, and
// what stands in those.
type rich struct {
	Type     string
	Elements []rich
	Style    richStyle
	Indent   int
	Offset   int

	Text      string
	URL       string
	User      string `json:"user_id"`
	Group     string `json:"usergroup_id"`
	Channel   string `json:"channel_id"`
	Range     string
	Name      string
	Unicode   string
	Timestamp int64
	Format    string
	Fallback  string
}

// maxIndent is how deep a list is drawn.
const maxIndent = 8

// rich draws an element that stands in the block itself.
func (r Reader) rich(e rich) piece {
	if e.Type == "rich_text_list" {
		return r.richList(e)
	}
	p := piece{Kind: paragraph}
	for _, inner := range e.Elements {
		p.Inner = append(p.Inner, r.richInline(inner)...)
	}
	switch e.Type {
	case "rich_text_quote":
		p.Kind = quote
	case "rich_text_preformatted":
		p.Kind = pre
	}
	return p
}

func (r Reader) richList(e rich) piece {
	p := piece{Kind: bullets, Indent: max(0, min(e.Indent, maxIndent))}
	if e.Style.list == "ordered" {
		p.Kind, p.Start = numbers, e.Offset+1
	}
	for _, section := range e.Elements {
		p.Inner = append(p.Inner, piece{Kind: item, Inner: r.rich(section).Inner})
	}
	return p
}

// richInline draws an element that stands in a line.
func (r Reader) richInline(e rich) []piece {
	out := r.richContent(e)
	for _, s := range []struct {
		is   bool
		kind kind
	}{{e.Style.Code, code}, {e.Style.Strike, strike}, {e.Style.Italic, italic}, {e.Style.Bold, strong}} {
		if s.is {
			out = []piece{{Kind: s.kind, Inner: out}}
		}
	}
	return out
}

func (r Reader) richContent(e rich) []piece {
	switch e.Type {
	case "link":
		return []piece{linkTo(e.URL, e.Text)}
	case "user":
		return []piece{r.mentionOf("@", e.User)}
	case "usergroup":
		return []piece{r.mentionOf("@", e.Group)}
	case "channel":
		return []piece{r.mentionOf("#", e.Channel)}
	case "broadcast":
		return []piece{broadcast(e.Range)}
	case "emoji":
		if sign := emojiSign(e.Unicode); sign != "" {
			return []piece{{Kind: emoji, Text: sign, Name: e.Name}}
		}
		return literal(":" + e.Name + ":")
	case "date":
		if p, is := r.date(e.Timestamp, e.Format, e.URL); is {
			return []piece{p}
		}
		return literal(cmp.Or(e.Fallback, e.Format))
	}
	return literal(e.Text)
}

// emojiSign returns the characters that Slack names by their code points, as in
// 1f44d-1f3fb; "": they are none.
func emojiSign(points string) string {
	var b strings.Builder
	for _, point := range strings.Split(points, "-") {
		n, err := strconv.ParseUint(point, 16, 21)
		if err != nil {
			return ""
		}
		b.WriteRune(rune(n))
	}
	return b.String()
}

// richStyle is the style of a list, which is a word, or of what stands in a line.
type richStyle struct {
	list                       string
	Bold, Italic, Strike, Code bool
}

// UnmarshalJSON reads either.
func (s *richStyle) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &s.list)
	}
	type inline richStyle
	return json.Unmarshal(b, (*inline)(s))
}
