package bot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// threadLine is the line that a card's thread gets for an entry; ok is false for an
// entry that needs none.
func threadLine(e audit.Entry, name func(*audit.Actor) string) (words string, ok bool) {
	switch e.Kind {
	case audit.Asked:
		return "", false // the card itself
	case audit.Approved:
		words = "Approved by " + name(e.Actor) + "."
	case audit.Denied:
		words = "Denied by " + name(e.Actor) + ". No key was touched."
	case audit.Cancelled:
		words = "Cancelled by " + name(e.Actor) + ". No key was touched."
	case audit.Explained:
		words = name(e.Actor) + " says why:"
	case audit.Reminded:
		words = "⏳ *Still waits for a second person.* Half of the time is over."
	case audit.Intended:
		words = doing(e.Step) + " now" + attempt(e.Step) + "."
	case audit.Answered:
		if words = answerWords(e.Answer); words == "" {
			return "", false // what the look shows is the next line
		}
	case audit.Stated:
		words = name(e.Actor) + " says that " + saidWords(e.Says) + ". A second person has to say the same."
	case audit.Waiting, audit.Rotated, audit.Revoked, audit.Unlisted, audit.StillListed,
		audit.Done, audit.Voided, audit.Failed, audit.Halted, audit.Expired, audit.InDoubt:
		words = "*" + title(e.Kind) + ".* " + escape(e.Note)
	default:
		return "", false
	}
	return fmt.Sprintf("#%d · %s · %s", e.Seq, at(e.Time), words), true
}

// saidWords is what a person says of what is in doubt.
func saidWords(says string) string {
	if approval.Verb(says) == approval.TookEffect {
		return "it took effect"
	}
	return "it did not take effect"
}

func doing(s *audit.Step) string {
	if s.Write == string(approval.Rotate) {
		return "Rotating"
	}
	return "Revoking " + code(s.KID)
}

func attempt(s *audit.Step) string {
	if s.Attempt > 1 {
		return fmt.Sprintf(", attempt %d", s.Attempt)
	}
	return ""
}

func answerWords(a *audit.Answer) string {
	switch {
	case a == nil || a.Status/100 == 2:
		return ""
	case !a.Sent:
		return "It was not sent: " + escape(a.Words) + "."
	case a.Refused:
		return fmt.Sprintf("Auth0 answered %d. I look before I believe it.", a.Status)
	}
	return "The answer was lost. I wait until nothing can land any more, and look."
}

func title(k audit.Kind) string {
	s := strings.ReplaceAll(string(k), "_", " ")
	return strings.ToUpper(s[:1]) + s[1:]
}

// posted are the kinds of entries that the audit channel gets a post for; the steps
// between are listed in the post of the end.
var posted = []audit.Kind{
	audit.Asked, audit.Approved, audit.Denied, audit.Cancelled, audit.Explained,
	audit.Expired, audit.Voided, audit.Done, audit.Failed, audit.Halted, audit.InDoubt,
	audit.Stated, audit.Unlisted, audit.StillListed, audit.Refused,
}

func isPosted(k audit.Kind) bool { return slices.Contains(posted, k) }

// isEnd reports whether an entry ends a request, or leaves it in doubt.
func isEnd(k audit.Kind) bool {
	s := approval.State(k)
	return slices.Contains(approval.States, s) && (s.IsFinal() || s == approval.InDoubt)
}

// trailPost is what the audit channel gets for an entry. story are the entries of the
// same request.
func trailPost(e audit.Entry, story []audit.Entry, mentions bool) (text string, blocks []slack.Block) {
	story = until(story, e.Seq) // what came later has posts of its own
	name := naming(mentions)
	change, about := subject(e, story)
	words := fmt.Sprintf("*#%d %s* · %s", e.Seq, title(e.Kind), about)
	people := "\nasked by " + name(&change.Requester)
	if approved := audit.Last(story, audit.Approved); approved != nil {
		people += ", approved by " + name(approved.Actor)
	}
	switch e.Kind {
	case audit.Denied, audit.Cancelled, audit.Explained:
		people += ", " + string(e.Kind) + " by " + name(e.Actor)
	}
	words += people + " · " + at(e.Time)
	if e.Kind == audit.Stated {
		words += "\n" + name(e.Actor) + " says that " + saidWords(e.Says) + "."
	}
	if e.Note != "" {
		words += "\n" + escape(e.Note)
	}
	if more := accountWords(e.Account); more != "" {
		words += "\n" + more
	}
	if steps := stepsBetween(e, story); steps != "" {
		words += "\n" + steps
	}
	blocks = []slack.Block{section(words)}
	switch e.Kind {
	case audit.Asked:
		blocks = append(blocks, quote(change.Reason))
	case audit.Explained:
		blocks = append(blocks, quote(e.Reason))
	}
	return fmt.Sprintf("#%d %s: %s of %s", e.Seq, title(e.Kind), inWords(approval.Action(change.Action)), e.Tenant), blocks
}

