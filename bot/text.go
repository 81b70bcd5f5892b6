package bot

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// The rules of text. What people typed goes out only as plain or rich text, which has
// no mention syntax. What keyturn writes itself may be mrkdwn; whatever foreign it
// contains (a kid, a name, Auth0's words) is escaped and on one line, and every mrkdwn
// object is verbatim, so that Slack parses nothing into it. Characters that only change
// how others are shown are shown themselves. Each text is cut, visibly, to what its
// block holds, and never inside of what is seen as one character.

const (
	maxSection = 3000 // characters of a section's text
	maxField   = 2000
	maxHeader  = 150
	maxTitle   = 24   // of a modal
	maxShown   = 1500 // characters of people's words on a card; the trail has them whole
)

// The marks that say that there was more.
const (
	cutMark    = " … (cut here)"
	sealedMark = " … (cut here; the trail has it whole)" // only of what is in the trail
)

// escape makes s harmless inside mrkdwn: without an angle bracket there is no mention,
// link or date, a back-tick could only end a code span of ours, and a second line could
// look like one of ours.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "ˋ", "\n", " ", "\r", " ").Replace(audit.Visible(s))
}

// shorten cuts s to at most max characters and shows that it did.
func shorten(s string, max int) string {
	kept, mark := fit(s, max, cutMark)
	return kept + mark
}

// shortenMarkup is shorten for mrkdwn: it leaves no half of a mention, of an entity or of
// a code span behind.
func shortenMarkup(s string, max int) string {
	kept, mark := fit(s, max, cutMark)
	if mark == "" {
		return kept
	}
	for _, part := range []struct{ begin, end string }{{"<", ">"}, {"&", ";"}} {
		if i := strings.LastIndex(kept, part.begin); i > strings.LastIndex(kept, part.end) {
			kept = kept[:i]
		}
	}
	if strings.Count(kept, "`")%2 == 1 {
		kept = kept[:strings.LastIndex(kept, "`")]
	}
	return kept + mark
}

// fit returns the beginning of s that fits in max characters, with the mark that says
// that there was more; "" where it fits whole.
func fit(s string, max int, mark string) (kept, used string) {
	if units(s) <= max {
		return s, ""
	}
	if max < 2*units(mark) {
		mark = "…" // there is no room for more
	}
	return strings.TrimSpace(beginning(s, max-units(mark))), mark
}

// units is how many characters s has for Slack. Assumption: they are UTF-16 units, as in
// the JavaScript of its clients. No other way to count finds more of them, so what fits
// so fits in any case.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// maxJoined is how many bytes may belong to one character that people see. More of them,
// such as a thousand accents on a letter, are cut anywhere.
const maxJoined = 128

// beginning returns the longest beginning of s that has at most max units and ends with a
// whole character as people see it: no half of an emoji, and no letter without its accent.
func beginning(s string, max int) string {
	n, end, flags := 0, 0, 0
	var before rune
	for i, r := range s {
		if isFlag(before) {
			flags++
		} else {
			flags = 0
		}
		if !joins(before, r) && !(isFlag(r) && flags%2 == 1) {
			end = i
		}
		if n += utf16.RuneLen(r); n > max {
			if i-end > maxJoined {
				end = i
			}
			return s[:end]
		}
		before = r
	}
	return s
}

// joins reports whether r is seen as a part of what stands before it.
func joins(before, r rune) bool {
	const joiner = '\u200d'
	switch {
	case unicode.IsMark(r), r == joiner, before == joiner: // also variation selectors
		return true
	case r >= 0x1f3fb && r <= 0x1f3ff: // an emoji's colour of skin
		return true
	case r >= 0xe0020 && r <= 0xe007f: // the rest of a flag such as Scotland's
		return true
	case r >= 0x1160 && r <= 0x11ff: // the rest of a Hangul syllable
		return true
	}
	return before == '\r' && r == '\n'
}

// isFlag reports whether r is one of the two letters of a country's flag.
func isFlag(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

func plain(s string, max int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, shorten(audit.Visible(s), max), false, false)
}

