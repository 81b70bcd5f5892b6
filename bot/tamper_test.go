package bot_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/audit"
	"keyturn/bot/store"
)

// taken is the trail of a finished request, taken out of its database into memory.
type taken struct {
	size   int64
	kept   []audit.Kept
	hashes []string
}

func (c *taken) Size() (int64, error) { return c.size, nil }

func (c *taken) Each(f func(audit.Kept) error) error {
	for _, k := range c.kept {
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

func (c *taken) EachHash(f func(int64, string) error) error {
	for i, h := range c.hashes {
		if err := f(int64(i), h); err != nil {
			return err
		}
	}
	return nil
}

func (c *taken) clone() *taken {
	d := &taken{size: c.size, hashes: slices.Clone(c.hashes)}
	for _, k := range c.kept {
		k.Line = bytes.Clone(k.Line)
		d.kept = append(d.kept, k)
	}
	return d
}

// rehash is what somebody does who knows how the trail is built: all hashes are those of
// the lines again, and the head counts them.
func (c *taken) rehash() {
	var hashes hashList
	for i := range c.kept {
		c.kept[i].Seq = int64(i) + 1
		more, err := tlog.StoredHashes(int64(i), c.kept[i].Line, hashes)
		if err != nil {
			panic(err)
		}
		hashes = append(hashes, more...)
	}
	c.size, c.hashes = int64(len(c.kept)), nil
	for _, h := range hashes {
		c.hashes = append(c.hashes, h.String())
	}
}

// reseal is what somebody does who has the key, too: entries are numbered and encoded
// anew, and the checkpoints among them signed again.
func (c *taken) reseal(t *testing.T, key *audit.Signer, change func([]audit.Entry) []audit.Entry) {
	var entries []audit.Entry
	if err := audit.EachEntry(c, func(e audit.Entry) error { entries = append(entries, e); return nil }); err != nil {
		t.Fatal(err)
	}
	var hashes hashList
	c.kept = nil
	for i, e := range change(entries) {
		seq := int64(i) + 1
		if e.Kind == audit.Checkpointed && key != nil {
			signed, err := key.Checkpoint(seq-1, hashes)
			if err != nil {
				t.Fatal(err)
			}
			e.Checkpoint = signed
		}
		line, more, err := audit.Seal(e, seq, e.Time, hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		c.kept = append(c.kept, audit.Kept{Seq: seq, At: e.Time, Kind: string(e.Kind), Tenant: e.Tenant, Request: e.Request, Cause: e.Cause, Line: line})
	}
	c.rehash()
}

type hashList []tlog.Hash

func (l hashList) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		out[i] = l[idx]
	}
	return out, nil
}

// take reads the database as it is.
func (h *house) take() *taken {
	h.t.Helper()
	db, err := store.OpenReader(context.Background(), h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	c := &taken{}
	if err := db.At(context.Background(), func(m *store.Moment) error {
		if c.size, err = m.Size(); err != nil {
			return err
		}
		if err := m.Each(func(k audit.Kept) error { c.kept = append(c.kept, k); return nil }); err != nil {
			return err
		}
		return m.EachHash(func(_ int64, hash string) error { c.hashes = append(c.hashes, hash); return nil })
	}); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// finds is what verifying finds in a trail: by itself, and with a checkpoint.
func finds(t *testing.T, c *taken, public string, posted audit.Checkpoint) (plain, withPosted bool) {
	t.Helper()
	v, err := audit.Verify(c, public)
	if err != nil {
		t.Fatal(err)
	}
	plain = len(v.Faults) > 0
	return plain, plain || v.Extends(posted) != nil
}

// TestTampering changes the trail of finished requests in every way that somebody with
// the disk could, and states who finds it: keyturn audit verify by itself, or only with a
// checkpoint that was posted after what was changed, as it is copied out of Slack.
func TestTampering(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		if err := h.store.Note(context.Background(), audit.Entry{Kind: audit.Started, Key: h.store.Public()}); err != nil {
			t.Fatal(err)
		}
		h.press("UBOB", h.ask("rotate-and-revoke"), "approve")
		older := h.take()
		h.press("UBOB", h.ask("rotate"), "deny")
		posted, err := audit.ReadCheckpoint(h.slack.Messages(trail)[len(h.slack.Messages(trail))-1].Shows(), h.store.Public())
		if err != nil {
			t.Fatal(err)
		}
		h.ask("rotate") // after the last checkpoint
		now := h.take()
		public := h.store.Public()
		private, err := audit.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := audit.ParseSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		stolen, err := os.ReadFile(h.path + ".key")
		if err != nil {
			t.Fatal(err)
		}
		own, err := audit.ParseSigner(string(stolen))
		if err != nil {
			t.Fatal(err)
		}
		if posted.Size >= now.size || older.size >= posted.Size {
			t.Fatalf("sizes: the older copy %d, the posted checkpoint %d, now %d", older.size, posted.Size, now.size)
		}

		same := func(all []audit.Entry) []audit.Entry { return all }
		another := func(all []audit.Entry) []audit.Entry {
			i := slices.IndexFunc(all, func(e audit.Entry) bool { return e.Kind == audit.Approved })
			all[i].Actor.User = "UMALLE"
			return all
		}
		const victim = 4 // of the first request
		for _, tc := range []struct {
			name                string
			change              func(c *taken)
			byItself, andPosted bool
		}{
			{"nothing", func(*taken) {}, false, false},
			{"sealed again as it was", func(c *taken) { c.reseal(t, own, same) }, false, false},

			{"an entry dropped", func(c *taken) { c.kept = slices.Delete(c.kept, victim, victim+1) }, true, true},
			{"an entry dropped, hashes made to fit", func(c *taken) { c.kept = slices.Delete(c.kept, victim, victim+1); c.rehash() }, true, true},
			{"an entry dropped, and all sealed again", func(c *taken) {
				c.reseal(t, nil, func(all []audit.Entry) []audit.Entry { return slices.Delete(all, victim, victim+1) })
			}, true, true},
			{"an entry dropped, sealed and signed by another key", func(c *taken) {
				c.reseal(t, stranger, func(all []audit.Entry) []audit.Entry { return slices.Delete(all, victim, victim+1) })
			}, true, true},
			{"an entry dropped, sealed and signed by the stolen key", func(c *taken) {
				c.reseal(t, own, func(all []audit.Entry) []audit.Entry { return slices.Delete(all, victim, victim+1) })
			}, false, true},

			{"two swapped", func(c *taken) {
				c.kept[victim].Line, c.kept[victim+1].Line = c.kept[victim+1].Line, c.kept[victim].Line
			}, true, true},
			{"two swapped, and all sealed again", func(c *taken) {
				c.reseal(t, nil, func(all []audit.Entry) []audit.Entry {
					all[victim], all[victim+1] = all[victim+1], all[victim]
					return all
				})
			}, true, true},
			{"one repeated in another's place", func(c *taken) { c.kept[victim+1].Line = bytes.Clone(c.kept[victim].Line) }, true, true},
			{"one repeated at the end", func(c *taken) {
				again := c.kept[victim]
				again.Seq = c.size + 1
				c.kept = append(c.kept, again)
			}, true, true},
			{"one inserted, and all sealed again", func(c *taken) {
				c.reseal(t, nil, func(all []audit.Entry) []audit.Entry {
					return slices.Insert(all, victim, audit.Entry{Kind: audit.Approved, Actor: &audit.Actor{User: "UMALLE"}, Time: all[victim].Time})
				})
			}, true, true},
			{"another person, and all sealed again", func(c *taken) { c.reseal(t, nil, another) }, true, true},
			{"another person, sealed and signed by the stolen key", func(c *taken) { c.reseal(t, own, another) }, false, true},
			{"another kind beside the line", func(c *taken) { c.kept[victim].Kind = "denied" }, true, true},
			{"another request beside the line", func(c *taken) { c.kept[victim].Request = "kt-22222222" }, true, true},
			{"another time beside the line", func(c *taken) { c.kept[victim].At = c.kept[victim].At.Add(1000) }, true, true},

			{"the end cut off", func(c *taken) { c.kept = c.kept[:older.size] }, true, true},
			{"the end cut off, the head made to fit", func(c *taken) { c.kept = c.kept[:older.size]; c.rehash() }, false, true},
			{"an older copy", func(c *taken) { *c = *older.clone() }, false, true},
			{"its last checkpoint cut off", func(c *taken) { c.kept = c.kept[:older.size-1]; c.rehash() }, true, true},
			{"a hash lost", func(c *taken) { c.hashes = c.hashes[:len(c.hashes)-1] }, true, true},
			{"a hash too many", func(c *taken) { c.hashes = append(c.hashes, c.hashes[0]) }, true, true},
			{"a hash changed", func(c *taken) { c.hashes[1] = c.hashes[0] }, true, true},

			{"another reason after the last checkpoint", func(c *taken) {
				last := &c.kept[len(c.kept)-1]
				last.Line = bytes.Replace(last.Line, []byte("build log"), []byte("debug log"), 1)
			}, true, true},
			// No checkpoint was signed since. The next one will contradict the size and root that
			// the channel has from when the entry was posted.
			{"what came after the last checkpoint cut off, the head made to fit", func(c *taken) { c.kept = c.kept[:posted.Size+1]; c.rehash() }, false, false},
			{"another reason after the last checkpoint, hashes made to fit", func(c *taken) {
				last := &c.kept[len(c.kept)-1]
				last.Line = bytes.Replace(last.Line, []byte("build log"), []byte("debug log"), 1)
				c.rehash()
			}, false, false},
		} {
			c := now.clone()
			tc.change(c)
			if byItself, andPosted := finds(t, c, public, posted); byItself != tc.byItself || andPosted != tc.andPosted {
				v, _ := audit.Verify(c, public)
				t.Errorf("%s: found %v, with the posted checkpoint %v; want %v and %v. Faults: %v", tc.name, byItself, andPosted, tc.byItself, tc.andPosted, v.Faults)
			}
		}

		t.Logf("each of %d bytes of an entry", len(now.kept[victim].Line))
		for i := range now.kept[victim].Line {
			if testing.Short() && i%8 != 0 {
				continue
			}
			c := now.clone()
			c.kept[victim].Line[i] ^= 1
			if byItself, _ := finds(t, c, public, posted); !byItself {
				t.Errorf("byte %d of an entry flipped: not found", i)
			}
			c.rehash()
			if byItself, _ := finds(t, c, public, posted); !byItself {
				t.Errorf("byte %d of an entry flipped, hashes made to fit: not found", i)
			}
		}
	})
}

// TestWithoutItsKeyATrailShowsNothing to whoever believes the key that it names: somebody
// who has the database and not the key takes the key out, or puts another in. Who knows
// the key, or has a posted checkpoint, finds it.
func TestWithoutItsKeyATrailShowsNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		if err := h.store.Note(context.Background(), audit.Entry{Kind: audit.Started, Key: h.store.Public()}); err != nil {
			t.Fatal(err)
		}
		h.press("UBOB", h.ask("rotate-and-revoke"), "approve")
		public := h.store.Public()
		posted, err := audit.ReadCheckpoint(h.slack.Messages(trail)[len(h.slack.Messages(trail))-1].Shows(), public)
		if err != nil {
			t.Fatal(err)
		}
		now := h.take()
		private, err := audit.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := audit.ParseSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		names := func(key string, all []audit.Entry) []audit.Entry {
			for i := range all {
				switch all[i].Kind {
				case audit.Started:
					all[i].Key = key
				case audit.Approved:
					all[i].Actor.User = "UMALLE"
				}
			}
			return all
		}
		signs := func(e audit.Entry) bool { return e.Kind == audit.Checkpointed }
		for _, tc := range []struct {
			name   string
			signer *audit.Signer
			change func([]audit.Entry) []audit.Entry
			found  bool // also by whoever believes the trail
		}{
			{"the key and all checkpoints taken out", nil, func(all []audit.Entry) []audit.Entry {
				return slices.DeleteFunc(names("", all), signs)
			}, false},
			{"the key of somebody else put in", stranger, func(all []audit.Entry) []audit.Entry { return names(stranger.Public(), all) }, false},
			{"all checkpoints taken out", nil, func(all []audit.Entry) []audit.Entry {
				return slices.DeleteFunc(names(public, all), signs)
			}, true},
		} {
			c := now.clone()
			c.reseal(t, tc.signer, tc.change)
			if found, _ := finds(t, c, "", posted); found != tc.found {
				t.Errorf("%s: by what the trail names found %v, want %v", tc.name, found, tc.found)
			}
			if found, _ := finds(t, c, public, posted); !found {
				t.Errorf("%s: not found with the key", tc.name)
			}
			if _, found := finds(t, c, "", posted); !found {
				t.Errorf("%s: not found with a posted checkpoint", tc.name)
			}
		}
		if found, _ := finds(t, now, public, posted); found {
			t.Error("found something in a trail that nobody touched")
		}
	})
}

