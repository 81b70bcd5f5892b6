package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/panics"
)

// This file posts what follows the trail, one entry after the other: the lines in the
// threads of a channel's cards, and in the audit channel what each entry says. Each
// channel has one position. If we die between a post and its position, the post comes
// again; its number shows it.

// BeginPosts keeps from where on the trail is posted, if nothing was posted yet. It has
// to come before anything can be recorded: what is recorded first would never be posted.
func (b *Bot) BeginPosts(ctx context.Context) error {
	return b.Posts.BeginPosts(ctx, b.AuditChannel)
}

// nextPost returns what posts the next thing that a channel lacks, and keeps that it
// was; nil: it lacks nothing. passed says that there were entries that need no post.
func (b *Bot) nextPost(ctx context.Context, channel string) (post func(context.Context) error, passed bool, err error) {
	if other, code, ok := b.alarm(channel); ok {
		return func(ctx context.Context) error { return b.postAlarm(ctx, channel, other, code) }, false, nil
	}
	kept, err := b.Posts.Posted(ctx, channel)
	if err != nil {
		return nil, false, err
	}
	seq := b.announcer.postedIn(channel, kept)
	if seq > kept { // it was posted, and must not be again because the disk took nothing
		return nil, true, b.Posts.SetPosted(ctx, channel, seq)
	}
	size, read := int64(0), b.Trail.Entries
	if channel == b.AuditChannel {
		// Before the entries: those up to it have to be among them.
		if size, err = b.Trail.Size(ctx); err != nil {
			return nil, false, err
		}
	} else {
		read = func(ctx context.Context, after int64, limit int) ([]audit.Entry, error) {
			return b.Trail.EntriesIn(ctx, channel, after, limit)
		}
	}
	limit := 50
	for {
		entries, err := read(ctx, seq, limit)
		var forged *audit.Forged
		switch {
		case errors.As(err, &forged) && limit > 1:
			limit = 1 // those before it are posted as ever
			continue
		case errors.As(err, &forged):
			return nil, true, b.passForged(ctx, channel, forged.Seq)
		case err != nil:
			return nil, passed, err
		case channel == b.AuditChannel && len(entries) == 0 && size > seq:
			return nil, true, b.passForged(ctx, channel, seq+1) // it is gone
		case len(entries) == 0:
			return nil, passed, nil
		}
		for _, e := range entries {
			if channel == b.AuditChannel && e.Seq > seq+1 {
				return nil, true, b.passForged(ctx, channel, seq+1) // it is gone
			}
			seq = e.Seq
			var posts []func(context.Context) error
			err := b.caught(func() (err error) { posts, err = b.postsOf(ctx, channel, e); return err })
			switch {
			case panics.Is(err):
				return func(ctx context.Context) error { return b.skip(ctx, channel, e, err) }, passed, nil
			case err != nil:
				return nil, passed, err
			case len(posts) > 0:
				post := func(ctx context.Context) error { return b.postOrSkip(ctx, channel, e, posts) }
				return post, passed, nil
			}
		}
		if err := b.Posts.SetPosted(ctx, channel, seq); err != nil {
			return nil, passed, err
		}
		passed = true
	}
}

// passForged raises the alarm of an entry that is not the one that was sealed, and lets a
// channel go on behind it: what comes later must still reach people.
func (b *Bot) passForged(ctx context.Context, channel string, seq int64) error {
	b.Log.Error().Int64("entry", seq).Msg("an entry of the trail was forged; run keyturn audit verify")
	note := fmt.Sprintf("Entry #%d of the trail is not the one that was sealed, or is gone: somebody changed the database. Do not believe what it says now; "+
		"keep a copy of the database as it is, and run keyturn audit verify with a checkpoint from this channel.", seq)
	if err := b.raise(ctx, fmt.Sprintf("forged:%d", seq), audit.Alarm{What: audit.EntryForged, Entry: seq}, note); err != nil {
		return err
	}
	return b.Posts.SetPosted(ctx, channel, seq)
}

// postOrSkip posts an entry. One that cannot be drawn, or that Slack takes in no shape, is
// left out with an alarm: what comes later must still reach people.
func (b *Bot) postOrSkip(
	ctx context.Context, channel string, e audit.Entry, posts []func(context.Context) error,
) error {
	err := b.caught(func() error { return b.postAll(ctx, channel, e.Seq, posts) })
	if panics.Is(err) || concernOf(err) == aboutMessage {
		return b.skip(ctx, channel, e, err)
	}
	return err
}

