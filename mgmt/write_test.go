package mgmt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const secret = "s3cret-of-the-client"

// tenantOf serves a tenant whose token end always works and whose rest is api.
func tenantOf(api http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"aGk.token-of-the-test.x","token_type":"Bearer","expires_in":86400}`)
			return
		}
		api(w, r)
	})
}

func open(base string) (*Reader, *Writer) {
	return Open(Config{BaseURL: base, ClientID: "client", ClientSecret: secret})
}

// TestAWriteIsSentOnce has servers that do what was asked and then answer in every
// way that makes some client send it again. Each has to count one.
func TestAWriteIsSentOnce(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the write went elsewhere, with the authorization %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	hijack := func(w http.ResponseWriter, last func(net.Conn)) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		last(c)
		c.Close()
	}
	for name, effect := range map[string]http.HandlerFunc{
		"reset": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
		},
		"closed": func(w http.ResponseWriter, r *http.Request) { hijack(w, func(net.Conn) {}) },
		"closed in the middle of the head": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, func(c net.Conn) { c.Write([]byte("HTTP/1.1 201 Cre")) })
		},
		"307 to itself":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 307) },
		"308 to itself":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 308) },
		"307 to elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 307) },
		"308 to elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 308) },
		"502":              func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) },
		"503, come back":   func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(503) },
		"408":              func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(408) },
		"401 of a gateway": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) },
		"too slow":         func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int32
			srv := httptest.NewServer(tenantOf(func(w http.ResponseWriter, r *http.Request) {
				writes.Add(1)
				if r.Header.Get("Idempotency-Key") != "" || r.ContentLength > 0 {
					t.Errorf("the write has an idempotency key or a body")
				}
				effect(w, r)
			}))
			defer srv.Close()
			_, w := open(srv.URL)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := w.Rotate(ctx, "kt-1")
			if err == nil {
				t.Fatal("a lost answer was taken for success")
			}
			var said *Error
			if errors.Is(err, ErrNotSent) || errors.As(err, &said) && said.Refused() {
				t.Errorf("it says %v, want a lost answer", err)
			}
			if n := writes.Load(); n != 1 {
				t.Errorf("the server counts %d writes, want 1", n)
			}
		})
	}
}

// TestAWriteSpeaksHTTP1 offers HTTP/2, whose transport would send the write again
// after RST_STREAM: a handler that panics with ErrAbortHandler sends one.
func TestAWriteSpeaksHTTP1(t *testing.T) {
	var writes atomic.Int32
	srv := httptest.NewUnstartedServer(tenantOf(func(w http.ResponseWriter, r *http.Request) {
		writes.Add(1)
		if r.ProtoMajor != 1 {
			t.Errorf("the write came over %s", r.Proto)
		}
		panic(http.ErrAbortHandler)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	r, w := open(srv.URL)
	trust := &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	r.client.Transport.(*http.Transport).TLSClientConfig = trust.Clone()
	w.client.Transport.(*http.Transport).TLSClientConfig = trust.Clone()
	if _, err := w.Revoke(t.Context(), "kid", "kt-1"); err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("got %v, want a lost answer", err)
	}
	if n := writes.Load(); n != 1 {
		t.Errorf("the server counts %d writes, want 1", n)
	}
}

func TestWhatAuth0SaysToAWrite(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		want       Answer
		refused    bool
		message    string
	}{
		{name: "201", status: 201, body: `{"kid":"new","cert":"…"}`, want: Answer{Status: 201, KID: "new"}},
		{name: "200", status: 200, body: `{"kid":"k"}`, want: Answer{Status: 200, KID: "k"}},
		{name: "201 without a body", status: 201, want: Answer{Status: 201}},
		{name: "201 that is not JSON", status: 201, body: "OK", want: Answer{Status: 201}},
		{name: "403", status: 403, body: `{"statusCode":403,"error":"Forbidden","message":"Insufficient scope","errorCode":"insufficient_scope"}`, refused: true, message: "Insufficient scope"},
		{name: "404 without errorCode", status: 404, body: `{"statusCode":404,"error":"Not Found","message":"Signing key not found."}`, refused: true, message: "Signing key not found."},
		{name: "429 without a message", status: 429, body: `{"statusCode":429,"error":"Too Many Requests"}`, refused: true, message: "Too Many Requests"},
		{name: "404 of a proxy", status: 404, body: "<html>not here</html>"},
		{name: "403 of a firewall", status: 403, body: `{"error":"blocked"}`},
		{name: "502", status: 502, body: "<html>bad gateway</html>"},
		{name: "500 in Auth0's shape", status: 500, body: `{"statusCode":500,"error":"Internal Server Error","message":"sorry"}`, message: "sorry"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(tenantOf(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.URL.EscapedPath(); got != "PUT /api/v2/keys/signing/a%2Fb/revoke" {
					t.Errorf("called %s", got)
				}
				if got := r.Header.Get("X-Correlation-ID"); got != strings.Repeat("c", 64) {
					t.Errorf("correlation id %q", got)
				}
				w.Header().Set("X-RateLimit-Reset", "4102444800")
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			}))
			defer srv.Close()
			_, w := open(srv.URL)
			got, err := w.Revoke(t.Context(), "a/b", strings.Repeat("c", 70))
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if tc.status/100 == 2 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var said *Error
			if !errors.As(err, &said) || said.Status != tc.status || said.Refused() != tc.refused || said.Message != tc.message {
				t.Fatalf("got %#v", err)
			}
			if !said.Reset.Equal(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("reset %v", said.Reset)
			}
		})
	}
}

func TestAWriteThatNeverLeft(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/token" {
			t.Error("written without a token")
		}
		w.WriteHeader(401)
		fmt.Fprint(w, `{"error":"access_denied","error_description":"Unauthorized"}`)
	}))
	defer refusing.Close()
	for name, base := range map[string]string{"no connection": dead.URL, "no token": refusing.URL} {
		_, w := open(base)
		if _, err := w.Rotate(t.Context(), "kt-1"); !errors.Is(err, ErrNotSent) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNotSent)
		}
	}
	_, w := open(dead.URL)
	if _, err := w.Revoke(t.Context(), "", "kt-1"); !errors.Is(err, ErrNotSent) {
		t.Errorf("no kid: got %v, want %v", err, ErrNotSent)
	}
}
