package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// This file sees to it that what is committed is kept where the next start looks for it.
// SQLite goes on writing into a file that was removed or replaced, and says that it is
// well: all of it would be gone with the process.

// ErrMoved is returned where the file of the database, or its write-ahead log, is not the
// one any more that was opened. Nothing is lost if it is put back.
var ErrMoved = errors.New("the database was removed or replaced under us; put it back, or restart keyturn on the one that is there")

// files are the database and its write-ahead log, as they were opened. The log lives as
// long as a connection does.
type files struct {
	path      string
	main, log os.FileInfo
}

// opened takes note of the files, once the log is there.
func opened(path string) (f files, err error) {
	f.path = path
	if f.main, err = os.Stat(path); err != nil {
		return f, err
	}
	f.log, err = os.Stat(path + "-wal")
	return f, err
}

// inPlace returns ErrMoved unless the files are where they were opened.
func (f files) inPlace() error {
	for path, was := range map[string]os.FileInfo{f.path: f.main, f.path + "-wal": f.log} {
		now, err := os.Stat(path)
		if err != nil || !os.SameFile(was, now) {
			return fmt.Errorf("%s: %w", path, ErrMoved)
		}
	}
	return nil
}

// kept makes a write, and fails unless the files are in their place before it and after it:
// perhaps they went before the commit.
func (f files) kept(write func() error) error {
	if err := f.inPlace(); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	return f.inPlace()
}

// probeSize is about what a press and what follows from it need of the disk.
const probeSize = 32 << 10

// Writable returns nil if the trail can be written now, by writing as much as a press
// would, synced like any commit. A disk that is full is to be known before an incident.
func (s *Store) Writable(ctx context.Context) error {
	filler := strings.Repeat(rand.Text()[:16], probeSize/16) // other bytes than the last time
	return s.exec(ctx, "writing", `INSERT INTO probe (one, filler) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET filler = excluded.filler`, filler)
}
