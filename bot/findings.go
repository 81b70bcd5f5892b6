package bot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// This file keeps what was found to be wrong, by name. What an incident needs makes keyturn
// not ready; the rest is a warning.

// The names of findings, in /readyz and in the log.
const (
	findToken       = "bot_token"
	findInbox       = "inbox"
	findScopes      = "scopes"
	findMoreScopes  = "scopes_not_needed"
	findGroups      = "groups"
	findApprovers   = "approvers"
	findAudit       = "audit_channel"
	findChannels    = "channels"
	findConnections = "connections"
)

// finding is something that is wrong.
type finding struct {
	words  string
	blocks bool // keyturn is not ready
	since  time.Time
}

// find keeps what is wrong under a name; "": nothing is. It logs what changed.
func (b *Bot) find(name string, blocks bool, words string) {
	b.mu.Lock()
	was, known := b.findings[name]
	blocks = blocks && words != ""
	now := finding{words: words, blocks: blocks, since: b.Now()}
	if known && was.blocks == blocks {
		now.since = was.since
	}
	if words == "" {
		delete(b.findings, name)
	} else {
		b.findings[name] = now
	}
	b.mu.Unlock()
	switch {
	case words == was.words && blocks == was.blocks:
	case words == "":
		b.Log.Info().Str("finding", name).Msg("keyturn found that this is right again")
	case blocks:
		b.Log.Error().Str("finding", name).Str("why", words).Msg("keyturn is not ready")
	default:
		b.Log.Warn().Str("finding", name).Str("why", words).Msg("keyturn found something that " +
			"is not right")
	}
}

// found returns what is wrong, by name, one line each.
func (b *Bot) found(blocks bool) (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.findings)) {
		if f := b.findings[name]; f.blocks == blocks {
			age := b.Now().Sub(f.since).Round(time.Second)
			lines = append(lines, fmt.Sprintf("%s: %s (for %s)", name, f.words, age))
		}
	}
	return lines
}

// Warnings returns what is wrong and no reason not to be ready, one line each.
func (b *Bot) Warnings() []string { return b.found(false) }

// Ready returns nil if presses can reach us and be worked now, and otherwise why not.
func (b *Bot) Ready() error {
	b.mu.Lock()
	err := b.troubled
	b.mu.Unlock()
	if err == nil && !b.socket.Connected() {
		err = errors.New("no socket")
	}
	for _, line := range b.found(true) {
		err = errors.Join(err, errors.New(line))
	}
	return err
}