// subject is what the request of an entry asks for, and that in words.
func subject(e audit.Entry, story []audit.Entry) (change audit.Change, words string) {
	asked := audit.Last(story, audit.Asked)
	if asked == nil || asked.Change == nil {
		return change, code(e.Request)
	}
	change = *asked.Change
	kid := ""
	if key := change.Pins.Target(); key != nil {
		kid = key.KID
	}
	return change, fmt.Sprintf("%s of %s, key %s · %s", inWords(approval.Action(change.Action)), code(e.Tenant), code(kid), code(e.Request))
}

// refusedOf returns the entries of a story that record presses of a person which did
// not count.
func refusedOf(story []audit.Entry, person string) (out []audit.Entry) {
	for _, e := range story {
		if e.Kind == audit.Refused && e.Actor.User == person {
			out = append(out, e)
		}
	}
	return out
}

// refusedPost is what the audit channel gets for presses of one person on one request
// that did not count.
func refusedPost(all, story []audit.Entry, mentions bool) (text string, blocks []slack.Block) {
	first, last := all[0], all[len(all)-1]
	_, about := subject(first, story)
	words := fmt.Sprintf("*#%d %s* · %s\n%s pressed, and it did not count:", first.Seq, title(first.Kind), about, naming(mentions)(first.Actor))
	counts := map[audit.Press]int{}
	var presses []audit.Press // in the order in which they came first
	for _, e := range all {
		if counts[*e.Press]++; counts[*e.Press] == 1 {
			presses = append(presses, *e.Press)
		}
	}
	for _, p := range presses {
		words += fmt.Sprintf("\n• *%s*, %s (%s)", title(audit.Kind(p.Verb)), code(p.Why), count(counts[p], "time"))
	}
	words += "\n" + at(first.Time)
	if len(all) > 1 {
		words += fmt.Sprintf(" to %s (#%d)", at(last.Time), last.Seq)
	}
	return fmt.Sprintf("#%d %s: a press by %s", first.Seq, title(first.Kind), naming(false)(first.Actor)), []slack.Block{section(words)}
}

// alarmWords says that Slack takes nothing for a channel.
func alarmWords(channel, why string, isAudit bool) string {
	words := "⚠️ *Slack takes nothing from me for* <#" + escape(channel) + "> (" + code(why) + "). "
	if isAudit {
		words += "It is the channel of the trail: what is recorded is kept, and posted there once it can be. "
	} else {
		words += "Cards there are not up to date; `/signing-keys requests` shows what is open. "
	}
	return words + "Invite me there, or unarchive it."
}

// stepsBetween lists the entries that lead to an end and have no post of their own.
func stepsBetween(e audit.Entry, story []audit.Entry) string {
	if !isEnd(e.Kind) {
		return ""
	}
	var steps []string
	for _, s := range story {
		if !isPosted(s.Kind) {
			word := title(s.Kind)
			if s.Step != nil && s.Kind != audit.Rotated && s.Kind != audit.Revoked {
				word += " " + s.Step.Write
			}
			steps = append(steps, fmt.Sprintf("#%d %s", s.Seq, strings.ToLower(word)))
		}
	}
	return strings.Join(steps, " · ")
}

// entryLine is an entry as the audit command lists it.
func entryLine(e audit.Entry) string {
	who := "keyturn"
	if e.Actor != nil {
		who = mention(*e.Actor)
	}
	line := fmt.Sprintf("#%d · %s · *%s*", e.Seq, at(e.Time), title(e.Kind))
	if e.Step != nil {
		line += " (" + e.Step.Write + ")"
	}
	return line + " · " + escape(e.Tenant) + " · " + code(e.Request) + " · " + who
}

// auditBlocks draws the last entries of the trail.
func auditBlocks(entries []audit.Entry, size int64) []slack.Block {
	blocks := []slack.Block{header("The trail")}
	for _, e := range entries {
		blocks = append(blocks, section(entryLine(e)))
	}
	return append(blocks, contextLine(fmt.Sprintf("%d in all", size)+"; what people typed is in the trail itself."))
}
