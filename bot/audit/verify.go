package audit

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Kept is an entry as a store keeps it: the line, and beside it what is looked for.
type Kept struct {
	Seq                          int64
	At                           time.Time
	Kind, Tenant, Request, Cause string
	Line                         []byte
}

// Keeping is a trail as a store keeps it, at one moment.
type Keeping interface {
	// Size is how many entries the head counts.
	Size() (int64, error)
	// Each calls f with all entries that are kept, by number, until f fails.
	Each(f func(Kept) error) error
	// EachHash calls f with all stored hashes, by index, until f fails.
	EachHash(f func(index int64, hash string) error) error
}

// Fault is one thing that is wrong with a trail.
type Fault struct {
	Seq  int64 // of the entry; 0: of the trail as a whole
	What string
}

func (f Fault) String() string {
	if f.Seq == 0 {
		return f.What
	}
	return fmt.Sprintf("entry %d %s", f.Seq, f.What)
}

// Verified is what Verify found.
type Verified struct {
	Size        int64
	Root        tlog.Hash // of the tree over the lines as they are
	Key         string    // that its first start names, or that was given
	Checkpoints int       // signed by it, and of the very tree
	Faults      []Fault   // those of an earlier entry first; none: it holds

	hashes keptHashes
	signs  bool // a start named a key, or one has signed, so that each end has a checkpoint from there on
}

func (v *Verified) fault(seq int64, format string, args ...any) {
	v.Faults = append(v.Faults, Fault{seq, fmt.Sprintf(format, args...)})
}

// keptHashes are hashes in memory.
type keptHashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (k keptHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		if idx >= int64(len(k)) {
			return nil, fmt.Errorf("there is no hash %d", idx)
		}
		out[i] = k[idx]
	}
	return out, nil
}

