package bot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file is how the trail reads in the audit channel, and in the answers to the audit
// command.

// posted are the kinds of entries that the audit channel gets a post for; the steps
// between are listed in the post of the end.
var posted = []audit.Kind{
	audit.Asked, audit.Approved, audit.Denied, audit.Cancelled, audit.Explained,
	audit.Expired, audit.Voided, audit.Done, audit.Failed, audit.Halted, audit.InDoubt,
	audit.Stated, audit.Unlisted, audit.StillListed, audit.Refused,
}

// isPosted reports whether an entry gets a post in the audit channel. One of no request
// does where it has words for people, or is the checkpoint of a day; the checkpoint that
// comes with an end is in the post of the end.
func isPosted(e audit.Entry) bool {
	if e.Request == "" {
		return e.Note != "" || e.Kind == audit.Checkpointed && e.Cause != ""
	}
	return slices.Contains(posted, e.Kind)
}

// isEnd reports whether an entry ends a request, or leaves it in doubt.
func isEnd(k audit.Kind) bool { return k.Ends() || k == audit.InDoubt }

// witness is what a post says of the trail up to its entry, so that whoever has the
// database cannot change it without contradicting the channel.
type witness struct {
	size       int64
	root       string // as hex
	checkpoint string // signed; "": there is none for this entry
}

func (w witness) words() string {
	return fmt.Sprintf("Size %d · root %s", w.size, code(w.root[:min(8, len(w.root))]))
}

// blocks are what a post ends with.
func (w witness) blocks() []slack.Block {
	if w.checkpoint == "" {
		return []slack.Block{contextLine(w.words())}
	}
	return []slack.Block{contextLine(w.words() + " · the checkpoint, for `keyturn audit verify --checkpoint -`:"), preformatted(strings.TrimSpace(w.checkpoint))}
}

// eventPost is what the audit channel gets for an entry of no request. wake mentions
// whom an alarm wakes.
func eventPost(e audit.Entry, wake string) (text string, blocks []slack.Block) {
	words := fmt.Sprintf("*#%d %s*", e.Seq, e.Kind.Title())
	if e.Kind == audit.Alarmed {
		words = "🚨 " + words
	}
	if e.Tenant != "" {
		words += " · " + code(e.Tenant)
	}
	words += " · " + at(e.Time)
	if e.Note != "" {
		words += "\n" + escape(e.Note)
	}
	if e.Kind == audit.Alarmed && wake != "" {
		words += "\n" + wake
	}
	blocks = []slack.Block{section(words)}
	if e.Key != "" {
		blocks = append(blocks, preformatted(e.Key))
	}
	return strings.TrimSpace(fmt.Sprintf("#%d %s %s", e.Seq, e.Kind.Title(), escape(e.Note))), blocks
}

// trailPost is what the audit channel gets for an entry of a request. story are the
// entries of the same.
func trailPost(e audit.Entry, story []audit.Entry, mentions bool) (text string, blocks []slack.Block) {
	story = until(story, e.Seq) // what came later has posts of its own
	name := naming(mentions)
	change, about := subject(e, story)
	words := fmt.Sprintf("*#%d %s* · %s", e.Seq, e.Kind.Title(), about)
	people := "\nasked by " + name(&change.Requester)
	if change.Requester.User == "" {
		people = "\nasked by somebody whose entry is gone"
	}
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
	return fmt.Sprintf("#%d %s: %s of %s", e.Seq, e.Kind.Title(), inWords(approval.Action(change.Action)), e.Tenant), blocks
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
func refusedOf(story []audit.Entry, person audit.Actor) (out []audit.Entry) {
	for _, e := range story {
		if e.Kind == audit.Refused && e.Actor != nil && e.Actor.SharesID(person) {
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
	words := fmt.Sprintf("*#%d %s* · %s\n%s pressed, and it did not count:", first.Seq, first.Kind.Title(), about, naming(mentions)(first.Actor))
	counts := map[audit.Press]int{}
	var presses []audit.Press // in the order in which they came first
	for _, e := range all {
		press, times := *e.Press, max(1, e.Press.Times)
		press.Times = 0
		if counts[press] == 0 {
			presses = append(presses, press)
		}
		counts[press] += times
	}
	for _, p := range presses {
		words += fmt.Sprintf("\n• *%s*, %s (%s)", audit.Kind(p.Verb).Title(), code(p.Why), count(counts[p], "time"))
	}
	words += "\n" + at(first.Time)
	if len(all) > 1 {
		words += fmt.Sprintf(" to %s (#%d)", at(last.Time), last.Seq)
	}
	return fmt.Sprintf("#%d %s: a press by %s", first.Seq, first.Kind.Title(), naming(false)(first.Actor)), []slack.Block{section(words)}
}

// stepsBetween lists the entries that lead to an end and have no post of their own.
func stepsBetween(e audit.Entry, story []audit.Entry) string {
	if !isEnd(e.Kind) {
		return ""
	}
	var steps []string
	for _, s := range story {
		if !isPosted(s) {
			word := s.Kind.Title()
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
	line := fmt.Sprintf("#%d · %s · ", e.Seq, at(e.Time))
	if e.Tenant != "" {
		line += code(e.Tenant) + " · "
	}
	if e.Request != "" {
		line += code(e.Request) + " · "
	}
	return line + escape(audit.Sentence(e))
}

// trailBlocks draws entries for the audit command: as many of the last as Slack shows.
func trailBlocks(title string, entries []audit.Entry, end string) []slack.Block {
	left := max(0, len(entries)-maxEntries)
	blocks := []slack.Block{header(title)}
	if left > 0 {
		blocks = append(blocks, contextLine(fmt.Sprintf("%d earlier ones are not shown.", left)))
	}
	for _, e := range entries[left:] {
		blocks = append(blocks, section(entryLine(e)))
	}
	return append(blocks, contextLine(end))
}

// maxEntries is how many the audit command lists; Slack takes 50 blocks a message.
const maxEntries = 40
