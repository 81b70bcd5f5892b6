//go:build failpoint

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/bot/store"
	"keyturn/mgmt/auth0sim"
)

// check looks, after keyturn was stopped, whether everything agrees: what the tenants
// saw, what the trail says, and what Slack shows. It returns the state of each
// request. What does not agree is a fault.
func (w *world) check() (states []approval.State) {
	db, err := store.Open(context.Background(), w.path(), w.path()+".key", time.Now)
	if err != nil {
		w.fault("opening the database: %v", err)
		return nil
	}
	defer db.Close()
	trail, err := db.Entries(context.Background(), 0, 1<<20)
	if err != nil {
		w.fault("reading the trail: %v", err)
		return nil
	}
	w.trail = trail
	w.checkTree()
	w.checkPosts(trail)

	stories := map[approval.ID][]audit.Entry{}
	var ids []approval.ID
	for i, e := range trail {
		if e.Kind.Ends() && (i+1 == len(trail) || trail[i+1].Kind != audit.Checkpointed) {
			w.fault("entry %d is an end without a checkpoint", e.Seq)
		}
		if e.Request == "" {
			continue
		}
		id := approval.ID(e.Request)
		if stories[id] == nil {
			ids = append(ids, id)
		}
		stories[id] = append(stories[id], e)
	}
	for _, id := range ids {
		r, err := db.Request(context.Background(), id)
		if err != nil {
			w.fault("reading request %s: %v", id, err)
			continue
		}
		states = append(states, r.State)
		if err := approval.Agrees(r, stories[id]); err != nil {
			w.fault("%s: %v", id, err)
		}
		w.checkWrites(r, stories[id])
		w.checkEnd(r)
		cards, err := db.Cards(context.Background(), id)
		if err != nil || len(cards) == 0 {
			w.fault("%s is %s, and has no card: %v", id, r.State, err)
			continue
		}
		w.checkCard(r, stories[id], cards[0])
	}
	for name, g := range w.tenants {
		for _, c := range g.tenant.History() {
			if c.Effect && stories[approval.ID(c.Correlation)] == nil {
				w.fault("tenant %s: a %s took effect for %q, which the trail does not know", name, c.Op, c.Correlation)
			}
		}
	}
	return states
}

// checkWrites: every write that arrived has an intent of its own that was there
// before it.
func (w *world) checkWrites(r approval.Request, story []audit.Entry) {
	g := w.tenants[r.Tenant]
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, op := range []string{"rotate", "revoke"} {
		var intents []audit.Entry
		for _, e := range story {
			if e.Kind == audit.Intended && e.Step.Write == op {
				intents = append(intents, e)
			}
		}
		n := 0
		for _, c := range g.writes {
			if c.request != string(r.ID) || c.op != op {
				continue
			}
			if n++; n > len(intents) {
				w.fault("%s: %s number %d arrived, and the trail has %d intents of it", r.ID, op, n, len(intents))
			} else if at := intents[n-1].Time; at.After(c.at) {
				w.fault("%s: %s number %d arrived at %s, and its intent is from %s", r.ID, op, n, c.at, at)
			}
		}
	}
}

// effects counts the writes of a request that took effect.
func (w *world) effects(r approval.Request, op string) (n int) {
	for _, c := range w.tenants[r.Tenant].tenant.History() {
		if c.Effect && c.Op == op && c.Correlation == string(r.ID) {
			n++
		}
	}
	return n
}

