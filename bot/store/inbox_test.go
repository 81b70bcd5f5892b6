package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"modernc.org/sqlite"
)

// slowInbox is a store in a bubble. Whoever's row is being inserted waits until it is
// let go; a row called bad cannot be inserted.
type slowInbox struct {
	t *testing.T
	*Store
	returned chan outcome // of Receive
}

type outcome struct {
	id  string
	err error
}

// letGo is closed to let inserts go. It is no slowInbox's own, since the driver
// registers a function for all connections.
var letGo chan struct{}

var registerLetGo = sync.OnceFunc(func() {
	sqlite.MustRegisterScalarFunction("let_go", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		<-letGo
		return nil, nil
	})
})

func inSlowInbox(t *testing.T, test func(t *testing.T, s *slowInbox)) {
	registerLetGo()
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		letGo = make(chan struct{})
		s := &slowInbox{t: t, Store: mustOpen(t, path, time.Now), returned: make(chan outcome, 10)}
		if _, err := s.write.Exec(`CREATE TRIGGER slow AFTER INSERT ON inbox BEGIN
			SELECT let_go();
			SELECT RAISE(ABORT, 'this row is bad') WHERE new.id = 'bad';
		END`); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// receive begins to receive, and returns once that waits.
func (s *slowInbox) receive(ctx context.Context, id string) {
	go func() { s.returned <- outcome{id, s.Receive(ctx, id, "payload of "+id)} }()
	synctest.Wait()
}

// outcomes returns the errors of those that have returned by now.
func (s *slowInbox) outcomes() map[string]error {
	synctest.Wait()
	all := map[string]error{}
	for len(s.returned) > 0 {
		o := <-s.returned
		all[o.id] = o.err
	}
	return all
}

func (s *slowInbox) wantKept(want ...string) {
	s.t.Helper()
	if got := unworked(s.t, s.Store, time.Time{}); !cmp.Equal(got, want) {
		s.t.Errorf("kept are %v, want %v", got, want)
	}
}

func TestReceiveReturnsAfterTheCommit(t *testing.T) {
	inSlowInbox(t, func(t *testing.T, s *slowInbox) {
		for _, id := range []string{"e1", "e2", "e3", "e2"} { // e1 is being inserted, the others wait for it
			s.receive(t.Context(), id)
			time.Sleep(time.Millisecond)
		}
		if got := s.outcomes(); len(got) != 0 {
			t.Errorf("returned before anything was committed: %v", got)
		}
		s.wantKept()
		close(letGo)
		got := s.outcomes()
		for _, id := range []string{"e1", "e2", "e3"} {
			if err, ok := got[id]; !ok || err != nil {
				t.Errorf("%s returned: %v, with %v", id, ok, err)
			}
		}
		s.wantKept("e1", "e2", "e3")
	})
}

func TestACommitFailsForAllOfIt(t *testing.T) {
	inSlowInbox(t, func(t *testing.T, s *slowInbox) {
		for _, id := range []string{"e1", "e2", "bad", "e3"} {
			s.receive(t.Context(), id)
			time.Sleep(time.Millisecond)
		}
		close(letGo)
		got := s.outcomes()
		if err, ok := got["e1"]; !ok || err != nil {
			t.Errorf("e1, which was committed before: returned %v, with %v", ok, err)
		}
		for _, id := range []string{"e2", "bad", "e3"} {
			if got[id] == nil {
				t.Errorf("%s has no error, and its commit failed", id)
			}
		}
		s.wantKept("e1")
		s.receive(t.Context(), "e2") // as Slack's user presses again
		if err := s.outcomes()["e2"]; err != nil {
			t.Errorf("a commit after one that failed: %v", err)
		}
		s.wantKept("e1", "e2")
	})
}

func TestWhoGivesUpWaitingIsNotKept(t *testing.T) {
	inSlowInbox(t, func(t *testing.T, s *slowInbox) {
		s.receive(t.Context(), "e1")
		ctx, cancel := context.WithCancel(t.Context())
		s.receive(ctx, "e2") // the first of its commit
		s.receive(t.Context(), "e3")
		cancel()
		if got := s.outcomes(); len(got) != 1 || !errors.Is(got["e2"], context.Canceled) {
			t.Errorf("returned with %v, want e2 alone, with %v", got, context.Canceled)
		}
		close(letGo)
		if got := s.outcomes(); len(got) != 2 || got["e1"] != nil || got["e3"] != nil {
			t.Errorf("returned with %v, want e1 and e3", got)
		}
		s.wantKept("e1", "e3")
	})
}

// A person whose press is kept must not hear that it is not.
func TestACommitThatHasBegunIsWaitedFor(t *testing.T) {
	inSlowInbox(t, func(t *testing.T, s *slowInbox) {
		ctx, cancel := context.WithCancel(t.Context())
		s.receive(ctx, "e1")
		cancel()
		if got := s.outcomes(); len(got) != 0 {
			t.Errorf("returned with %v, and the row was being inserted", got)
		}
		close(letGo)
		if err, ok := s.outcomes()["e1"]; !ok || err != nil {
			t.Errorf("returned: %v, with %v", ok, err)
		}
		s.wantKept("e1")
	})
}

// A disk that hangs is not waited for beyond callTimeout.
func TestReceiveWaitsForTheConnectionInVain(t *testing.T) {
	inSlowInbox(t, func(t *testing.T, s *slowInbox) {
		conn, err := s.write.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.receive(t.Context(), "e1")
		time.Sleep(callTimeout - time.Second)
		s.receive(t.Context(), "e2")
		if got := s.outcomes(); len(got) != 0 {
			t.Errorf("returned early with %v", got)
		}
		time.Sleep(time.Second)
		if got := s.outcomes(); !errors.Is(got["e1"], context.DeadlineExceeded) || got["e2"] == nil {
			t.Errorf("returned with %v, want two errors", got)
		}
	})
}

// What was worked loses its words after a while, and its id is known all the same.
func TestWorkedRowsLoseTheirWords(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s := mustOpen(t, path, func() time.Time { return now })
	defer s.Close()
	receive := func(id string) {
		t.Helper()
		if err := s.Receive(t.Context(), id, "the words of "+id); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"old", "young", "open"} {
		receive(id)
	}
	worked := func(id string) {
		t.Helper()
		if err := s.Worked(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	worked("old")
	now = now.Add(time.Hour)
	worked("young")
	for range 2 { // again is nothing
		if err := s.ForgetWorked(t.Context(), now.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	receive("old") // once more
	got := map[string]string{}
	rows, err := s.read.Query(`SELECT id, payload FROM inbox`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, payload string
		if err := rows.Scan(&id, &payload); err != nil {
			t.Fatal(err)
		}
		got[id] = payload
	}
	want := map[string]string{"old": "", "young": "the words of young", "open": "the words of open"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the inbox (-want +got):\n%s", diff)
	}
	if open := unworked(t, s, time.Time{}); !cmp.Equal(open, []string{"open"}) {
		t.Errorf("to be worked are %v", open)
	}
	rows.Close()
	s.Close() // which takes the write-ahead log into the file
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]bool{"the words of old": false, "the words of open": true} {
		if got := bytes.Contains(file, []byte(words)); got != want {
			t.Errorf("the file has %q: %v, want %v", words, got, want)
		}
	}
}

// However much is forgotten at once, no transaction takes all of it.
func TestManyRowsAreForgotten(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "keyturn.db"), time.Now)
	defer s.Close()
	if _, err := s.write.Exec(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
		INSERT INTO inbox (id, payload, received_at, worked_at)
		SELECT 'e' || i, 'words', 1, 1 FROM n`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.forgetWorked(t.Context(), time.Now()); err != nil || n != forgotten {
		t.Errorf("one transaction forgot %d: %v", n, err)
	}
	if err := s.ForgetWorked(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	left := 0
	err := s.read.QueryRow(`SELECT count(*) FROM inbox WHERE payload <> ''`).Scan(&left)
	if err != nil || left > 0 {
		t.Errorf("%d rows have their words: %v", left, err)
	}
}
