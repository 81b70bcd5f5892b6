package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// traced is how long after an alarm Auth0's log is looked at for who did it: Auth0
// promises no time within which it is there.
const traced = 30 * time.Minute

// trace notes who did what the last alarm was about, once Auth0's log says so twice in a
// row. Nothing is noted where it never does, or where the application may not read it.
func (s *sight) trace(ctx context.Context) error {
	alarm := s.known.alarm
	if alarm == nil || s.Now().Sub(alarm.Time) > traced || !s.mayTrace(ctx) {
		return nil
	}
	events, err := s.tenant.Reader.Events(ctx, alarm.Alarm.Before.Add(-confirm))
	if err != nil {
		return fmt.Errorf("looking for who did it: %w", err)
	}
	t := &audit.Trace{Alarm: alarm.Seq}
	for _, e := range slices.Backward(events) {
		if s.known.isOurs(e) || e.Write == revoke && !slices.ContainsFunc(alarm.Alarm.Changes, func(c audit.KeyChange) bool { return c.KID == e.KID }) {
			continue
		}
		t.Events = append(t.Events, audit.Event{At: e.At.UTC(), What: e.Write, KID: e.KID, Who: e.User, Client: e.Client, From: e.IP, Channel: e.Channel})
	}
	if words := fmt.Sprint(t.Events); len(t.Events) == 0 || words != s.tracing {
		s.tracing = words
		return nil
	}
	e := s.entry(audit.Traced, fmt.Sprintf("trace:%s:%d", s.tenant.Name, alarm.Seq), nil, tracedWords(t))
	e.Trace = t
	return s.Store.Note(ctx, e)
}

// mayTrace reports whether the application may read the tenant log.
func (s *sight) mayTrace(ctx context.Context) bool {
	token, err := s.tenant.Reader.Token(ctx)
	return err == nil && slices.Contains(token.Scopes, mgmt.ScopeLogs)
}

func tracedWords(t *audit.Trace) string {
	var all []string
	for _, e := range t.Events {
		words := e.What
		if e.KID != "" {
			words += " of " + e.KID
		}
		words += " at " + clock(e.At)
		for _, part := range []struct{ before, what string }{{"by ", e.Who}, {"application ", e.Client}, {"from ", e.From}, {"over ", e.Channel}} {
			if part.what != "" {
				words += ", " + part.before + part.what
			}
		}
		all = append(all, words)
	}
	return fmt.Sprintf("Auth0's log says of alarm #%d: %s.", t.Alarm, strings.Join(all, "; "))
}
