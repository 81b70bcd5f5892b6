//go:build linux

package bot_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/mgmt/auth0sim"
)

// This file measures how long keyturn takes to acknowledge, against a bare websocket
// that does nothing else:
//
//	go test ./bot -run '^$' -bench Ack -benchtime 5s
//
// Both get the same frames in turn and are measured by the same code (ack_line_test.go),
// each in a process of its own (ack_parts_test.go). One outstanding is sent when
// everything is at rest; fifty are sent at once. Each figure is the median of what
// five rounds had; x-bare is keyturn's p50 over the bare one's.
//
// The read-only command is help. An ack does not depend on which command it is, and help
// is answered soon, so that the next one finds keyturn at rest. What takes its time is
// the load: 50 times list at any moment, which fetches the keys and the key set, and
// posts an answer. Under "work" a call of Auth0 takes 100 ms; under "flood" it takes
// nothing, and the commands are as many as two processors can do.
//
// The press is bob's Approve on a request that he has approved: it is kept, and then
// judged and answered like any other, and leaves nothing behind that the next one would
// meet. Beside it one row is inserted and synced to the disk, in a file of its own next to
// keyturn's; ours-µs is what the press takes at p50 beyond that and the bare ack.

func BenchmarkAck(b *testing.B) {
	for _, what := range []string{"help", "press"} {
		for _, n := range []int{1, 50} {
			for _, load := range []string{"none", "work", "flood"} {
				b.Run(fmt.Sprintf("%s/outstanding=%d/load=%s", what, n, load), func(b *testing.B) {
					benchmarkAck(b, what, n, load)
				})
			}
		}
	}
}

// atRest is how long a turn waits before it sends, for what keyturn does after its answer.
const atRest = time.Millisecond

// turn is what one turn took.
type turn struct {
	ours, bare []time.Duration // of each ack
	insert     time.Duration
}

func benchmarkAck(b *testing.B, what string, n int, load string) {
	w := newTown(b)
	insert := newInsert(b, w.dir)
	switch load {
	case "work":
		for _, op := range []string{"list", "jwks"} {
			w.auth0.Fault(auth0sim.Fault{Op: op, Delay: 100 * time.Millisecond})
		}
		w.keepBusy(b, 50)
	case "flood":
		w.keepBusy(b, 50)
	}
	var turns []turn
	began := w.loads.Load()
	for b.Loop() {
		var t turn
		steps := []func(){
			func() { t.bare = w.bare.burst(b, w.envelopes(what, n)) },
			func() {
				t.ours = w.keyturn.burst(b, w.envelopes(what, n))
				w.awaitAnswers(b, what, n)
			},
			func() { t.insert = insert() },
		}
		if len(turns)%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			time.Sleep(atRest)
			step()
		}
		turns = append(turns, t)
	}
	if load != "none" {
		b.ReportMetric(float64(w.loads.Load()-began)/b.Elapsed().Seconds(), "load/s")
	}
	if what == "press" {
		told := w.slack.Ephemerals("UBOB", room)
		if last := told[len(told)-1].Shows(); !strings.Contains(last, "You did that already") {
			b.Errorf("a press was answered with %q", last)
		}
	}
	report(b, what, turns)
}

// newInsert returns a function that inserts a row with nothing around it, and returns
// how long it took until that was on disk.
func newInsert(b *testing.B, dir string) func() time.Duration {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE bare (id BIGINT PRIMARY KEY, payload TEXT NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	n, payload := 0, strings.Repeat("x", 150) // as long as what is kept of a press
	return func() time.Duration {
		n++
		began := time.Now()
		if _, err := db.Exec(`INSERT INTO bare (id, payload) VALUES ($1, $2)`, n, payload); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
}

func report(b *testing.B, what string, turns []turn) {
	b.Helper()
	const rounds = 5
	figures := map[string][]float64{}
	for r := range rounds {
		var ours, bare, insert []time.Duration
		for _, t := range turns[len(turns)*r/rounds : len(turns)*(r+1)/rounds] {
			ours, bare, insert = append(ours, t.ours...), append(bare, t.bare...), append(insert, t.insert)
		}
		if len(ours) == 0 {
			continue // there were fewer turns
		}
		add := func(unit string, v float64) { figures[unit] = append(figures[unit], v) }
		add("p50-µs", percentile(ours, 50))
		add("p99-µs", percentile(ours, 99))
		add("bare-p50-µs", percentile(bare, 50))
		add("bare-p99-µs", percentile(bare, 99))
		add("x-bare", percentile(ours, 50)/percentile(bare, 50))
		if what == "press" {
			add("insert-p50-µs", percentile(insert, 50))
			add("insert-p99-µs", percentile(insert, 99))
			add("ours-µs", percentile(ours, 50)-percentile(bare, 50)-percentile(insert, 50))
		}
	}
	for unit, all := range figures {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], unit)
	}
	b.ReportMetric(0, "ns/op") // that of a turn says nothing
}

// percentile returns the p-th percentile of d, in microseconds.
func percentile(d []time.Duration, p int) float64 {
	d = slices.Sorted(slices.Values(d))
	return float64(d[min(len(d)*p/100, len(d)-1)]) / float64(time.Microsecond)
}