// checkEnd: each write took effect once at most, and the state says what is true.
func (w *world) checkEnd(r approval.Request) {
	rotated, revoked := w.effects(r, "rotate"), w.effects(r, "revoke")
	if rotated > 1 || revoked > 1 {
		w.fault("%s: rotated %d times and revoked %d times", r.ID, rotated, revoked)
	}
	var wantRotated, wantRevoked int
	switch r.State {
	case approval.Done:
		if r.Action != approval.Revoke {
			wantRotated = 1
		}
		if r.Action != approval.Rotate {
			wantRevoked = 1
		}
	case approval.Halted:
		wantRotated = 1
	case approval.InDoubt:
		return // counted by whoever asked
	case approval.Approved, approval.Working:
		w.fault("%s is %s, and no longer carried out", r.ID, r.State)
		return
	}
	if rotated != wantRotated || revoked != wantRevoked {
		w.fault("%s (%s) is %s: rotated %d times, want %d; revoked %d times, want %d", r.ID, r.Action, r.State, rotated, wantRotated, revoked, wantRevoked)
	}
	keys := w.tenants[r.Tenant].tenant.Keys()
	i := slices.IndexFunc(keys, func(k auth0sim.Key) bool { return k.KID == r.KID })
	switch {
	case i < 0:
		w.fault("%s: the tenant has no key %s", r.ID, r.KID)
	case wantRevoked == 1 && keys[i].Role != "revoked", wantRotated == 1 && keys[i].Role == "current", r.State == approval.Halted && keys[i].Role == "next":
		w.fault("%s (%s) is %s, and its key is %s", r.ID, r.Action, r.State, keys[i].Role)
	}
}

var titles = map[approval.State]string{
	approval.Pending: "Waits for a second person", approval.Done: "Done", approval.Denied: "Denied", approval.Cancelled: "Cancelled", approval.Expired: "Expired",
	approval.Voided: "Voided", approval.Failed: "Failed", approval.Halted: "Halted", approval.InDoubt: "In doubt",
}

// checkCard: the card shows the state, and its thread has each line in order. A kill can
// leave a second card behind, which was posted and not noted; it is mostly the older
// one, but a post that was under way at the kill can also arrive after the next.
func (w *world) checkCard(r approval.Request, story []audit.Entry, ts string) {
	all := w.slack.Messages(room)
	i := slices.IndexFunc(all, func(m slacksim.Message) bool { return m.TS == ts })
	if i < 0 {
		w.fault("%s is %s, and has no card", r.ID, r.State)
		return
	}
	m := all[i]
	if newest := w.cards()[string(r.ID)]; newest.TS != ts {
		w.note("%s has a card that arrived late, %s after its own", r.ID, said(newest).Sub(said(m)))
	}
	if entry := idOnCard.FindStringSubmatch(m.Shows())[2]; entry != fmt.Sprint(r.Revision) || !strings.Contains(m.Shows(), titles[r.State]) {
		w.fault("%s is %s at entry %d, and its card shows:\n%s", r.ID, r.State, r.Revision, m.Shows())
	}
	var want, got []int64
	last := int64(0)
	for _, e := range story {
		if e.Kind != audit.Refused {
			last = e.Seq
		}
		switch {
		case e.Kind == audit.Asked, e.Kind == audit.Began, e.Kind == audit.Refused:
		case e.Kind == audit.Answered && e.Answer.Status/100 == 2:
		default:
			want = append(want, e.Seq)
		}
	}
	if last != r.Revision {
		w.fault("%s is at entry %d, and its story ends with %d", r.ID, r.Revision, last)
	}
	for _, line := range w.slack.Thread(room, m.TS) {
		got = append(got, number(line.Shows()))
	}
	if got = slices.Compact(got); !slices.Equal(want, got) { // a repeated line says its number
		w.fault("%s: its thread has lines for entries %v, want %v", r.ID, got, want)
	}
}

var numbered = regexp.MustCompile(`#(\d+)`)

// number is the number of the entry that a line or post is about.
func number(shown string) int64 {
	n := numbered.FindStringSubmatch(shown)
	if n == nil {
		return 0
	}
	seq, _ := strconv.ParseInt(n[1], 10, 64)
	return seq
}

