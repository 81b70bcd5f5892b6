package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"keyturn/bot/audit"
)

// This file joins requests that a person asked for and cancelled themselves, where the
// audit channel is behind: they share one post there, and hold up nobody else's.

const (
	behind  = 20  // entries that wait for a post before any are joined
	maxJoin = 200 // entries that are looked through for more of the same
	// maxWithdrawn are named in one post: a section of Slack's holds no more.
	maxWithdrawn = 40
)

// withdrawal is a request that its requester cancelled.
type withdrawal struct{ asked, cancelled audit.Entry }

// withdrawals returns what the person who asked by e withdrew from e on, as far as the trail
// has it; nil: the channel is not behind, or e still stands or was decided by others.
func (b *Bot) withdrawals(ctx context.Context, e audit.Entry) ([]withdrawal, error) {
	size, err := b.Trail.Size(ctx)
	if err != nil || size-e.Seq < behind {
		return nil, err
	}
	later, err := b.Trail.Entries(ctx, e.Seq, maxJoin)
	if errors.Is(err, audit.ErrForged) {
		return nil, nil // e is as it was sealed, and posted alone
	}
	if err != nil {
		return nil, err
	}
	asked := map[string]audit.Entry{e.Request: e}
	var all []withdrawal
	for _, l := range later {
		if l.Actor == nil || l.Actor.User != e.Actor.User {
			continue
		}
		switch l.Kind {
		case audit.Asked:
			asked[l.Request] = l
		case audit.Cancelled:
			if a, ok := asked[l.Request]; ok {
				all = append(all, withdrawal{a, l})
			}
		}
	}
	all = all[:min(len(all), maxWithdrawn)]
	for _, w := range all {
		if w.asked.Seq == e.Seq {
			return all, nil
		}
	}
	return nil, nil
}

// postWithdrawn posts withdrawals as one, and takes note that their entries are posted.
func (b *Bot) postWithdrawn(ctx context.Context, all []withdrawal) error {
	w, err := b.witness(ctx, all[len(all)-1].cancelled)
	if err != nil {
		return err
	}
	text, blocks := withdrawnPost(all, b.Mention)
	if _, err := b.post(ctx, b.AuditChannel, text, append(blocks, w.blocks()...)); err != nil {
		return err
	}
	b.announcer.mu.Lock()
	defer b.announcer.mu.Unlock()
	for _, w := range all {
		b.announcer.joined[w.asked.Seq], b.announcer.joined[w.cancelled.Seq] = true, true
	}
	return nil
}

// isJoined reports whether an entry was posted with others. If we die before that is used,
// it is posted once more, by itself.
func (a *announcer) isJoined(seq int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined[seq]
}

// withdrawnPost is what the audit channel gets for requests that one person withdrew.
func withdrawnPost(all []withdrawal, mentions bool) (text string, blocks []slack.Block) {
	first := all[0].asked
	name := naming(mentions)(first.Actor)
	var lines []string
	for _, w := range all {
		lines = append(lines, fmt.Sprintf("• %s (#%d asked, #%d cancelled)",
			code(w.asked.Request), w.asked.Seq, w.cancelled.Seq))
	}
	words := fmt.Sprintf("*#%d Withdrawn* · %s asked for %s and cancelled what they asked for. "+
		"No key was touched.\n%s", first.Seq, name, count(len(all), "change"), strings.Join(lines, "\n"))
	return fmt.Sprintf("#%d Withdrawn: %s", first.Seq, count(len(all), "change")),
		[]slack.Block{section(words)}
}
