package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

var _ approval.Store = (*Store)(nil)

const columns = `id, tenant, action, state, kid, requester, approver, pins, reason, link, prepared, channel,
	asked_at, entered_at, expires_at, due_at, revision, epoch`

// carried are the states of which a tenant has one request at most.
const carried = `'approved', 'working', 'in_doubt'`

func scanRequest(scan func(...any) error) (approval.Request, error) {
	var r approval.Request
	var requester, approver, pins string
	var asked, entered, expires, due int64
	if err := scan(&r.ID, &r.Tenant, &r.Action, &r.State, &r.KID, &requester, &approver, &pins, &r.Reason, &r.Link, &r.Prepared, &r.Channel,
		&asked, &entered, &expires, &due, &r.Revision, &r.Epoch); err != nil {
		return r, err
	}
	r.AskedAt, r.EnteredAt, r.ExpiresAt, r.DueAt = moment(asked), moment(entered), moment(expires), moment(due)
	err := errors.Join(json.Unmarshal([]byte(requester), &r.Requester), json.Unmarshal([]byte(pins), &r.Pins))
	if approver != "" {
		err = errors.Join(err, json.Unmarshal([]byte(approver), &r.Approver))
	}
	if err != nil {
		return r, fmt.Errorf("decoding the row of %s: %w", r.ID, err)
	}
	return r, nil
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // actors and pins are strings and always encode
	}
	return string(b)
}

func request(ctx context.Context, tx *sql.Tx, id approval.ID) (approval.Request, error) {
	r, err := scanRequest(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM requests WHERE id = $1`, string(id)).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, approval.ErrUnknown
	}
	if err != nil {
		return r, fmt.Errorf("reading request %s: %w", id, err)
	}
	return r, nil
}

// Request implements approval.Store.
func (s *Store) Request(ctx context.Context, id approval.ID) (r approval.Request, err error) {
	err = s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err = request(ctx, tx, id)
		return err
	})
	return r, err
}

// OpenRequests returns the requests that are not at their end, oldest first.
func (s *Store) OpenRequests(ctx context.Context) ([]approval.Request, error) {
	return list(ctx, s, "reading the open requests", scanRequest, `SELECT `+columns+` FROM requests WHERE state IN ('pending', `+carried+`) ORDER BY asked_at`)
}

// Create implements approval.Store.
func (s *Store) Create(ctx context.Context, r approval.Request, e audit.Entry) (approval.Request, error) {
	now := s.now()
	r.EnteredAt = moment(micros(now)) // as the entry says
	err := s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := checkCause(ctx, tx, e.Cause); err != nil {
			return err
		}
		same, err := scanRequest(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM requests
			WHERE tenant = $1 AND action = $2 AND kid = $3 AND state IN ('pending', `+carried+`)`, r.Tenant, string(r.Action), r.KID).Scan)
		if err == nil {
			return &approval.Blocked{By: same}
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("looking for the same request: %w", err)
		}
		if r.Revision, err = s.append(ctx, tx, e, now); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO requests (id, tenant, action, state, kid, requester, pins, reason, link, prepared, channel,
			asked_at, entered_at, expires_at, due_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			string(r.ID), r.Tenant, string(r.Action), string(r.State), r.KID, encode(r.Requester), encode(r.Pins), r.Reason, r.Link, r.Prepared, r.Channel,
			micros(r.AskedAt), micros(r.EnteredAt), micros(r.ExpiresAt), micros(r.DueAt), r.Revision)
		return err
	})
	if err != nil {
		return approval.Request{}, fmt.Errorf("keeping request %s: %w", r.ID, err)
	}
	return r, nil
}

// Move implements approval.Store.
func (s *Store) Move(ctx context.Context, m approval.Move) (r approval.Request, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err = s.move(ctx, tx, m)
		return err
	})
	if err != nil {
		return approval.Request{}, fmt.Errorf("moving request %s to %s: %w", m.ID, m.To, err)
	}
	return r, nil
}

