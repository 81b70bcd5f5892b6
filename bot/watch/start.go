package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"keyturn/bot/audit"
)

// This file finds where to begin to read the trail at a start, so that the first look does
// not wait for years of entries.
//
// A base is an entry of the watch that bears a look: from there on effects are counted, and
// nothing before it changes what is explained. None is noted while a request has an intent
// and no end. So the newest base and what came after it are enough, and a new one is noted
// once there is much after it.

const (
	// rebase is after how many entries of the tenant the next look is a new base.
	rebase = 500
	// lead is how many entries of the trail before the base are read all the same. An
	// intent may have come between the look and the entry that bears it. And of what came
	// shortly before, the alarm may still be looked for in Auth0's log, and what we sent
	// is to be known there as ours.
	lead = 500
)

// start is what the trail explains before it was read from there on.
func (s *sight) start(ctx context.Context) (*known, error) {
	base, err := s.Store.Latest(ctx, s.tenant.Name, audit.Watched)
	if err != nil {
		return nil, err
	}
	alarm, err := s.Store.Latest(ctx, s.tenant.Name, audit.Alarmed)
	if err != nil {
		return nil, err
	}
	if base != nil && alarm != nil && alarm.Look != nil && alarm.Seq > base.Seq {
		base = alarm
	}
	k := newKnown()
	if base != nil {
		k.seq = max(0, base.Seq-1-lead)
		return k, nil
	}
	return k, s.startWithout(ctx, k, alarm)
}

// startWithout takes in what matters where the watch did not begin yet: the requests that
// are open, and whether it was said that the keys cannot be read.
func (s *sight) startWithout(ctx context.Context, k *known, alarm *audit.Entry) error {
	size, err := s.Store.Size(ctx)
	if err != nil {
		return err
	}
	open, err := s.Store.OpenRequests(ctx)
	if err != nil {
		return err
	}
	var entries []audit.Entry
	if alarm != nil {
		entries = append(entries, *alarm)
	}
	for _, r := range open {
		if r.Tenant != s.tenant.Name {
			continue
		}
		story, err := s.Store.Story(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("reading what %s says: %w", r.ID, err)
		}
		entries = append(entries, story...)
	}
	slices.SortFunc(entries, func(a, b audit.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, e := range entries {
		if e.Seq <= size { // what came since is read as usual
			k.take(e)
		}
	}
	k.seq = size
	return nil
}
