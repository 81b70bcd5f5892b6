package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// retryPosts is how long a card or post that Slack did not take waits.
const retryPosts = 5 * time.Second

// announceCards draws each card that shows less than its row, and gives its thread
// the lines that it lacks, until ctx ends. It never asks what happened, only what is
// shown: after a crash, or an hour without Slack, it catches up by itself.
func (b *Bot) announceCards(ctx context.Context) {
	for ctx.Err() == nil {
		changed := b.Trail.Changed()
		behind, err := b.Posts.CardsBehind(ctx)
		for _, id := range behind {
			if ctx.Err() != nil {
				return
			}
			if cardErr := b.finish(ctx, func(ctx context.Context) error { return b.catchUp(ctx, id) }); cardErr != nil {
				b.Log.Warn().Str("request_id", string(id)).Err(cardErr).Msg("a card is behind")
				err = cardErr
			}
		}
		b.rest(ctx, changed, err)
	}
}

// finish does one thing to its end even where ctx ends meanwhile: a message that was
// posted and not noted would be posted again.
func (b *Bot) finish(ctx context.Context, one func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
	defer cancel()
	return one(ctx)
}

// rest waits for the next commit, or a moment where something did not work.
func (b *Bot) rest(ctx context.Context, changed <-chan struct{}, err error) {
	var retry <-chan time.Time
	if err != nil {
		retry = time.After(retryPosts)
	}
	select {
	case <-changed:
	case <-retry:
	case <-ctx.Done():
	}
}

// catchUp brings one card and its thread up to its row.
func (b *Bot) catchUp(ctx context.Context, id approval.ID) error {
	r, err := b.Trail.Request(ctx, id)
	if err != nil {
		return err
	}
	story, err := b.Trail.Story(ctx, id)
	if err != nil {
		return err
	}
	ts, shown, line, err := b.Posts.Card(ctx, id)
	if err != nil {
		return err
	}
	if shown < r.Revision {
		if ts, err = b.draw(ctx, r, story, ts); err != nil {
			return err
		}
		// A card that was posted and not noted is posted again, and its entry number
		// shows that it is the same.
		if err := b.Posts.SetCard(ctx, id, ts, r.Revision, line); err != nil {
			return err
		}
	}
	for _, e := range story {
		if e.Seq <= line || e.Seq > r.Revision {
			continue
		}
		if err := b.addLine(ctx, r, e, ts); err != nil {
			return err
		}
		if err := b.Posts.SetCard(ctx, id, ts, r.Revision, e.Seq); err != nil {
			return err
		}
	}
	return nil
}

// draw posts a request's card, or draws the posted one again.
func (b *Bot) draw(ctx context.Context, r approval.Request, story []audit.Entry, ts string) (string, error) {
	text, blocks := card(r, story, board{approvers: b.Policy.ApproversOf(r.Tenant), mention: b.Mention})
	if ts == "" {
		return b.post(ctx, r.Channel, "", text, blocks)
	}
	_, _, _, err := b.api.UpdateMessageContext(ctx, r.Channel, ts, content(text, blocks)...)
	var said slack.SlackErrorResponse
	if asSlackError(err, &said) && said.Err == "message_not_found" {
		return b.post(ctx, r.Channel, "", text, blocks) // somebody deleted it
	}
	if err != nil {
		return ts, fmt.Errorf("updating a card: %w", b.heed(ctx, err))
	}
	return ts, nil
}

func (b *Bot) addLine(ctx context.Context, r approval.Request, e audit.Entry, ts string) error {
	words, ok := threadLine(e, naming(b.Mention))
	if !ok {
		return nil
	}
	if b.Mention && (r.State.IsFinal() || r.State == approval.InDoubt) && e.Kind == audit.Kind(r.State) {
		words += "\n" + mention(r.Requester)
		if r.Approver.User != "" {
			words += " " + mention(r.Approver)
		}
	}
	blocks := []slack.Block{section(words)}
	if e.Kind == audit.Explained {
		blocks = append(blocks, quote(e.Reason))
	}
	_, err := b.post(ctx, r.Channel, ts, words, blocks)
	return err
}

// announceTrail posts in the audit channel what the trail gets, in its order.
func (b *Bot) announceTrail(ctx context.Context) {
	for ctx.Err() == nil {
		changed := b.Trail.Changed()
		err := b.postTrail(ctx)
		if err != nil && ctx.Err() == nil {
			b.Log.Warn().Str("channel", b.AuditChannel).Err(err).Msg("the audit channel is behind")
		}
		b.rest(ctx, changed, err)
	}
}

// BeginPosts keeps from where on the trail is posted, if nothing was posted yet. It has
// to come before anything can be recorded: what is recorded first would never be posted.
func (b *Bot) BeginPosts(ctx context.Context) error {
	return b.Posts.BeginPosts(ctx, b.AuditChannel)
}

func (b *Bot) postTrail(ctx context.Context) error {
	seq, err := b.Posts.Posted(ctx, b.AuditChannel)
	if err != nil {
		return err
	}
	for {
		entries, err := b.Trail.Entries(ctx, seq, 50)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				return nil
			}
			err := b.finish(ctx, func(ctx context.Context) error {
				if err := b.postEntry(ctx, e); err != nil {
					return err
				}
				// If we die here, the entry is posted again; its number shows it.
				return b.Posts.SetPosted(ctx, b.AuditChannel, e.Seq)
			})
			if err != nil {
				return err
			}
			seq = e.Seq
		}
	}
}

func (b *Bot) postEntry(ctx context.Context, e audit.Entry) error {
	if !isPosted(e.Kind) {
		return nil
	}
	story, err := b.Trail.Story(ctx, approval.ID(e.Request))
	if err != nil {
		return err
	}
	text, blocks := trailPost(e, story, b.Mention)
	_, err = b.post(ctx, b.AuditChannel, "", text, blocks)
	return err
}

// post posts a message and returns its ts.
func (b *Bot) post(ctx context.Context, channel, thread, text string, blocks []slack.Block) (string, error) {
	options := content(text, blocks)
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	_, ts, err := b.api.PostMessageContext(ctx, channel, options...)
	if err != nil {
		return "", fmt.Errorf("posting in %s: %w", channel, b.heed(ctx, err))
	}
	return ts, nil
}

// heed waits as long as Slack asks to, so that the next try is welcome.
func (b *Bot) heed(ctx context.Context, err error) error {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		sleep(ctx, limited.RetryAfter)
	}
	return err
}
