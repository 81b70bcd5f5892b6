package audit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentence says in plain English what an entry records, for exports, post-mortems and
// lists. It has no markup, names people with their ids, and leaves their words out.
func Sentence(e Entry) string {
	switch e.Kind {
	case Asked:
		return person(e.Actor) + " asked for " + e.Change.words() + "."
	case Approved:
		return person(e.Actor) + " approved it."
	case Denied:
		return person(e.Actor) + " denied it. No key was touched."
	case Cancelled:
		return person(e.Actor) + " cancelled it. No key was touched."
	case Explained:
		return person(e.Actor) + " said why."
	case Refused:
		return person(e.Actor) + " pressed " + e.Press.words() + "."
	case Intended:
		return "keyturn is about to " + e.Step.words() + "."
	case Answered:
		return e.Answer.words(e.Step)
	case Stated:
		return person(e.Actor) + " says that " + saidWords(e.Says) + "."
	case Started:
		return joined("keyturn started, version "+orUnknown(e.Version)+".", e.Note)
	case Stopped:
		return "keyturn stopped."
	case Checkpointed:
		return "A checkpoint over all entries before was signed."
	case Watched:
		return joined("The watch over the keys begins.", e.Note)
	}
	title := ""
	if e.Kind != "" {
		title = e.Kind.Title() + "."
	}
	if e.Says != "" && e.Actor != nil {
		title += " " + person(e.Actor) + " says the same: " + saidWords(e.Says) + "."
	}
	return joined(title, e.Note)
}

// Title is a kind as people read it: in doubt, with a capital.
func (k Kind) Title() string {
	words := strings.ReplaceAll(string(k), "_", " ")
	return strings.ToUpper(words[:min(1, len(words))]) + words[min(1, len(words)):]
}

func joined(words, note string) string { return strings.TrimSpace(words + " " + note) }

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}

// person names somebody by the name of the day and the id.
func person(a *Actor) string {
	switch {
	case a == nil:
		return "keyturn"
	case a.Name == "":
		return a.User
	}
	return a.Name + " (" + a.User + ")"
}

func saidWords(says string) string {
	if says == "took_effect" {
		return "it took effect"
	}
	return "it did not take effect"
}

func (c *Change) words() string {
	if c == nil {
		return "a change that the entry does not name"
	}
	kid := "unknown"
	if key := c.Pins.Target(); key != nil {
		kid = key.KID
	}
	switch c.Action {
	case "revoke":
		return "the revocation of the key " + kid
	case "rotate":
		return "a rotation, which takes the key " + kid + " out of use"
	case "rotate-and-revoke":
		return "a rotation, and the revocation of the key " + kid
	}
	return c.Action + " of the key " + kid
}

func (p *Press) words() string {
	if p == nil {
		return "a button, and it did not count"
	}
	often := ""
	if p.Times > 1 {
		often = fmt.Sprintf(" %d times", p.Times)
	}
	return fmt.Sprintf("“%s”%s, and it did not count (%s)", strings.ReplaceAll(p.Verb, "_", " "),
		often, strings.ReplaceAll(p.Why, "_", " "))
}

func (s *Step) words() string {
	if s == nil {
		return "write"
	}
	words := s.Write
	if s.Write == "revoke" {
		words += " the key " + s.KID
	}
	if s.Attempt > 1 {
		words += fmt.Sprintf(", attempt %d", s.Attempt)
	}
	return words
}

func (a *Answer) words(s *Step) string {
	switch {
	case a == nil:
		return "What came back is not recorded."
	case !a.Sent:
		return "It was not sent" + strings.TrimPrefix(a.Words, "not sent") + "."
	}
	words := "The answer was lost"
	if a.Status > 0 {
		words = fmt.Sprintf("Auth0 answered %d", a.Status)
	}
	if a.Words != "" {
		words += " (" + a.Words + ")"
	}
	words += "."
	if a.KID != "" && s != nil && s.Write == "rotate" {
		words += " It named the key " + a.KID + " as the next."
	}
	return words
}

// Visible shows what would otherwise turn other characters around, be obeyed by a
// terminal, or be none: it could make one kid or address look like another. Line ends and
// tabs stay.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u200b' || r == '\ufeff') {
			return utf8.RuneError
		}
		return r
	}, s)
}
