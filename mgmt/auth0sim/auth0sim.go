// Package auth0sim is an Auth0 tenant as seen on the wire, as far as application
// signing keys go: for tests, and for trying keyturn out without an account.
//
// Never use it for anything real: its secrets are known, its RSA keys come from a
// stock that all tenants of a process share, and its state is never kept.
//
// Its goals are to answer as Auth0's OpenAPI documents and recorded answers do, to
// be rude on purpose (see Fault), and to remember every call (see History). The
// limits of calls a second are announced and counted; of them the limit of rotations
// refuses, and the Management API's where Config.Rate says so.
//
// Where Auth0's documents say nothing the choice is an assumption, marked so at its
// place: the statuses of revoking a key that is not previously used; what becomes of
// an older previously used key at a further rotation; how many revoked keys are
// listed; how the bucket of rotations refills, what its 429 says, and that rotations
// in the Dashboard are not counted in it; that a revoked key's tokens are refused at
// once; that tokens may be signed by the old key for a while after a rotation; which
// status wrong credentials get; and that a wrong method is a 405.
package auth0sim

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
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

	// JWKSMaxAge is how long the public key set lags behind a change, and the max-age
	// that it announces. 0: no lag, and 15 s are announced as Auth0 does.
	JWKSMaxAge time.Duration

	// TokenLag is how long after a rotation tokens are still signed by the key that
	// was current before it. That Auth0 may do so is an assumption.
	TokenLag time.Duration

	// LogLag is how long after a write the tenant log has it: Auth0 promises no real time.
	LogLag time.Duration

	// Rate is how many calls a second the Management API takes, all together, and Burst
	// how many at once; what is more gets a 429. 0: it announces Auth0's limit of the
	// Enterprise plan, and refuses nothing.
	Rate, Burst int

	// Date is what the Date header says at a time; "": there is none. nil: the time.
	Date func(now time.Time) string

	Dense    bool // answer with every flag; otherwise sparse, as Auth0 does
	Previous int  // how many unrevoked previously used keys there are at first
}

// Tenant is a simulated tenant. It is safe for concurrent use.
type Tenant struct {
	cfg      Config
	listener *pipeListener
	closing  chan struct{}
	running  sync.WaitGroup // the server, and effects that are to land late

	mu       sync.Mutex
	closed   bool
	keys     []*signingKey // as they were made; a revoked one goes to the end
	rotation bucket
	limits   limits
	jwks     []published
	faults   []*activeFault
	history  []Call
	tokens   []string      // that were given out
	changed  chan struct{} // closed and replaced at each change
}

// New returns a tenant with a next key, a current one that has been in use for 200
// days, and as many previously used ones as configured. The first tenants of a
// process generate RSA keys, which takes about a tenth of a second a key; later ones
// find them in stock. Close must be called.
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
	t := &Tenant{
		cfg: cfg, listener: newPipeListener(),
		closing: make(chan struct{}), changed: make(chan struct{}),
		rotation: rotationBucket, limits: newLimits(),
	}
	if cfg.Rate > 0 {
		t.limits.api = bucket{burst: max(1, cfg.Burst), refill: time.Second / time.Duration(cfg.Rate)}
	}
	const use = 200 * 24 * time.Hour
	// Each key was made when the one before it came into use, and was used for 200 days.
	now := cfg.Now()
	begin := now.Add(-time.Duration(cfg.Previous+1) * use)
	for range cfg.Previous {
		k := t.newKey(previous, begin.Add(-use))
		k.since, k.until = begin, begin.Add(use)
		begin = k.until
	}
	t.newKey(current, begin.Add(-use)).since = begin
	t.newKey(next, begin)
	t.publish(time.Time{})
	t.running.Go(func() { http.Serve(t.listener, t) }) // until Close
	return t
}

// Dial returns an in-memory connection to the tenant, whatever addr says; plain HTTP
// is spoken on it. It works inside a testing/synctest bubble, where the tenant was
// made in the same one. The error is ctx's, or net.ErrClosed after Close.
func (t *Tenant) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return t.listener.dial(ctx)
}

// Close ends the in-memory connections and whatever is still delayed, which then
// never takes effect. A closed tenant answers nobody; Keys and History still tell
// what was. It may be called again.
func (t *Tenant) Close() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
	t.mu.Unlock()
	t.listener.Close()
	t.running.Wait()
}