// TestTheFirstBadEntryIsNamed first.
func TestTheFirstBadEntryIsNamed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.press("UBOB", h.ask("revoke"), "approve")
		c := h.take()
		c.kept[6].Line[20] ^= 1
		c.kept[2].Line[20] ^= 1
		v, err := audit.Verify(c, h.store.Public())
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Faults) == 0 || v.Faults[0].Seq != 3 || !strings.HasPrefix(v.Faults[0].String(), "entry 3 ") {
			t.Errorf("entries 3 and 7 were changed; it says %v", v.Faults)
		}
	})
}

// TestAForgedRowIsFound, which no entry tells of.
func TestAForgedRowIsFound(t *testing.T) {
	for name, statement := range map[string]string{
		"":                     `SELECT 1`,
		"done made approved":   `UPDATE requests SET state = 'approved'`,
		"another approver":     `UPDATE requests SET approver = replace(approver, 'UBOB', 'UMALLE')`,
		"another reason":       `UPDATE requests SET reason = 'none'`,
		"its expiry prolonged": `UPDATE requests SET expires_at = expires_at + 1`,
		"a row gone":           `DELETE FROM requests`,
		"a row of nobody": `INSERT INTO requests (id, tenant, action, state, kid, requester, pins, reason, link, prepared, channel, asked_at, entered_at, expires_at, due_at, revision)
			SELECT 'kt-22222222', tenant, action, state, kid, requester, pins, reason, link, prepared, channel, asked_at, entered_at, expires_at, due_at, revision FROM requests`,
	} {
		inHouse(t, func(t *testing.T, h *house) {
			h.press("UBOB", h.ask("revoke"), "approve")
			public := h.store.Public()
			h.close()
			h.forge(statement)
			db, err := store.OpenReader(context.Background(), h.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var v *audit.Verified
			if err := db.At(context.Background(), func(m *store.Moment) error { v, err = m.Verify(public); return err }); err != nil {
				t.Fatal(err)
			}
			if found := len(v.Faults) > 0; found != (name != "") {
				t.Errorf("%q: found %v", name, v.Faults)
			}
			h.open()
		})
	}
}
