package store

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file tests that what is acknowledged is on the disk, and not only in the memory
// of a kernel that a power cut takes with it.

// TestEveryConnectionIsDurable asks each connection of both pools: a PRAGMA is a
// connection's own, and one that missed it would lose what it committed.
func TestEveryConnectionIsDurable(t *testing.T) {
	s, _ := fresh(t)
	for name, pool := range map[string]*sql.DB{"writing": s.write, "reading": s.read} {
		var all []*sql.Conn
		if pool == s.read {
			all = append(all, s.held)
		}
		for range pool.Stats().MaxOpenConnections - len(all) {
			c, err := pool.Conn(t.Context()) // held, so that the next one is another
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			all = append(all, c)
		}
		for i, c := range all {
			for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} { // 2 is FULL
				var got string
				if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s connection %d: %s is %s (%v), want %s", name, i+1, pragma, got, err, want)
				}
			}
		}
	}
}

const tracedEnv = "KEYTURN_TEST_TRACED"

// TestTraced is the program that TestAcknowledgedIsSynced traces: it acknowledges each
// commit by a line.
func TestTraced(t *testing.T) {
	path := os.Getenv(tracedEnv)
	if path == "" {
		t.Skip("it runs under TestAcknowledgedIsSynced")
	}
	s := mustOpen(t, path, time.Now)
	mustCreate(t, s, sample("kt-1", "k1"))
	for i := range tracedCommits {
		var err error
		switch i % 3 {
		case 0:
			_, err = s.Move(context.Background(), approval.Move{ID: "kt-1", From: approval.States, To: approval.Working, Entry: entry(audit.Intended, "kt-1", fmt.Sprint(i))})
		case 1:
			err = s.Receive(context.Background(), fmt.Sprint(i), "{}")
		case 2:
			err = s.SetCard(context.Background(), "kt-1", "1.1", int64(i))
		}
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString(fmt.Sprintf("acknowledged %d\n", i))
	}
}

const tracedCommits = 60

// TestAcknowledgedIsSynced reads from the system calls of a process that the WAL was
// synced between its last write and each acknowledgement.
func TestAcknowledgedIsSynced(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("REQUIRE_STRACE") != "" {
			t.Fatal("strace is required here, and is not installed")
		}
		t.Skip("SKIPPED: without strace it is NOT tested that the WAL is synced before a commit is acknowledged (apt-get install strace)")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command(strace, "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", trace, self, "-test.run", "^TestTraced$", "-test.count=1")
	cmd.Env = append(os.Environ(), tracedEnv+"="+filepath.Join(dir, "keyturn.db"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("under strace: %v\n%s", err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	acks, syncs, unsynced := 0, 0, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		switch line := lines.Text(); {
		case walWritten.MatchString(line):
			unsynced = true
		case walSynced.MatchString(line):
			syncs++
			unsynced = false
		case strings.Contains(line, `"acknowledged `):
			acks++
			if unsynced {
				t.Errorf("acknowledged, and the WAL is not synced: %s", line)
			}
		}
	}
	if acks != tracedCommits || syncs < acks {
		t.Errorf("%d acknowledgements and %d syncs in the trace, want %d", acks, syncs, tracedCommits)
	}
}

// strace names the file of each descriptor (-y). A call that another thread interrupts
// is on two lines; its first names the file, and a sync counts from its end only where
// nothing is written in between, which one writer never does.
var (
	walWritten = regexp.MustCompile(`write(64)?\(\d+<[^>]*-wal>`)
	walSynced  = regexp.MustCompile(`f(data)?sync\(\d+<[^>]*-wal>`)
)
