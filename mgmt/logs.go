package mgmt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ScopeLogs is the scope that Events needs.
const ScopeLogs = "read:logs"

// Event is a write to the signing keys in the tenant log. All of it is Auth0's word.
type Event struct {
	At          time.Time
	Write       string // rotate or revoke
	KID         string // of revoke
	User        string // who did it, by name, e-mail or id; "": not said, or an application by itself
	Client      string // name or id of the application
	IP          string
	Channel     string // api, or the Dashboard's
	Correlation string // X-Correlation-ID of the write
}

// At most this much of the log is read: Auth0 gives out no more for a search.
const logPages, logPage = 10, 100

// Events reads the writes to signing keys since a time from the tenant log, newest first.
// Auth0 is late with it by some time that it does not promise, and keeps it for 1 to 30
// days. An *Error with status 403: the application lacks ScopeLogs.
func (r *Reader) Events(ctx context.Context, since time.Time) (events []Event, err error) {
	const op = "reading the tenant log"
	for page := range logPages {
		body, err := r.read(ctx, op, fmt.Sprintf("%s/api/v2/logs?q=type%%3Asapi&sort=date%%3A-1&per_page=%d&page=%d", r.base, logPage, page), r.tokens)
		if err != nil {
			return nil, err
		}
		var rows []logRow
		if err := json.Unmarshal(body, &rows); err != nil {
			return nil, fmt.Errorf("%s: %w", op, errors.New("the answer is no list of rows"))
		}
		for _, row := range rows {
			if row.Date.Before(since) {
				return events, nil
			}
			if e, ok := row.event(); ok {
				events = append(events, e)
			}
		}
		if len(rows) < logPage {
			break
		}
	}
	return events, nil
}

// logRow is a row as go-auth0's recordings have it. What is missing stays empty.
type logRow struct {
	Date       time.Time `json:"date"`
	Type       string    `json:"type"`
	ClientID   string    `json:"client_id"`
	ClientName string    `json:"client_name"`
	IP         string    `json:"ip"`
	UserID     string    `json:"user_id"`
	UserName   string    `json:"user_name"`
	References struct {
		Correlation string `json:"correlation_id"`
	} `json:"references"`
	Details struct {
		Request struct {
			Method  string `json:"method"`
			Path    string `json:"path"`
			Channel string `json:"channel"`
			Auth    struct {
				User json.RawMessage `json:"user"` // a name, or an object (schema)
			} `json:"auth"`
		} `json:"request"`
	} `json:"details"`
}

// event reads a row by its path: its description is only said to be the summary of the
// OpenAPI document.
func (row logRow) event() (Event, bool) {
	e := Event{
		At: row.Date, User: row.user(), Client: firstOf(row.ClientName, row.ClientID), IP: row.IP,
		Channel: row.Details.Request.Channel, Correlation: row.References.Correlation,
	}
	below, ok := strings.CutPrefix(row.Details.Request.Path, "/api/v2/keys/signing/")
	kid, isRevoke := strings.CutSuffix(below, "/revoke")
	switch method := strings.ToUpper(row.Details.Request.Method); {
	case !ok || row.Type != "sapi":
		return e, false
	case below == "rotate" && method == "POST":
		e.Write = "rotate"
	case isRevoke && method == "PUT":
		e.Write, e.KID = "revoke", kid
	default:
		return e, false
	}
	return e, true
}

func (row logRow) user() string {
	var name string
	var user struct {
		ID    string `json:"user_id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	if json.Unmarshal(row.Details.Request.Auth.User, &name) != nil {
		json.Unmarshal(row.Details.Request.Auth.User, &user) // what cannot be read is not said
	}
	return firstOf(user.Name, user.Email, name, row.UserName, user.ID, row.UserID)
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
