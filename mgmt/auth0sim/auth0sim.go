// Package auth0sim is an Auth0 tenant as seen on the wire, as far as application
// signing keys go: for tests, and for trying keyturn out without an account.
//
// Never use it for anything real: its secrets are known, its keys are drawn from a
// small stock, and it keeps nothing. What it does is what Auth0's OpenAPI document
// and documentation say. Where they say nothing the choice is an assumption, marked
// so at its place: the status of revoking a key that is not previously used, what
// becomes of an older previously used key at a further rotation, how many revoked
// keys are listed, how the bucket of rotations refills, and that a token signed by a
// revoked key is refused at once.
//
// It can be rude on purpose: see Fault.
package auth0sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a tenant is made of.
type Config struct {
	Now          func() time.Time // nil: time.Now
	ClientID     string           // "": sim-client
	ClientSecret string           // "": sim-secret
	Scopes       []string         // of the tokens; nil: read:, create: and update:signing_keys
	JWKSMaxAge   time.Duration    // how long the public key set lags behind a change; 0: not at all
	TokenLag     time.Duration    // how long after a rotation tokens are still signed by the key before; an assumption that Auth0 may do so
	Dense        bool             // answer with every flag and date; otherwise sparse, as Auth0 does
	Previous     int              // how many unrevoked previously used keys there are at first
}

// Tenant is a simulated tenant. It is safe for concurrent use.
type Tenant struct {
	cfg      Config
	listener *pipeListener
	server   *http.Server
	late     sync.WaitGroup // effects that land after their caller is gone
	closing  context.Context
	close    context.CancelFunc

	mu      sync.Mutex
	keys    []*signingKey // oldest first
	bucket  bucket
	jwks    []published // the public key set over time, for its lag
	faults  []*Fault
	history []Call
	changed chan struct{}
}

// New returns a tenant with a next key, a current one that has been in use for 200
// days, and as many previously used ones as configured.
func New(cfg Config) *Tenant {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "sim-client"
	}
	if cfg.ClientSecret == "" {
		cfg.ClientSecret = "sim-secret"
	}
	if cfg.Scopes == nil {
		cfg.Scopes = []string{"read:signing_keys", "create:signing_keys", "update:signing_keys"}
	}
	t := &Tenant{cfg: cfg, changed: make(chan struct{}), listener: newPipeListener()}
	t.closing, t.close = context.WithCancel(context.Background())
	const day = 24 * time.Hour
	now := cfg.Now()
	for i := range cfg.Previous {
		age := time.Duration(cfg.Previous-i) * 200 * day
		k := t.newKey(now.Add(-age - 400*day))
		k.previous, k.since, k.until = true, now.Add(-age-200*day), now.Add(-age)
	}
	current := t.newKey(now.Add(-400 * day))
	current.current, current.since = true, now.Add(-200*day)
	t.newKey(now.Add(-200 * day)).next = true
	t.bucket = bucket{level: rotateBurst, at: now}
	t.publish(time.Time{})
	t.server = &http.Server{Handler: t}
	go t.server.Serve(t.listener)
	return t
}

// Dial returns an in-memory connection to the tenant, whatever addr says. It works
// inside a testing/synctest bubble.
func (t *Tenant) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return t.listener.dial(ctx)
}

// Close ends the in-memory connections, and waits for effects that were to land late.
func (t *Tenant) Close() {
	t.close()
	t.server.Close()
	t.late.Wait()
}

// ServeHTTP is the tenant on the wire.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	kid, isRevoke := strings.CutSuffix(strings.TrimPrefix(path, "/api/v2/keys/signing/"), "/revoke")
	switch {
	case path == "/oauth/token" && r.Method == http.MethodPost:
		t.serve(w, r, "token", "", t.token)
	case path == "/.well-known/jwks.json" && r.Method == http.MethodGet:
		t.serve(w, r, "jwks", "", t.serveJWKS)
	case path == "/.well-known/openid-configuration" && r.Method == http.MethodGet:
		t.serve(w, r, "discovery", "", t.discovery)
	case path == "/api/v2/keys/signing" && r.Method == http.MethodGet:
		t.serve(w, r, "list", "", t.authorized(t.list, "read:signing_keys"))
	case path == "/api/v2/keys/signing/rotate" && r.Method == http.MethodPost:
		t.serve(w, r, "rotate", "", t.authorized(t.rotate, "create:signing_keys", "update:signing_keys"))
	case strings.HasPrefix(path, "/api/v2/keys/signing/") && isRevoke && r.Method == http.MethodPut:
		t.serve(w, r, "revoke", kid, t.authorized(t.revoke, "update:signing_keys"))
	case strings.HasPrefix(path, "/api/v2/keys/signing/") && !isRevoke && r.Method == http.MethodGet:
		t.serve(w, r, "get", kid, t.authorized(t.get, "read:signing_keys"))
	default:
		t.serve(w, r, "unknown", "", func(*call) *answer { return failure(http.StatusNotFound, "Not Found", "") })
	}
}

// base is the address under which the tenant was called, as tokens and documents
// name it.
func base(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// answer is what goes out.
type answer struct {
	status int
	header http.Header
	body   any
}

func ok(status int, body any) *answer {
	return &answer{status: status, body: body, header: http.Header{}}
}

// failure is an error in Auth0's shape. Recorded errors often lack the errorCode.
func failure(status int, message, code string) *answer {
	body := map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message}
	if code != "" {
		body["errorCode"] = code
	}
	return ok(status, body)
}

func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(a.status)
	if text, isText := a.body.(string); isText {
		fmt.Fprint(w, text)
		return
	}
	json.NewEncoder(w).Encode(a.body)
}

// Await returns nil once cond is true. It is looked at after every change, and may
// call the tenant's methods; ctx's error comes back where it ends first.
func (t *Tenant) Await(ctx context.Context, cond func() bool) error {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tellChange wakes those who await. t.mu is held.
func (t *Tenant) tellChange() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Call is one call of the API, or one act in the Dashboard.
type Call struct {
	At            time.Time
	Op            string // token, list, get, rotate, revoke, jwks, discovery, unknown
	KID           string // get, revoke
	Status        int    // what was answered, or would have been; 0: nothing was
	Effect        bool   // a key changed
	Via           string // api or dashboard
	Correlation   string // X-Correlation-ID
	Authenticated bool   // the token was good
}

// History returns all calls so far, in the order in which they ended.
func (t *Tenant) History() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.history)
}

func (t *Tenant) record(c Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.history = append(t.history, c)
	t.tellChange()
}
