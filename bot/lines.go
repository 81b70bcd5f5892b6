package bot

import (
	"fmt"

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
		words = "*" + e.Kind.Title() + ".* " + escape(e.Note)
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
