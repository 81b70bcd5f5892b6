// Package transparency_test holds a trail that keyturn wrote against libraries of other
// transparency logs: the checkpoint is one, the signature verifies, and the root is that
// of RFC 6962 over the very lines. It is a module of its own, so that keyturn does not
// depend on them.
package transparency_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"keyturn/bot/audit"
	"keyturn/bot/store"
)

// trail writes a trail with a checkpoint now and then, and returns its lines, the
// checkpoints, and the public key.
func trail(t *testing.T) (lines [][]byte, checkpoints []string, public string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyturn.db")
	s, err := store.Open(t.Context(), path, path+".key", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	note := func(e audit.Entry) {
		t.Helper()
		if err := s.Note(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	note(audit.Entry{Kind: audit.Started, Key: s.Public()})
	for i := range 20 {
		note(audit.Entry{Kind: audit.Alarmed, Cause: fmt.Sprint(i), Note: strings.Repeat("words ", i)})
		if i%3 == 0 {
			note(audit.Entry{Kind: audit.Done, Cause: fmt.Sprint("end", i)}) // which brings one
		}
	}
	if err := s.Checkpoint(t.Context(), "day"); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.At(t.Context(), func(m *store.Moment) error {
		if err := m.Each(func(k audit.Kept) error { lines = append(lines, k.Line); return nil }); err != nil {
			return err
		}
		return audit.EachEntry(m, func(e audit.Entry) error {
			if e.Kind == audit.Checkpointed {
				checkpoints = append(checkpoints, e.Checkpoint)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return lines, checkpoints, s.Public()
}

// root computes the root over lines without any code that keyturn uses.
func root(t *testing.T, lines [][]byte) []byte {
	t.Helper()
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	for _, line := range lines {
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(line), nil); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := tree.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestCheckpoints(t *testing.T) {
	lines, checkpoints, public := trail(t)
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatalf("%s is no verifier key: %v", public, err)
	}
	if len(checkpoints) != 8 {
		t.Fatalf("%d checkpoints, want 8", len(checkpoints))
	}
	for _, text := range checkpoints {
		c, rest, _, err := log.ParseCheckpoint([]byte(text), verifier.Name(), verifier)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(rest) > 0 {
			t.Errorf("after the root there is %q", rest)
		}
		if want := root(t, lines[:c.Size]); !bytes.Equal(c.Hash, want) {
			t.Errorf("the root over %d lines is %x, and the checkpoint says %x", c.Size, want, c.Hash)
		}
	}

	// What they do not take, they would have to.
	last := checkpoints[len(checkpoints)-1]
	for name, text := range map[string]string{
		"another size":  strings.Replace(last, "\n", "\n1", 1),
		"a cut":         last[:len(last)-8],
		"another trail": strings.Replace(last, verifier.Name(), "keyturn/elsewhere", 1),
	} {
		if _, _, _, err := log.ParseCheckpoint([]byte(text), verifier.Name(), verifier); err == nil {
			t.Errorf("%s was taken:\n%s", name, text)
		}
	}
}
