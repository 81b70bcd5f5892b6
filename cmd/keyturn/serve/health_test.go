package serve

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot/store"
)

// stuck is a store on a disk that may block, whatever deadline there is, or fail.
type stuck struct {
	*store.Store

	mu      sync.Mutex
	blocked chan struct{} // nil: it does not block
	err     error
}

func (s *stuck) Writable(ctx context.Context) error {
	s.mu.Lock()
	blocked, err := s.blocked, s.err
	s.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	if err != nil {
		return err
	}
	return s.Store.Writable(ctx)
}

// becomes makes the disk fail with err, or block until the channel is closed.
func (s *stuck) becomes(err error, blocked chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.blocked = err, blocked
}

func TestReadyKnowsTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), path, path+".key", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		disk := &stuck{Store: db}
		var log bytes.Buffer
		ready := &trailReady{db: disk, log: zerolog.New(&log)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			ready.run(ctx)
		}()
		after := func(d time.Duration, words string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if err := ready.err(); words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
				t.Errorf("after %v it says %v, want %q", d, err, words)
			}
		}
		after(time.Second, "")
		disk.becomes(errors.New("the disk is full"), nil)
		after(11*time.Second, "the trail cannot be written: the disk is full")
		disk.becomes(nil, nil)
		after(2*time.Second, "")
		blocked := make(chan struct{})
		disk.becomes(nil, blocked)
		after(21*time.Second, "the disk did not answer for 10s")
		after(time.Hour, "the disk did not answer")
		disk.becomes(nil, nil)
		close(blocked)
		after(2*time.Second, "")
		if n := strings.Count(log.String(), "the trail cannot be written: no change is made"); n != 2 || strings.Count(log.String(), "can be written again") != 2 {
			t.Errorf("the log tells of each change once:\n%s", log.String())
		}
		blocked = make(chan struct{})
		disk.becomes(nil, blocked)
		time.Sleep(15 * time.Second)
		stop()
		<-ended // also while it blocks
		close(blocked)
	})
}