func (s *Store) move(ctx context.Context, tx *sql.Tx, m approval.Move) (approval.Request, error) {
	now := s.now()
	var seq int64
	if m.Entry.Kind != "" {
		if err := checkCause(ctx, tx, m.Entry.Cause); err != nil {
			return approval.Request{}, err
		}
		var err error
		if seq, err = s.append(ctx, tx, m.Entry, now); err != nil {
			return approval.Request{}, err
		}
	}
	approver := ""
	if m.Approver != nil {
		approver = encode(*m.Approver)
	}
	// The compare-and-swap: 0 rows, and the transaction takes its entry back.
	query := `UPDATE requests SET
		state = $2, due_at = $3, entered_at = CASE WHEN state = $2 THEN entered_at ELSE $4 END,
		revision = CASE WHEN $5 > 0 THEN $5 ELSE revision END,
		approver = CASE WHEN $6 <> '' THEN $6 ELSE approver END,
		lease_until = CASE WHEN $7 OR $8 = 0 THEN 0 ELSE lease_until END,
		epoch = CASE WHEN $8 = 0 THEN epoch + 1 ELSE epoch END
		WHERE id = $1 AND state IN (` + quoted(m.From) + `) AND ($8 = 0 OR epoch = $8) AND ($9 = 0 OR expires_at > $9) AND ($10 = 0 OR revision = $10)`
	if m.To == approval.Approved {
		query += ` AND NOT EXISTS (SELECT 1 FROM requests AS o WHERE o.tenant = requests.tenant AND o.id <> requests.id AND o.state IN (` + carried + `))`
	}
	var unexpired int64
	if m.Unexpired {
		unexpired = micros(now)
	}
	r, err := scanRequest(tx.QueryRowContext(ctx, query+` RETURNING `+columns,
		string(m.ID), string(m.To), micros(m.DueAt), micros(now), seq, approver, m.Release, m.Epoch, unexpired, m.Revision).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return approval.Request{}, whyNot(ctx, tx, m, now)
	}
	if err != nil || !m.Recheck {
		return r, err
	}
	// Also from whoever has the lease: what it looked at may be from before this move.
	_, err = tx.ExecContext(ctx, `UPDATE requests SET due_at = $2, lease_until = 0, epoch = epoch + 1 WHERE tenant = $1 AND state = 'pending'`, r.Tenant, micros(now))
	return r, err
}

// quoted lists states inside a query: they are our own constants.
func quoted(states []approval.State) string {
	q := make([]string, len(states))
	for i, st := range states {
		q[i] = "'" + strings.ReplaceAll(string(st), "'", "''") + "'"
	}
	return strings.Join(q, ", ")
}

// whyNot says why a compare-and-swap found no row.
func whyNot(ctx context.Context, tx *sql.Tx, m approval.Move, now time.Time) error {
	r, err := request(ctx, tx, m.ID)
	if err != nil {
		return err
	}
	met := slices.Contains(m.From, r.State) && (m.Epoch == 0 || m.Epoch == r.Epoch) &&
		(m.Revision == 0 || m.Revision == r.Revision) && (!m.Unexpired || r.ExpiresAt.After(now))
	if !met {
		return &approval.Moved{Now: r}
	}
	other, err := scanRequest(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM requests WHERE tenant = $1 AND id <> $2 AND state IN (`+carried+`)`,
		r.Tenant, string(r.ID)).Scan)
	if err != nil {
		return fmt.Errorf("looking for what is in the way: %w", err)
	}
	return &approval.Blocked{By: other}
}

// Claim implements approval.Store.
func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration) (r approval.Request, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := s.now()
		r, err = scanRequest(tx.QueryRowContext(ctx, `UPDATE requests SET lease_owner = $1, lease_until = $2, epoch = epoch + 1
			WHERE id = (SELECT id FROM requests WHERE due_at > 0 AND due_at <= $3 AND lease_until <= $3 ORDER BY due_at LIMIT 1)
			RETURNING `+columns, owner, micros(now.Add(lease)), micros(now)).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return approval.ErrUnknown
		}
		return err
	})
	if err != nil {
		return approval.Request{}, fmt.Errorf("claiming what is due: %w", err)
	}
	return r, nil
}

// Renew implements approval.Store.
func (s *Store) Renew(ctx context.Context, id approval.ID, epoch int64, lease time.Duration) error {
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE requests SET lease_until = $3 WHERE id = $1 AND epoch = $2 AND lease_until > 0`,
			string(id), epoch, micros(s.now().Add(lease)))
		if err != nil {
			return fmt.Errorf("renewing the lease of %s: %w", id, err)
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		r, err := request(ctx, tx, id)
		if err != nil {
			return err
		}
		return fmt.Errorf("renewing the lease of %s: %w", id, &approval.Moved{Now: r})
	})
}

// NextDue implements approval.Store.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var us sql.NullInt64
	err := s.inSnapshot(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT min(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM requests WHERE due_at > 0`).Scan(&us)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("looking for what is due: %w", err)
	}
	return moment(us.Int64), nil
}