// endpoint is one operation of the tenant.
type endpoint struct {
	op     string
	kid    string                // of the path
	work   func(*call) *answer   // t.mu is held
	limit  func(*limits) *bucket // what its X-RateLimit headers speak of
	scopes []string              // all of them are needed; nil: no token is
	lacks  string                // Auth0's words where one is missing
}

// ServeHTTP is the tenant on the wire. A call whose connection is to be dropped
// panics with http.ErrAbortHandler, which an http.Server understands.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	is := func(method string) bool {
		allowed = append(allowed, method)
		return r.Method == method
	}
	const signing = "/api/v2/keys/signing"
	path := r.URL.Path
	below, isKey := strings.CutPrefix(path, signing+"/")
	kid, isRevoke := strings.CutSuffix(below, "/revoke")

	var e endpoint
	switch {
	// The OpenAPI document has the address of the token with and without the slash.
	case (path == "/oauth/token" || path == "/oauth/token/") && is(http.MethodPost):
		e = endpoint{op: "token", work: t.token, limit: tokenLimit}
	case path == "/.well-known/jwks.json" && is(http.MethodGet):
		e = endpoint{op: "jwks", work: t.serveJWKS, limit: publicLimit}
	case path == "/.well-known/openid-configuration" && is(http.MethodGet):
		e = endpoint{op: "discovery", work: t.discovery, limit: publicLimit}
	case path == "/api/v2/logs" && is(http.MethodGet):
		e = endpoint{op: "logs", work: t.logs, limit: apiLimit, scopes: []string{"read:logs"},
			lacks: "Insufficient scope, expected any of: read:logs, read:logs_users"}
	case path == signing && is(http.MethodGet):
		e = endpoint{op: "list", work: t.list, limit: apiLimit, scopes: []string{"read:signing_keys"},
			lacks: "Insufficient scope, expected any of: read:signing_keys"}
	case path == signing+"/rotate" && is(http.MethodPost):
		e = endpoint{op: "rotate", work: t.rotate, limit: apiLimit,
			scopes: []string{"create:signing_keys", "update:signing_keys"},
			lacks:  "Insufficient scope; expected create:signing_keys and update:signing_keys."}
	case isKey && isRevoke && is(http.MethodPut):
		e = endpoint{op: "revoke", kid: kid, work: t.revoke, limit: apiLimit,
			scopes: []string{"update:signing_keys"},
			lacks:  "Insufficient scope; expected any of: update:signing_keys."}
	case isKey && !isRevoke && is(http.MethodGet):
		e = endpoint{op: "get", kid: kid, work: t.get, limit: apiLimit,
			scopes: []string{"read:signing_keys"},
			lacks:  "Insufficient scope, expected any of: read:signing_keys"}
	default:
		e = endpoint{op: "unknown", limit: apiLimit, work: func(*call) *answer {
			if len(allowed) == 0 {
				return failure(http.StatusNotFound, "Not Found", "")
			}
			a := failure(http.StatusMethodNotAllowed, "Method Not Allowed", "")
			a.header.Set("Allow", strings.Join(allowed, ", "))
			return a
		}}
	}
	t.serve(w, r, e)
}

// base is the address under which the tenant was called, as tokens and documents
// name it.
func base(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// date is what the Date header says now.
func (t *Tenant) date() string {
	now := t.cfg.Now().UTC()
	if t.cfg.Date != nil {
		return t.cfg.Date(now)
	}
	return now.Format(http.TimeFormat)
}

// answer is what goes out.
type answer struct {
	status int
	header http.Header
	body   any // a string as it is, anything else as JSON
}

func ok(status int, body any) *answer {
	return &answer{status: status, body: body, header: http.Header{}}
}

// failure is an error in Auth0's shape. Recorded ones often lack the errorCode: "".
func failure(status int, message, code string) *answer {
	body := map[string]any{
		"statusCode": status, "error": http.StatusText(status), "message": message,
	}
	if code != "" {
		body["errorCode"] = code
	}
	return ok(status, body)
}

func (a *answer) write(w http.ResponseWriter, date string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header()["Date"] = nil // net/http would say its own
	if date != "" {
		w.Header().Set("Date", date)
	}
	for name, values := range a.header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(a.status)
	if text, isText := a.body.(string); isText {
		io.WriteString(w, text)
		return
	}
	json.NewEncoder(w).Encode(a.body)
}
