package mgmt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const listing = "GET /api/v2/keys/signing"

func TestKeysAndKey(t *testing.T) {
	tn := newTenant()
	tn.mux.HandleFunc(listing, tn.authorized(says(200, `[`+sparse+`]`)))
	tn.mux.HandleFunc("GET /api/v2/keys/signing/{kid}", tn.authorized(func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("kid") {
		case "a/b c", "-_k":
			answer(w, 200, fmt.Sprintf(`{"kid":%q,"previous":true}`, r.PathValue("kid")))
		case "other":
			answer(w, 200, `{"kid":"k"}`)
		case "null":
			answer(w, 200, `null`)
		default:
			refuse(w, 404, "Signing key not found.")
		}
	}))
	r, _, _ := openAt(t, tn)
	keys, err := r.Keys(t.Context())
	if _, ok := keys.Next(); err != nil || !ok {
		t.Errorf("keys = %v, %v", keys, err)
	}
	for _, kid := range []string{"-_k", "a/b c"} {
		if k, err := r.Key(t.Context(), kid); err != nil || k.KID != kid || !k.Previous {
			t.Errorf("key %q = %+v, %v", kid, k, err)
		}
	}
	for _, kid := range []string{"other", "null"} {
		if k, err := r.Key(t.Context(), kid); err == nil {
			t.Errorf("key %q = %+v; want an error, it is another one", kid, k)
		}
	}
	var said *Error
	if _, err := r.Key(t.Context(), "none"); !errors.As(err, &said) || said.Status != 404 || said.Message != "Signing key not found." {
		t.Errorf("a key that is not there: %v", err)
	}
	for _, kid := range []string{"", ".", ".."} {
		if _, err := r.Key(t.Context(), kid); err == nil {
			t.Errorf("kid %q was taken", kid)
		}
	}
	if n := tn.called("GET /api/v2/keys/signing/a%2Fb%20c"); n != 1 {
		t.Errorf("the odd kid was asked for %d times", n)
	}
}

func TestReadRefusesWhatIsNoList(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"null":             says(200, `null`),
		"an object":        says(200, `{"keys":[]}`),
		"a page":           says(200, `<html></html>`),
		"nothing":          says(200, ``),
		"no content":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"a partial answer": says(206, `[]`),
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "[]", strings.Repeat(" ", maxBody))
		},
	} {
		tn := newTenant()
		tn.mux.HandleFunc(listing, h)
		r, _, _ := openAt(t, tn)
		if keys, err := r.Keys(t.Context()); err == nil || keys != nil {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
		if n := tn.called(listing); n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

func TestReadRenewsTheTokenOnce(t *testing.T) {
	tn := newTenant()
	tn.mux.HandleFunc(listing, tn.authorized(says(200, `[`+sparse+`]`)))
	r, _, _ := openAt(t, tn)
	if _, err := r.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	tn.refuseToken(1)
	if _, err := r.Keys(t.Context()); err != nil {
		t.Errorf("with a token that was refused: %v", err)
	}
	if n := tn.called("POST /oauth/token"); n != 2 {
		t.Errorf("%d tokens were fetched", n)
	}
	tn.refuseToken(2)
	tn.refuseToken(3)
	var said *Error
	if _, err := r.Keys(t.Context()); !errors.As(err, &said) || said.Status != 401 {
		t.Errorf("with no token that works: %v", err)
	}
	if tokens, reads := tn.called("POST /oauth/token"), tn.called(listing); tokens != 3 || reads != 5 {
		t.Errorf("%d tokens and %d reads, want 3 and 5", tokens, reads)
	}
}

// spoilt spoils the first n calls, and then lists no keys.
func spoilt(n int32, spoil http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			spoil(w, r)
			return
		}
		answer(w, 200, `[]`)
	}
}

