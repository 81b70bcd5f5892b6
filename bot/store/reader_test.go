package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/audit"
)

// names lists a folder.
func names(t *testing.T, folder string) (out []string) {
	t.Helper()
	all, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		out = append(out, f.Name())
	}
	return out
}

func TestAReaderChangesNothing(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "keyturn.db")
	s := mustOpen(t, path, time.Now)
	mustNote(t, s, audit.Entry{Kind: audit.Started, Key: s.Public()})
	entries := func(path string) (n int) {
		t.Helper()
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.At(t.Context(), func(m *Moment) error {
			if _, err := m.tx.Exec(`DELETE FROM trail`); err == nil {
				t.Error("a reader could write")
			}
			v, err := m.Verify("")
			if err == nil {
				n = len(v.Faults)
				if n == 0 {
					n = int(v.Size)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := names(t, folder)
	if n := entries(path); n != 1 {
		t.Errorf("beside the writer: %d entries", n)
	}
	if diff := cmp.Diff(before, names(t, folder)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
	mustNote(t, s, audit.Entry{Kind: audit.Stopped})
	if n := entries(path); n != 2 {
		t.Errorf("after another commit: %d entries", n)
	}

	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := s.write.Exec(`VACUUM INTO ?`, backup); err != nil {
		t.Fatal(err)
	}
	if n := entries(backup); n != 2 {
		t.Errorf("in a backup: %d entries", n)
	}
	if diff := cmp.Diff([]string{"backup.db"}, names(t, filepath.Dir(backup))); diff != "" {
		t.Errorf("beside the backup (-want +got):\n%s", diff)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before = names(t, folder)
	if n := entries(path); n != 2 {
		t.Errorf("after the writer: %d entries", n)
	}
	if diff := cmp.Diff(before, names(t, folder)); diff != "" {
		t.Errorf("files after the writer (-before +after):\n%s", diff)
	}
}

func TestAReaderSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte("no database at all, but long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(folder, "nothing"), folder, text} {
		if r, err := OpenReader(context.Background(), path); err == nil {
			t.Errorf("%s was opened", path)
			r.Close()
		}
	}
}

// TestATrailFromBeforeItHadAKey has ends without checkpoints, which are none to be missed.
func TestATrailFromBeforeItHadAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := mustOpen(t, path, time.Now)
	verify := func() (faults []audit.Fault) {
		t.Helper()
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.At(t.Context(), func(m *Moment) error {
			v, err := m.Verify("")
			if err == nil {
				faults = v.Faults
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return faults
	}
	old := func(e audit.Entry) error {
		return s.inTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := appendEntry(ctx, tx, e, s.now())
			return err
		})
	}
	if err := old(audit.Entry{Kind: audit.Denied}); err != nil {
		t.Fatal(err)
	}
	mustNote(t, s, audit.Entry{Kind: audit.Started, Key: s.Public()})
	mustNote(t, s, audit.Entry{Kind: audit.Denied})
	if faults := verify(); len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
	if err := old(audit.Entry{Kind: audit.Denied}); err != nil {
		t.Fatal(err)
	}
	if faults := verify(); len(faults) != 1 || faults[0].Seq != 5 {
		t.Errorf("an end without a checkpoint: %v", faults)
	}
}
