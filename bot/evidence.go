package bot

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file is what a card says of what was carried out: what is true, what was tried,
// and what could not be proven.

// evidence is what keyturn saw and did, with the times.
func evidence(r approval.Request, story []audit.Entry) []slack.Block {
	var lines []string
	var account *audit.Account
	for i, e := range story {
		switch e.Kind {
		case audit.Rotated:
			lines = append(lines, "*Rotated*, seen "+at(e.Time))
		case audit.Revoked:
			when := e.Time
			if k, ok := e.Look.Key(r.KID); ok && !k.RevokedAt.IsZero() {
				when = k.RevokedAt
			}
			lines = append(lines, "*Revoked* "+at(when))
		case audit.Explained:
			lines = append(lines, "The reason is in the thread.")
		case audit.Waiting:
			if i == len(story)-1 { // otherwise it went on
				lines = append(lines, "⚠️ *Waiting*, "+at(e.Time)+": "+escape(e.Note))
			}
		case audit.Unlisted, audit.StillListed:
			lines = append(lines, escape(e.Note))
			if account != nil && e.Account != nil {
				account = &audit.Account{Tried: account.Tried, Unproven: e.Account.Unproven, CachedUntil: e.Account.CachedUntil}
			}
		case audit.Kind(r.State):
			if e.Note != "" && (r.State.IsFinal() || r.State == approval.InDoubt) {
				lines = append(lines, escape(e.Note))
			}
			account = e.Account
		}
	}
	var blocks []slack.Block
	if len(lines) > 0 {
		blocks = append(blocks, section(strings.Join(lines, "\n")))
	}
	if words := accountWords(account); words != "" {
		blocks = append(blocks, section(words))
	}
	if words := rotationsUsed(r, story); words != "" {
		blocks = append(blocks, contextLine(words))
	}
	return blocks
}

// accountWords says what was tried, what could not be proven, and what people have to
// wait for.
func accountWords(a *audit.Account) string {
	if a == nil {
		return ""
	}
	words := bullets("*What was tried*", a.Tried) + bullets("*What could not be proven*", a.Unproven)
	if !a.CachedUntil.IsZero() {
		words += "*Verifiers that keep the key set may accept the key until* " + cacheWords(a) + ". Restart those that cannot wait.\n"
	}
	if !a.Reset.IsZero() {
		words += "Auth0 says that it takes the next rotation " + at(a.Reset) + ".\n"
	}
	return strings.TrimSuffix(words, "\n")
}

func bullets(title string, items []string) string {
	if len(items) == 0 {
		return ""
	}
	for _, item := range items {
		title += "\n• " + escape(item)
	}
	return title + "\n"
}

// cacheWords names until when verifiers keep a key set by default.
func cacheWords(a *audit.Account) string {
	from := a.CachedUntil.Add(-approval.LongestCache)
	var parts []string
	for _, c := range approval.Caches {
		parts = append(parts, at(from.Add(c.For))+" ("+c.Names+")")
	}
	return strings.Join(parts, ", ")
}

// rotationsUsed counts the day's rotations at the end of a change that has one.
func rotationsUsed(r approval.Request, story []audit.Entry) string {
	end := audit.Last(story, audit.Kind(r.State))
	if r.Action == approval.Revoke || !r.State.IsFinal() || end == nil || end.Look == nil {
		return ""
	}
	return rotationWords(end.Look.Rotations)
}

// rotationWords never says how many are left: Auth0 may have counted more.
func rotationWords(n int) string {
	if n == 0 {
		return "No rotation of the last day is known here; Auth0 allows 5 a day."
	}
	return fmt.Sprintf("At least %d of the 5 rotations a day that Auth0 allows are used.", n)
}

// doubtWords says how what is in doubt is ended, and what was said of it so far.
func doubtWords(story []audit.Entry, name func(*audit.Actor) string) string {
	words := "I look once a minute, and a look that decides ends this by itself. Otherwise look at the tenant's Dashboard; *two people* who say the same end it, the second an approver. Until then the tenant takes no other change."
	if said := audit.Last(story, audit.Stated); said != nil {
		words += "\n" + name(said.Actor) + " says that " + saidWords(said.Says) + ", " + at(said.Time) + "."
	}
	return words
}

func settleButtons(r approval.Request) *slack.ActionBlock {
	button := func(verb approval.Verb, label, sure string) *slack.ButtonBlockElement {
		b := slack.NewButtonBlockElement(string(verb), string(r.ID), plain(label, 75))
		b.Confirm = slack.NewConfirmationBlockObject(plain(label+"?", 100),
			plain("Say so only if you looked at the tenant's Dashboard. "+sure, 300), plain("I looked", 30), plain("Not yet", 30))
		return b
	}
	return slack.NewActionBlock(requestBlock(r.ID, r.Revision),
		button(approval.TookEffect, "It took effect", "What was tried last happened, and once."),
		button(approval.DidNot, "It did not", "What was tried last did not happen."))
}
