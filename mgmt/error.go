package mgmt

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrNotSent is wrapped by the error of a write that never left: there was no token
// to be had, or no connection.
var ErrNotSent = errors.New("not sent")

// Error says that Auth0, or something before it, answered and not with success.
type Error struct {
	Op      string // what was being done
	Status  int
	Code    string    // Auth0's errorCode, or OAuth's error; often missing
	Message string    // Auth0's words; "" where the answer was none of Auth0's
	Reset   time.Time // when to come back, as a 429 or 503 says; zero: it does not say

	shaped bool // the body had the shape of Auth0's errors
}

func (e *Error) Error() string {
	if !e.shaped {
		return fmt.Sprintf("%s: answered %d, not in auth0's words", e.Op, e.Status)
	}
	s := fmt.Sprintf("%s: auth0: %d", e.Op, e.Status)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Refused reports whether Auth0 itself clearly said no: a 4xx in the shape of its
// errors. Of a write, everything else is a lost answer: a gateway may have given up
// on a call that Auth0 carries out.
func (e *Error) Refused() bool {
	return e.shaped && e.Status/100 == 4 && e.Status != http.StatusRequestTimeout
}

// passing reports whether the same read may succeed in a moment.
func (e *Error) passing() bool {
	return e.Status/100 == 5 ||
		e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

// errorOf reads an answer that is no success. Bodies without errorCode, of another
// shape, or not JSON at all are all known to occur. secrets are what was sent along.
func errorOf(op string, res *http.Response, body []byte, now time.Time, secrets ...string) *Error {
	e := &Error{Op: op, Status: res.StatusCode, Reset: resetOf(res, now)}
	var wire struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
		Code       string `json:"errorCode"`
	}
	if json.Unmarshal(body, &wire) == nil && wire.StatusCode == res.StatusCode {
		e.shaped, e.Code, e.Message = true, clip(wire.Code, secrets...), clip(wire.Message, secrets...)
		if e.Message == "" {
			e.Message = clip(wire.Error, secrets...)
		}
	}
	return e
}

// clip keeps somebody else's words to one short line, without the secrets: some
// answers repeat what they were sent.
func clip(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[hidden]")
		}
	}
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// resetOf reads when to come back: Retry-After in seconds or as a date, or Auth0's
// X-RateLimit-Reset in seconds since 1970. The latter is on every answer (recorded),
// and means something only on a 429. What is more than a year away is no time: it
// may be in milliseconds, and a year of five digits could not be written down. A time of
// Auth0's clock is brought to ours, which may be hours behind it.
func resetOf(res *http.Response, now time.Time) time.Time {
	tooMany := res.StatusCode == http.StatusTooManyRequests
	if !tooMany && res.StatusCode != http.StatusServiceUnavailable {
		return time.Time{}
	}
	const year = 365 * 24 * time.Hour
	sane := func(t time.Time) bool { return t.Sub(now).Abs() < year }
	after := res.Header.Get("Retry-After")
	if s, err := strconv.ParseFloat(after, 64); err == nil && s >= 0 && s < year.Seconds() {
		return now.Add(time.Duration(s * float64(time.Second))).UTC()
	}
	if t, err := http.ParseTime(after); err == nil && sane(ours(t, res, now)) {
		return ours(t, res, now).UTC()
	}
	if s, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && tooMany {
		if t := ours(time.Unix(s, 0), res, now); sane(t) {
			return t.UTC()
		}
	}
	return time.Time{}
}
