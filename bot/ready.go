package bot

import (
	"fmt"

	"github.com/rs/zerolog"

	"keyturn/bot/socket"
)

// This file says whether presses can reach us.

// Connections returns how many connections of the app Slack counted at the last hello,
// and how many of them were ours. Presses that Slack delivers to another are lost to us.
func (b *Bot) Connections() (counted, held int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counted, b.held
}

func (b *Bot) trouble(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubled = err
}

// report takes the socket's state into the log and into Ready.
func (b *Bot) report(s socket.Status) {
	level := zerolog.WarnLevel
	switch s.State {
	case socket.Connecting, socket.Leaving, socket.Disconnected:
		level = zerolog.DebugLevel
	case socket.Waiting:
		if !b.Drill || b.socket.Connected() { // whoever runs a drill has its log alone to look at
			level = zerolog.DebugLevel
		}
	case socket.Connected:
		level = zerolog.InfoLevel
		b.greeted(s)
	}
	if s.State == socket.Waiting && s.Err != nil && !b.socket.Connected() {
		b.trouble(s.Err)
	}
	e := b.Log.WithLevel(level).Str("socket", string(s.State))
	if s.Err != nil {
		e = e.Err(s.Err)
	}
	if s.Envelope != "" {
		e = e.Str("envelope_id", s.Envelope)
	}
	if s.State == socket.Connected {
		e = e.Int("connections", s.Connections).Int("held", s.Held).Dur("lifetime", s.Lifetime)
	}
	e.Msg("socket mode")
}

// greeted takes note of a hello. Connections that are not ours are no reason to stop:
// another start would only leave one more behind (facts: Slack forgets them after hours).
func (b *Bot) greeted(s socket.Status) {
	b.mu.Lock()
	b.troubled, b.counted, b.held = nil, s.Connections, s.Held
	b.mu.Unlock()
	ghosts := ""
	if s.Connections > s.Held {
		const what = "another process uses it, or they are dead and not forgotten; presses " +
			"delivered there are lost"
		ghosts = fmt.Sprintf("Slack counts %d connections of this app, and %d are ours: %s",
			s.Connections, s.Held, what)
		b.Log.Warn().Int("connections", s.Connections).Int("held", s.Held).
			Msg("Slack counts connections of this app that are not ours: " + what)
	}
	b.find(findConnections, false, ghosts)
	if b.Drill {
		b.judge(s)
	}
}
