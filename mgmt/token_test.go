package mgmt

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

func TestTokenRequest(t *testing.T) {
	tn := newTenant()
	got := make(chan *http.Request, 1)
	reader, _, srv := openAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got <- r
		tn.ServeHTTP(w, r)
	}))
	tok, err := reader.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	want := map[string][]string{
		"grant_type": {"client_credentials"}, "client_id": {testID}, "client_secret": {testSecret},
		"audience": {srv.URL + "/api/v2/"},
	}
	if diff := cmp.Diff(want, map[string][]string(r.PostForm)); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	if r.URL.Path != "/oauth/token" || r.Header.Get("Authorization") != "" {
		t.Errorf("asked %s with Authorization %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	if left := time.Until(tok.Expires); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("expires in %v", left)
	}
	tok.Expires = time.Time{}
	if diff := cmp.Diff(Token{KID: testKID, Scopes: []string{"read:signing_keys", "update:signing_keys"}}, tok); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
}

func TestTokenKID(t *testing.T) {
	head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for access, want := range map[string]string{
		head(`{"kid":"a"}`) + ".b.c":     "a",
		head(`{"alg":"RS256"}`) + ".b.c": "",
		head(`{"kid":7}`) + ".b.c":       "",
		head(`no json`) + ".b.c":         "",
		"!!.b.c":                         "",
		head(`{"kid":"a"}`):              "", // opaque
		head(`{"kid":"a"}`) + ".b.c.d.e": "", // encrypted
		"":                               "",
		"..":                             "",
	} {
		if got := about(&oauth2.Token{AccessToken: access}).KID; got != want {
			t.Errorf("kid of %q = %q, want %q", access, got, want)
		}
	}
}

func TestTokenIsKeptUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		r, _, end := openPiped(tn)
		defer end()
		asked := func(want int) {
			t.Helper()
			if _, err := r.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := tn.called("POST /oauth/token"); got != want {
				t.Errorf("%d tokens were fetched, want %d", got, want)
			}
		}
		asked(1)
		asked(1)
		time.Sleep(86400*time.Second - 31*time.Second)
		asked(1)
		time.Sleep(2 * time.Second)
		asked(2)
		r.DropToken()
		asked(3)
		asked(3)
	})
}

// slowTokens holds each token back for a second.
func slowTokens(tn *tenant) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			r.ParseForm() // the server watches for the end of the connection only then
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
		tn.ServeHTTP(w, r)
	})
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		r, _, end := openPiped(slowTokens(tn))
		defer end()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := r.Token(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := tn.called("POST /oauth/token"); got != 1 {
			t.Errorf("%d tokens were fetched for eight callers at once", got)
		}
	})
}

// One caller's haste must not be another's failure.
func TestTokenFetchGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		r, _, end := openPiped(slowTokens(tn))
		defer end()
		var wg sync.WaitGroup
		hasty := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := r.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the hasty one got %v", err)
			}
		}
		wg.Go(hasty) // fetches
		synctest.Wait()
		wg.Go(hasty) // waits for the other's
		wg.Go(func() {
			if _, err := r.Token(t.Context()); err != nil {
				t.Errorf("the patient one got %v", err)
			}
		})
		wg.Wait()
	})
}

// A token that was on its way when it was dropped may be signed by the key that is
// gone.
func TestDropTokenWhileItIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		r, _, end := openPiped(slowTokens(tn))
		defer end()
		var wg sync.WaitGroup
		wg.Go(func() { r.Token(t.Context()) })
		synctest.Wait() // the fetch is under way
		r.DropToken()
		wg.Wait()
		if _, err := r.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := tn.called("POST /oauth/token"); got != 2 {
			t.Errorf("%d tokens were fetched, want a new one after the drop", got)
		}
	})
}

func TestTokenErrors(t *testing.T) {
	echo := func(status int, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			answer(w, status, strings.ReplaceAll(format, "%", r.PostFormValue("client_secret")))
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
		status  int
		refused bool
	}{
		{"refused", says(401, `{"error":"access_denied","error_description":"Unauthorized"}`), "fetching a token: auth0: 401 access_denied: Unauthorized", 401, true},
		{"refused with a 200", says(200, `{"error":"access_denied"}`), "fetching a token: auth0: 200 access_denied", 200, false},
		{"the secret repeated", echo(403, `{"error":"denied %","error_description":"no % here"}`), "fetching a token: auth0: 403 denied [hidden]: no [hidden] here", 403, true},
		{"a page with the secret", echo(502, `<html>%</html>`), "fetching a token: answered 502, not in auth0's words", 502, false},
		{"nothing", says(500, ``), "fetching a token: answered 500, not in auth0's words", 500, false},
		{"no token", says(200, `{"expires_in":1}`), "fetching a token: the answer could not be read", 0, false},
		{"no JSON with the secret", echo(200, `%`), "fetching a token: the answer could not be read", 0, false},
		{"a redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/oauth/token", http.StatusTemporaryRedirect)
		}, "fetching a token: answered 307, not in auth0's words", 307, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle("POST /oauth/token", test.handler)
			r, w, _ := openAt(t, mux)
			_, err := r.Token(t.Context())
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			var said *Error
			if errors.As(err, &said) != (test.status != 0) {
				t.Fatalf("got %#v", err)
			}
			if said != nil && (said.Status != test.status || said.Refused() != test.refused) {
				t.Errorf("status %d, refused %v", said.Status, said.Refused())
			}
			if _, err := w.Rotate(t.Context(), "c"); !errors.Is(err, ErrNotSent) {
				t.Errorf("a write without a token: %v", err)
			}
		})
	}
}
