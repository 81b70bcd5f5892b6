package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// Reader reads a database beside the keyturn that writes it, or a copy of one. It takes
// no lock and changes nothing. It makes no file, except that SQLite needs a -shm beside a
// write-ahead log that a killed keyturn left behind.
type Reader struct {
	db    *sql.DB
	path  string
	alone bool // there was no write-ahead log: nobody has it open
}

// OpenReader opens the SQLite file at path. The error says so if there is none, or one
// that no keyturn made.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, and not a database", path)
	}
	r := &Reader{path: path, alone: isAlone(path)}
	how := "&mode=ro"
	if r.alone {
		// SQLite would make the files that it needs beside a database in WAL mode, or fail
		// where nothing may be written. All is in the one file as long as nobody opens it.
		how += "&immutable=1"
	}
	if r.db, err = sql.Open("sqlite", dsn(path, "query_only(1)")+how); err != nil {
		return nil, err
	}
	var size int64
	if err := r.db.QueryRowContext(ctx, `SELECT size FROM trail_head`).Scan(&size); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), r.db.Close())
	}
	return r, nil
}

// isAlone reports whether no write-ahead log is beside the file.
func isAlone(path string) bool {
	_, err := os.Stat(path + "-wal")
	return errors.Is(err, fs.ErrNotExist)
}

// Close closes the database.
func (r *Reader) Close() error { return r.db.Close() }

// At calls f with the database as it is at one moment, whatever is committed meanwhile.
func (r *Reader) At(ctx context.Context, f func(*Moment) error) error {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	err = f(&Moment{ctx, tx})
	if r.alone && !isAlone(r.path) {
		return errors.New("a keyturn was started on it meanwhile; try again")
	}
	return err
}

// Moment is a database at one moment. Its trail is read as it is kept: nothing of it is
// proven.
type Moment struct {
	ctx context.Context // of the transaction, which is as short-lived as this
	tx  *sql.Tx
}

var _ audit.Keeping = (*Moment)(nil)

// Size implements audit.Keeping.
func (m *Moment) Size() (int64, error) { return size(m.ctx, m.tx) }

// Each implements audit.Keeping.
func (m *Moment) Each(f func(audit.Kept) error) error {
	return each(m, "reading the entries", `SELECT seq, at, kind, tenant, request, COALESCE(cause, ''), line FROM trail ORDER BY seq`, func(scan func(...any) error) error {
		var k audit.Kept
		var at int64
		if err := scan(&k.Seq, &at, &k.Kind, &k.Tenant, &k.Request, &k.Cause, &k.Line); err != nil {
			return err
		}
		k.At = time.UnixMicro(at)
		return f(k)
	})
}

// EachHash implements audit.Keeping.
func (m *Moment) EachHash(f func(index int64, hash string) error) error {
	return each(m, "reading the hashes", `SELECT idx, hash FROM trail_hash ORDER BY idx`, func(scan func(...any) error) error {
		var index int64
		var hash string
		if err := scan(&index, &hash); err != nil {
			return err
		}
		return f(index, hash)
	})
}

// Verify is audit.Verify, and beyond that holds the file against what SQLite knows of it,
// and the row of each request against its entries.
func (m *Moment) Verify(key string) (*audit.Verified, error) {
	v, err := audit.Verify(m, key)
	if err != nil {
		return nil, err
	}
	stories := map[string][]audit.Entry{}
	if err := audit.EachEntry(m, func(e audit.Entry) error {
		if e.Request != "" {
			stories[e.Request] = append(stories[e.Request], e)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err := collect(m.ctx, m.tx, `SELECT `+columns+` FROM requests ORDER BY asked_at, id`, nil, scanRequest)
	if err != nil {
		return nil, fmt.Errorf("reading the requests: %w", err)
	}
	for _, r := range rows {
		if err := approval.Agrees(r, stories[string(r.ID)]); err != nil {
			v.Faults = append(v.Faults, audit.Fault{What: fmt.Sprintf("request %s: %v", r.ID, err)})
		}
		delete(stories, string(r.ID))
	}
	for _, id := range slices.Sorted(maps.Keys(stories)) {
		if asked := audit.Last(stories[id], audit.Asked); asked != nil { // else somebody pressed what there is not
			v.Faults = append(v.Faults, audit.Fault{Seq: asked.Seq, What: "is of request " + id + ", and its row is gone"})
		}
	}
	broken, err := collect(m.ctx, m.tx, `PRAGMA integrity_check`, nil, scanText)
	if err != nil {
		return nil, fmt.Errorf("checking the file: %w", err)
	}
	for _, what := range broken {
		if what != "ok" {
			v.Faults = append(v.Faults, audit.Fault{What: "the file is damaged: " + what})
		}
	}
	return v, nil
}

func each(m *Moment, doing, query string, f func(scan func(...any) error) error) error {
	rows, err := m.tx.QueryContext(m.ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
