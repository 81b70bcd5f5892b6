package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/slack-go/slack"

	"keyturn/bot/socket"
)

// This file is what is otherwise in a drill: keyturn in a real workspace, in front of a
// tenant that is simulated. Whatever people are shown says so, and nothing is shown, and no
// press taken, before it is known that no other process has a socket of the same app.

// ErrNotAlone is wrapped by the error with which Run ends in a drill whose first hello did
// not show that its socket is the only one of its Slack app.
var ErrNotAlone = errors.New("a drill needs a Slack app of its own")

// The marks of a drill.
const (
	drillLine  = "🧪 *DRILL* · the tenant is simulated; no real key changes."
	drillText  = "DRILL · "
	drillTitle = "DRILL: " // with the longest of our titles it is as long as Slack takes
)

// marked returns a message as it goes out: that of a drill begins with its mark, in a
// notification too. Every message goes through here.
func (b *Bot) marked(text string, blocks []slack.Block) (string, []slack.Block) {
	if !b.Drill {
		return text, blocks
	}
	if len(blocks) > 0 { // without any Slack shows the text
		blocks = append([]slack.Block{contextLine(drillLine)}, blocks...)
	}
	return drillText + text, blocks
}

// markedView returns a modal as it goes out. Every modal goes through here.
func (b *Bot) markedView(m slack.ModalViewRequest) slack.ModalViewRequest {
	if b.Drill {
		m.Title = plain(drillTitle+m.Title.Text, maxTitle)
	}
	return m
}

// judge decides at the first hello of a drill whether it may go on; later ones may count
// what comes and goes. It is told of the hello before anything that follows it is read, so
// no press and no command is acknowledged in between.
func (b *Bot) judge(s socket.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.judged:
		return
	default:
	}
	defer close(b.judged)
	switch {
	case s.Connections == 1: // ours
		return
	case s.Connections > 1:
		b.refused = fmt.Errorf("%w: Slack counts %d connections of this one, and a second socket would take presses from the first; "+
			"make an app for the drill alone, from the same manifest, or, if a drill with this app was killed a moment ago, wait: "+
			"Slack forgets dead connections only after hours", ErrNotAlone, s.Connections)
	default:
		b.refused = fmt.Errorf("%w: Slack does not say how many connections this one has, so it is not known whether another process uses it; start the drill again", ErrNotAlone)
	}
	b.troubled = b.refused
}

// alone waits until it is known whether a drill may go on, and reports whether it may.
// Whatever is no drill may at once.
func (b *Bot) alone(ctx context.Context) bool {
	if !b.Drill {
		return true
	}
	select {
	case <-b.judged:
		return b.refusal() == nil
	case <-ctx.Done():
		return false
	}
}

// refusal is why a drill does not go on; nil: it may, or it is none.
func (b *Bot) refusal() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// acksFirst reports whether an envelope is acknowledged before receive gets it: a command,
// except where nothing is taken.
func (b *Bot) acksFirst(envelopeType string) bool {
	return isCommand(envelopeType) && b.refusal() == nil
}
