package watch

import (
	"context"
	"fmt"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

const week = 7 * 24 * time.Hour

// remind notes which keys are in use, or left unrevoked, for longer than they may be: once
// a week each, and not while a request for the key is open. Where Auth0 does not say
// since when, nothing is said.
func (s *sight) remind(ctx context.Context, look *audit.Look) error {
	for _, k := range look.Keys {
		var since time.Time
		var limit time.Duration
		what, words := "", ""
		switch k.Role {
		case mgmt.RoleCurrent.String():
			since, limit, what = k.Since, s.KeyMaxAge, "in_use"
			words = "The key %s of the tenant %s is in use since %s, " +
				"longer than KEYTURN_KEY_MAX_AGE (%s). " +
				"Prepare those who verify tokens or pin the certificate, then ask for a rotation in Slack"
		case mgmt.RolePrevious.String():
			since, limit, what = k.Until, s.PreviousMaxAge, "unrevoked"
			words = "The key %s of the tenant %s is previously used and not revoked since %s, " +
				"longer than KEYTURN_PREVIOUS_MAX_AGE (%s): " +
				"whoever has it can still sign. Ask for its revocation in Slack"
		}
		if limit == 0 || since.IsZero() || s.known.asks(k.KID) {
			continue
		}
		over := s.Now().Sub(since.Add(limit))
		if over < 0 {
			continue
		}
		cause := fmt.Sprintf("overdue:%s:%s:%s:%d", s.tenant.Name, k.KID, what, over/week)
		if s.told[cause] {
			continue
		}
		e := s.entry(audit.Overdue, cause, look, fmt.Sprintf(words, k.KID, s.tenant.Name, since.UTC().Format("2 January 2006"), days(limit)))
		if err := s.Store.Note(ctx, e); err != nil {
			return err
		}
		s.told[cause] = true
	}
	return nil
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
