package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Receive keeps a press or submission under its envelope's id. Once it returns nil,
// it is on disk. An id that is kept already is left as it is.
func (s *Store) Receive(ctx context.Context, id, payload string) error {
	return s.exec(ctx, "keeping what was received", `INSERT INTO inbox (id, payload, received_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
		id, payload, micros(s.now()))
}

// Received returns the ids of what was received and is not worked yet, oldest first.
func (s *Store) Received(ctx context.Context) ([]string, error) {
	return list(ctx, s, "reading the inbox", scanText, `SELECT id FROM inbox WHERE worked_at = 0 ORDER BY received_at, id LIMIT 100`)
}

// Payload returns what was received under id, and when.
func (s *Store) Payload(ctx context.Context, id string) (payload string, received time.Time, err error) {
	var us int64
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT payload, received_at FROM inbox WHERE id = $1`, id).Scan(&payload, &us)
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("reading the inbox: %w", err)
	}
	return payload, moment(us), nil
}

// Worked records that what was received under id needs no more work.
func (s *Store) Worked(ctx context.Context, id string) error {
	return s.exec(ctx, "marking as worked", `UPDATE inbox SET worked_at = $2 WHERE id = $1`, id, micros(s.now()))
}

func (s *Store) exec(ctx context.Context, doing, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := s.write.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
