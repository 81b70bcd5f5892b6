// Package audit says what an entry of the trail is, how it is sealed, whether an entry
// that is read back is the one that was written, and whether a whole trail holds.
//
// The trail is an append-only list of entries, each one line of JSON. The exact
// bytes are kept and hashed into an RFC 6962 Merkle log (golang.org/x/mod/sumdb/tlog),
// so nothing is ever encoded twice and compared. The package keeps nothing and
// calls nobody: whoever stores the lines and hashes hands them in.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine bounds an entry's bytes, so that a reader can refuse what no writer wrote.
const maxLine = 64 << 10

// ErrForged is what every Forged is.
var ErrForged = errors.New("the entry is not the one that was sealed")

// Forged is the error of Open: the entry is not the one that was sealed.
type Forged struct {
	Seq int64
	Why error
}

func (f *Forged) Error() string   { return fmt.Sprintf("entry %d: %v: %v", f.Seq, f.Why, ErrForged) }
func (f *Forged) Unwrap() []error { return []error{f.Why, ErrForged} }

// Seal turns a draft into entry number seq (the first is 1) at time at. It returns
// the line whose exact bytes are to be kept, and the hashes to be kept with it, in
// the order that tlog.StoredHashIndex numbers them. hashes reads those kept for
// the entries before.
//
// The caller has to store line and hashes in the transaction in which it took seq:
// a number given to a line that is not kept would leave a hole that looks like a
// deletion.
func Seal(draft Entry, seq int64, at time.Time, hashes tlog.HashReader) (line []byte, stored []tlog.Hash, err error) {
	draft.Seq, draft.Time = seq, at.UTC().Truncate(time.Microsecond)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the trail is read by people, and never inside HTML
	if err := enc.Encode(draft); err != nil {
		return nil, nil, fmt.Errorf("encoding entry %d: %w", seq, err)
	}
	line = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(line) > maxLine {
		return nil, nil, fmt.Errorf("encoding entry %d: %d bytes, at most %d", seq, len(line), maxLine)
	}
	stored, err = tlog.StoredHashes(seq-1, line, hashes)
	if err != nil {
		return nil, nil, fmt.Errorf("hashing entry %d: %w", seq, err)
	}
	return line, stored, nil
}

// Open reads entry number seq back out of a trail of size entries. It returns the
// entry only if line hashes to the leaf kept for seq and that leaf is included in
// the tree over all kept hashes; otherwise the error is a *Forged. What it cannot see is
// somebody who rewrote the line and every hash above it: that takes a checkpoint kept
// elsewhere.
func Open(line []byte, seq, size int64, hashes tlog.HashReader) (Entry, error) {
	e, err := open(line, seq, size, hashes)
	if err != nil {
		return Entry{}, &Forged{Seq: seq, Why: err}
	}
	return e, nil
}

func open(line []byte, seq, size int64, hashes tlog.HashReader) (e Entry, err error) {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return e, fmt.Errorf("computing the root: %w", err)
	}
	proof, err := tlog.ProveRecord(size, seq-1, hashes)
	if err != nil {
		return e, fmt.Errorf("proving inclusion: %w", err)
	}
	if err := tlog.CheckRecord(proof, size, root, seq-1, tlog.RecordHash(line)); err != nil {
		return e, err
	}
	return decode(line, seq)
}

// decode reads a line that has to be entry number seq.
func decode(line []byte, seq int64) (e Entry, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("decoding: %w", err)
	}
	if e.Seq != seq {
		return e, fmt.Errorf("it calls itself %d", e.Seq)
	}
	return e, nil
}
