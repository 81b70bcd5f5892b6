package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// causes are the ways in which the trail cannot be written, and how each is mended.
var causes = map[string]struct {
	spoil, mend func(t *testing.T, s *Store, path string)
	moved       bool
}{
	"renamed":            {rename("", ".away"), rename(".away", ""), true},
	"replaced by a copy": {replace, rename(".away", ""), true},
	"its log renamed":    {rename("-wal", ".away"), rename(".away", "-wal"), true},
	"read-only":          {pragma("query_only = 1"), pragma("query_only = 0"), false},
	"full":               {fill, pragma("max_page_count = 1000000"), false},
}

func rename(from, to string) func(*testing.T, *Store, string) {
	return func(t *testing.T, _ *Store, path string) {
		t.Helper()
		if err := os.Rename(path+from, path+to); err != nil {
			t.Fatal(err)
		}
	}
}

func replace(t *testing.T, s *Store, path string) {
	t.Helper()
	if _, err := s.write.Exec(`VACUUM INTO ?`, path+".copy"); err != nil {
		t.Fatal(err)
	}
	rename("", ".away")(t, s, path)
	rename(".copy", "")(t, s, path)
}

func pragma(what string) func(*testing.T, *Store, string) {
	return func(t *testing.T, s *Store, _ string) {
		t.Helper()
		if _, err := s.write.Exec(`PRAGMA ` + what); err != nil { // there is one writing connection
			t.Fatal(err)
		}
	}
}

// fill lets the database take not one page more, and uses up those it has.
func fill(t *testing.T, s *Store, path string) {
	t.Helper()
	pragma("max_page_count = 1")(t, s, path) // SQLite takes what it has already for the least
	for {
		if err := s.Note(t.Context(), audit.Entry{Kind: audit.Watched, Note: strings.Repeat("x", 3000)}); err != nil {
			return
		}
	}
}

// TestATrailThatCannotBeWritten tries each kind of write: none takes place, each says so,
// and once it is mended all do.
func TestATrailThatCannotBeWritten(t *testing.T) {
	for name, c := range causes {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyturn.db")
			s := mustOpen(t, path, time.Now)
			r := sample("kt-1", "k1")
			r.ExpiresAt = time.Now().Add(time.Hour)
			mustCreate(t, s, r)
			c.spoil(t, s, path)
			before, err := s.Size(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			big := strings.Repeat("x", 50_000) // what a full disk has no room for
			writes := map[string]func() error{
				"create": func() error {
					other := sample("kt-2", "k2")
					e := entry(audit.Asked, "kt-2", "ask:kt-2")
					e.Note = big
					_, err := s.Create(t.Context(), other, e)
					return err
				},
				"move": func() error {
					m := approve("kt-1", "U2")
					m.Entry.Note = big
					_, err := s.Move(t.Context(), m)
					return err
				},
				"note":    func() error { return s.Note(t.Context(), audit.Entry{Kind: audit.Alarmed, Cause: "c", Note: big}) },
				"receive": func() error { return s.Receive(t.Context(), "E1", big) },
				"position": func() error {
					return s.SetPosted(t.Context(), "C"+big, 1)
				},
			}
			for what, write := range writes {
				err := write()
				if err == nil {
					t.Errorf("%s: it was written", what)
				}
				if errors.Is(err, ErrMoved) != c.moved {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := s.Writable(t.Context()); err == nil {
				t.Error("it says that the trail can be written")
			}
			if after, err := s.Size(t.Context()); err != nil || after != before {
				t.Errorf("the trail has %d entries, and had %d (%v)", after, before, err)
			}
			if now, err := s.Request(t.Context(), "kt-1"); err != nil || now.State != approval.Pending {
				t.Errorf("the request is %s (%v)", now.State, err)
			}

			c.mend(t, s, path)
			for what, write := range writes {
				if err := write(); err != nil {
					t.Errorf("mended, %s: %v", what, err)
				}
			}
			if err := s.Writable(t.Context()); err != nil {
				t.Errorf("mended: %v", err)
			}
			if after, err := s.Size(t.Context()); err != nil || after != before+3 {
				t.Errorf("mended, the trail has %d entries, and had %d (%v)", after, before, err)
			}
		})
	}
}

// TestARemovedDatabaseTakesNothing, though SQLite would go on writing into it.
func TestARemovedDatabaseTakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := mustOpen(t, path, time.Now)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), audit.Entry{Kind: audit.Started}); !errors.Is(err, ErrMoved) {
		t.Errorf("a note in a database that was removed: %v", err)
	}
	if err := s.Writable(t.Context()); !errors.Is(err, ErrMoved) {
		t.Errorf("writable: %v", err)
	}
}

// TestTheLogIsNotHeldUp: a connection that is kept open must not keep an old state with it,
// or the write-ahead log would grow for ever, and stay when keyturn stops.
func TestTheLogIsNotHeldUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := mustOpen(t, path, time.Now)
	for range 400 { // 13 MB in all
		if err := s.Writable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() > 8<<20 {
		t.Errorf("the log: %v, %v", info.Size(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !isAlone(path) {
		t.Error("the log is there after keyturn stopped")
	}
}

// BenchmarkInPlace is what looking whether the files are in place costs, beside the commit
// that it is made twice for.
func BenchmarkInPlace(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keyturn.db")
	s, err := Open(b.Context(), path, path+".key", time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var looks, commits time.Duration
	for i := range b.N {
		start := time.Now()
		if err := errors.Join(s.files.inPlace(), s.files.inPlace()); err != nil {
			b.Fatal(err)
		}
		looks += time.Since(start)
		start = time.Now()
		if err := s.Note(b.Context(), audit.Entry{Kind: audit.Watched, Cause: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
		commits += time.Since(start)
	}
	b.ReportMetric(float64(looks)/float64(commits), "looks/commit")
}
