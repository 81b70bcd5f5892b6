package mgmt

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestErrorOf(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		want    Error
		refused bool
		text    string
	}{
		{"whole", 403, `{"statusCode":403,"error":"Forbidden","message":"Insufficient scope, expected any of: x","errorCode":"insufficient_scope"}`,
			Error{Code: "insufficient_scope", Message: "Insufficient scope, expected any of: x"}, true,
			"rotating: auth0: 403 insufficient_scope: Insufficient scope, expected any of: x"},
		{"without an errorCode", 404, `{"statusCode":404,"error":"Not Found","message":"Signing key not found."}`,
			Error{Message: "Signing key not found."}, true, "rotating: auth0: 404: Signing key not found."},
		{"without a message", 429, `{"statusCode":429,"error":"Too Many Requests"}`,
			Error{Message: "Too Many Requests"}, true, "rotating: auth0: 429: Too Many Requests"},
		{"with nothing but a status", 400, `{"statusCode":400}`, Error{}, true, "rotating: auth0: 400"},
		{"a page", 403, `<html>blocked</html>`, Error{}, false, "rotating: answered 403, not in auth0's words"},
		{"empty", 401, ``, Error{}, false, "rotating: answered 401, not in auth0's words"},
		{"another shape", 400, `{"error":"bad","message":"of a gateway"}`, Error{}, false, "rotating: answered 400, not in auth0's words"},
		{"a list", 400, `[]`, Error{}, false, "rotating: answered 400, not in auth0's words"},
		{"another status inside", 404, `{"statusCode":500,"message":"x"}`, Error{}, false, "rotating: answered 404, not in auth0's words"},
		{"a timeout", 408, `{"statusCode":408,"message":"slow"}`, Error{Message: "slow"}, false, "rotating: auth0: 408: slow"},
		{"a server's error", 500, `{"statusCode":500,"message":"oops"}`, Error{Message: "oops"}, false, "rotating: auth0: 500: oops"},
		{"a redirect", 307, `{"statusCode":307,"message":"there"}`, Error{Message: "there"}, false, "rotating: auth0: 307: there"},
		{"several lines", 400, `{"statusCode":400,"message":"a\r\n\tb  c"}`, Error{Message: "a b c"}, true, "rotating: auth0: 400: a b c"},
		{"what was sent", 401, `{"statusCode":401,"errorCode":"tok","message":"bad tok"}`,
			Error{Code: "[hidden]", Message: "bad [hidden]"}, true, "rotating: auth0: 401 [hidden]: bad [hidden]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := errorOf("rotating", &http.Response{StatusCode: test.status}, []byte(test.body), time.Now(), "", "tok")
			test.want.Op, test.want.Status = "rotating", test.status
			if diff := cmp.Diff(&test.want, got, cmpopts.IgnoreUnexported(Error{})); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got.Refused() != test.refused {
				t.Errorf("refused = %v", got.Refused())
			}
			if got.Error() != test.text {
				t.Errorf("text = %q, want %q", got, test.text)
			}
		})
	}
	long := errorOf("x", &http.Response{StatusCode: 400}, []byte(`{"statusCode":400,"message":"`+strings.Repeat("ä", 5000)+`"}`), time.Now())
	if n := len([]rune(long.Message)); n != 301 {
		t.Errorf("a long message is kept with %d characters", n)
	}
}

func TestResetOf(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	epoch := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	tests := []struct {
		name         string
		status       int
		after, reset string
		want         time.Time
	}{
		{"seconds", 429, "7", "", now.Add(7 * time.Second)},
		{"a date", 429, "Fri, 01 May 2026 12:00:09 GMT", "", now.Add(9 * time.Second)},
		{"Auth0's own", 429, "", epoch(5 * time.Hour), now.Add(5 * time.Hour)},
		{"both", 429, "7", epoch(time.Hour), now.Add(7 * time.Second)},
		{"nonsense before Auth0's own", 429, "soon", epoch(time.Hour), now.Add(time.Hour)},
		{"a 503", 503, "7", "", now.Add(7 * time.Second)},
		{"the header that every answer has", 503, "", epoch(time.Hour), time.Time{}},
		{"the same of a refusal", 403, "7", epoch(time.Hour), time.Time{}},
		{"nothing", 429, "", "", time.Time{}},
		{"below zero", 429, "-1", "", time.Time{}},
		{"not a number", 429, "NaN", "", time.Time{}},
		{"without end", 429, "Inf", "", time.Time{}},
		{"a far date", 429, "Fri, 01 May 9999 12:00:09 GMT", "", time.Time{}},
		{"milliseconds", 429, "", epoch(time.Hour) + "000", time.Time{}},
		{"too many digits", 429, "", "9223372036854775807", time.Time{}},
	}
	for _, test := range tests {
		res := &http.Response{StatusCode: test.status, Header: http.Header{}}
		res.Header.Set("Retry-After", test.after)
		res.Header.Set("X-RateLimit-Reset", test.reset)
		if got := resetOf(res, now); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
