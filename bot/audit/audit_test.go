package audit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/audit"
)

// memory is a trail as a store keeps it.
type memory struct {
	lines  [][]byte
	hashes []tlog.Hash
}

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		if idx >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("no hash %d", idx)
		}
		out[i] = m.hashes[idx]
	}
	return out, nil
}

func (m *memory) append(t *testing.T, e audit.Entry) {
	t.Helper()
	line, stored, err := audit.Seal(e, int64(len(m.lines))+1, time.Date(2026, 11, 23, 3, 0, len(m.lines), 1234567, time.UTC), m)
	if err != nil {
		t.Fatal(err)
	}
	m.lines, m.hashes = append(m.lines, line), append(m.hashes, stored...)
}

func (m *memory) open(seq int) (audit.Entry, error) {
	return audit.Open(m.lines[seq-1], int64(seq), int64(len(m.lines)), m)
}

func trail(t *testing.T, n int) *memory {
	m := &memory{}
	for i := range n {
		m.append(t, audit.Entry{
			Kind: audit.Asked, Cause: fmt.Sprint("ask:", i), Tenant: "prod", Request: fmt.Sprint("kt-", i),
			Actor:  &audit.Actor{Team: "T1", User: "U1", Name: "alice"},
			Change: &audit.Change{Action: "revoke", Pins: audit.Pins{Key: &audit.Pin{KID: "k", SHA256: "ab"}}, Reason: "<!here> & `leak`\nU+2028:\u2028"},
		})
	}
	return m
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 9} {
		m := trail(t, n)
		for seq := 1; seq <= n; seq++ {
			got, err := m.open(seq)
			if err != nil {
				t.Fatalf("entry %d of %d: %v", seq, n, err)
			}
			want := audit.Entry{
				Seq: int64(seq), Time: time.Date(2026, 11, 23, 3, 0, seq-1, 1234000, time.UTC),
				Kind: audit.Asked, Cause: fmt.Sprint("ask:", seq-1), Tenant: "prod", Request: fmt.Sprint("kt-", seq-1),
				Actor:  &audit.Actor{Team: "T1", User: "U1", Name: "alice"},
				Change: &audit.Change{Action: "revoke", Pins: audit.Pins{Key: &audit.Pin{KID: "k", SHA256: "ab"}}, Reason: "<!here> & `leak`\nU+2028:\u2028"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entry %d of %d (-want +got):\n%s", seq, n, diff)
			}
		}
	}
}

func TestSealedLineIsOneLine(t *testing.T) {
	for _, line := range trail(t, 1).lines {
		if strings.ContainsAny(string(line), "\n\r") {
			t.Errorf("the line has a line end in it: %q", line)
		}
	}
}

func TestSealRefusesAnEndlessEntry(t *testing.T) {
	m := &memory{}
	if _, _, err := audit.Seal(audit.Entry{Kind: audit.Asked, Reason: strings.Repeat("x", 100_000)}, 1, time.Now(), m); err == nil {
		t.Error("an entry of 100,000 characters was sealed")
	}
}

func TestOpenFindsWhatWasChanged(t *testing.T) {
	const n, victim = 5, 3
	for name, forge := range map[string]func(m *memory){
		"a byte of the line": func(m *memory) {
			m.lines[victim-1] = []byte(strings.Replace(string(m.lines[victim-1]), "U1", "U2", 1))
		},
		"the line and its leaf hash": func(m *memory) {
			m.lines[victim-1] = []byte(strings.Replace(string(m.lines[victim-1]), "U1", "U2", 1))
			m.hashes[tlog.StoredHashIndex(0, victim-1)] = tlog.RecordHash(m.lines[victim-1])
		},
		"swapped with its neighbour":   func(m *memory) { m.lines[victim-1], m.lines[victim] = m.lines[victim], m.lines[victim-1] },
		"the hashes of the end lost":   func(m *memory) { m.hashes = m.hashes[:len(m.hashes)-1] },
		"another entry's in its place": func(m *memory) { m.lines[victim-1] = m.lines[0] },
		"not JSON, hashes made to fit": func(m *memory) {
			m.lines[victim-1] = []byte("{")
			rehash(m)
		},
		"another number, hashes made to fit": func(m *memory) {
			m.lines[victim-1] = m.lines[0]
			rehash(m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := trail(t, n)
			if _, err := m.open(victim); err != nil {
				t.Fatal(err)
			}
			forge(m)
			if _, err := m.open(victim); !errors.Is(err, audit.ErrForged) {
				t.Errorf("got %v, want %v", err, audit.ErrForged)
			}
		})
	}
}

func rehash(m *memory) {
	lines := m.lines
	m.hashes = nil
	for i, line := range lines {
		stored, err := tlog.StoredHashes(int64(i), line, m)
		if err != nil {
			panic(err)
		}
		m.hashes = append(m.hashes, stored...)
	}
}
