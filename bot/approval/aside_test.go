package approval_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
	"keyturn/mgmt/auth0sim"
)

// oddStore panics whenever the carrier reads the story of one request.
type oddStore struct {
	approval.Store
	odd atomic.Value // an approval.ID
}

func (s *oddStore) Story(ctx context.Context, id approval.ID) ([]audit.Entry, error) {
	if s.odd.Load() == id {
		panic("a story that nobody thought of")
	}
	return s.Store.Story(ctx, id)
}

// TestARequestThatPanicsIsSetAside: an alarm says so, the others go on, and it is tried
// again.
func TestARequestThatPanicsIsSetAside(t *testing.T) {
	inHouse(t, auth0sim.Config{Previous: 2}, func(t *testing.T, h *house) {
		h.close()
		odd := &oddStore{}
		h.start(h.tenant.Dial, func(s *store.Store) approval.Store {
			odd.Store = s
			return odd
		})
		r := h.ask(approval.Revoke, h.kid("previous"))
		odd.odd.Store(r.ID)
		h.approve(r.ID)
		time.Sleep(3 * time.Minute)
		if now := h.request(r.ID); now.State != approval.Approved {
			t.Errorf("it is %s", now.State)
		}
		alarms := 0
		entries, err := h.store.Entries(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Kind == audit.Alarmed && strings.Contains(e.Note, string(r.ID)) {
				alarms++
			}
		}
		if alarms != 1 {
			t.Errorf("%d alarms, want 1", alarms)
		}
		odd.odd.Store(approval.ID(""))
		h.await(r.ID, approval.Done)
	})
}
