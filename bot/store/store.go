// Package store keeps requests, the trail, the inbox and what Slack was shown, in
// one SQLite file. A request and its entry move in one transaction, or not at all.
//
// It keeps and finds; it has no rules. The file is trusted with being kept, not with
// being true: whoever can write it can change a row, which is why the carrier
// believes only the sealed entries.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"keyturn/bot/audit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// callTimeout bounds each call: a disk that hangs must not hang a press with it.
const callTimeout = 5 * time.Second

// Store is an open database. It is safe for concurrent use; one process at a time
// has it open.
type Store struct {
	write  *sql.DB // one connection: writers queue here and not at the file's lock
	read   *sql.DB
	held   *sql.Conn // kept open: SQLite removes the write-ahead log with the last connection
	lock   *flock.Flock
	signer *audit.Signer
	files  files
	now    func() time.Time

	mu       sync.Mutex
	changed  chan struct{}
	arrivals []*arrival // for the inbox; they wait for the writing connection
}

// ErrInUse is returned where another process has the database open.
var ErrInUse = errors.New("another keyturn uses this database")

// Open opens the SQLite file at path, makes it if there is none, migrates it, and
// gives up the leases of the process before: the lock file beside it (path.lock)
// says that there is no other. ErrInUse: there is one. keyFile holds the key that signs
// the checkpoints; a trail without one gets one. ErrKey: it is not this trail's.
func Open(ctx context.Context, path, keyFile string, now func() time.Time) (*Store, error) {
	s := &Store{now: now, changed: make(chan struct{}), lock: flock.New(path + ".lock")}
	locked, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", s.lock.Path(), err)
	}
	if !locked {
		return nil, fmt.Errorf("locking %s: %w", s.lock.Path(), ErrInUse)
	}
	if err := s.open(ctx, path); err != nil {
		s.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if err := s.openSigner(ctx, keyFile); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) (err error) {
	// What people typed is nobody else's on this host; SQLite gives its other files
	// the mode of this one.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	// With synchronous FULL a commit in WAL mode is on the disk before it returns;
	// SQLite's default for WAL would lose the last ones at a power cut. With secure_delete
	// words that are forgotten leave no bytes behind in the file.
	writes := dsn(path, "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(1)")
	if s.write, err = sql.Open("sqlite", writes+existing+"&_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, "synchronous(FULL)", "query_only(1)")+existing); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(5)

	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, dir)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if _, err = s.write.ExecContext(ctx, `UPDATE requests SET lease_until = 0, lease_owner = '' WHERE lease_until > 0`); err != nil {
		return err
	}
	if s.held, err = s.read.Conn(ctx); err != nil {
		return err
	}
	var size int64
	if err := s.held.QueryRowContext(ctx, `SELECT size FROM trail_head`).Scan(&size); err != nil {
		return err
	}
	s.files, err = opened(path)
	return err
}

// existing keeps SQLite from making an empty database where ours was taken away.
const existing = "&mode=rw"

func dsn(path string, pragmas ...string) string {
	v := url.Values{"_pragma": append(pragmas, "busy_timeout(5000)")}
	return "file:" + strings.ReplaceAll(url.PathEscape(filepath.ToSlash(path)), "%2F", "/") + "?" + v.Encode()
}

// Close closes the database. What was committed stays.
func (s *Store) Close() error {
	var errs []error
	if s.held != nil {
		errs = append(errs, s.held.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}

// Changed returns a channel that is closed at the next commit.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// inTx runs f in a transaction. An error of f, or of the commit, leaves nothing
// behind, except that a commit which was not answered may have been kept, or that one was
// made into files which are in their place no more (ErrMoved).
func (s *Store) inTx(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.files.kept(func() error {
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
		defer tx.Rollback() // after a commit it does nothing
		if err := f(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// inSnapshot runs f on one state of the database, which no commit changes meanwhile.
func (s *Store) inSnapshot(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	defer tx.Rollback()
	return f(ctx, tx)
}

// micros and moment are how times are kept.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