// skip leaves an entry out of a channel, and raises the alarm of it.
func (b *Bot) skip(ctx context.Context, channel string, e audit.Entry, err error) error {
	b.Log.Error().Int64("entry", e.Seq).Str("channel", channel).Err(err).
		Msg("an entry cannot be posted")
	if e.Kind != audit.Alarmed {
		note := fmt.Sprintf("Entry #%d cannot be posted in %s, so it is left out there. "+
			"It is in the trail: keyturn audit shows it. The log says why.", e.Seq, channel)
		cause := fmt.Sprintf("unposted:%s:%d", channel, e.Seq)
		alarm := audit.Alarm{What: audit.PostSkipped, Entry: e.Seq}
		if err := b.raise(ctx, cause, alarm, note); err != nil {
			return err
		}
	}
	b.announcer.setPosted(channel, e.Seq)
	return b.Posts.SetPosted(ctx, channel, e.Seq)
}

// postsOf returns what an entry is posted with in a channel: in the audit channel, in
// the thread of its request's card, in both where they are the same channel, or nowhere.
func (b *Bot) postsOf(ctx context.Context, channel string, e audit.Entry) (posts []func(context.Context) error, err error) {
	posted := b.announcer.isJoined(e.Seq) || b.announcer.isHalf(channel, e.Seq)
	if channel == b.AuditChannel && isPosted(e) && !posted {
		post := func(ctx context.Context) error { return b.postEntry(ctx, e) }
		switch e.Kind {
		case audit.Refused:
			post = func(ctx context.Context) error { return b.postRefused(ctx, e) }
			id, person := approval.ID(e.Request), b.joinedAs(ctx, e)
			if _, last, err := b.Posts.Joined(ctx, channel, id, person); err != nil || last >= e.Seq {
				return nil, err
			}
		case audit.Asked:
			all, err := b.withdrawals(ctx, e)
			if err != nil {
				return nil, err
			}
			if all != nil {
				post = func(ctx context.Context) error { return b.postWithdrawn(ctx, all) }
			}
		}
		posts = append(posts, post)
	}
	if _, ok := threadLine(e, naming(b.Mention)); ok {
		r, err := b.Trail.Request(ctx, approval.ID(e.Request))
		if errors.Is(err, approval.ErrUnknown) {
			return posts, nil // somebody took its row away, and must not stop what comes later
		}
		if err != nil {
			return nil, err
		}
		if r.Channel == channel {
			posts = append(posts, func(ctx context.Context) error { return b.addLine(ctx, r, e) })
		}
	}
	return posts, nil
}

// postAll posts in the turn that was waited for, and in more turns where there is more
// than one thing.
func (b *Bot) postAll(ctx context.Context, channel string, seq int64, posts []func(context.Context) error) error {
	for i, post := range posts {
		if i > 0 && !b.pace.turn(ctx, channel, postRank, nil) {
			return ctx.Err()
		}
		if err := post(ctx); err != nil {
			return err
		}
		if i+1 < len(posts) { // what went out must not again because the next one does not
			b.announcer.setHalf(channel, seq)
		}
	}
	b.announcer.setPosted(channel, seq)
	return b.Posts.SetPosted(ctx, channel, seq)
}

// addLine adds an entry's line to the thread of its request's card.
func (b *Bot) addLine(ctx context.Context, r approval.Request, e audit.Entry) error {
	words, _ := threadLine(e, naming(b.Mention))
	var more []slack.MsgOption
	switch {
	case e.Kind == audit.Reminded && r.State == approval.Pending:
		words += " Expires " + at(r.ExpiresAt) + "."
		if b.Mention {
			words += "\n" + mentionIDs(b.Policy.ApproversOf(r.Tenant))
		}
		more = append(more, slack.MsgOptionBroadcast()) // also where those look who do not follow the thread
	case b.Mention && isEnd(e.Kind):
		words += "\n" + mention(r.Requester)
		if r.Approver.User != "" {
			words += " " + mention(r.Approver)
		}
	}
	blocks := []slack.Block{section(words)}
	if e.Kind == audit.Explained {
		blocks = append(blocks, quote(e.Reason))
	}
	cards, err := b.Posts.Cards(ctx, r.ID)
	if err != nil {
		return err
	}
	if len(cards) == 0 && b.announcer.rests(r.ID, b.Now()) {
		b.Log.Warn().Str("request_id", string(r.ID)).Int64("entry", e.Seq).
			Msg("a line is left out: its card cannot be posted")
		return nil
	}
	if len(cards) == 0 {
		return errors.New("there is no card to thread it to yet")
	}
	_, err = b.post(ctx, r.Channel, words, blocks, append(more, slack.MsgOptionTS(cards[0]))...)
	switch concernOf(err) {
	case aboutGone: // the next try has another card
		return errors.Join(err, b.Posts.DropCard(ctx, r.ID, cards[0]))
	case aboutThread, aboutOther: // this line alone: its entry is in the trail, and posted there
		b.Log.Warn().Str("request_id", string(r.ID)).Int64("entry", e.Seq).Err(err).
			Msg("a line is left out of a thread")
		return nil
	}
	return err
}

