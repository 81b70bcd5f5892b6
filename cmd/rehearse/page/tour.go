package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/world"
)

// tour is where the guided tour is. All browsers are on the same one, so that two people
// can take it together.
type tour struct {
	at    int    // the step, from 1; 0: nobody takes it
	done  int    // the last step that was seen done, which it stays
	since string // ts of before its first step: what is older does not count
	shown bool   // the story of the request was shown
}

// step is one step of the tour.
type step struct {
	Title string
	Words []string // paragraphs
	As    string   // who takes it
	Try   string   // what to type, if anything
	do    func(context.Context, *Page) error
	done  func(*Page) bool
}

// What alice types in the tour.
const (
	leaked  = "forged tokens are in use"
	askLine = "/signing-keys rotate-and-revoke " + leaked
)

// patience bounds what the tour waits for.
const patience = 15 * time.Second

// steps play an incident from leak to post-mortem.
var steps = []step{
	{
		Title: "Something leaked", As: "alice", Try: "/signing-keys list",
		Words: []string{
			"03:12. Tokens turn up that nobody asked for, and their signatures are good: somebody has prod's signing key. You are alice, who is on call.",
			"Look at the keys. Beside the channel is the tenant: the application accepts whatever the currently used key signs, so also what the thief signs.",
		},
		do: func(_ context.Context, p *Page) error {
			_, err := p.world.Slack.Slash(world.Alice, world.Incident, "/signing-keys list")
			return err
		},
		done: func(p *Page) bool { return p.told(world.Alice, "Signing keys of "+world.TenantName) },
	},
	{
		Title: "Ask for the change", As: "alice", Try: askLine,
		Words: []string{
			"The leaked key is in use, so the next one has to come into use first, and then the leaked one can be revoked. Fill in the form, and ask for approval.",
			"Nothing happens yet. The card in the channel has what a second person needs to decide, at three in the morning.",
		},
		do:   askInTour,
		done: func(p *Page) bool { return p.card() != nil },
	},
	{
		Title: "One person alone cannot", As: "alice",
		Words: []string{
			"You are in a hurry, and you may approve. Press Approve on your own request.",
			"keyturn answers that a second person has to decide. Your press is in the trail: look at #signing-keys-trail.",
		},
		do:   func(_ context.Context, p *Page) error { return p.approveInTour(world.Alice) },
		done: func(p *Page) bool { return p.told(world.Alice, "a second person has to decide") },
	},
	{
		Title: "The second person", As: "bob",
		Words: []string{
			"You are bob now: switch above, or open this page in a second window. Read the card, then press Approve.",
			"Watch the card's thread, and the keys. Each step is written down before it is done, and looked at afterwards. The application still accepts the leaked key until its copy of the key set is old: restart it.",
		},
		do:   func(_ context.Context, p *Page) error { return p.approveInTour(world.Bob) },
		done: func(p *Page) bool { c := p.card(); return c != nil && strings.Contains(c.Shows(), "✅ Done") },
	},
	{
		Title: "Prove it", As: "alice",
		Words: []string{
			"The incident is over, and somebody will ask: who asked, who agreed, what exactly was done, when? Show the story of the request; it can be pasted into the post-mortem as it is.",
			"Then verify the trail with the key and the checkpoint that were posted. Change a row of the database, and verify it again.",
		},
		do:   func(_ context.Context, p *Page) error { return p.postMortem() },
		done: (*Page).shownInTour,
	},
}

// tourAct begins the tour, does its step for whoever does not want to, goes on, or leaves.
func (p *Page) tourAct(r *http.Request, a asked) (said, error) {
	p.mu.Lock()
	now := p.tour.at
	p.mu.Unlock()
	switch {
	case a.Name == "begin":
		p.setTour(tour{at: 1, since: p.lastTS()})
	case a.Name == "leave":
		p.setTour(tour{})
	case now == 0:
		return said{}, errors.New("nobody takes the tour")
	case a.Name == "do":
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		return said{}, steps[now-1].do(ctx, p)
	case a.Name == "next" && !p.stepDone(now):
		return said{}, errors.New("this step is not done yet; let it be done for you, or leave the tour")
	case a.Name == "next" && now == len(steps):
		p.setTour(tour{})
	case a.Name == "next":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tour.at = now + 1
		p.tell()
	default:
		return said{}, fmt.Errorf("there is no %q in the tour", a.Name)
	}
	return said{}, nil
}

func (p *Page) setTour(t tour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tour = t
	p.tell()
}

func (p *Page) tourPane() []fragment {
	p.mu.Lock()
	now := p.tour.at
	p.mu.Unlock()
	if now == 0 {
		return []fragment{drawn("tour-0", "tour-offer", len(steps))}
	}
	return []fragment{drawn(fmt.Sprint("tour-", now), "tour", map[string]any{
		"Step": steps[now-1], "At": now, "Of": len(steps), "Done": p.stepDone(now), "Last": now == len(steps),
	})}
}

// stepDone reports whether a step is done, or was: what showed it may be dismissed since.
func (p *Page) stepDone(n int) bool {
	done := steps[n-1].done(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if done {
		p.tour.done = max(p.tour.done, n)
	}
	return p.tour.done >= n
}

// lastTS is the newest ts in the incident's channel; "": nothing was posted there.
func (p *Page) lastTS() string {
	all := slices.Concat(p.world.Slack.Messages(world.Incident), p.world.Slack.Ephemerals(world.Alice, world.Incident))
	last := ""
	for _, m := range all {
		last = max(last, m.TS) // of one length, for the next 250 years
	}
	return last
}

func (p *Page) inTour(m slacksim.Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tour.at > 0 && m.TS > p.tour.since
}

// told reports whether somebody alone was told something since the tour began.
func (p *Page) told(who, words string) bool {
	return slices.ContainsFunc(p.world.Slack.Ephemerals(who, world.Incident), func(m slacksim.Message) bool {
		return p.inTour(m) && strings.Contains(m.Shows(), words)
	})
}

// card is the first card that was posted since the tour began; nil: none was.
func (p *Page) card() *slacksim.Message {
	for _, m := range p.cards() {
		if p.inTour(m) {
			return &m
		}
	}
	return nil
}

// askInTour asks as alice: she types the command, and fills in the modal.
func askInTour(ctx context.Context, p *Page) error {
	w := p.world.Slack
	if p.card() != nil {
		return nil // it is done
	}
	var v slacksim.View
	filled := func() bool {
		v, _ = w.View(world.Alice)
		return v.ID != "" && !strings.Contains(slacksim.PlainText(v.Blocks), "Reading the keys")
	}
	if !filled() {
		if _, err := w.Slash(world.Alice, world.Incident, askLine); err != nil {
			return err
		}
		if err := w.Await(ctx, filled); err != nil {
			return fmt.Errorf("no form to fill in came: %w", err)
		}
	}
	if v.Submit == "" {
		return errors.New("no form came for alice: look at what keyturn says in its place")
	}
	_, err := w.Submit(world.Alice, map[string]any{"reason": leaked})
	return err
}

// approveInTour presses Approve on the card.
func (p *Page) approveInTour(who string) error {
	c := p.card()
	if c == nil {
		return errors.New("there is no card yet")
	}
	_, err := p.world.Slack.Press(who, world.Incident, c.TS, slacksim.Button{Action: "approve"})
	return err
}

// shownInTour reports whether the story of a request was shown since the tour began.
func (p *Page) shownInTour() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tour.shown
}
