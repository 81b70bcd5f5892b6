package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// hashes reads the stored hashes of the Merkle log within a transaction.
type hashes struct {
	ctx context.Context // of the transaction, which is as short-lived as this
	tx  *sql.Tx
	// read are those that were read before; nil: each is read anew. Only within a snapshot:
	// the proofs of entries beside each other share most of theirs.
	read map[int64]tlog.Hash
}

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		var known bool
		if out[i], known = h.read[idx]; known {
			continue
		}
		var text string
		if err := h.tx.QueryRowContext(h.ctx, `SELECT hash FROM trail_hash WHERE idx = $1`, idx).Scan(&text); err != nil {
			return nil, fmt.Errorf("reading hash %d: %w", idx, err)
		}
		var err error
		if out[i], err = tlog.ParseHash(text); err != nil {
			return nil, fmt.Errorf("reading hash %d: %w", idx, err)
		}
		if h.read != nil {
			h.read[idx] = out[i]
		}
	}
	return out, nil
}

// checkCause returns *approval.Recorded if the trail has an entry of this cause.
func checkCause(ctx context.Context, tx *sql.Tx, cause string) error {
	if cause == "" {
		return nil
	}
	var seq int64
	var id string
	err := tx.QueryRowContext(ctx, `SELECT seq, request FROM trail WHERE cause = $1`, cause).Scan(&seq, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the cause: %w", err)
	}
	now, err := request(ctx, tx, approval.ID(id))
	if err != nil {
		return err
	}
	return &approval.Recorded{Seq: seq, Now: now}
}

// append appends e and returns its number, and after an end a checkpoint over all up to
// it. They are one transaction, so that no end is without.
func (s *Store) append(ctx context.Context, tx *sql.Tx, e audit.Entry, now time.Time) (int64, error) {
	seq, err := appendEntry(ctx, tx, e, now)
	if err == nil && e.Kind.Ends() {
		err = s.appendCheckpoint(ctx, tx, seq, "", now)
	}
	return seq, err
}

// appendCheckpoint appends a checkpoint over the first size entries.
func (s *Store) appendCheckpoint(ctx context.Context, tx *sql.Tx, size int64, cause string, now time.Time) error {
	signed, err := s.signer.Checkpoint(size, hashes{ctx: ctx, tx: tx})
	if err != nil {
		return err
	}
	_, err = appendEntry(ctx, tx, audit.Entry{Kind: audit.Checkpointed, Cause: cause, Checkpoint: signed}, now)
	return err
}

// appendEntry seals e as the next entry and returns its number.
func appendEntry(ctx context.Context, tx *sql.Tx, e audit.Entry, now time.Time) (int64, error) {
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE trail_head SET size = size + 1 WHERE one = 1 RETURNING size`).Scan(&seq); err != nil {
		return 0, fmt.Errorf("taking a number: %w", err)
	}
	line, stored, err := audit.Seal(e, seq, now, hashes{ctx: ctx, tx: tx})
	if err != nil {
		return 0, err
	}
	cause := sql.NullString{String: e.Cause, Valid: e.Cause != ""}
	if _, err := tx.ExecContext(ctx, `INSERT INTO trail (seq, at, kind, tenant, request, cause, line) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		seq, micros(now), string(e.Kind), e.Tenant, e.Request, cause, string(line)); err != nil {
		return 0, fmt.Errorf("appending entry %d: %w", seq, err)
	}
	first := tlog.StoredHashCount(seq - 1)
	for i, h := range stored {
		if _, err := tx.ExecContext(ctx, `INSERT INTO trail_hash (idx, hash) VALUES ($1, $2)`, first+int64(i), h.String()); err != nil {
			return 0, fmt.Errorf("keeping the hashes of entry %d: %w", seq, err)
		}
	}
	return seq, nil
}

// Note implements approval.Store.
func (s *Store) Note(ctx context.Context, e audit.Entry) error {
	return s.once(ctx, string(e.Kind), e.Cause, func(ctx context.Context, tx *sql.Tx) error {
		_, err := s.append(ctx, tx, e, s.now())
		return err
	})
}

