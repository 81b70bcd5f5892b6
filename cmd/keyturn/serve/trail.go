package serve

import (
	"context"
	"fmt"
	"strings"
	"time"

	"keyturn/bot/audit"
)

// This file writes into the trail what matters besides requests: that keyturn started,
// as what, and that it stopped; and a checkpoint a day, so that a quiet trail has a
// witness too.

// recordTimeout bounds how long a stop is held up by saying so.
const recordTimeout = 5 * time.Second

// trail is what this needs of the store.
type trail interface {
	Latest(ctx context.Context, tenant string, kinds ...audit.Kind) (*audit.Entry, error)
	Note(ctx context.Context, e audit.Entry) error
	Checkpoint(ctx context.Context, cause string) error
	ForgetWorked(ctx context.Context, before time.Time) error
	Public() string
	Writable(ctx context.Context) error
}

// recordStart notes that keyturn starts, before anybody can press anything: what people
// do from here on was judged by this policy.
func (s *server) recordStart(ctx context.Context) error {
	start := audit.Entry{
		Kind: audit.Started, Key: s.db.Public(), Config: s.cfg.settings(), Policy: s.cfg.policy().Digest(), Version: Version(),
	}
	last, err := s.db.Latest(ctx, "", audit.Started)
	switch {
	case err != nil:
		return err
	case last == nil:
		start.Note = "The trail has a key from here on. Keep its public part where this channel's readers cannot change it; keyturn audit verify takes it as --key."
	case last.Policy != start.Policy:
		// If we die after this entry, the next start finds its cause.
		if err := s.db.Note(ctx, audit.Entry{
			Kind: audit.PolicyChanged, Cause: fmt.Sprintf("policy:%d:%s", last.Seq, start.Policy), Policy: start.Policy, Version: start.Version,
			Note: "Who may ask and approve was changed since the last start. " + changed(last.Config, start.Config),
		}); err != nil {
			return err
		}
	}
	return s.db.Note(ctx, start)
}

// changed says which settings of people are not as they were.
func changed(before, now []string) string {
	was := map[string]string{}
	for _, line := range before {
		name, value, _ := strings.Cut(line, "=")
		was[name] = value
	}
	var words []string
	tell := func(name, before, now string) {
		if before != now && (strings.HasSuffix(name, "_APPROVERS") || strings.HasSuffix(name, "_REQUESTERS")) {
			words = append(words, fmt.Sprintf("%s was %s and is %s.", name, orNothing(before), orNothing(now)))
		}
	}
	for _, line := range now {
		name, value, _ := strings.Cut(line, "=")
		tell(name, was[name], value)
		delete(was, name)
	}
	for _, line := range before { // of tenants that are configured no more
		if name, value, _ := strings.Cut(line, "="); was[name] != "" {
			tell(name, value, "")
		}
	}
	return strings.Join(words, " ")
}

func orNothing(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// recordStop notes that keyturn stops. A start without it after another start tells of
// a crash.
func (s *server) recordStop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := s.db.Note(ctx, audit.Entry{Kind: audit.Stopped, Version: Version()}); err != nil {
		s.log.Error().Err(err).Msg("the stop is not in the trail")
	}
}

// checkpointDaily sees to it that the trail has a checkpoint of each day (UTC), until
// ctx ends.
func (s *server) checkpointDaily(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now().UTC()
		pause := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
		if err := s.db.Checkpoint(ctx, "checkpoint:"+now.Format(time.DateOnly)); err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("the checkpoint of the day is not in the trail")
			pause = time.Minute
		}
		sleep(ctx, pause)
	}
}

// forgetAfter is how long people's words stay in the inbox after they were worked. The
// trail has what counts; this is for whoever looks into something that went wrong.
const forgetAfter = 24 * time.Hour

// forgetHourly takes the words out of what was worked a day ago, until ctx ends.
func (s *server) forgetHourly(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.db.ForgetWorked(ctx, time.Now().Add(-forgetAfter))
		if err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("what was worked keeps its words in the inbox")
		}
		sleep(ctx, time.Hour)
	}
}
