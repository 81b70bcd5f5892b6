package bot

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// The rules of text. What people typed goes out only as plain or rich text, which has
// no mention syntax. What keyturn writes itself may be mrkdwn; whatever foreign it
// contains (a kid, a name, Auth0's words) is escaped and on one line, and every mrkdwn
// object is verbatim, so that Slack parses nothing into it. Characters that only change
// how others are shown are shown themselves. Each text is cut, visibly, to what its
// block holds.

const (
	maxSection = 3000 // characters of a section's text
	maxField   = 2000
	maxHeader  = 150
	maxTitle   = 24   // of a modal
	maxShown   = 1500 // characters of people's words on a card; the trail has them whole
)

// escape makes s harmless inside mrkdwn: without an angle bracket there is no mention,
// link or date, a back-tick could only end a code span of ours, and a second line could
// look like one of ours.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "ˋ", "\n", " ", "\r", " ").Replace(audit.Visible(s))
}

// unescape undoes what Slack does to the text of a slash command.
func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// shorten cuts s to at most max characters and shows that it did.
func shorten(s string, max int) string {
	kept, mark := fit(s, max)
	return kept + mark
}

// shortenMarkup is shorten for mrkdwn: it leaves no half of a mention, of an entity or of
// a code span behind.
func shortenMarkup(s string, max int) string {
	kept, mark := fit(s, max)
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
// that there was more.
func fit(s string, max int) (kept, mark string) {
	runes := []rune(s)
	if len(runes) <= max {
		return s, ""
	}
	mark = " … (cut here; the trail has it whole)"
	if max < 2*utf8.RuneCountInString(mark) {
		mark = "…" // there is no room for more
	}
	return strings.TrimSpace(string(runes[:max-utf8.RuneCountInString(mark)])), mark
}

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

// quote shows people's words as a quotation; nothing in them is markup.
func quote(s string) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", &slack.RichTextQuote{
		Type:     slack.RTEQuote,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(shorten(audit.Visible(s), maxShown), nil)},
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