// Checkpoint appends a checkpoint over all entries, once for each cause.
func (s *Store) Checkpoint(ctx context.Context, cause string) error {
	return s.once(ctx, "a checkpoint", cause, func(ctx context.Context, tx *sql.Tx) error {
		size, err := size(ctx, tx)
		if err != nil {
			return err
		}
		return s.appendCheckpoint(ctx, tx, size, cause, s.now())
	})
}

// once runs f in a transaction unless the trail has an entry of this cause.
func (s *Store) once(ctx context.Context, what, cause string, f func(ctx context.Context, tx *sql.Tx) error) error {
	err := s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var seq int64
		err := tx.QueryRowContext(ctx, `SELECT seq FROM trail WHERE cause = $1`, cause).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			err = f(ctx, tx)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("noting %s: %w", what, err)
	}
	return nil
}

// Story implements approval.Store.
func (s *Store) Story(ctx context.Context, id approval.ID) ([]audit.Entry, error) {
	return s.entries(ctx, `SELECT seq, line FROM trail WHERE request = $1 ORDER BY seq`, string(id))
}

// Entries returns up to limit entries after number after, in their order, each one
// proven to be in the trail. audit.ErrForged: one is not.
func (s *Store) Entries(ctx context.Context, after int64, limit int) ([]audit.Entry, error) {
	return s.entries(ctx, `SELECT seq, line FROM trail WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
}

// EntriesOf is Entries of one tenant.
func (s *Store) EntriesOf(ctx context.Context, tenant string, after int64, limit int) ([]audit.Entry, error) {
	return s.entries(ctx, `SELECT seq, line FROM trail WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3`, tenant, after, limit)
}

// Latest returns the last entry of a tenant that is of one of these kinds, proven to be
// in the trail; nil: there is none. The tenant of what concerns none is "".
func (s *Store) Latest(ctx context.Context, tenant string, kinds ...audit.Kind) (*audit.Entry, error) {
	args, places := []any{tenant}, []string{}
	for _, k := range kinds {
		args = append(args, string(k))
		places = append(places, fmt.Sprintf("$%d", len(args)))
	}
	found, err := s.entries(ctx, `SELECT seq, line FROM trail WHERE tenant = $1 AND kind IN (`+strings.Join(places, ", ")+`) ORDER BY seq DESC LIMIT 1`, args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (s *Store) entries(ctx context.Context, query string, args ...any) (out []audit.Entry, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		size, err := size(ctx, tx)
		if err != nil {
			return err
		}
		type row struct {
			seq  int64
			line string
		}
		found, err := collect(ctx, tx, query, args, func(scan func(...any) error) (r row, err error) {
			return r, scan(&r.seq, &r.line)
		})
		if err != nil {
			return fmt.Errorf("reading entries: %w", err)
		}
		proofs := hashes{ctx: ctx, tx: tx, read: map[int64]tlog.Hash{}}
		for _, r := range found {
			e, err := audit.Open([]byte(r.line), r.seq, size, proofs)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// Size returns how many entries the trail has.
func (s *Store) Size(ctx context.Context) (n int64, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n, err = size(ctx, tx)
		return err
	})
	return n, err
}

func size(ctx context.Context, tx *sql.Tx) (n int64, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT size FROM trail_head WHERE one = 1`).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the trail's size: %w", err)
	}
	return n, nil
}

// Root returns the root of the tree over the first size entries, as 64 hex digits.
func (s *Store) Root(ctx context.Context, size int64) (root string, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		hash, err := tlog.TreeHash(size, hashes{ctx: ctx, tx: tx})
		root = hex.EncodeToString(hash[:])
		return err
	})
	if err != nil {
		return "", fmt.Errorf("computing the root of %d entries: %w", size, err)
	}
	return root, nil
}

// Rotations implements approval.Store.
func (s *Store) Rotations(ctx context.Context, tenant string, since time.Time) (n int, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM trail WHERE kind = $1 AND tenant = $2 AND at >= $3`,
			string(audit.Rotated), tenant, micros(since)).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("counting rotations: %w", err)
	}
	return n, nil
}

// collect runs a query and scans every row.
func collect[T any](ctx context.Context, tx *sql.Tx, query string, args []any, scan func(func(...any) error) (T, error)) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