func mrkdwn(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, shortenMarkup(s, maxSection), false, true)
}

func section(s string) *slack.SectionBlock { return slack.NewSectionBlock(mrkdwn(s), nil, nil) }

func header(s string) *slack.HeaderBlock { return slack.NewHeaderBlock(plain(s, maxHeader)) }

func contextLine(s string) *slack.ContextBlock { return slack.NewContextBlock("", mrkdwn(s)) }

func fields(pairs ...string) *slack.SectionBlock {
	var objects []*slack.TextBlockObject
	for i := 0; i+1 < len(pairs); i += 2 {
		objects = append(objects, mrkdwn(shortenMarkup("*"+pairs[i]+"*\n"+pairs[i+1], maxField)))
	}
	return slack.NewSectionBlock(nil, objects, nil)
}

// quote shows people's words that the trail has, as a quotation; nothing in them is
// markup.
func quote(s string) *slack.RichTextBlock { return quotation(s, maxShown, sealedMark) }

// quoteTyped shows words that are in no trail to whoever typed them, so that they can be
// copied: all that Slack takes.
func quoteTyped(s string) *slack.RichTextBlock { return quotation(s, maxSection, cutMark) }

func quotation(s string, max int, mark string) *slack.RichTextBlock {
	kept, mark := fit(audit.Visible(s), max, mark)
	return slack.NewRichTextBlock("", &slack.RichTextQuote{
		Type:     slack.RTEQuote,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(kept+mark, nil)},
	})
}

// preformatted shows s as it is, in a fixed-width font.
func preformatted(s string) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", &slack.RichTextPreformatted{
		Type:     slack.RTEPreformatted,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(shorten(audit.Visible(s), maxSection), nil)},
	})
}

// link shows an address that a person typed: where it leads can be read in it.
func link(before, address string) *slack.RichTextBlock {
	if u, err := url.Parse(address); err == nil {
		address = u.String() // in ASCII
	}
	return slack.NewRichTextBlock("", slack.NewRichTextSection(
		slack.NewRichTextSectionTextElement(before, nil),
		slack.NewRichTextSectionLinkElement(address, address, nil),
	))
}

// at shows a time in each reader's own zone.
func at(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// age says how long a thing has been so, in the largest unit that fits. Where this
// machine's clock is behind, what happened just now seems yet to come: 0 minutes.
func age(d time.Duration) string {
	d = max(0, d)
	n, unit := int(d/time.Minute), "minute"
	switch {
	case d >= 48*time.Hour:
		n, unit = int(d/(24*time.Hour)), "day"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	}
	return count(n, unit)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func code(s string) string { return "`" + escape(s) + "`" }

// short is a kid as it is named in passing.
func short(kid string) string {
	if len(kid) > 8 {
		kid = kid[:8] + "…"
	}
	return code(kid)
}

// mention names a person so that Slack tells them.
func mention(a audit.Actor) string { return "<@" + escape(a.User) + ">" }

// naming returns how people are named: so that Slack tells them, or by the name of
// the day alone.
func naming(mentions bool) func(*audit.Actor) string {
	return func(a *audit.Actor) string {
		switch {
		case a == nil:
			return "keyturn"
		case mentions:
			return mention(*a)
		case a.Name != "":
			return "@" + escape(a.Name)
		}
		return code(a.User)
	}
}

// mentionIDs names users and user groups of the configuration.
func mentionIDs(ids []string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		if strings.HasPrefix(id, "S") {
			out[i] = "<!subteam^" + escape(id) + ">"
		} else {
			out[i] = "<@" + escape(id) + ">"
		}
	}
	return strings.Join(out, " ")
}

// inWords names an action as a person would say it.
func inWords(a approval.Action) string {
	switch a {
	case approval.Revoke:
		return "Revoke a signing key"
	case approval.Rotate:
		return "Rotate the signing key"
	case approval.RotateAndRevoke:
		return "Rotate, then revoke the signing key"
	}
	return string(a)
}
