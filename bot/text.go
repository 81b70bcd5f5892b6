package bot

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// The rules of text. What people typed goes out only as plain or rich text, which has
// no mention syntax. What keyturn writes itself may be mrkdwn; whatever foreign it
// contains (a kid, a name, Auth0's words) is escaped, and every mrkdwn object is
// verbatim, so that Slack parses nothing into it. Each text is cut, visibly, to what
// its block holds.

const (
	maxSection = 3000 // characters of a section's text
	maxField   = 2000
	maxHeader  = 150
	maxShown   = 1500 // characters of people's words on a card; the trail has them whole
)

// escape makes s harmless inside mrkdwn: without an angle bracket there is no
// mention, link or date, and a back-tick could only end a code span of ours.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "ˋ").Replace(s)
}

// unescape undoes what Slack does to the text of a slash command.
func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// shorten cuts s to at most max characters and shows that it did.
func shorten(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	const mark = " … (cut here; the trail has it whole)"
	keep := max - utf8.RuneCountInString(mark)
	return strings.TrimSpace(string([]rune(s)[:keep])) + mark
}

// content is what a message is made of. Slack is told to look for nothing in its text,
// which it otherwise does at every update.
func content(text string, blocks []slack.Block) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(text, false), slack.MsgOptionBlocks(blocks...), slack.MsgOptionParse(false),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

func plain(s string, max int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, shorten(s, max), false, false)
}

func mrkdwn(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, shorten(s, maxSection), false, true)
}

func section(s string) *slack.SectionBlock { return slack.NewSectionBlock(mrkdwn(s), nil, nil) }

func header(s string) *slack.HeaderBlock { return slack.NewHeaderBlock(plain(s, maxHeader)) }

func contextLine(s string) *slack.ContextBlock { return slack.NewContextBlock("", mrkdwn(s)) }

func fields(pairs ...string) *slack.SectionBlock {
	var objects []*slack.TextBlockObject
	for i := 0; i+1 < len(pairs); i += 2 {
		objects = append(objects, mrkdwn(shorten("*"+pairs[i]+"*\n"+pairs[i+1], maxField)))
	}
	return slack.NewSectionBlock(nil, objects, nil)
}

// quote shows people's words as a quotation; nothing in them is markup.
func quote(s string) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", &slack.RichTextQuote{
		Type:     slack.RTEQuote,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(shorten(s, maxShown), nil)},
	})
}

// preformatted shows s as it is, in a fixed-width font.
func preformatted(s string) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", &slack.RichTextPreformatted{
		Type:     slack.RTEPreformatted,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(shorten(s, maxSection), nil)},
	})
}

// link shows an address that a person typed: where it leads can be read in it.
func link(before, url string) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", slack.NewRichTextSection(
		slack.NewRichTextSectionTextElement(before, nil),
		slack.NewRichTextSectionLinkElement(url, url, nil),
	))
}

// at shows a time in each reader's own zone.
func at(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// age says how long a thing has been so, in the largest unit that fits.
func age(d time.Duration) string {
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
