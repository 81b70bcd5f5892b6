package audit_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/audit"
)

// FuzzOpen opens any line that somebody had sealed as entry 3: it is refused or read, and
// whatever was read can be put in words, exported, and sealed again as the same.
func FuzzOpen(f *testing.F) {
	for _, e := range []audit.Entry{
		{Kind: audit.Asked, Actor: &audit.Actor{Team: "T1", User: "U1"}, Change: &audit.Change{Action: "revoke", Pins: audit.Pins{Key: &audit.Pin{KID: "k"}}, Reason: "<!here>\u2028|`"}},
		{Kind: audit.Answered, Step: &audit.Step{Write: "rotate"}, Answer: &audit.Answer{Sent: true, Status: 201, KID: "k"}},
		{Kind: audit.Done, Look: &audit.Look{Keys: []audit.Key{{KID: "k"}}, JWKS: []audit.Published{{Domain: "d"}}}, Account: &audit.Account{Tried: []string{"x"}}},
		{Kind: audit.Alarmed, Alarm: &audit.Alarm{What: audit.KeysChanged, Changes: []audit.KeyChange{{KID: "k"}}}},
		{Kind: audit.Refused, Actor: &audit.Actor{Alias: "W1"}, Press: &audit.Press{}},
	} {
		m := trail(&testing.T{}, 2)
		line, _, err := audit.Seal(e, 3, time.Unix(1e9, 1000), m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"seq":3,"kind":"","change":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m := trail(t, 2)
		more, err := tlog.StoredHashes(2, line, m)
		if err != nil {
			t.Fatal(err)
		}
		m.lines, m.hashes = append(m.lines, line), append(m.hashes, more...)
		e, err := m.open(3)
		if err != nil {
			return
		}
		audit.Sentence(e)
		audit.Show([]audit.Entry{e}, &e)
		if err := audit.ExportCSV(io.Discard, func(f func(audit.Entry) error) error { return f(e) }); err != nil {
			t.Errorf("it cannot be exported: %v", err)
		}
		if e.Time.Year() < 0 || e.Time.Year() > 9999 {
			return // cannot be written as JSON
		}
		again := trail(t, 2)
		sealed, more, err := audit.Seal(e, 3, e.Time, again)
		if err != nil {
			if len(line) < 10_000 {
				t.Errorf("it cannot be sealed again: %v", err)
			}
			return
		}
		again.lines, again.hashes = append(again.lines, sealed), append(again.hashes, more...)
		got, err := again.open(3)
		if err != nil {
			t.Fatalf("sealed again: %v", err)
		}
		e.Time = e.Time.UTC().Truncate(time.Microsecond)
		if diff := cmp.Diff(e, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("sealed again (-first +second):\n%s", diff)
		}
	})
}

// FuzzReadCheckpoint reads any text: only what the key signed is ever taken out of it.
func FuzzReadCheckpoint(f *testing.F) {
	private, err := audit.NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	s, err := audit.ParseSigner(private)
	if err != nil {
		f.Fatal(err)
	}
	m := trail(&testing.T{}, 5)
	signed := map[audit.Checkpoint]bool{}
	for size := range int64(6) {
		text, err := s.Checkpoint(size, m)
		if err != nil {
			f.Fatal(err)
		}
		c, err := audit.ReadCheckpoint(text, s.Public())
		if err != nil {
			f.Fatal(err)
		}
		signed[c] = true
		f.Add(text)
		f.Add("> " + text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := audit.ReadCheckpoint(text, s.Public()); err == nil && !signed[c] {
			t.Errorf("took %+v, which was never signed", c)
		}
	})
}
