package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// ChannelsBehind returns the channels where a card shows less than its row, or whose
// posts are behind the trail: the audit channel's behind all of it, another's behind the
// entries of its requests.
func (s *Store) ChannelsBehind(ctx context.Context, auditChannel string) ([]string, error) {
	return list(ctx, s, "looking for channels that are behind", scanText, `SELECT DISTINCT channel FROM requests r WHERE `+cardBehind+`
			OR revision > COALESCE((SELECT seq FROM posts p WHERE p.channel = r.channel), 0)
		UNION SELECT $1 FROM trail_head WHERE size > COALESCE((SELECT seq FROM posts WHERE channel = $1), 0)`, auditChannel)
}

// cardBehind is true for a request without a card, and where one shows less than the row.
const cardBehind = `(NOT EXISTS (SELECT 1 FROM cards c WHERE c.request = r.id)
	OR EXISTS (SELECT 1 FROM cards c WHERE c.request = r.id AND c.shown < r.revision))`

// CardsBehind returns the requests of a channel that have no card, or one that shows
// less than the row, oldest first.
func (s *Store) CardsBehind(ctx context.Context, channel string) ([]approval.ID, error) {
	return list(ctx, s, "looking for cards that are behind", scanID,
		`SELECT id FROM requests r WHERE channel = $1 AND `+cardBehind+` ORDER BY asked_at`, channel)
}

// MovedSince returns the requests that came into their state at a time or later.
func (s *Store) MovedSince(ctx context.Context, at time.Time) ([]approval.ID, error) {
	return list(ctx, s, "looking for what moved", scanID, `SELECT id FROM requests WHERE entered_at >= $1`, micros(at))
}

// Cards returns the messages that show a request, the one that is known of for the
// shortest time first.
func (s *Store) Cards(ctx context.Context, id approval.ID) ([]string, error) {
	return list(ctx, s, "reading the cards of "+string(id), scanText, `SELECT ts FROM cards WHERE request = $1 ORDER BY known_at DESC, ts DESC`, string(id))
}

// SetCard keeps that a message shows a request, and up to which revision.
func (s *Store) SetCard(ctx context.Context, id approval.ID, ts string, shown int64) error {
	return s.exec(ctx, "keeping the card", `INSERT INTO cards (request, ts, shown, known_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (request, ts) DO UPDATE SET shown = excluded.shown`, string(id), ts, shown, micros(s.now()))
}

// DropCard forgets a message that is there no more.
func (s *Store) DropCard(ctx context.Context, id approval.ID, ts string) error {
	return s.exec(ctx, "forgetting a card", `DELETE FROM cards WHERE request = $1 AND ts = $2`, string(id), ts)
}

// BeginPosts lets the posts of a channel that was never posted in begin where the trail
// ends now: its readers get what happens from here on, and not the past once more.
func (s *Store) BeginPosts(ctx context.Context, channel string) error {
	return s.exec(ctx, "beginning the posts", `INSERT INTO posts (channel, seq) SELECT $1, size FROM trail_head WHERE one = 1
		ON CONFLICT (channel) DO NOTHING`, channel)
}

// Posted returns the number of the last entry that needs no post in channel any more;
// 0: none yet.
func (s *Store) Posted(ctx context.Context, channel string) (seq int64, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT seq FROM posts WHERE channel = $1`, channel).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading how far the posts are: %w", err)
	}
	return seq, nil
}

// SetPosted keeps what Posted returns.
func (s *Store) SetPosted(ctx context.Context, channel string, seq int64) error {
	return s.exec(ctx, "keeping how far the posts are", `INSERT INTO posts (channel, seq) VALUES ($1, $2)
		ON CONFLICT (channel) DO UPDATE SET seq = excluded.seq`, channel, seq)
}

// EntriesIn is Entries of the requests of one channel.
func (s *Store) EntriesIn(ctx context.Context, channel string, after int64, limit int) ([]audit.Entry, error) {
	return s.entries(ctx, `SELECT t.seq, t.line FROM trail t JOIN requests r ON r.id = t.request
		WHERE t.seq > $1 AND r.channel = $2 ORDER BY t.seq LIMIT $3`, after, channel, limit)
}

// Joined returns the post that the presses of a person on a request share in a channel,
// and the last entry that it has; "": there is none.
func (s *Store) Joined(ctx context.Context, channel string, id approval.ID, person string) (ts string, seq int64, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT ts, seq FROM joined WHERE channel = $1 AND request = $2 AND person = $3`, channel, string(id), person).Scan(&ts, &seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", 0, fmt.Errorf("reading a joined post: %w", err)
	}
	return ts, seq, nil
}

// SetJoined keeps what Joined returns.
func (s *Store) SetJoined(ctx context.Context, channel string, id approval.ID, person, ts string, seq int64) error {
	return s.exec(ctx, "keeping a joined post", `INSERT INTO joined (channel, request, person, ts, seq) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (channel, request, person) DO UPDATE SET ts = excluded.ts, seq = excluded.seq`, channel, string(id), person, ts, seq)
}

// list reads one column in a snapshot of its own.
func list[T any](ctx context.Context, s *Store, doing string, scan func(func(...any) error) (T, error), query string, args ...any) (out []T, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		out, err = collect(ctx, tx, query, args, scan)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return out, nil
}

func scanText(scan func(...any) error) (v string, err error) { return v, scan(&v) }

func scanID(scan func(...any) error) (v approval.ID, err error) { return v, scan(&v) }
