package mgmt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const (
	testID     = "the-client"
	testSecret = "s3cret/with+odd&signs"
	testKID    = "signer-1"
)

// tenant answers for Auth0. Paths without an answer are 404 in Auth0's shape.
type tenant struct {
	mux *http.ServeMux

	mu     sync.Mutex
	calls  map[string]int // by method and path
	tokens int            // how many were handed out
	gone   map[string]bool
}

func newTenant() *tenant {
	t := &tenant{mux: http.NewServeMux(), calls: map[string]int{}, gone: map[string]bool{}}
	t.mux.HandleFunc("POST /oauth/token", t.token)
	t.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { refuse(w, 404, "Not Found") })
	return t
}

func (t *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	t.calls[r.Method+" "+r.URL.EscapedPath()]++
	t.mu.Unlock()
	t.mux.ServeHTTP(w, r)
}

func (t *tenant) called(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[what]
}

// token answers as Auth0 documents, with a token whose header names testKID.
func (t *tenant) token(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("client_secret") != testSecret {
		answer(w, 401, `{"error":"access_denied","error_description":"Unauthorized"}`)
		return
	}
	t.mu.Lock()
	t.tokens++
	n := t.tokens
	t.mu.Unlock()
	answer(w, 200, fmt.Sprintf(`{"access_token":%q,"expires_in":86400,"scope":"read:signing_keys update:signing_keys","token_type":"Bearer"}`, jwt(n)))
}

func jwt(n int) string {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"` + testKID + `"}`))
	return fmt.Sprintf("%s.claims%d.signature", header, n)
}

// refuseToken makes the n-th token useless, as a revocation does.
func (t *tenant) refuseToken(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone["Bearer "+jwt(n)] = true
}

// authorized answers 401 without a token that still works.
func (t *tenant) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		got := r.Header.Get("Authorization")
		bad := !strings.HasPrefix(got, "Bearer ") || t.gone[got]
		t.mu.Unlock()
		if bad {
			refuse(w, 401, "Invalid signature received for JSON Web Token validation")
			return
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// refuse answers in the shape of Auth0's errors, without an errorCode.
func refuse(w http.ResponseWriter, status int, message string) {
	body, _ := json.Marshal(map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message})
	answer(w, status, string(body))
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { answer(w, status, body) }
}

// openAt opens what is served at a server.
func openAt(t *testing.T, h http.Handler) (*Reader, *Writer, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	r, w := Open(Config{BaseURL: srv.URL, ClientID: testID, ClientSecret: testSecret})
	return r, w, srv
}

// pipes is a listener in memory, for tests in a bubble of testing/synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// openPiped is openAt in memory. The test calls the function at its end.
func openPiped(h http.Handler) (*Reader, *Writer, func()) {
	return openDialled(h, func(dial dialFunc) dialFunc { return dial })
}

// openDialled is openPiped with something around each dial.
func openDialled(h http.Handler, around func(dialFunc) dialFunc) (*Reader, *Writer, func()) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	go srv.Serve(p)
	r, w := Open(Config{BaseURL: "http://tenant.test", ClientID: testID, ClientSecret: testSecret, Dial: around(p.dial)})
	return r, w, func() { srv.Close(); r.client.CloseIdleConnections() }
}
