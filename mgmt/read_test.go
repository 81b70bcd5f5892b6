package mgmt

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeysAreReadLeniently(t *testing.T) {
	at := time.Date(2020, 8, 12, 11, 54, 49, 954_000_000, time.UTC)
	for _, tc := range []struct {
		name, body string
		want       Keys
	}{
		{"none", `[]`, Keys{}},
		{"sparse", `[{"kid":"n","cert":"c","next":true,"fingerprint":"AA:BB","thumbprint":"AABB","pkcs7":"p"}]`,
			Keys{{KID: "n", Cert: "c", Next: true, Fingerprint: "AA:BB", Thumbprint: "AABB"}}},
		{"dense", `[{"kid":"k","cert":"c","current":true,"next":false,"previous":false,"revoked":false,"current_since":"2020-08-12T11:54:49.954Z","current_until":"","revoked_at":null}]`,
			Keys{{KID: "k", Cert: "c", Current: true, CurrentSince: at}}},
		{"dates that are objects", `[{"kid":"k","previous":true,"current_since":{"seconds":1},"current_until":"2020-08-12T13:54:49.954+02:00"}]`,
			Keys{{KID: "k", Previous: true, CurrentUntil: at}}},
		{"nanoseconds", `[{"kid":"k","revoked":true,"revoked_at":"2020-08-12T11:54:49.954000000Z"}]`,
			Keys{{KID: "k", Revoked: true, RevokedAt: at}}},
		{"a date that is none", `[{"kid":"k","current":true,"current_since":"yesterday"}]`, Keys{{KID: "k", Current: true}}},
		{"fields that are new", `[{"kid":"k","current":true,"color":{"a":[1]}}]`, Keys{{KID: "k", Current: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decodeKeys([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAListThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []string{``, `null`, `{}`, `{"keys":[]}`, `<html>`, `[{"cert":"c"}]`, `[{"kid":"a"},{"kid":"a"}]`, `["a"]`, `[{"kid":"k","next":"yes"}]`} {
		if keys, err := decodeKeys([]byte(body)); err == nil {
			t.Errorf("%q was read as %v", body, keys)
		}
	}
}

func TestRoles(t *testing.T) {
	keys := Keys{
		{KID: "r1", Revoked: true, Previous: true, RevokedAt: time.Unix(1, 0)}, {KID: "r2", Revoked: true, RevokedAt: time.Unix(2, 0)},
		{KID: "p", Previous: true}, {KID: "n", Next: true}, {KID: "c", Current: true}, {KID: "u"},
	}
	var roles []string
	for _, k := range keys {
		roles = append(roles, k.Role().String())
	}
	if want := []string{"revoked", "revoked", "previously used", "next in queue", "currently used", "unknown"}; !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
	if r := keys.Revoked(); len(r) != 2 || r[0].KID != "r2" {
		t.Errorf("revoked %v, want the last one first", r)
	}
	if p := keys.Previous(); len(p) != 1 || p[0].KID != "p" {
		t.Errorf("previous %v", p)
	}
	if _, ok := append(keys, Key{KID: "c2", Current: true}).Current(); ok {
		t.Error("one of two current keys was taken for the current one")
	}
}

func TestSHA256TellsCertificatesApart(t *testing.T) {
	pem := "-----BEGIN CERTIFICATE-----\r\naGVsbG8=\r\n-----END CERTIFICATE-----"
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // SHA-256 of "hello"
	if got := (Key{Cert: pem}).SHA256(); got != hello {
		t.Errorf("got %s", got)
	}
	if a, b := (Key{Cert: "no PEM"}).SHA256(), (Key{Cert: "no PEM either"}).SHA256(); a == b || len(a) != 64 {
		t.Errorf("got %s and %s", a, b)
	}
}

// tokenOf is a token whose header names a kid.
func tokenOf(kid string, n int32) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + kid + `"}`))
	return head + ".body-" + strconv.Itoa(int(n)) + ".signature"
}

// counted serves tokens that are numbered, and an API.
func counted(t *testing.T, api func(w http.ResponseWriter, r *http.Request, call int32)) (*Reader, *atomic.Int32, *atomic.Int32) {
	t.Helper()
	var tokens, calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			n := tokens.Add(1)
			for name, want := range map[string]string{"grant_type": "client_credentials", "client_id": "client", "client_secret": secret, "audience": "http://" + r.Host + "/api/v2/"} {
				if got := r.PostFormValue(name); got != want {
					t.Errorf("the token call has %s %q, want %q", name, got, want)
				}
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("the token call tried the header first")
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":86400,"scope":"read:signing_keys update:signing_keys"}`, tokenOf("the-kid", n))
			return
		}
		api(w, r, calls.Add(1))
	}))
	t.Cleanup(srv.Close)
	r, _ := open(srv.URL)
	return r, &tokens, &calls
}

func TestTokenIsKeptAndDropped(t *testing.T) {
	r, tokens, _ := counted(t, func(w http.ResponseWriter, _ *http.Request, _ int32) { fmt.Fprint(w, `[]`) })
	for range 3 {
		if _, err := r.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := r.Token(t.Context())
	if err != nil || tok.KID != "the-kid" || !slices.Equal(tok.Scopes, []string{"read:signing_keys", "update:signing_keys"}) || time.Until(tok.Expires) < time.Hour {
		t.Errorf("token %+v, %v", tok, err)
	}
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens were fetched, want 1", n)
	}
	r.DropToken()
	if _, err := r.Keys(t.Context()); err != nil || tokens.Load() != 2 {
		t.Errorf("%d tokens after dropping one (%v), want 2", tokens.Load(), err)
	}
}

