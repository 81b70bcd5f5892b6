package page

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"keyturn/bot/slacksim"
)

// This file is what a person does in Slack. An error says why Slack's client does not let
// them; what the app makes of it they see where Slack shows it.

// typed types a command, or words, in a channel.
func (p *Page) typed(_ *http.Request, a asked) (said, error) {
	text := strings.TrimSpace(a.Text)
	switch {
	case text == "":
		return said{}, nil
	case !slices.Contains(a.person.channels, a.Channel):
		return said{}, errors.New(a.person.Name + " is not in this channel")
	case !strings.HasPrefix(text, "/"):
		p.world.Slack.Say(a.person.ID, a.Channel, text)
		return said{}, nil
	}
	name, _, _ := strings.Cut(text, " ")
	out, err := p.world.Slack.Slash(a.person.ID, a.Channel, text)
	return noted(out, err, name+" failed with the error “"+out.Warning+"”")
}

// press presses a button on a message.
func (p *Page) press(_ *http.Request, a asked) (said, error) {
	out, err := p.world.Slack.Press(a.person.ID, a.Channel, a.TS, slacksim.Button{Action: a.Action, Block: a.Block, Value: a.Value})
	return noted(out, err, "The press was not acknowledged: Slack shows a warning beside the button. Press again in a moment.")
}

// submit submits the modal that is open. What is wrong with its words is shown in it.
func (p *Page) submit(_ *http.Request, a asked) (said, error) {
	values := map[string]any{}
	for block, v := range a.Values {
		switch v := v.(type) {
		case string:
			values[block] = v
		case []any:
			words := []string{}
			for _, word := range v {
				if s, ok := word.(string); ok {
					words = append(words, s)
				}
			}
			values[block] = words
		}
	}
	out, err := p.world.Slack.Submit(a.person.ID, values)
	return noted(out, err, "We had some trouble connecting. Try again? (Slack says so, and the form stays with your words.)")
}

// closeView closes the modal that is open.
func (p *Page) closeView(_ *http.Request, a asked) (said, error) {
	p.world.Slack.CloseView(a.person.ID)
	return said{}, nil
}

// dismiss takes away a message that only its reader sees.
func (p *Page) dismiss(_ *http.Request, a asked) (said, error) {
	for _, m := range p.world.Slack.Ephemerals(a.person.ID, a.Channel) {
		if m.TS == a.TS {
			p.world.Slack.Delete(a.Channel, a.TS)
		}
	}
	return said{}, nil
}

// noted is what a person sees at once of what they did: nothing, or Slack's warning.
func noted(out slacksim.Outcome, err error, warning string) (said, error) {
	if errors.Is(err, slacksim.ErrNotConnected) {
		err = nil // Slack shows a warning, as where nobody acknowledges
	}
	if out.Warning == "" {
		warning = ""
	}
	return said{Warning: warning}, err
}
