package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"keyturn/bot/approval"
)

// CardsBehind returns the requests whose card or thread shows less than the row and
// its entries, oldest first.
func (s *Store) CardsBehind(ctx context.Context) (ids []approval.ID, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		ids, err = collect(ctx, tx, `SELECT r.id FROM requests r LEFT JOIN cards c ON c.request = r.id
			WHERE c.request IS NULL OR c.shown < r.revision OR c.line < r.revision ORDER BY r.asked_at`, nil,
			func(scan func(...any) error) (id approval.ID, err error) { return id, scan(&id) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for cards that are behind: %w", err)
	}
	return ids, nil
}

// Card returns where a request's card is, the revision it shows, and the last entry
// that its thread has; all zero where there is none yet.
func (s *Store) Card(ctx context.Context, id approval.ID) (ts string, shown, line int64, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT ts, shown, line FROM cards WHERE request = $1`, string(id)).Scan(&ts, &shown, &line)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return "", 0, 0, fmt.Errorf("reading the card of %s: %w", id, err)
	}
	return ts, shown, line, nil
}

// SetCard keeps what Card returns.
func (s *Store) SetCard(ctx context.Context, id approval.ID, ts string, shown, line int64) error {
	return s.exec(ctx, "keeping the card", `INSERT INTO cards (request, ts, shown, line) VALUES ($1, $2, $3, $4)
		ON CONFLICT (request) DO UPDATE SET ts = excluded.ts, shown = excluded.shown, line = excluded.line`, string(id), ts, shown, line)
}

// BeginPosts lets the posts of a channel that was never posted in begin where the trail
// ends now: its readers get what happens from here on, and not the past once more.
func (s *Store) BeginPosts(ctx context.Context, channel string) error {
	return s.exec(ctx, "beginning the posts", `INSERT INTO posts (channel, seq) SELECT $1, size FROM trail_head WHERE one = 1
		ON CONFLICT (channel) DO NOTHING`, channel)
}

// Posted returns the number of the last entry that was posted in channel, or where its
// posts begin.
func (s *Store) Posted(ctx context.Context, channel string) (seq int64, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT seq FROM posts WHERE channel = $1`, channel).Scan(&seq)
	})
	if err != nil {
		return 0, fmt.Errorf("reading how far the posts are: %w", err)
	}
	return seq, nil
}

// SetPosted keeps what Posted returns.
func (s *Store) SetPosted(ctx context.Context, channel string, seq int64) error {
	return s.exec(ctx, "keeping how far the posts are", `UPDATE posts SET seq = $2 WHERE channel = $1`, channel, seq)
}