func TestA401OnAReadFetchesANewTokenOnce(t *testing.T) {
	r, tokens, calls := counted(t, func(w http.ResponseWriter, req *http.Request, _ int32) {
		if strings.Contains(req.Header.Get("Authorization"), "body-1.") {
			w.WriteHeader(401)
			return
		}
		fmt.Fprint(w, `[]`)
	})
	if _, err := r.Keys(t.Context()); err != nil || tokens.Load() != 2 || calls.Load() != 2 {
		t.Errorf("%d tokens, %d calls, %v; want 2, 2", tokens.Load(), calls.Load(), err)
	}

	r, tokens, calls = counted(t, func(w http.ResponseWriter, _ *http.Request, _ int32) { w.WriteHeader(401) })
	_, err := r.Keys(t.Context())
	var said *Error
	if !errors.As(err, &said) || said.Status != 401 || tokens.Load() != 2 || calls.Load() != 2 {
		t.Errorf("always 401: %d tokens, %d calls, %v; want 2, 2", tokens.Load(), calls.Load(), err)
	}
}

func TestReadsAreRetried(t *testing.T) {
	for name, spoil := range map[string]func(w http.ResponseWriter){
		"500":                  func(w http.ResponseWriter) { w.WriteHeader(500) },
		"429 with Retry-After": func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0.05"); w.WriteHeader(429) },
		"429 with a reset": func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix(), 10))
			w.WriteHeader(429)
		},
		"the connection dropped": func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			r, _, calls := counted(t, func(w http.ResponseWriter, _ *http.Request, call int32) {
				if call <= 2 {
					spoil(w)
					return
				}
				fmt.Fprint(w, `{"keys":[{"kid":"a"},{"kid":"b"}]}`)
			})
			set, err := r.JWKS(t.Context(), r.base)
			if err != nil || !set.Has("a") || set.Has("c") || calls.Load() < 3 {
				t.Errorf("%+v after %d calls, %v", set, calls.Load(), err)
			}
		})
	}
}

func TestReadsStopWhereTryingAgainIsOfNoUse(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		status int
	}{
		"404":             {func(w http.ResponseWriter) { w.WriteHeader(404) }, 404},
		"a distant reset": {func(w http.ResponseWriter) { w.Header().Set("X-RateLimit-Reset", "4102444800"); w.WriteHeader(429) }, 429},
		"a redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(302)
		}, 302},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, calls := counted(t, func(w http.ResponseWriter, _ *http.Request, _ int32) { tc.answer(w) })
			_, err := r.Key(t.Context(), "kid")
			var said *Error
			if !errors.As(err, &said) || said.Status != tc.status || calls.Load() != 1 {
				t.Errorf("%v after %d calls", err, calls.Load())
			}
		})
	}
	r, _, calls := counted(t, func(http.ResponseWriter, *http.Request, int32) {})
	if _, err := r.Key(t.Context(), ""); err == nil || calls.Load() != 0 {
		t.Errorf("no kid: %v after %d calls", err, calls.Load())
	}
}

func TestReadsEndWithTheDeadline(t *testing.T) {
	r, _, calls := counted(t, func(w http.ResponseWriter, _ *http.Request, _ int32) { w.WriteHeader(503) })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := r.Keys(ctx)
	if err == nil || calls.Load() < 2 || ctx.Err() != nil {
		t.Errorf("%v after %d calls; the deadline has come: %v", err, calls.Load(), ctx.Err())
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		w.WriteHeader(400)
		fmt.Fprint(w, r.Form.Encode(), r.Header.Get("Authorization"))
	}))
	defer echo.Close()
	r, w := open(echo.URL)
	_, err := r.Keys(t.Context())
	_, err2 := w.Rotate(t.Context(), "kt-1")
	r2, _, _ := counted(t, func(w http.ResponseWriter, r *http.Request, _ int32) {
		w.WriteHeader(400)
		fmt.Fprint(w, r.Header.Get("Authorization"))
	})
	_, err3 := r2.Keys(t.Context())
	for _, err := range []error{err, err2, err3} {
		if err == nil {
			t.Fatal("no error")
		}
		if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, secret) || strings.Contains(s, "body-") {
			t.Errorf("the error has a secret in it: %s", s)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", Config{ClientSecret: secret}, Config{ClientSecret: secret}, Config{ClientSecret: secret}); strings.Contains(s, secret) {
		t.Errorf("the configuration prints its secret: %s", s)
	}
}

func FuzzDecodeKeys(f *testing.F) {
	f.Add([]byte(`[{"kid":"n","cert":"-----BEGIN CERTIFICATE-----\r\naGk=\r\n-----END CERTIFICATE-----","next":true,"current_since":{"a":1}}]`))
	f.Add([]byte(`[{"kid":"a"},{"kid":"a"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := decodeKeys(b)
		if err != nil {
			return
		}
		for _, k := range keys {
			if found, ok := keys.Find(k.KID); !ok || found.SHA256() != k.SHA256() || k.KID == "" {
				t.Errorf("key %q is not found as itself", k.KID)
			}
		}
	})
}