func withHeader(status int, name string, value func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value())
		refuse(w, status, "x")
	}
}

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestReadRetries(t *testing.T) {
	in := func(d time.Duration) func() string {
		return func() string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	}
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(200)
		fmt.Fprint(w, `[`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	tests := []struct {
		name     string
		spoil    http.HandlerFunc
		times    int32
		calls    int
		ok       bool
		min, max time.Duration
		reset    bool
	}{
		{"a 502", says(502, `<html>`), 2, 3, true, 300 * time.Millisecond, 700 * time.Millisecond, false},
		{"a 408", says(408, ``), 1, 2, true, 100 * time.Millisecond, 300 * time.Millisecond, false},
		// net/http itself reads again at once where a kept connection broke.
		{"a connection that breaks", abort, 2, 3, true, 100 * time.Millisecond, 700 * time.Millisecond, false},
		{"an answer that breaks off", cut, 1, 2, true, 100 * time.Millisecond, 300 * time.Millisecond, false},
		{"no answer", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 1, 2, true, 5 * time.Second, 6 * time.Second, false},
		{"a 429 without a time", says(429, ``), 1, 2, true, 100 * time.Millisecond, 300 * time.Millisecond, false},
		{"Retry-After in seconds", withHeader(429, "Retry-After", func() string { return "3" }), 1, 2, true, 3 * time.Second, 3200 * time.Millisecond, false},
		{"Retry-After as a date", withHeader(503, "Retry-After", func() string { return time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat) }), 1, 2, true, 3 * time.Second, 4200 * time.Millisecond, false},
		{"X-RateLimit-Reset", withHeader(429, "X-RateLimit-Reset", in(4*time.Second)), 1, 2, true, 3 * time.Second, 4200 * time.Millisecond, false},
		{"X-RateLimit-Reset of a 500", withHeader(500, "X-RateLimit-Reset", in(time.Hour)), 1, 2, true, 100 * time.Millisecond, 300 * time.Millisecond, false},
		{"a wait that is too long", withHeader(429, "X-RateLimit-Reset", in(time.Hour)), 9, 1, false, 0, 100 * time.Millisecond, true},
		{"a time that is over", withHeader(429, "X-RateLimit-Reset", in(-time.Hour)), 99, 0, false, 3 * time.Second, 10 * time.Second, true},
		{"never well", says(503, ``), 99, 0, false, 3 * time.Second, 10 * time.Second, false},
		{"a refusal", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "no") }, 9, 1, false, 0, 100 * time.Millisecond, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant()
				tn.mux.HandleFunc(listing, spoilt(test.times, test.spoil))
				r, _, end := openPiped(tn)
				defer end()
				start := time.Now()
				_, err := r.Keys(t.Context())
				if (err == nil) != test.ok {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took < test.min || took > test.max {
					t.Errorf("took %v, want %v to %v", took, test.min, test.max)
				}
				// A server that never gets well is asked a few times, not hundreds.
				if n := tn.called(listing); test.calls != 0 && n != test.calls || n > 9 {
					t.Errorf("asked %d times, want %d", n, test.calls)
				}
				var said *Error
				if errors.As(err, &said) && said.Reset.IsZero() == test.reset {
					t.Errorf("reset = %v", said.Reset)
				}
			})
		})
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		tn.mux.HandleFunc(listing, says(503, ``))
		r, _, end := openPiped(tn)
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := r.Keys(ctx); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		// A caller's own deadline counts, also where it is later than the default.
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start = time.Now()
		r.Keys(ctx)
		if took := time.Since(start); took < 50*time.Second || took > time.Minute {
			t.Errorf("with a minute it took %v", took)
		}
	})
}

func TestReadRedirects(t *testing.T) {
	var stray atomic.Int32
	_, _, other := openAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stray.Add(1)
		answer(w, 200, `[]`)
	}))
	tn := newTenant()
	target := ""
	tn.mux.HandleFunc(listing, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
	tn.mux.HandleFunc("GET /moved", tn.authorized(says(200, `[]`)))
	r, _, _ := openAt(t, tn)
	target = "/moved"
	if _, err := r.Keys(t.Context()); err != nil {
		t.Errorf("on the tenant itself: %v", err)
	}
	target = other.URL
	var said *Error
	if _, err := r.Keys(t.Context()); !errors.As(err, &said) || said.Status != 302 || said.Refused() {
		t.Errorf("to another host: %v", err)
	}
	if n := stray.Load(); n != 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

func TestJWKS(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
		ok         bool
	}{
		{"two keys", `{"keys":[{"kid":"a","kty":"RSA","x5c":["x"]},{"kid":"b"}]}`, []string{"a", "b"}, true},
		{"a key without a kid", `{"keys":[{"kty":"RSA"},{"kid":"b"}]}`, []string{"b"}, true},
		{"no keys", `{"keys":[]}`, nil, true},
		{"null keys", `{"keys":null}`, nil, false},
		{"nothing of the kind", `{"error":"x"}`, nil, false},
		{"null", `null`, nil, false},
		{"a list", `[{"kid":"a"}]`, nil, false},
		{"a page", `<html>`, nil, false},
		{"nothing", ``, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			domain := http.NewServeMux()
			domain.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
				if h := r.Header.Get("Authorization"); h != "" {
					t.Errorf("a public address was sent %q", h)
				}
				answer(w, 200, test.body)
			})
			_, _, custom := openAt(t, domain)
			tn := newTenant()
			r, _, _ := openAt(t, tn)
			if _, err := r.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := r.JWKS(t.Context(), custom.URL+"/")
			if (err == nil) != test.ok {
				t.Fatalf("got %v, %v", got, err)
			}
			if diff := cmp.Diff(test.want, got.KIDs); diff != "" {
				t.Errorf("kids (-want +got):\n%s", diff)
			}
			if got.Has("b") != (len(test.want) > 0) || got.Has("") {
				t.Errorf("has b: %v, has nothing: %v", got.Has("b"), got.Has(""))
			}
		})
	}
}
