package socket

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// State is what Report is told of.
type State string

const (
	Connecting     State = "connecting"
	Connected      State = "connected"      // with Connections, Lifetime and App
	Leaving        State = "leaving"        // a connection is going to be replaced; Err says why
	Disconnected   State = "disconnected"   // one is gone
	Waiting        State = "waiting"        // for Wait, before the next
	Undecodable    State = "undecodable"    // a frame could not be read; Envelope where it was found
	Unacknowledged State = "unacknowledged" // on purpose: the handler's error is Err
	AckCut         State = "ack_cut"        // sent without its payload
	AckLost        State = "ack_lost"       // its connection was gone
)

// Status is one report.
type Status struct {
	State       State
	Err         error
	Envelope    string
	Wait        time.Duration
	Connections int           // how many Slack counts for the app, over all processes
	Lifetime    time.Duration // roughly how long Slack will keep the connection
	App         string        // the app's id
}

// OpenError is an error of Config.Open in Slack's words.
type OpenError struct {
	Code       string        // Slack's error code; "": none came
	RetryAfter time.Duration // as Slack asked for
	Err        error
}

func (e *OpenError) Error() string { return e.Err.Error() }
func (e *OpenError) Unwrap() error { return e.Err }

// permanent are the codes that a retry does not mend, with what has to be changed
// (facts: apps.connections.open, and the link_disabled disconnect).
var permanent = map[string]string{
	"invalid_auth":              "the token is not one of Slack's; take it from the app's page",
	"not_authed":                "the token is missing",
	"account_inactive":          "the app or its workspace is deactivated; install it again",
	"token_revoked":             "the token was revoked; make a new one",
	"token_expired":             "the token expired; make a new one, and leave token rotation off",
	"missing_scope":             "the app-level token needs the scope connections:write",
	"not_allowed_token_type":    "the app-level token (xapp-…) is wanted here",
	"forbidden_team":            "the workspace does not allow the app",
	"team_access_not_granted":   "the app is not granted to this workspace",
	"access_denied":             "the app is not allowed here",
	"no_permission":             "the token lacks a permission",
	"org_login_required":        "the workspace is being moved into an organisation",
	"two_factor_setup_required": "the workspace demands two-factor authentication of whoever installed the app",
	"link_disabled":             "Socket Mode was switched off; switch it on at the app's page",
}

// Permanent reports whether code is an error of Slack's that no retry mends.
func Permanent(code string) bool {
	_, ok := permanent[code]
	return ok
}

// PermanentError ends Serve: something has to be changed by hand.
type PermanentError struct{ Code string } // Slack's error code, or the reason of a disconnect

func (e *PermanentError) Error() string {
	return fmt.Sprintf("Slack says %s: %s", e.Code, permanent[e.Code])
}

var errTooMany = errors.New("Slack says too_many_websockets: more than ten connections of this app; is another process running?")

// withoutURL takes the address out of an error.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
