package mgmt

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// Whatever goes wrong, no error has the secret or a token in it: not its text, nor
// that of anything it wraps, however it is printed.
func TestNoSecretInErrors(t *testing.T) {
	// Answers with everything that it was sent.
	echo := func(status int, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			sent := r.Header.Get("Authorization") + " " + r.PostFormValue("client_secret") + " " + r.PostForm.Encode()
			answer(w, status, fmt.Sprintf(format, sent))
		}
	}
	var faults []http.HandlerFunc
	for _, status := range []int{200, 307, 400, 401, 403, 404, 429, 500} {
		faults = append(faults,
			echo(status, "<html>%s</html>"),
			echo(status, `{"error":%q}`),
			echo(status, fmt.Sprintf(`{"statusCode":%d,"error":"e","message":%%q,"errorCode":%%[1]q}`, status)),
			echo(status, `{"error":"e","error_description":%q}`),
		)
	}
	faults = append(faults, drop(true), drop(false))
	for i, fault := range faults {
		for _, spoiled := range []string{"POST /oauth/token", "/api/"} {
			tn := newTenant()
			mux := http.NewServeMux()
			mux.HandleFunc(spoiled, fault)
			mux.Handle("POST /oauth/{$}", tn)
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				// Reads are not to be tried again and again here.
				if !strings.HasPrefix(r.URL.Path, "/oauth/") {
					refuse(w, 404, "Not Found")
					return
				}
				tn.ServeHTTP(w, r)
			})
			r, w, _ := openAt(t, mux)
			var errs []error
			_, err := w.Rotate(t.Context(), "c")
			errs = append(errs, err)
			_, err = w.Revoke(t.Context(), "k", "c")
			errs = append(errs, err)
			_, err = r.Token(t.Context())
			errs = append(errs, err)
			_, _, err = r.try(t.Context(), "listing the keys", r.base+"/api/v2/keys/signing", r.tokens)
			errs = append(errs, err)
			for _, err := range errs {
				checkQuiet(t, fmt.Sprint("fault ", i, " of ", spoiled), err)
			}
		}
	}
}

// checkQuiet looks for the secret and the tokens in an error and all that it wraps.
func checkQuiet(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, printed := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, secret := range []string{testSecret, url.QueryEscape(testSecret), ".claims", ".signature"} {
			if strings.Contains(printed, secret) {
				t.Errorf("%s: %q is in %s", what, secret, printed)
			}
		}
	}
	switch wraps := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range wraps.Unwrap() {
			checkQuiet(t, what, e)
		}
	default:
		checkQuiet(t, what, errors.Unwrap(err))
	}
}

func TestNoSecretPrinted(t *testing.T) {
	cfg := Config{BaseURL: "https://acme.eu.auth0.com", ClientID: testID, ClientSecret: testSecret}
	r, w := Open(cfg)
	tn := newTenant()
	r2, w2, _ := openAt(t, tn)
	tok, err := r2.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	around := struct {
		Cfg Config
		r   *Reader
		w   map[string]*Writer
	}{cfg, r2, map[string]*Writer{"prod": w2}}
	for _, v := range []any{cfg, &cfg, []Config{cfg}, around, &around, r, w, *r, *w, r2, w2, *r2, *w2, tok} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			printed := fmt.Sprintf(verb, v)
			for _, secret := range []string{testSecret, fmt.Sprintf("%x", testSecret), jwt(1)} {
				if strings.Contains(printed, secret) {
					t.Errorf("%s of %T has the secret: %s", verb, v, printed)
				}
			}
		}
	}
	if got := fmt.Sprintf("%+v", cfg); got != cfg.BaseURL {
		t.Errorf("%%+v of a Config = %s", got)
	}
}
