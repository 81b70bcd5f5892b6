package page

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// fragment is a piece of a pane: its HTML, and the key by which the browser knows it
// again. What is the same stays as it is, so that nobody loses their place.
type fragment struct {
	Key  string `json:"k"`
	HTML string `json:"h"`
}

// drawn draws a piece of a pane.
func drawn(key, name string, data any) fragment {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // a template does not fit its data, which every test of the page sees
	}
	return fragment{key, b.String()}
}

// panes is all that somebody sees who looks so, by the names that the page knows.
func (p *Page) panes(ctx context.Context, l look) map[string][]fragment {
	panes := map[string][]fragment{
		"channels": p.channels(l), "messages": p.messages(l), "thread": p.thread(l), "modal": p.modal(l),
		"keys": p.keys(ctx), "published": p.published(), "copy": p.copied(), "calls": p.calls(),
		"status": p.status(), "faults": p.faults(), "tour": p.tourPane(), "proof": p.proofPane(), "log": p.log(),
	}
	for name, pane := range panes {
		if pane == nil {
			panes[name] = []fragment{} // which the browser is told of, where there was something before
		}
	}
	return panes
}

// age says how long ago something was, in the largest unit that fits.
func age(d time.Duration) string {
	n, unit := int(d/time.Second), "second"
	switch {
	case d >= 48*time.Hour:
		n, unit = int(d/(24*time.Hour)), "day"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	case d >= 2*time.Minute:
		n, unit = int(d/time.Minute), "minute"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", max(0, n), unit)
}

// clock is a time as the page shows it, in the zone of the machine that it runs on.
type clock struct{ time.Time }

// Clock is the time of day.
func (c clock) Clock() string { return c.Local().Format("15:04:05") }

// ISO is for machines.
func (c clock) ISO() string { return c.UTC().Format(time.RFC3339) }
