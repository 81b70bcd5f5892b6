package serve

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"keyturn/bot/audit"
	"keyturn/bot/store"
)

func TestStartsAreRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	db, err := store.Open(t.Context(), path, path+".key", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	start := func(cfg Config) {
		t.Helper()
		s := &server{cfg: cfg, db: db, log: zerolog.Nop()}
		if err := s.recordStart(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.recordStop(t.Context())
	}
	one := Config{Approvers: []string{"U1", "U2"}, Requesters: []string{"*"}, ByTenant: []TenantConfig{{Name: "prod", Approvers: []string{"U3"}}}}
	two := Config{Approvers: []string{"U1"}, Requesters: []string{"*"}}
	start(one)
	start(one)
	start(two)
	start(two)

	entries, err := db.Entries(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Kind     audit.Kind
		Note     bool
		Policy   string
		Settings bool
	}
	var got []line
	for _, e := range entries {
		got = append(got, line{e.Kind, e.Note != "", e.Policy, len(e.Config) > 0})
		if e.Kind == audit.Started && e.Key != db.Public() {
			t.Errorf("entry %d names the key %q", e.Seq, e.Key)
		}
	}
	want := []line{
		{audit.Started, true, one.policy().Digest(), true}, // the first names the key, and is posted
		{audit.Stopped, false, "", false},
		{audit.Started, false, one.policy().Digest(), true},
		{audit.Stopped, false, "", false},
		{audit.PolicyChanged, true, two.policy().Digest(), false},
		{audit.Started, false, two.policy().Digest(), true},
		{audit.Stopped, false, "", false},
		{audit.Started, false, two.policy().Digest(), true},
		{audit.Stopped, false, "", false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	const words = "Who may ask and approve was changed since the last start. KEYTURN_APPROVERS was U1,U2 and is U1. KEYTURN_TENANT_PROD_APPROVERS was U3 and is not set."
	if entries[4].Note != words {
		t.Errorf("it says %q, want %q", entries[4].Note, words)
	}
}

// What people typed is in the inbox for a day after it was worked, and not much longer.
func TestTheInboxForgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), path, path+".key", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		reader, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		if err := db.Receive(t.Context(), "e1", "the words"); err != nil {
			t.Fatal(err)
		}
		if err := db.Worked(t.Context(), "e1"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			(&server{db: db, log: zerolog.Nop()}).forgetHourly(ctx)
		}()
		for _, step := range []struct {
			d    time.Duration
			want string
		}{{23 * time.Hour, "the words"}, {2*time.Hour + time.Minute, ""}} {
			time.Sleep(step.d)
			synctest.Wait()
			var got string
			err := reader.QueryRow(`SELECT payload FROM inbox WHERE id = 'e1'`).Scan(&got)
			if err != nil || got != step.want {
				t.Errorf("%v later the inbox has %q, %v; want %q", step.d, got, err, step.want)
			}
		}
		stop()
		<-ended
	})
}
