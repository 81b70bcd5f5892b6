package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"keyturn/bot/approval"
	"keyturn/bot/panics"
)

// This file reads user groups. A list counts for a press only if it began to be read after
// the press was received: one call then serves all presses before it. Slack allows some
// twenty calls a minute, so that they are paced, and not made for whoever needs none.

const (
	groupEvery = 3 * time.Second // between two calls, on the whole: tier 2 is 20 a minute
	groupBurst = 5               // calls at once, after a pause
	groupSpare = 2               // of those, which are left to presses
	// listFor bounds the age of any list that counts, by a clock that nobody sets back. A
	// press is judged within two minutes of its receipt.
	listFor = 150 * time.Second
)

// newCalls counts the calls for groups.
func newCalls() *rate.Limiter { return rate.NewLimiter(rate.Every(groupEvery), groupBurst) }

// errPaced is wrapped where it is keyturn that wants no call yet.
var errPaced = errors.New("too many calls")

// need is what a list of a group is read for.
type need struct {
	received time.Time // the list must have begun after this
	often    bool      // nothing is read: they pressed so often
	spare    int       // how many calls are left to others
}

// group is a user group as it was read.
type group struct {
	last *listing // the last that came to an end
	now  *listing // the one under way; nil: none
}

// listing is one call for the members of a group. After done is closed it does not change.
type listing struct {
	began time.Time
	done  chan struct{}
	ids   []string
	err   error
}

// counts reports whether l may be used for a press that was received at a time.
func (l *listing) counts(received, now time.Time) bool {
	return l != nil && l.began.After(received) && !l.began.Round(0).After(now.Round(0)) &&
		now.Sub(l.began) < listFor
}

// join finds the groups of person that rights depend on. For each list, groups are read
// until one has the person, or all were read.
func (pp *people) join(
	ctx context.Context, person *approval.Person, n need, rights [][]string,
) error {
	var wait *later
	var unreadable error
	named := false
	for _, ids := range rights {
		if slices.ContainsFunc(ids, person.Has) || slices.Contains(ids, "*") {
			named = true
			continue
		}
		groups := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isGroup(id) })
		if n.often && len(groups) > 0 {
			return &approval.Refusal{Why: approval.TooOften}
		}
		found, not, err := pp.find(ctx, person, n, groups)
		switch {
		case found:
			named = true
		case not != nil && (wait == nil || not.until.After(wait.until)):
			wait = not
		case err != nil:
			unreadable = err
		}
	}
	switch {
	case wait != nil:
		return wait
	case unreadable != nil && !named:
		return unreadable // the group that cannot be read may be the one
	}
	return nil
}

// find looks for person in groups. Where it finds them in none, wait says that one could
// not be read just now, and otherwise unreadable that one can be read by no retry.
func (pp *people) find(
	ctx context.Context, person *approval.Person, n need, groups []string,
) (found bool, wait *later, unreadable error) {
	for _, id := range groups {
		in, err := pp.membersOf(ctx, id, n)
		var not *later
		switch {
		case errors.As(err, &not):
			wait = not
		case err != nil:
			unreadable = err
		case slices.ContainsFunc(in, person.Has):
			person.Groups = append(person.Groups, id)
			return true, nil, nil
		}
	}
	return false, wait, unreadable
}

// membersOf returns the ids of a group's members, from a list that began to be read after
// n.received, or that is begun for this call. Errors are *later, or a refusal that names the
// group.
func (pp *people) membersOf(ctx context.Context, id string, n need) ([]string, error) {
	for {
		l, mine, err := pp.listing(id, n)
		if err != nil {
			return nil, err
		}
		if mine {
			// Others wait for it, too: it must not end with the call that began it.
			go pp.readGroup(context.WithoutCancel(ctx), id, l)
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, &later{until: pp.now(), err: fmt.Errorf("reading user group "+
				"%s: %w", id, ctx.Err())}
		}
		if mine || l.counts(n.received, pp.now()) {
			return l.ids, l.err
		}
	}
}

// listing returns a list that counts, or one under way that has to end first; mine: a new
// one, which is to be read.
func (pp *people) listing(id string, n need) (l *listing, mine bool, err error) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	g := pp.groups[id]
	if g == nil {
		g = &group{}
		pp.groups[id] = g
	}
	now := pp.now()
	switch {
	case g.last.counts(n.received, now):
		return g.last, false, nil
	case g.now != nil:
		return g.now, false, nil
	}
	if until := pp.takeCall(now, n.spare); !until.IsZero() {
		return nil, false, &later{until: until, err: fmt.Errorf("reading user group "+
			"%s: %w", id, errPaced)}
	}
	g.now = &listing{began: now, done: make(chan struct{})}
	return g.now, true, nil
}

func (pp *people) readGroup(ctx context.Context, id string, l *listing) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	var ids []string
	err := panics.Caught(func() (err error) { ids, err = pp.slack.members(ctx, id); return err })
	if err != nil {
		err = pp.groupUnread(id, err)
	}
	pp.mu.Lock()
	defer pp.mu.Unlock()
	l.ids, l.err = ids, err
	if !isLater(err) { // which is for those who wait; the next press tries anew
		pp.groups[id].last = l
	}
	pp.groups[id].now = nil
	close(l.done)
}

// groupUnread is the error of a group that could not be read.
func (pp *people) groupUnread(id string, err error) error {
	err = fmt.Errorf("reading user group %s: %w", id, err)
	err = pp.unread(err, approval.GroupUnreadable)
	var no *approval.Refusal
	if errors.As(err, &no) {
		no.Why, no.Group = approval.GroupUnreadable, id
	}
	return err
}

// lately returns the members of a group as they were read within a time; ok: they were.
func (pp *people) lately(id string, within time.Duration) (ids []string, ok bool) {
	pp.mu.Lock()
	defer pp.mu.Unlock()
	g := pp.groups[id]
	if g == nil || g.last == nil || g.last.err != nil || pp.now().Sub(g.last.began) >= within {
		return nil, false
	}
	return g.last.ids, true
}

// takeCall takes a call for a group where spare of them are left, and returns the zero time;
// or it returns when there will be one. pp.mu is held.
func (pp *people) takeCall(now time.Time, spare int) time.Time {
	lacking := float64(spare+1) - pp.calls.TokensAt(now)
	if lacking <= 0 && pp.calls.AllowN(now, 1) {
		return time.Time{}
	}
	return now.Add(time.Duration(lacking*float64(groupEvery)) + time.Millisecond)
}
