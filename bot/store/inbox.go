package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// arrival is a row of the inbox that waits for the writing connection.
type arrival struct {
	id, payload string
	at          time.Time
	kept        chan error // room for one: what became of it
}

// Receive keeps a press or submission under its envelope's id. Once it returns nil,
// it is on disk. An id that is kept already is left as it is.
//
// With an error it is not kept, except that a commit which was not answered may have
// been. So ctx ends the wait for the connection, and not that for a commit that has
// begun: nobody is to be told of a press that counts that it does not.
func (s *Store) Receive(ctx context.Context, id, payload string) error {
	a := &arrival{id: id, payload: payload, kept: make(chan error, 1)}
	s.mu.Lock()
	a.at = s.now() // under the lock: in the order in which they are committed
	s.arrivals = append(s.arrivals, a)
	first := len(s.arrivals) == 1
	s.mu.Unlock()
	if first {
		go s.keepArrivals(context.WithoutCancel(ctx)) // for others too, whatever becomes of ctx
	}
	var err error
	select {
	case err = <-a.kept:
	case <-ctx.Done():
		if err = ctx.Err(); !s.withdraw(a) {
			err = <-a.kept
		}
	}
	if err != nil {
		return fmt.Errorf("keeping what was received: %w", err)
	}
	return nil
}

// keepArrivals keeps all that have arrived by the time the writing connection is free,
// or none of them. Each commit is synced to the disk, and of fifty presses at once
// the last would otherwise wait for fifty of them, and for what else is being written.
func (s *Store) keepArrivals(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.write.Conn(ctx)
	if err == nil {
		defer conn.Close()
	}
	s.mu.Lock()
	arrivals := s.arrivals
	s.arrivals = nil
	s.mu.Unlock()
	if err == nil && len(arrivals) > 0 {
		err = s.insertArrivals(ctx, conn, arrivals)
	}
	for _, a := range arrivals {
		a.kept <- err
	}
}

func (s *Store) insertArrivals(ctx context.Context, conn *sql.Conn, arrivals []*arrival) error {
	var rows []string
	var args []any
	for i, a := range arrivals {
		rows = append(rows, fmt.Sprintf("($%d, $%d, $%d)", 3*i+1, 3*i+2, 3*i+3))
		args = append(args, a.id, a.payload, micros(a.at))
	}
	return s.files.kept(func() error {
		_, err := conn.ExecContext(ctx, `INSERT INTO inbox (id, payload, received_at) VALUES `+strings.Join(rows, ", ")+` ON CONFLICT (id) DO NOTHING`, args...)
		return err
	})
}

// withdraw reports whether a was still waiting; it is not kept then.
func (s *Store) withdraw(a *arrival) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.arrivals)
	s.arrivals = slices.DeleteFunc(s.arrivals, func(w *arrival) bool { return w == a })
	return len(s.arrivals) < n
}

// Unworked reads what was received at a time or later and is not worked yet, oldest first,
// from one snapshot, until take returns false.
func (s *Store) Unworked(
	ctx context.Context, from time.Time, take func(id, payload string, received time.Time) bool,
) error {
	err := s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT id, payload, received_at FROM inbox
			WHERE worked_at = 0 AND received_at >= $1 ORDER BY received_at, id`, micros(from))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, payload string
			var us int64
			if err := rows.Scan(&id, &payload, &us); err != nil {
				return err
			}
			if !take(id, payload, moment(us)) {
				return nil
			}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading the inbox: %w", err)
	}
	return nil
}

// Worked records that what was received under ids needs no more work: all of them, or none.
func (s *Store) Worked(ctx context.Context, ids ...string) error {
	at, in := micros(s.now()), make([]string, len(ids))
	args := []any{at}
	for i, id := range ids {
		in[i] = fmt.Sprintf("$%d", i+2)
		args = append(args, id)
	}
	return s.exec(ctx, "marking as worked", `UPDATE inbox SET worked_at = $1
		WHERE worked_at = 0 AND id IN (`+strings.Join(in, ", ")+`)`, args...)
}

func (s *Store) exec(ctx context.Context, doing, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.files.kept(func() error {
		_, err := s.write.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// forgotten is how many rows one transaction of ForgetWorked takes: a press that is to be
// kept meanwhile waits for some milliseconds.
const forgotten = 1000

// ForgetWorked takes the words out of what was worked before a time. The ids stay, so that
// an envelope that comes again is still left as it is. What was not worked keeps its words.
//
// It looks at every row; there is no index. 100,000 rows whose words are gone are read in
// less than 0.1 s, and that many presses are years of them.
func (s *Store) ForgetWorked(ctx context.Context, before time.Time) error {
	for {
		n, err := s.forgetWorked(ctx, before)
		if err != nil {
			return fmt.Errorf("forgetting what was worked: %w", err)
		}
		if n < forgotten {
			return nil
		}
	}
}

func (s *Store) forgetWorked(ctx context.Context, before time.Time) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = s.files.kept(func() error {
		res, err := s.write.ExecContext(ctx, `UPDATE inbox SET payload = '' WHERE id IN (
			SELECT id FROM inbox
			WHERE worked_at > 0 AND worked_at < $1 AND payload <> '' LIMIT $2)`,
			micros(before), forgotten)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
