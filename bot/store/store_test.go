package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

var start = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func mustOpen(t *testing.T, path string, now func() time.Time) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, path+".key", now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t *testing.T) (*Store, *clock) {
	c := &clock{t: start}
	return mustOpen(t, filepath.Join(t.TempDir(), "keyturn.db"), c.now), c
}

func sample(id approval.ID, kid string) approval.Request {
	return approval.Request{
		ID: id, Tenant: "prod", Action: approval.Revoke, State: approval.Pending, KID: kid,
		Requester: audit.Actor{Team: "T1", User: "U1", Name: "alice"},
		Pins:      audit.Pins{Key: &audit.Pin{KID: kid, SHA256: "ab"}},
		Reason:    "leak", Link: "https://x", Prepared: true, Channel: "C1",
		AskedAt: start, EnteredAt: start, ExpiresAt: start.Add(30 * time.Minute), DueAt: start.Add(30 * time.Minute),
	}
}

func entry(kind audit.Kind, id approval.ID, cause string) audit.Entry {
	return audit.Entry{Kind: kind, Cause: cause, Tenant: "prod", Request: string(id)}
}

func mustCreate(t *testing.T, s *Store, r approval.Request) approval.Request {
	t.Helper()
	r, err := s.Create(t.Context(), r, entry(audit.Asked, r.ID, "ask:"+string(r.ID)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func approve(id approval.ID, user string) approval.Move {
	return approval.Move{
		ID: id, From: []approval.State{approval.Pending}, Unexpired: true, To: approval.Approved, DueAt: start, Release: true,
		Approver: &audit.Actor{Team: "T1", User: user}, Entry: entry(audit.Approved, id, "approve:"+string(id)+":"+user),
	}
}

func TestRequestAndEntryMoveTogether(t *testing.T) {
	s, c := fresh(t)
	want := mustCreate(t, s, sample("kt-1", "k1"))
	got, err := s.Request(t.Context(), "kt-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the row read back (-want +got):\n%s", diff)
	}

	c.pass(time.Minute)
	now, err := s.Move(t.Context(), approve("kt-1", "U2"))
	if err != nil {
		t.Fatal(err)
	}
	want.State, want.Approver, want.EnteredAt, want.DueAt, want.Revision = approval.Approved, audit.Actor{Team: "T1", User: "U2"}, start.Add(time.Minute), start, 2
	want.Epoch = 1 // a person's move takes the row from whoever claimed it
	if diff := cmp.Diff(want, now); diff != "" {
		t.Errorf("the row after the move (-want +got):\n%s", diff)
	}
	story, err := s.Story(t.Context(), "kt-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(story) != 2 || story[1].Kind != audit.Approved || story[1].Seq != 2 || !story[1].Time.Equal(start.Add(time.Minute)) {
		t.Errorf("the story is %+v", story)
	}
}

func TestALostMoveLeavesNoEntry(t *testing.T) {
	s, c := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	for name, m := range map[string]approval.Move{
		"another state": {ID: "kt-1", From: []approval.State{approval.Working}, To: approval.Done, Entry: entry(audit.Done, "kt-1", "a")},
		"another epoch": {ID: "kt-1", From: []approval.State{approval.Pending}, Epoch: 7, To: approval.Expired, Entry: entry(audit.Expired, "kt-1", "b")},
	} {
		var moved *approval.Moved
		if _, err := s.Move(t.Context(), m); !errors.As(err, &moved) || moved.Now.State != approval.Pending {
			t.Errorf("%s: got %v, want it to say that the row is pending", name, err)
		}
	}
	c.pass(30 * time.Minute)
	var moved *approval.Moved
	if _, err := s.Move(t.Context(), approve("kt-1", "U2")); !errors.As(err, &moved) {
		t.Errorf("an approval at the very expiry: got %v, want it refused", err)
	}
	if _, err := s.Move(t.Context(), approval.Move{ID: "kt-9", From: []approval.State{approval.Pending}, To: approval.Denied}); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("an unknown request: got %v", err)
	}
	if n, err := s.Size(t.Context()); n != 1 || err != nil {
		t.Errorf("the trail has %d entries (%v), want 1", n, err)
	}
}

func TestACauseIsRecordedOnce(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	var recorded *approval.Recorded
	if _, err := s.Create(t.Context(), sample("kt-2", "k1"), entry(audit.Asked, "kt-2", "ask:kt-1")); !errors.As(err, &recorded) || recorded.Now.ID != "kt-1" {
		t.Errorf("asked again: got %v", err)
	}
	if _, err := s.Move(t.Context(), approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Move(t.Context(), approve("kt-1", "U2")); !errors.As(err, &recorded) || recorded.Seq != 2 || recorded.Now.State != approval.Approved {
		t.Errorf("approved again: got %v", err)
	}
}

func TestOneOfEach(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	var blocked *approval.Blocked
	if _, err := s.Create(t.Context(), sample("kt-2", "k1"), entry(audit.Asked, "kt-2", "x")); !errors.As(err, &blocked) || blocked.By.ID != "kt-1" {
		t.Errorf("the same asked for twice: got %v", err)
	}
	mustCreate(t, s, sample("kt-3", "k3"))
	if _, err := s.Move(t.Context(), approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Move(t.Context(), approve("kt-3", "U2")); !errors.As(err, &blocked) || blocked.By.ID != "kt-1" {
		t.Errorf("two carried out at a time: got %v", err)
	}
	if r, err := s.Request(t.Context(), "kt-3"); err != nil || r.State != approval.Pending {
		t.Errorf("the blocked request is %s (%v), want it as it was", r.State, err)
	}
	if n, _ := s.Size(t.Context()); n != 3 {
		t.Errorf("the trail has %d entries, want 3", n)
	}
	open, err := s.OpenRequests(t.Context())
	if err != nil || len(open) != 2 {
		t.Errorf("%d requests are open (%v), want 2", len(open), err)
	}
}

func TestClaim(t *testing.T) {
	s, c := fresh(t)
	ctx := t.Context()
	mustCreate(t, s, sample("kt-1", "k1"))
	if _, err := s.Claim(ctx, "me", 30*time.Second); !errors.Is(err, approval.ErrUnknown) {
		t.Fatalf("claimed what is not due: %v", err)
	}
	if due, err := s.NextDue(ctx); err != nil || !due.Equal(start.Add(30*time.Minute)) {
		t.Errorf("next due %v (%v), want at the expiry", due, err)
	}
	if _, err := s.Move(ctx, approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Claim(ctx, "me", 30*time.Second)
	if err != nil || r.Epoch != 2 {
		t.Fatalf("claim: %+v, %v", r, err)
	}
	if _, err := s.Claim(ctx, "you", 30*time.Second); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("claimed under a lease: %v", err)
	}
	c.pass(20 * time.Second)
	if err := s.Renew(ctx, "kt-1", 2, 30*time.Second); err != nil {
		t.Error(err)
	}
	if due, _ := s.NextDue(ctx); !due.Equal(start.Add(50 * time.Second)) {
		t.Errorf("next due %v, want at the lease's end", due)
	}
	c.pass(31 * time.Second)
	r, err = s.Claim(ctx, "you", 30*time.Second)
	if err != nil || r.Epoch != 3 {
		t.Fatalf("claim after the lease: %+v, %v", r, err)
	}
	var moved *approval.Moved
	if err := s.Renew(ctx, "kt-1", 2, 30*time.Second); !errors.As(err, &moved) {
		t.Errorf("renewed a lost lease: %v", err)
	}
	m := approval.Move{ID: "kt-1", From: []approval.State{approval.Approved}, Epoch: 2, To: approval.Working, Entry: entry(audit.Began, "kt-1", "w")}
	if _, err := s.Move(ctx, m); !errors.As(err, &moved) {
		t.Errorf("moved with a lost lease: %v", err)
	}
}

func TestAPersonsMoveTakesTheRow(t *testing.T) {
	s, _ := fresh(t)
	ctx := t.Context()
	due := sample("kt-1", "k1")
	due.DueAt = start
	mustCreate(t, s, due)
	held, err := s.Claim(ctx, "me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	m := approve("kt-1", "U2")
	m.Release = false
	if _, err := s.Move(ctx, m); err != nil {
		t.Fatal(err)
	}
	var moved *approval.Moved
	if _, err := s.Move(ctx, approval.Move{ID: "kt-1", From: approval.States, Epoch: held.Epoch, To: approval.Failed}); !errors.As(err, &moved) {
		t.Errorf("whoever had the lease moved it still: %v", err)
	}
	if r, err := s.Claim(ctx, "you", time.Hour); err != nil || r.ID != "kt-1" {
		t.Errorf("claimed %s (%v), want it at once", r.ID, err)
	}
}

func TestAMoveOnAnOlderRevision(t *testing.T) {
	s, _ := fresh(t)
	r := mustCreate(t, s, sample("kt-1", "k1"))
	word := func(user string) error {
		_, err := s.Move(t.Context(), approval.Move{ID: "kt-1", From: []approval.State{approval.Pending}, Revision: r.Revision, To: approval.Pending,
			Entry: entry(audit.Stated, "kt-1", "word:"+user)})
		return err
	}
	if err := word("U1"); err != nil {
		t.Fatal(err)
	}
	var moved *approval.Moved
	if err := word("U2"); !errors.As(err, &moved) {
		t.Errorf("a second word on the same revision: %v", err)
	}
}

func TestARecheckMakesPendingRequestsDue(t *testing.T) {
	s, _ := fresh(t)
	ctx := t.Context()
	mustCreate(t, s, sample("kt-1", "k1"))
	other := sample("kt-3", "k3")
	other.Tenant = "staging"
	mustCreate(t, s, other)
	checked := sample("kt-2", "k2")
	checked.DueAt = start
	mustCreate(t, s, checked)
	held, err := s.Claim(ctx, "me", time.Hour) // it is being looked at already
	if err != nil || held.ID != "kt-2" {
		t.Fatalf("claimed %s, %v", held.ID, err)
	}
	if _, err := s.Move(ctx, approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	end := approval.Move{ID: "kt-1", From: approval.States, To: approval.Done, Recheck: true, Entry: entry(audit.Done, "kt-1", "done")}
	if _, err := s.Move(ctx, end); err != nil {
		t.Fatal(err)
	}
	var moved *approval.Moved
	if _, err := s.Move(ctx, approval.Move{ID: "kt-2", From: approval.States, Epoch: held.Epoch, To: approval.Pending, DueAt: held.ExpiresAt}); !errors.As(err, &moved) {
		t.Errorf("a look from before could put it off: %v", err)
	}
	if r, err := s.Claim(ctx, "me", time.Hour); err != nil || r.ID != "kt-2" {
		t.Errorf("claimed %s (%v), want the pending one of the tenant", r.ID, err)
	}
	if r, err := s.Claim(ctx, "me", time.Hour); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("claimed %s of another tenant", r.ID)
	}
}

func TestRotationsAreCounted(t *testing.T) {
	s, c := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	for i, kind := range []audit.Kind{audit.Rotated, audit.Revoked, audit.Rotated} {
		if _, err := s.Move(t.Context(), approval.Move{ID: "kt-1", From: approval.States, To: approval.Working, Entry: entry(kind, "kt-1", fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
		c.pass(time.Hour)
	}
	for since, want := range map[time.Duration]int{0: 2, time.Minute: 1, 3 * time.Hour: 0} {
		if n, err := s.Rotations(t.Context(), "prod", start.Add(since)); err != nil || n != want {
			t.Errorf("since %v: %d rotations (%v), want %d", since, n, err, want)
		}
	}
	if n, err := s.Rotations(t.Context(), "staging", start); err != nil || n != 0 {
		t.Errorf("another tenant's: %d (%v)", n, err)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key turn?#.db")
	s := mustOpen(t, path, func() time.Time { return start })
	mustCreate(t, s, sample("kt-1", "k1"))
	if _, err := s.Move(t.Context(), approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, path+".key", time.Now); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file has another name: %v", err)
	}
	s = mustOpen(t, path, func() time.Time { return start })
	if _, err := s.Claim(t.Context(), "me", time.Hour); err != nil {
		t.Errorf("the lease of the process before was kept: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{garbage, filepath.Join(dir, "missing", "keyturn.db"), dir} {
		if s, err := Open(t.Context(), path, path+".key", time.Now); err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name %s: %v", path, err)
		}
	}
}

func TestDurability(t *testing.T) {
	s, _ := fresh(t)
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		if err := s.write.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
	}
}

func TestAForgedEntryIsFound(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	if _, err := s.write.Exec(`UPDATE trail SET line = replace(line, 'prod', 'test')`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Story(t.Context(), "kt-1"); !errors.Is(err, audit.ErrForged) {
		t.Errorf("got %v, want %v", err, audit.ErrForged)
	}
}

func TestInbox(t *testing.T) {
	s, c := fresh(t)
	ctx := t.Context()
	for _, id := range []string{"e2", "e1", "e2"} {
		if err := s.Receive(ctx, id, "payload of "+id); err != nil {
			t.Fatal(err)
		}
		c.pass(time.Second)
	}
	for from, want := range map[time.Time][]string{
		{}:                     {"e2", "e1"},
		start:                  {"e2", "e1"},
		start.Add(time.Second): {"e1"},
		start.Add(time.Minute): nil,
	} {
		if got := unworked(t, s, from); !cmp.Equal(got, want) {
			t.Errorf("from %v: %v are not worked, want %v", from, got, want)
		}
	}
	take := func(id, payload string, at time.Time) bool {
		if id != "e2" || payload != "payload of e2" || !at.Equal(start) {
			t.Errorf("read %s: %q at %v", id, payload, at)
		}
		return false
	}
	if err := s.Unworked(ctx, time.Time{}, take); err != nil {
		t.Fatal(err)
	}
	if err := s.Worked(ctx, "e2"); err != nil {
		t.Fatal(err)
	}
	if got := unworked(t, s, time.Time{}); !cmp.Equal(got, []string{"e1"}) {
		t.Errorf("still to be worked: %v", got)
	}
	if err := s.Worked(ctx, "e1", "e2", "e3"); err != nil {
		t.Fatal(err)
	}
	if got := unworked(t, s, time.Time{}); got != nil {
		t.Errorf("still to be worked: %v", got)
	}
}

// unworked are the ids that are not worked, of what was received at a time or later.
func unworked(t *testing.T, s *Store, from time.Time) (ids []string) {
	t.Helper()
	err := s.Unworked(context.Background(), from, func(id, _ string, _ time.Time) bool {
		ids = append(ids, id)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestCards(t *testing.T) {
	s, c := fresh(t)
	ctx := t.Context()
	mustCreate(t, s, sample("kt-1", "k1"))
	behind := func(want ...approval.ID) {
		t.Helper()
		if ids, err := s.CardsBehind(ctx, "C1"); err != nil || !cmp.Equal(ids, want) {
			t.Errorf("behind are %v (%v), want %v", ids, err, want)
		}
		if ids, err := s.CardsBehind(ctx, "C2"); err != nil || ids != nil {
			t.Errorf("behind in another channel are %v (%v)", ids, err)
		}
	}
	cards := func(want ...string) {
		t.Helper()
		if got, err := s.Cards(ctx, "kt-1"); err != nil || !cmp.Equal(got, want) {
			t.Errorf("cards %v (%v), want %v", got, err, want)
		}
	}
	set := func(ts string, shown int64) {
		t.Helper()
		c.pass(time.Second)
		if err := s.SetCard(ctx, "kt-1", ts, shown); err != nil {
			t.Fatal(err)
		}
	}
	behind("kt-1")
	cards()
	set("1.2", 1)
	behind()
	if _, err := s.Move(ctx, approve("kt-1", "U2")); err != nil {
		t.Fatal(err)
	}
	behind("kt-1")
	set("1.2", 2)
	behind()
	set("1.1", 0) // was pressed, and was not known
	behind("kt-1")
	cards("1.1", "1.2")
	set("1.2", 2)
	behind("kt-1")
	set("1.1", 2)
	behind()
	cards("1.1", "1.2") // known for the shortest time, however often it is drawn
	for _, ts := range []string{"1.1", "1.2"} {
		if err := s.DropCard(ctx, "kt-1", ts); err != nil {
			t.Fatal(err)
		}
	}
	behind("kt-1")
	moved, err := s.MovedSince(ctx, start)
	if later, laterErr := s.MovedSince(ctx, start.Add(time.Hour)); err != nil || laterErr != nil || len(moved) != 1 || len(later) != 0 {
		t.Errorf("moved since the start %v (%v), and since later %v (%v)", moved, err, later, laterErr)
	}
}

// TestPosts follows the trail in an audit channel and in two others.
func TestPosts(t *testing.T) {
	s, _ := fresh(t)
	ctx := t.Context()
	other := sample("kt-2", "k2")
	other.Channel = "C2"
	mustCreate(t, s, sample("kt-1", "k1"))
	if err := s.BeginPosts(ctx, "CAUDIT"); err != nil {
		t.Fatal(err)
	}
	if seq, err := s.Posted(ctx, "CAUDIT"); err != nil || seq != 1 {
		t.Errorf("a new channel begins at %d (%v), want at the trail's end", seq, err)
	}
	behind := func(want ...string) {
		t.Helper()
		if got, err := s.ChannelsBehind(ctx, "CAUDIT"); err != nil || !cmp.Equal(got, want) {
			t.Errorf("behind are %v (%v), want %v", got, err, want)
		}
	}
	set := func(channel string, seq int64) {
		t.Helper()
		if err := s.SetPosted(ctx, channel, seq); err != nil {
			t.Fatal(err)
		}
	}
	behind("C1")
	set("C1", 1)
	behind("C1") // its card
	if err := s.SetCard(ctx, "kt-1", "1.1", 1); err != nil {
		t.Fatal(err)
	}
	behind()
	mustCreate(t, s, other)
	behind("C2", "CAUDIT")
	if err := s.Note(ctx, entry(audit.Refused, "kt-1", "refused:e1")); err != nil {
		t.Fatal(err)
	}
	set("CAUDIT", 2)
	behind("C2", "CAUDIT") // a thread has no line for it, the audit channel has a post
	set("CAUDIT", 3)
	behind("C2")
	for channel, want := range map[string][]int64{"C1": {1, 3}, "C2": {2}, "C3": nil} {
		var got []int64
		entries, err := s.EntriesIn(ctx, channel, 0, 10)
		for _, e := range entries {
			got = append(got, e.Seq)
		}
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("entries in %s: %v (%v), want %v", channel, got, err, want)
		}
	}
	if err := s.BeginPosts(ctx, "CAUDIT"); err != nil { // as at each start
		t.Fatal(err)
	}
	if seq, _ := s.Posted(ctx, "CAUDIT"); seq != 3 {
		t.Errorf("posted %d, want 3", seq)
	}
	if e, err := s.Entries(ctx, 1, 10); err != nil || len(e) != 2 || e[0].Seq != 2 {
		t.Errorf("entries after 1: %v (%v)", e, err)
	}
}

func TestJoinedPosts(t *testing.T) {
	s, _ := fresh(t)
	ctx := t.Context()
	if ts, seq, err := s.Joined(ctx, "C1", "kt-1", "U1"); ts != "" || seq != 0 || err != nil {
		t.Errorf("before there is one: %s, %d, %v", ts, seq, err)
	}
	for seq := range int64(3) {
		if err := s.SetJoined(ctx, "C1", "kt-1", "U1", "1.1", seq); err != nil {
			t.Fatal(err)
		}
	}
	if ts, seq, err := s.Joined(ctx, "C1", "kt-1", "U1"); ts != "1.1" || seq != 2 || err != nil {
		t.Errorf("after there is one: %s, %d, %v", ts, seq, err)
	}
	if ts, _, _ := s.Joined(ctx, "C1", "kt-1", "U2"); ts != "" {
		t.Errorf("of another person: %s", ts)
	}
}

func TestANoteMovesNothing(t *testing.T) {
	s, _ := fresh(t)
	r := mustCreate(t, s, sample("kt-1", "k1"))
	for range 2 {
		if err := s.Note(t.Context(), entry(audit.Refused, "kt-1", "refused:e1")); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := s.Size(t.Context()); size != 2 || err != nil {
		t.Errorf("the trail has %d entries (%v), want 2", size, err)
	}
	if now, err := s.Request(t.Context(), "kt-1"); err != nil || !cmp.Equal(now, r) {
		t.Errorf("the row changed (%v):\n%s", err, cmp.Diff(r, now))
	}
}

// TestCardsOfAnOlderKeyturn opens a database in which threads had a position a card.
func TestCardsOfAnOlderKeyturn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for id, card := range map[string][3]int64{"kt-1": {7, 7, 7}, "kt-2": {9, 8, 5}, "kt-3": {6, 6, 6}} { // revision, shown, line
		_, err := db.Exec(`INSERT INTO requests (id, tenant, action, state, kid, requester, pins, reason, link, prepared, channel, asked_at, entered_at, expires_at, due_at, revision)
			VALUES ($1, 'prod', 'revoke', 'done', 'k', '{}', '{}', '', '', false, $2, 1, 1, 1, 0, $3)`, id, map[bool]string{true: "C2", false: "C1"}[id == "kt-3"], card[0])
		if err == nil {
			_, err = db.Exec(`INSERT INTO cards (request, ts, shown, line) VALUES ($1, '1.1', $2, $3)`, id, card[1], card[2])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	s := mustOpen(t, path, time.Now)
	for channel, want := range map[string]int64{"C1": 5, "C2": 6} {
		if seq, err := s.Posted(t.Context(), channel); seq != want || err != nil {
			t.Errorf("%s is at %d (%v), want %d", channel, seq, err, want)
		}
	}
	if ids, err := s.CardsBehind(t.Context(), "C1"); err != nil || !cmp.Equal(ids, []approval.ID{"kt-2"}) {
		t.Errorf("behind are %v (%v)", ids, err)
	}
}

func TestChangedTellsOfACommit(t *testing.T) {
	s, _ := fresh(t)
	changed := s.Changed()
	mustCreate(t, s, sample("kt-1", "k1"))
	select {
	case <-changed:
	default:
		t.Error("a commit was not told of")
	}
}

func TestConcurrentMovesHaveOneWinner(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, sample("kt-1", "k1"))
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, user := range []string{"U2", "U3", "U4", "U5", "U6", "U7"} {
		wg.Go(func() {
			_, err := s.Move(context.Background(), approve("kt-1", user))
			var moved *approval.Moved
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.As(err, &moved) {
				t.Errorf("%s: %v", user, err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d moves won, want 1", won)
	}
}