// Verify checks a trail: that the numbers have no gap, that each line is an entry and
// what stands beside it says the same, that the hashes are those of the lines, and that
// each checkpoint in it was signed, and for the tree that there is. key is the public
// part of the key that has to have signed; "": the one that the first start names.
//
// Only with key does a trail without faults show that whoever wrote it, up to the last
// checkpoint, had that key: without, somebody may have taken the key and the checkpoints
// out, or put theirs in.
//
// It computes everything anew from the lines, and believes no hash. The order of entries
// is that of their numbers: their times are the host's, whose clock may be set. The error
// says only that key is none, or that the trail could not be read.
func Verify(k Keeping, key string) (*Verified, error) {
	v := &Verified{Key: key}
	var err error
	if key != "" {
		if _, err = note.NewVerifier(key); err != nil {
			return nil, fmt.Errorf("the key that was given: %w", err)
		}
	}
	if v.Size, err = k.Size(); err != nil {
		return nil, err
	}
	var end int64 // the entry before, where it is an end that has to have a checkpoint
	next := int64(1)
	whole := true // so far there is each line, and the tree over them
	err = k.Each(func(kept Kept) error {
		switch {
		case kept.Seq < next:
			v.fault(kept.Seq, "should not be there: numbers begin with 1")
			return nil
		case kept.Seq > v.Size:
			v.fault(kept.Seq, "should not be there: the head counts %d entries", v.Size)
			return nil
		case kept.Seq > next:
			v.missing(next, kept.Seq-1)
			whole = false
		}
		next = kept.Seq + 1
		e := v.entry(kept)
		if whole {
			if end > 0 && e.Kind != Checkpointed {
				v.fault(end, "is an end, and no checkpoint follows it")
			}
			if end = 0; v.signs && e.Kind.Ends() {
				end = e.Seq
			}
			v.named(e)
			v.signed(e)
			more, err := tlog.StoredHashes(kept.Seq-1, kept.Line, v.hashes)
			if err != nil {
				return err
			}
			v.hashes = append(v.hashes, more...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if next <= v.Size {
		v.missing(next, v.Size)
		whole = false
	} else if end > 0 {
		v.fault(end, "is an end, and no checkpoint follows it")
	}
	if !whole {
		slices.SortStableFunc(v.Faults, bySeq)
		return v, nil // the tree over what is missing cannot be computed
	}
	if key != "" && v.Checkpoints == 0 {
		v.fault(0, "no checkpoint in it was signed by the key that was given")
	}
	if v.Root, err = tlog.TreeHash(v.Size, v.hashes); err != nil {
		return nil, err
	}
	if err := v.compare(k); err != nil {
		return nil, err
	}
	slices.SortStableFunc(v.Faults, bySeq)
	return v, nil
}

func bySeq(a, b Fault) int {
	switch {
	case a.Seq == b.Seq:
		return 0
	case b.Seq == 0 || a.Seq != 0 && a.Seq < b.Seq:
		return -1
	}
	return 1
}

func (v *Verified) missing(first, last int64) {
	if first == last {
		v.fault(first, "is missing")
	} else {
		v.fault(first, "is missing, and all up to %d", last)
	}
}

// entry decodes a line, and checks what stands beside it.
func (v *Verified) entry(kept Kept) Entry {
	e, err := decode(kept.Line, kept.Seq)
	if err != nil {
		v.fault(kept.Seq, "is not to be read: %v", err)
		return Entry{Seq: kept.Seq}
	}
	for _, column := range []struct{ name, kept, says string }{
		{"time", kept.At.UTC().Format(time.RFC3339Nano), e.Time.UTC().Format(time.RFC3339Nano)},
		{"kind", kept.Kind, string(e.Kind)},
		{"tenant", kept.Tenant, e.Tenant},
		{"request", kept.Request, e.Request},
		{"cause", kept.Cause, e.Cause},
	} {
		if column.kept != column.says {
			v.fault(kept.Seq, "has the %s %q beside a line that says %q", column.name, column.kept, column.says)
		}
	}
	return e
}

// named takes note of the key that a start names.
func (v *Verified) named(e Entry) {
	if e.Kind != Started || e.Key == "" {
		return
	}
	v.signs = true
	if v.Key == "" {
		v.Key = e.Key
	}
	if e.Key != v.Key {
		v.fault(e.Seq, "names the key %s, and the trail's is %s", e.Key, v.Key)
	}
}

// signed checks a checkpoint against the entries before it.
func (v *Verified) signed(e Entry) {
	if e.Kind != Checkpointed {
		return
	}
	if v.Key == "" {
		v.fault(e.Seq, "is a checkpoint, and no start before it names a key")
		return
	}
	c, err := ReadCheckpoint(e.Checkpoint, v.Key)
	switch {
	case err != nil:
		v.fault(e.Seq, "has a checkpoint that does not verify: %v", err)
	case c.Size != e.Seq-1:
		v.fault(e.Seq, "has the checkpoint of %d entries", c.Size)
	case v.Extends(c) != nil:
		v.fault(e.Seq, "has a checkpoint of other entries than those before it")
	default:
		v.Checkpoints++
		v.signs = true
	}
}

// compare holds the stored hashes against those of the lines.
func (v *Verified) compare(k Keeping) error {
	n, wrong := int64(0), 0
	err := k.EachHash(func(index int64, hash string) error {
		if index < 0 || index != n || n >= int64(len(v.hashes)) || hash != v.hashes[n].String() {
			switch wrong++; {
			case wrong == 1 && index < 0:
				v.fault(0, "there is a hash of the number %d", index)
			case wrong == 1:
				v.fault(lastOf(min(index, n)), "has a hash that is not that of its line")
			}
		}
		n = index + 1
		return nil
	})
	switch {
	case err != nil:
		return err
	case n != int64(len(v.hashes)) && wrong == 0:
		v.fault(0, "the trail has %d hashes, and %d follow from its lines", n, len(v.hashes))
	case wrong > 1:
		v.fault(0, "%d hashes are not those of the lines", wrong)
	}
	return nil
}

// lastOf is the number of the last entry that a stored hash is computed from.
func lastOf(index int64) int64 {
	level, n := tlog.SplitStoredHashIndex(index)
	return (n + 1) << level
}

// Extends returns nil if the trail begins with the entries that c was signed for: nothing
// of them was changed or taken away since. Otherwise it says what was.
func (v *Verified) Extends(c Checkpoint) error {
	if c.Size > v.Size {
		return fmt.Errorf("it was signed over %d entries, and the trail has %d: the end was cut off, or it is an older copy", c.Size, v.Size)
	}
	root, err := tlog.TreeHash(c.Size, v.hashes)
	if err != nil {
		return fmt.Errorf("the tree over %d entries cannot be computed: %w", c.Size, err)
	}
	if root != c.Root {
		return fmt.Errorf("it was signed over %d entries of the root %s, and theirs is %s: one of them was changed", c.Size, c.Root, root)
	}
	return nil
}
