package audit

import (
	"fmt"
	"strings"
	"time"
)

// Show is the story of a request as Markdown, for a post-mortem: what was asked for and
// why, each step with its time, what was proven and what was not, and where it stands in
// the trail. story are its entries, of which there is at least one; over is the first
// checkpointed entry after them, or nil. What people typed stands where nothing in it is
// taken for Markdown.
func Show(story []Entry, over *Entry) string {
	var b strings.Builder
	asked := Last(story, Asked)
	if asked == nil || asked.Change == nil {
		asked = &story[0] // only presses on a request that there is not
	}
	end := ended(story)

	fmt.Fprintf(&b, "# %s\n\n", cell(heading(asked)))
	b.WriteString(cell(outcome(story, asked, end)) + "\n\n")
	if asked.Change != nil {
		facts(&b, story, asked)
		fmt.Fprintf(&b, "## Why\n\n%s\n\n", fenced(asked.Change.Reason))
	}
	if e := Last(story, Explained); e != nil {
		fmt.Fprintf(&b, "%s said afterwards:\n\n%s\n\n", cell(person(e.Actor)), fenced(e.Reason))
	}
	steps(&b, story)
	if end != nil {
		proof(&b, *end, story)
	}
	fmt.Fprintf(&b, "## In the trail\n\nEntries #%d to #%d.", story[0].Seq, story[len(story)-1].Seq)
	if over != nil {
		fmt.Fprintf(&b, " The checkpoint in entry #%d is over them:\n\n%s\n", over.Seq, fenced(strings.TrimSpace(over.Checkpoint)))
	} else {
		b.WriteString(" No checkpoint is over all of them yet.\n")
	}
	return b.String()
}

// ended is the last entry in which a request came to an end, or in doubt.
func ended(story []Entry) *Entry {
	for i := len(story) - 1; i >= 0; i-- {
		if k := story[i].Kind; k.Ends() || k == InDoubt {
			return &story[i]
		}
	}
	return nil
}

func heading(asked *Entry) string {
	words, kid := "Presses", ""
	if c := asked.Change; c != nil {
		words = map[string]string{"revoke": "Revocation", "rotate": "Rotation away from", "rotate-and-revoke": "Rotation and revocation"}[c.Action]
		if key := c.Pins.Target(); key != nil {
			kid = " of the key " + key.KID
		}
		if c.Action == "rotate" {
			kid = strings.Replace(kid, " of", "", 1)
		}
	}
	return fmt.Sprintf("%s%s (tenant %s, request %s)", words, kid, asked.Tenant, asked.Request)
}

// outcome is the story in a paragraph.
func outcome(story []Entry, asked, end *Entry) string {
	if end == nil {
		return "It is not at its end."
	}
	words := fmt.Sprintf("%s at %s, %s after it was asked for", end.Kind.Title(), clock(end.Time), took(end.Time.Sub(asked.Time)))
	if approved := Last(story, Approved); approved != nil {
		words += fmt.Sprintf(" and %s after it was approved", took(end.Time.Sub(approved.Time)))
	}
	return strings.TrimSpace(words + ". " + end.Note)
}

func facts(b *strings.Builder, story []Entry, asked *Entry) {
	c := asked.Change
	fact := func(name, value string) { fmt.Fprintf(b, "| %s | %s |\n", name, cell(value)) }
	b.WriteString("| | |\n|---|---|\n")
	fact("Asked for by", person(asked.Actor)+", "+clock(asked.Time))
	for _, e := range story {
		switch e.Kind {
		case Approved, Denied, Cancelled:
			fact(e.Kind.Title()+" by", fmt.Sprintf("%s, %s, %s later", person(e.Actor), clock(e.Time), took(e.Time.Sub(asked.Time))))
		}
	}
	key := func(name string, p *Pin) {
		if p == nil {
			return
		}
		words := p.KID
		if k, ok := asked.Look.Key(p.KID); ok {
			words += ", then " + k.Role
			if !k.Since.IsZero() {
				words += " since " + clock(k.Since)
			}
		}
		fact(name, words+"; SHA-256 of its certificate "+p.SHA256)
	}
	switch c.Action {
	case "revoke", "rotate-and-revoke":
		key("Key to be revoked", c.Pins.Target())
	default:
		key("Key to go out of use", c.Pins.Target())
	}
	key("Key to come into use", c.Pins.Next)
	if c.Link != "" {
		fact("Incident", c.Link)
	}
	prepared := "nobody said that they have the new key"
	if c.Prepared {
		prepared = "the requester said that they have the new key"
	}
	fact("Those who verify tokens", prepared)
	fact("Asked for in the channel", c.Channel)
	b.WriteString("\n")
}

func steps(b *strings.Builder, story []Entry) {
	b.WriteString("## What happened\n\n| # | UTC | after the step before | since the first | what |\n|--:|---|--:|--:|---|\n")
	first, before := story[0].Time, story[0].Time
	for _, e := range story {
		step, since := "", ""
		if e.Seq != story[0].Seq {
			step, since = took(e.Time.Sub(before)), took(e.Time.Sub(first))
		}
		before = e.Time
		fmt.Fprintf(b, "| %d | %s | %s | %s | %s |\n", e.Seq, e.Time.UTC().Format("2006-01-02 15:04:05.000"), step, since, cell(Sentence(e)))
	}
	b.WriteString("\n")
}

// proof lists what the end rests on, and what it does not.
func proof(b *strings.Builder, end Entry, story []Entry) {
	item := func(format string, args ...any) { fmt.Fprintf(b, "- %s\n", cell(fmt.Sprintf(format, args...))) }
	if l := end.Look; l != nil && len(l.Keys) > 0 {
		fmt.Fprintf(b, "## What was seen at the end, %s\n\n", clock(l.At))
		for _, k := range l.Keys {
			words := "The key " + k.KID + " was " + k.Role
			if !k.RevokedAt.IsZero() {
				words += ", revoked at " + clock(k.RevokedAt)
			}
			item("%s.", words)
		}
		if l.Token != "" {
			item("The list was read with a token that the key %s signed.", l.Token)
		}
		for _, p := range l.JWKS {
			if p.Err != "" {
				item("The JWKS of %s could not be read: %s.", p.Domain, p.Err)
			} else {
				item("The JWKS of %s listed %s.", p.Domain, strings.Join(p.KIDs, ", "))
			}
		}
		for _, e := range story {
			if e.Seq > end.Seq && (e.Kind == Unlisted || e.Kind == StillListed) {
				item("%s: %s", clock(e.Time), e.Note)
			}
		}
		b.WriteString("\n")
	}
	a := end.Account
	if a == nil {
		return
	}
	if len(a.Tried) > 0 {
		b.WriteString("## What was tried\n\n")
		for _, t := range a.Tried {
			item("%s", t)
		}
		b.WriteString("\n")
	}
	if len(a.Unproven) > 0 || !a.CachedUntil.IsZero() {
		b.WriteString("## What is not proven\n\n")
		for _, u := range a.Unproven {
			item("%s", u)
		}
		if !a.CachedUntil.IsZero() {
			item("That nobody accepts the key any more: verifiers that keep the key set may, until %s at the latest by the defaults that are known.", clock(a.CachedUntil))
		}
		b.WriteString("\n")
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// took is a duration as people say it; 0 where the clock was put back meanwhile.
func took(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// cell is text in which nothing is taken for Markdown, on one line.
func cell(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(Visible(s)), " ") {
		if strings.ContainsRune("\\`*[]<>|~#&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fenced is text as it is, in a block that nothing in it can end.
func fenced(s string) string {
	s = Visible(s)
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + s + "\n" + fence
}