// postEntry posts an entry in the audit channel.
func (b *Bot) postEntry(ctx context.Context, e audit.Entry) error {
	w, err := b.witness(ctx, e)
	if err != nil {
		return err
	}
	var text string
	var blocks []slack.Block
	if e.Request == "" {
		wake := ""
		if b.Mention {
			wake = mentionIDs(b.Policy.ApproversOf(e.Tenant))
		}
		text, blocks = eventPost(e, wake)
	} else {
		story, err := b.Trail.Story(ctx, approval.ID(e.Request))
		switch {
		case errors.Is(err, audit.ErrForged):
			text, blocks = eventPost(e, "") // this entry is as it was sealed; others of its request are not
		case err != nil:
			return err
		default:
			text, blocks = trailPost(e, story, b.Mention)
		}
	}
	_, err = b.post(ctx, b.AuditChannel, text, append(blocks, w.blocks()...))
	return err
}

// witness returns what the post of an entry says of the trail: up to and with the entry.
func (b *Bot) witness(ctx context.Context, e audit.Entry) (w witness, err error) {
	w.size = e.Seq
	if w.root, err = b.Trail.Root(ctx, e.Seq); err != nil {
		return w, err
	}
	if e.Kind.Ends() {
		next, err := b.Trail.Entries(ctx, e.Seq, 1)
		if err == nil && len(next) == 1 {
			w.checkpoint = next[0].Checkpoint
		}
		return w, err
	}
	w.checkpoint = e.Checkpoint
	return w, nil
}

// joinedAs is the id under which the presses of an entry's person share a post: in an
// Enterprise Grid, where somebody may have two, the one that they pressed by first.
func (b *Bot) joinedAs(ctx context.Context, e audit.Entry) string {
	if e.Actor.Enterprise != "" {
		story, err := b.Trail.Story(ctx, approval.ID(e.Request))
		if all := refusedOf(story, *e.Actor); err == nil && len(all) > 0 {
			return all[0].Actor.User
		}
	}
	return e.Actor.User
}

// postRefused posts in the audit channel that a press did not count. All of one person
// on one request share a post, which is drawn anew.
func (b *Bot) postRefused(ctx context.Context, e audit.Entry) error {
	id, person := approval.ID(e.Request), b.joinedAs(ctx, e)
	story, err := b.Trail.Story(ctx, id)
	if errors.Is(err, audit.ErrForged) {
		return b.postEntry(ctx, e) // by itself: others of its request are not as they were sealed
	}
	if err != nil {
		return err
	}
	all := refusedOf(story, *e.Actor)
	last := all[len(all)-1]
	w, err := b.witness(ctx, last)
	if err != nil {
		return err
	}
	text, blocks := refusedPost(all, story, b.Mention)
	blocks = append(blocks, w.blocks()...)
	ts, _, err := b.Posts.Joined(ctx, b.AuditChannel, id, person)
	if err != nil {
		return err
	}
	if ts != "" {
		err = b.update(ctx, b.AuditChannel, ts, text, blocks)
	}
	if about := concernOf(err); ts == "" || about == aboutGone || about == aboutOther {
		ts, err = b.post(ctx, b.AuditChannel, text, blocks)
	}
	if err != nil {
		return err
	}
	if err := b.Posts.SetJoined(ctx, b.AuditChannel, id, person, ts, last.Seq); err != nil {
		b.Log.Warn().Err(err).Msg("a joined post could not be kept; the next press of the same person has a post of its own")
	}
	return nil
}
