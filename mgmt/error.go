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

// ErrNotSent is wrapped by the error of a write that never left.
var ErrNotSent = errors.New("not sent")

// Error says that Auth0, or something before it, answered and not with success.
type Error struct {
	Op      string // what was being done
	Status  int
	Code    string    // Auth0's errorCode, or OAuth's error; often missing
	Message string    // Auth0's words; "" where the answer was none of Auth0's
	Reset   time.Time // when to come back, as a 429 says; zero: it does not say

	shaped bool // the body had the shape of Auth0's errors
}

func (e *Error) Error() string {
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
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status/100 == 5
}

// errorOf reads an answer that is no success. Bodies without errorCode, of another
// shape, or not JSON at all are all known to occur.
func errorOf(op string, res *http.Response, body []byte, now time.Time) *Error {
	e := &Error{Op: op, Status: res.StatusCode, Reset: resetOf(res.Header, now)}
	var wire struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
		Code       string `json:"errorCode"`
	}
	if json.Unmarshal(body, &wire) == nil && wire.StatusCode == res.StatusCode {
		e.shaped, e.Code, e.Message = true, clip(wire.Code), clip(wire.Message)
		if e.Message == "" {
			e.Message = clip(wire.Error)
		}
	}
	return e
}

// clip keeps somebody else's words to one short line.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// resetOf reads when to come back: Retry-After in seconds or as a date, or Auth0's
// X-RateLimit-Reset in seconds since 1970.
func resetOf(h http.Header, now time.Time) time.Time {
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil && s >= 0 && s < 1e7 {
			return now.Add(time.Duration(s * float64(time.Second))).UTC()
		}
		if t, err := http.ParseTime(v); err == nil {
			return t.UTC()
		}
	}
	if s, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && s > 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Time{}
}
