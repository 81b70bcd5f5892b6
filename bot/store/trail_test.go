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

func mustNote(t *testing.T, s *Store, e audit.Entry) {
	t.Helper()
	if err := s.Note(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func TestEntriesOfATenant(t *testing.T) {
	s, _ := fresh(t)
	for _, e := range []audit.Entry{
		{Kind: audit.Started},
		{Kind: audit.Watched, Tenant: "prod"},
		{Kind: audit.Watched, Tenant: "staging"},
		{Kind: audit.Alarmed, Tenant: "prod"},
		{Kind: audit.Started},
		{Kind: audit.Overdue, Tenant: "prod"},
	} {
		mustNote(t, s, e)
	}
	for _, want := range []struct {
		tenant string
		kinds  []audit.Kind
		seq    int64
	}{
		{"", []audit.Kind{audit.Started}, 5},
		{"", []audit.Kind{audit.Stopped}, 0},
		{"prod", []audit.Kind{audit.Watched, audit.Alarmed}, 4},
		{"prod", []audit.Kind{audit.Watched}, 2},
		{"staging", []audit.Kind{audit.Alarmed, audit.Watched}, 3},
	} {
		e, err := s.Latest(t.Context(), want.tenant, want.kinds...)
		if err != nil {
			t.Fatal(err)
		}
		if e == nil && want.seq != 0 || e != nil && e.Seq != want.seq {
			t.Errorf("the latest of %q, %v is %+v, want entry %d", want.tenant, want.kinds, e, want.seq)
		}
	}
	entries, err := s.EntriesOf(t.Context(), "prod", 2, 10)
	if err != nil || len(entries) != 2 || entries[0].Seq != 4 || entries[1].Seq != 6 {
		t.Errorf("after entry 2 the tenant has %+v (%v)", entries, err)
	}
	if _, err := s.write.Exec(`UPDATE trail SET line = replace(line, 'alarmed', 'watched') WHERE seq = 4`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Latest(t.Context(), "prod", audit.Alarmed); !errors.Is(err, audit.ErrForged) {
		t.Errorf("the latest was forged: %v", err)
	}
}

func TestEachEndHasItsCheckpoint(t *testing.T) {
	s, c := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	c.pass(time.Minute)
	m := approval.Move{ID: "kt-1", From: approval.States, To: approval.Denied, Entry: entry(audit.Denied, "kt-1", "deny")}
	r, err := s.Move(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 2 {
		t.Errorf("the revision is %d, and the end is entry 2", r.Revision)
	}
	if err := s.Checkpoint(t.Context(), "checkpoint:2026-11-23"); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(t.Context(), "checkpoint:2026-11-23"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Entries(t.Context(), 2, 10)
	if err != nil || len(entries) != 2 {
		t.Fatalf("after the end there are %+v (%v)", entries, err)
	}
	for i, e := range entries {
		got, err := audit.ReadCheckpoint(e.Checkpoint, s.Public())
		if err != nil {
			t.Fatal(err)
		}
		root, err := s.Root(t.Context(), int64(2+i))
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != audit.Checkpointed || e.Request != "" || got.Size != int64(2+i) || !strings.HasPrefix(root, fmtRoot(got)) {
			t.Errorf("entry %d: %+v, which says %+v; the root is %s", e.Seq, e, got, root)
		}
	}
	// What does not take place has none.
	if _, err := s.Move(t.Context(), approval.Move{ID: "kt-1", From: []approval.State{approval.Pending}, To: approval.Cancelled, Entry: entry(audit.Cancelled, "kt-1", "cancel")}); err == nil {
		t.Fatal("cancelled after the end")
	}
	if n, err := s.Size(t.Context()); err != nil || n != 4 {
		t.Errorf("the trail has %d entries (%v), want 4", n, err)
	}
}

func fmtRoot(c audit.Checkpoint) string { return fmt.Sprintf("%x", c.Root[:]) }

func TestTheKeyHasToFitTheTrail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	key := path + ".key"
	s := mustOpen(t, path, time.Now)
	public := s.Public()
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v", info, err)
	}
	own, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	mustNote(t, s, audit.Entry{Kind: audit.Started, Key: public})
	mustNote(t, s, audit.Entry{Kind: audit.Started, Key: "what a later start says does not count"})
	s.Close()

	other, err := audit.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"another key":          func() error { return os.WriteFile(key, []byte(other), 0o600) },
		"no key":               func() error { return os.WriteFile(key, []byte("nonsense\n"), 0o600) },
		"gone":                 func() error { return os.RemoveAll(key) },
		"for everybody's eyes": func() error { return errors.Join(os.WriteFile(key, own, 0o600), os.Chmod(key, 0o604)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(t.Context(), path, key, time.Now); !errors.Is(err, ErrKey) {
			t.Errorf("%s: opened, %v", name, err)
			if err == nil {
				s.Close()
			}
		} else if strings.Contains(err.Error(), string(own[len(own)-20:])) {
			t.Errorf("%s: the error has the key in it: %v", name, err)
		}
		if err := os.RemoveAll(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(key, own, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := mustOpen(t, path, time.Now); s.Public() != public {
		t.Errorf("opened again it is %s, and was %s", s.Public(), public)
	}
}