// checkPosts: the audit channel has a post for each entry that gets one, in order. The
// presses of one person on one request that did not count share one, which names the
// first and the last. What somebody asked for and withdrew may share one, too, where the
// channel is behind: it stands for the first entry, and names all.
func (w *world) checkPosts(trail []audit.Entry) {
	var want, got []int64
	joined := w.checkWithdrawn(trail)
	first, last := map[[2]string]int64{}, map[[2]string]int64{}
	for _, e := range trail {
		switch e.Kind {
		case audit.Started, audit.Stopped, audit.Checkpointed: // the first start, and the checkpoint of a day
			if e.Note != "" || e.Kind == audit.Checkpointed && e.Cause != "" {
				want = append(want, e.Seq)
			}
		case audit.Refused:
			whose := [2]string{e.Request, e.Actor.User}
			if first[whose] == 0 {
				first[whose] = e.Seq
			}
			last[whose] = e.Seq
		case audit.Began, audit.Waiting, audit.Intended, audit.Answered, audit.Rotated, audit.Revoked:
		default:
			want = append(want, e.Seq)
		}
	}
	refused := map[int64]string{} // newest last
	for _, m := range w.slack.Messages(trailRoom) {
		if n := number(m.Shows()); strings.Contains(m.Shows(), " Refused") {
			refused[n] = m.Shows()
		} else {
			got = append(got, n)
		}
	}
	for whose, n := range first {
		if shown := refused[n]; shown == "" || last[whose] != n && !strings.Contains(shown, fmt.Sprintf("(#%d)", last[whose])) {
			w.fault("the presses of %v that did not count are #%d to #%d; their post shows %q", whose, n, last[whose], shown)
		}
	}
	// After a kill they may have posts of their own as well.
	isJoined := func(seq int64) bool { return joined[seq] }
	want, got = slices.DeleteFunc(want, isJoined), slices.DeleteFunc(got, isJoined)
	if got = slices.Compact(got); !slices.Equal(want, got) {
		w.fault("the audit channel has entries %v, want %v", got, want)
	}
}

var withdrawn = regexp.MustCompile(`(kt-[a-z0-9]+) \(#(\d+) asked, #(\d+) cancelled\)`)

// checkWithdrawn: what a post says was withdrawn was asked for and cancelled in just those
// entries. It returns the entries that such posts name, but for the first of each.
func (w *world) checkWithdrawn(trail []audit.Entry) map[int64]bool {
	joined := map[int64]bool{}
	is := func(number, request string, kind audit.Kind) int64 {
		seq, _ := strconv.ParseInt(number, 10, 64)
		i := slices.IndexFunc(trail, func(e audit.Entry) bool { return e.Seq == seq })
		if i < 0 || trail[i].Kind != kind || trail[i].Request != request {
			w.fault("a post says that entry %d is %s, of %s", seq, kind, request)
		}
		return seq
	}
	for _, m := range w.slack.Messages(trailRoom) {
		if !strings.Contains(m.Shows(), " Withdrawn") {
			continue
		}
		for _, pair := range withdrawn.FindAllStringSubmatch(m.Shows(), -1) {
			joined[is(pair[2], pair[1], audit.Asked)] = true
			joined[is(pair[3], pair[1], audit.Cancelled)] = true
		}
		delete(joined, number(m.Shows()))
	}
	return joined
}

// kept are hashes in memory.
type kept []tlog.Hash

func (k kept) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		if idx >= int64(len(k)) {
			return nil, fmt.Errorf("there is no hash %d", idx)
		}
		out[i] = k[idx]
	}
	return out, nil
}

// checkTree hashes the lines anew and compares: not with keyturn's own reading.
func (w *world) checkTree() {
	lines, err := texts(w, `SELECT line FROM trail ORDER BY seq`)
	if err != nil {
		w.fault("reading lines: %v", err)
	}
	var hashes kept
	for i, line := range lines {
		more, err := tlog.StoredHashes(int64(i), []byte(line), hashes)
		if err != nil {
			w.fault("hashing line %d: %v", i+1, err)
			return
		}
		hashes = append(hashes, more...)
	}
	stored, err := texts(w, `SELECT hash FROM trail_hash ORDER BY idx`)
	if err != nil {
		w.fault("reading hashes: %v", err)
	}
	if want := slices.Collect(func(yield func(string) bool) {
		for _, h := range hashes {
			if !yield(h.String()) {
				return
			}
		}
	}); !slices.Equal(want, stored) {
		w.fault("the tree does not verify: %d hashes are stored, %d follow from %d lines", len(stored), len(hashes), len(lines))
	}
	numbers, err := texts(w, fmt.Sprintf(`SELECT 'gap at ' || seq FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM trail) WHERE seq <> n
		UNION ALL SELECT 'size ' || size FROM trail_head WHERE size <> %d`, len(lines)))
	if err != nil || len(numbers) > 0 {
		w.fault("the trail has %v, %v", numbers, err)
	}
}

// texts reads one column.
func texts(w *world, query string) (out []string, err error) {
	rows, err := w.rows.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
