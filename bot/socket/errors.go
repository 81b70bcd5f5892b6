package socket

import (
	"errors"
	"fmt"
	"time"
)

// OpenError is an error of Config.Open with what Slack said about it. Serve gives up
// where its Code is permanent, and otherwise tries again after RetryAfter.
type OpenError struct {
	Code       string        // Slack's error code; "": none came
	RetryAfter time.Duration // as Slack asked for; 0: it did not
	Err        error
}

func (e *OpenError) Error() string { return e.Err.Error() }
func (e *OpenError) Unwrap() error { return e.Err }

// permanent are the codes that no retry mends, with what has to be changed (facts: the
// errors of apps.connections.open, and the disconnect that says link_disabled).
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
	"two_factor_setup_required": "whoever installed the app must set up two-factor authentication",
	"link_disabled":             "Socket Mode was switched off; switch it on at the app's page",
}

// Permanent reports whether code is an error code of Slack's that no retry mends.
func Permanent(code string) bool {
	_, ok := permanent[code]
	return ok
}

// PermanentError ends Serve: something has to be changed by hand.
type PermanentError struct{ Code string } // Slack's error code, or link_disabled of a disconnect

// Error names the code and what has to be changed.
func (e *PermanentError) Error() string {
	return fmt.Sprintf("Slack says %s: %s", e.Code, permanent[e.Code])
}

var errTooMany = errors.New("too_many_websockets: " +
	"Slack counts more than ten connections of this app; is another process running?")

// disconnected puts the reason of a disconnect frame in an error. One that is not
// known is taken for a wish to reconnect (assumption).
func disconnected(reason string) error {
	switch reason {
	case "link_disabled":
		return &PermanentError{Code: reason}
	case "too_many_websockets":
		return errTooMany
	}
	return planned(fmt.Sprintf("asked by Slack to reconnect (%.40q)", reason))
}
