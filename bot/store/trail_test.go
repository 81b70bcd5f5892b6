package store

import (
	"errors"
	"testing"

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
