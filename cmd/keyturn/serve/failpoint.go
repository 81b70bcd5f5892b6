//go:build failpoint

package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"

	"keyturn/bot"
	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/store"
)

// This file is in no keyturn that anybody runs: it lets the crash tests fail each
// write to the store, or end the process there as a power cut would.
//
// FAILPOINT names one passage of one point and what comes of it, such as
// "move intended rotate#1:kill-after". FAILPOINT_LOG is a file that gets a line for
// each point that is passed, and one for what was done there. The names do not
// begin with KEYTURN_, since unknown ones of those are refused.

// errFailpoint is what a write fails with that is told to.
var errFailpoint = errors.New("the failpoint says so")

// timing is a twentieth of what keyturn runs with, all of it together, so that what
// outlasts what stays as it is. WriteWithin is not scaled below half a second: it
// is the one time that an honest step has to keep, and on a machine with eight of us
// a commit alone can take longer than the 150 ms it would be.
func timing() approval.Timing {
	t := approval.DefaultTiming()
	v := reflect.ValueOf(&t).Elem()
	for i := range v.NumField() {
		if d, ok := v.Field(i).Interface().(time.Duration); ok {
			v.Field(i).SetInt(int64(d / 20))
		}
	}
	t.WriteWithin = max(t.WriteWithin, 500*time.Millisecond)
	return t
}

// pace is a twentieth too.
func pace() time.Duration { return bot.DefaultPace / 20 }

// instrumented puts a point before each write to db.
func instrumented(db *store.Store) keeper {
	at, mode, _ := strings.Cut(os.Getenv("FAILPOINT"), ":")
	return &failing{keeper: db, at: at, mode: mode, log: os.Getenv("FAILPOINT_LOG"), passed: map[string]int{}}
}

// failing is a store whose writes can fail, before or after they took effect. What
// only reads is the store's own.
type failing struct {
	keeper
	at, mode string
	log      string

	mu     sync.Mutex
	passed map[string]int
}

// point passes the point of a write.
func (f *failing) point(name string, write func() error) error {
	f.mu.Lock()
	f.passed[name]++
	at := fmt.Sprintf("%s#%d", name, f.passed[name])
	f.mu.Unlock()
	f.note(at)
	if at != f.at {
		return write()
	}
	when, after := strings.CutSuffix(f.mode, "-after")
	if after {
		if err := write(); err != nil {
			return err // it took no effect
		}
	}
	f.note(at + ":" + f.mode)
	if strings.HasPrefix(when, "kill") {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal may take a moment, in which nothing more may happen
	}
	return errFailpoint
}

// note writes a line at once: the process may be gone right after.
func (f *failing) note(line string) {
	if f.log == "" {
		return
	}
	file, err := os.OpenFile(f.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err) // a crash test that sees nothing would pass
	}
	defer file.Close()
	fmt.Fprintln(file, line)
}

// entryName tells entries apart as the points' names do.
func entryName(e audit.Entry) string {
	if e.Step != nil {
		return string(e.Kind) + " " + e.Step.Write
	}
	return string(e.Kind)
}

func (f *failing) entryAt(ctx context.Context, seq int64) string {
	entries, err := f.Entries(ctx, seq-1, 1)
	if err != nil || len(entries) == 0 {
		return fmt.Sprint("of ", err)
	}
	return entryName(entries[0])
}

func (f *failing) Create(ctx context.Context, r approval.Request, e audit.Entry) (now approval.Request, err error) {
	err = f.point("create", func() error {
		now, err = f.keeper.Create(ctx, r, e)
		return err
	})
	return now, err
}

func (f *failing) Move(ctx context.Context, m approval.Move) (now approval.Request, err error) {
	name := "move " + entryName(m.Entry)
	if m.Entry.Kind == "" {
		name = "stay " + string(m.To)
	}
	err = f.point(name, func() error {
		now, err = f.keeper.Move(ctx, m)
		return err
	})
	return now, err
}

func (f *failing) Note(ctx context.Context, e audit.Entry) error {
	return f.point("note "+entryName(e), func() error { return f.keeper.Note(ctx, e) })
}

func (f *failing) Checkpoint(ctx context.Context, cause string) error {
	return f.point("checkpoint", func() error { return f.keeper.Checkpoint(ctx, cause) })
}

// Claim is asked again and again; one that would find nothing writes nothing.
func (f *failing) Claim(ctx context.Context, owner string, lease time.Duration) (r approval.Request, err error) {
	if due, err := f.NextDue(ctx); err != nil || due.IsZero() || due.After(time.Now()) {
		return f.keeper.Claim(ctx, owner, lease)
	}
	err = f.point("claim", func() error {
		r, err = f.keeper.Claim(ctx, owner, lease)
		return err
	})
	return r, err
}

func (f *failing) Renew(ctx context.Context, id approval.ID, epoch int64, lease time.Duration) error {
	return f.point("renew", func() error { return f.keeper.Renew(ctx, id, epoch, lease) })
}

func (f *failing) Receive(ctx context.Context, id, payload string) error {
	return f.point("receive", func() error { return f.keeper.Receive(ctx, id, payload) })
}

func (f *failing) Worked(ctx context.Context, ids ...string) error {
	return f.point("worked", func() error { return f.keeper.Worked(ctx, ids...) })
}

func (f *failing) ForgetWorked(ctx context.Context, before time.Time) error {
	return f.point("forget", func() error { return f.keeper.ForgetWorked(ctx, before) })
}

func (f *failing) SetCard(ctx context.Context, id approval.ID, ts string, shown int64) error {
	return f.point("card", func() error { return f.keeper.SetCard(ctx, id, ts, shown) })
}

func (f *failing) DropCard(ctx context.Context, id approval.ID, ts string) error {
	return f.point("drop card", func() error { return f.keeper.DropCard(ctx, id, ts) })
}

func (f *failing) SetJoined(ctx context.Context, channel string, id approval.ID, person, ts string, seq int64) error {
	return f.point("joined", func() error { return f.keeper.SetJoined(ctx, channel, id, person, ts, seq) })
}

func (f *failing) BeginPosts(ctx context.Context, channel string) error {
	return f.point("begin posts", func() error { return f.keeper.BeginPosts(ctx, channel) })
}

func (f *failing) SetPosted(ctx context.Context, channel string, seq int64) error {
	return f.point("posted in "+channel+" "+f.entryAt(ctx, seq), func() error { return f.keeper.SetPosted(ctx, channel, seq) })
}
