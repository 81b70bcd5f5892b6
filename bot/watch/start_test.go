package watch_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/watch"
	"keyturn/mgmt/auth0sim"
)

// counting is a store that counts the entries that are read.
type counting struct {
	watch.Store
	read atomic.Int64
}

func (c *counting) EntriesOf(
	ctx context.Context, tenant string, after int64, limit int,
) ([]audit.Entry, error) {
	entries, err := c.Store.EntriesOf(ctx, tenant, after, limit)
	c.read.Add(int64(len(entries)))
	return entries, err
}

func (c *counting) Story(ctx context.Context, id approval.ID) ([]audit.Entry, error) {
	entries, err := c.Store.Story(ctx, id)
	c.read.Add(int64(len(entries)))
	return entries, err
}

func (c *counting) Latest(
	ctx context.Context, tenant string, kinds ...audit.Kind,
) (*audit.Entry, error) {
	e, err := c.Store.Latest(ctx, tenant, kinds...)
	if e != nil {
		c.read.Add(1)
	}
	return e, err
}

// beside is what happens right before the watch notes an entry of a kind.
type beside struct {
	kind audit.Kind
	act  func()
}

// crowded is a store on which others get in first.
type crowded struct {
	watch.Store
	h *house
}

func (c *crowded) Note(ctx context.Context, e audit.Entry) error {
	if b := c.h.beside.Load(); b != nil && b.kind == e.Kind {
		c.h.beside.Store(nil)
		b.act()
	}
	return c.Store.Note(ctx, e)
}

// off is a watch that looks at nothing.
func off(w *watch.Watch) { w.Every = 0 }

// late is a rotation whose answer is lost, and that takes effect 12 s later.
var late = auth0sim.Fault{
	Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 12 * time.Second,
}

// fill adds n entries of the tenant that explain nothing.
func (h *house) fill(n int) {
	h.t.Helper()
	for i := range n {
		e := audit.Entry{
			Kind: audit.Refused, Cause: fmt.Sprint("refused:", time.Now(), i),
			Tenant: "prod", Request: "kt-unknown", Press: &audit.Press{Verb: "approve", Why: "guest"},
		}
		if err := h.store.Note(context.Background(), e); err != nil {
			h.t.Fatal(err)
		}
	}
}

// atStart returns how many entries a start reads until its first look.
func (h *house) atStart() int64 {
	h.t.Helper()
	h.restart()
	h.pass(time.Second)
	if n := len(h.noted(audit.Alarmed)); n > 0 {
		h.t.Errorf("%d alarms at a start", n)
	}
	return h.counting.read.Load()
}

// However old the trail is, a start reads what came after the newest base, and a base is
// never old.
func TestAStartReadsNoOldEntries(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		var reads []int64
		for range 3 {
			h.fill(600)
			h.pass(interval)
			reads = append(reads, h.atStart())
		}
		if reads[0] > 700 || reads[1] > 700 || reads[2] > 700 {
			t.Errorf("starts after 600, 1200 and 1800 entries read %d", reads)
		}
		if n := len(h.noted(audit.Watched)); n != 4 {
			t.Errorf("%d bases, want the first and one after each 600 entries", n)
		}
		h.tenant.Rotate()
		h.pass(interval)
		h.wantAlarms(1)
		h.restart()
		h.fill(600)
		h.pass(time.Hour)
		h.restart()
		h.pass(time.Hour)
		h.wantAlarms(1)
	})
	// Where the watch was off so far.
	inHouse(t, auth0sim.Config{Previous: 1}, off, func(t *testing.T, h *house) {
		h.fill(600)
		h.change = nil
		if n := h.atStart(); n > 10 {
			t.Errorf("the first start of the watch read %d entries", n)
		}
	})
}

// Where a request is open at the first start of the watch, what it does is explained.
func TestTheWatchBeginsDuringARequest(t *testing.T) {
	for name, landed := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, auth0sim.Config{Previous: 1}, off, func(t *testing.T, h *house) {
				fault := late
				if landed {
					fault = auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}
				}
				h.tenant.Fault(fault)
				id := h.changed(approval.RotateAndRevoke, "")
				h.pass(time.Second)
				h.change = nil
				h.restart()
				h.pass(5 * time.Minute)
				if got := h.state(id); got != approval.Done {
					t.Fatalf("it is %s", got)
				}
				h.wantAlarms(0)
				h.tenant.Rotate()
				h.pass(interval)
				h.wantAlarms(1)
			})
		})
	}
}

// A base is noted by whoever looked before it. What we do just then is explained, also
// after a start in the middle of it.
func TestAnIntentBesideABase(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, nil, func(t *testing.T, h *house) {
		h.pass(interval)
		h.fill(600)
		h.tenant.Fault(late)
		// The next look is the base, and meets the request on its way.
		h.beside.Store(&beside{kind: audit.Watched, act: func() {
			h.changed(approval.Rotate, "")
			h.pass(time.Second)
		}})
		h.pass(interval)
		bases, intents := h.noted(audit.Watched), h.noted(audit.Intended)
		if len(bases) != 2 || len(intents) == 0 || intents[0].Seq > bases[1].Seq {
			t.Fatalf("%d bases, and the intents are %+v", len(bases), intents)
		}
		h.restart()
		h.pass(time.Hour)
		h.wantAlarms(0)
		h.tenant.Rotate()
		h.pass(interval)
		h.wantAlarms(1)
	})
}

// An alarm that the keys cannot be read, raised before the watch ever began, is one.
func TestUnreadableFromTheFirstIsOneAlarm(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 1}, off, func(t *testing.T, h *house) {
		h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
		h.change = nil
		h.restart()
		h.pass(2 * time.Hour)
		n := len(h.noted(audit.Alarmed))
		h.restart()
		h.pass(2 * time.Hour)
		if got := len(h.noted(audit.Alarmed)); got != 1 || n != 1 {
			t.Errorf("%d alarms, and %d after another start", n, got)
		}
	})
}
