package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/world"
	"keyturn/mgmt/auth0sim"
)

// story is the rehearsal as it is played in the terminal: who typed or pressed what,
// and what they then saw.
type story struct {
	*world.World
	out io.Writer
}

// names are the people and channels as the terminal shows them.
var names = func() *strings.Replacer {
	var pairs []string
	for _, p := range world.People {
		pairs = append(pairs, p.ID, p.Name)
	}
	for _, c := range world.Channels {
		pairs = append(pairs, "#"+c.ID, "#"+c.Name)
	}
	return strings.NewReplacer(pairs...)
}()

func (s *story) play(ctx context.Context) error {
	s.say("This is a rehearsal: a simulated Slack, a simulated Auth0 tenant, and the real keyturn between them.")
	s.keys("The tenant's signing keys")

	s.title("1. A key leaked: alice asks to revoke it, and may not approve that herself")
	card, err := s.ask(ctx, world.Alice, "/signing-keys revoke", "pasted in a public build log")
	if err != nil {
		return err
	}
	if err := s.press(ctx, world.Alice, card, "approve", "Approve"); err != nil {
		return err
	}
	if err := s.told(ctx, world.Alice, "second person"); err != nil {
		return err
	}

	s.title("2. bob, the second person, approves")
	if err := s.approve(ctx, world.Bob, card); err != nil {
		return err
	}
	s.keys("The tenant's signing keys now")

	s.title("3. The current key leaked too: bob asks to rotate and revoke, alice approves")
	card, err = s.ask(ctx, world.Bob, "/signing-keys rotate-and-revoke", "found on a laptop that was stolen")
	if err != nil {
		return err
	}
	if err := s.approve(ctx, world.Alice, card); err != nil {
		return err
	}
	s.keys("The tenant's signing keys at the end")

	s.title("What the audit channel has")
	if err := s.Await(ctx, func() bool { return len(s.Slack.Messages(world.Trail)) >= 7 }); err != nil {
		return fmt.Errorf("the audit channel lacks posts: %w", err)
	}
	for _, m := range s.Slack.Messages(world.Trail) {
		s.indent(strings.SplitN(m.Shows(), "\n", 3)[0])
	}
	s.say("\nThat is all. `go run ./cmd/rehearse -page` lets you play it yourself, in the browser; the README says how to\ninstall keyturn in a workspace and tenant of your own.")
	return nil
}

// ask types a command, fills in the modal and returns the card.
func (s *story) ask(ctx context.Context, who, line, reason string) (slacksim.Message, error) {
	none := slacksim.Message{}
	cards := len(s.Slack.Messages(world.Incident))
	s.say("%s types in #incident:  %s", names.Replace(who), line)
	if _, err := s.Slack.Slash(who, world.Incident, line); err != nil {
		return none, err
	}
	if err := s.Await(ctx, func() bool { v, ok := s.Slack.View(who); return ok && v.Submit != "" }); err != nil {
		return none, fmt.Errorf("no modal to fill in came: %w", err)
	}
	v, _ := s.Slack.View(who)
	s.say("%s sees the modal “%s”:", names.Replace(who), v.Title)
	s.indent(slacksim.PlainText(v.Blocks))
	s.say("%s fills in the reason “%s” and presses [%s]", names.Replace(who), reason, v.Submit)
	if _, err := s.Slack.Submit(who, map[string]any{"reason": reason}); err != nil {
		return none, err
	}
	if err := s.Await(ctx, func() bool { return len(s.Slack.Messages(world.Incident)) > cards }); err != nil {
		return none, fmt.Errorf("no card came: %w", err)
	}
	all := s.Slack.Messages(world.Incident)
	s.say("#incident shows:")
	s.indent(all[len(all)-1].Shows())
	return all[len(all)-1], nil
}

func (s *story) press(ctx context.Context, who string, card slacksim.Message, action, label string) error {
	s.say("%s presses [%s]", names.Replace(who), label)
	out, err := s.Slack.Press(who, world.Incident, card.TS, slacksim.Button{Action: action})
	if err == nil && !out.Acked {
		err = fmt.Errorf("the press was not acknowledged: %s", out.Warning)
	}
	return err
}

// told waits until who alone is told something with words in it.
func (s *story) told(ctx context.Context, who, words string) error {
	var found string
	err := s.Await(ctx, func() bool {
		return slices.ContainsFunc(s.Slack.Ephemerals(who, world.Incident), func(m slacksim.Message) bool {
			found = m.Shows()
			return strings.Contains(found, words)
		})
	})
	if err != nil {
		return fmt.Errorf("%s was not told of a %s: %w", who, words, err)
	}
	s.say("Only %s sees:", names.Replace(who))
	s.indent(found)
	return nil
}

// approve presses Approve and follows the request to its end.
func (s *story) approve(ctx context.Context, who string, card slacksim.Message) error {
	if err := s.press(ctx, who, card, "approve", "Approve"); err != nil {
		return err
	}
	lastLine := func() string {
		lines := s.Slack.Thread(world.Incident, card.TS)
		if len(lines) == 0 {
			return ""
		}
		return lines[len(lines)-1].Shows()
	}
	if err := s.Await(ctx, func() bool { return strings.Contains(lastLine(), "Done.") }); err != nil {
		return fmt.Errorf("the request did not come to its end: %w; its thread ends with %q", err, lastLine())
	}
	s.say("The card's thread fills:")
	for _, m := range s.Slack.Thread(world.Incident, card.TS) {
		s.indent(m.Shows())
	}
	s.say("And the card becomes:")
	for _, m := range s.Slack.Messages(world.Incident) {
		if m.TS == card.TS {
			s.indent(m.Shows())
		}
	}
	return nil
}

// keys shows the tenant's keys as they are.
func (s *story) keys(title string) { showKeys(s.out, title, s.Tenant.Keys()) }

// showKeys shows keys by their role.
func showKeys(out io.Writer, title string, keys []auth0sim.Key) {
	fmt.Fprintln(out, title+":")
	for _, k := range keys {
		fmt.Fprintf(out, "  │ %-16s %s\n", k.InWords(), k.KID)
	}
}

func (s *story) title(words string) {
	fmt.Fprintf(s.out, "\n%s\n%s\n", words, strings.Repeat("─", len([]rune(words))))
}

func (s *story) say(format string, a ...any) {
	fmt.Fprintln(s.out, names.Replace(fmt.Sprintf(format, a...)))
}

func (s *story) indent(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(s.out, "  │ "+names.Replace(strings.TrimRight(line, "\n")))
	}
}
