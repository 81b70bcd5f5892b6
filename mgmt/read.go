package mgmt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

const (
	readTimeout = 10 * time.Second // of a read with its retries, where the caller sets none
	tryTimeout  = 5 * time.Second  // of each try
)

// Reader reads a tenant. It is safe for concurrent use. Its methods repeat a read
// that failed in passing until ctx's deadline, or for 10 s where there is none.
type Reader struct {
	base   string
	client *http.Client
	tokens *tokens
}

// Keys lists the tenant's application signing keys. It returns an *Error where Auth0
// answered with one, and never a list that is not Auth0's.
func (r *Reader) Keys(ctx context.Context) (Keys, error) {
	body, err := r.read(ctx, "listing the keys", r.base+"/api/v2/keys/signing", r.tokens)
	if err != nil {
		return nil, err
	}
	keys, err := decodeKeys(body)
	if err != nil {
		return nil, fmt.Errorf("listing the keys: %w", err)
	}
	return keys, nil
}

// Key reads one key. An *Error with status 404: there is none of this kid.
func (r *Reader) Key(ctx context.Context, kid string) (Key, error) {
	if kid == "" {
		return Key{}, errors.New("reading a key: no kid")
	}
	body, err := r.read(ctx, "reading a key", r.base+"/api/v2/keys/signing/"+url.PathEscape(kid), r.tokens)
	if err != nil {
		return Key{}, err
	}
	var k Key
	if err := json.Unmarshal(body, &k); err != nil {
		return Key{}, fmt.Errorf("reading a key: decoding it: %w", err)
	}
	return k, nil
}

// JWKS is a public key set.
type JWKS struct {
	KIDs []string // as listed
}

// Has reports whether the set lists kid.
func (s JWKS) Has(kid string) bool { return slices.Contains(s.KIDs, kid) }

// JWKS reads the public key set at baseURL, which may be a custom domain's. It is
// read without a token, as any verifier does.
func (r *Reader) JWKS(ctx context.Context, baseURL string) (JWKS, error) {
	const op = "reading the JWKS"
	body, err := r.read(ctx, op, baseURL+"/.well-known/jwks.json", nil)
	if err != nil {
		return JWKS{}, err
	}
	var wire struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return JWKS{}, fmt.Errorf("%s: decoding it: %w", op, err)
	}
	if wire.Keys == nil {
		return JWKS{}, fmt.Errorf("%s: it has no keys member", op)
	}
	var set JWKS
	for _, k := range wire.Keys {
		set.KIDs = append(set.KIDs, k.KID)
	}
	return set, nil
}

// Token fetches a token if there is none, and says what is known of it.
func (r *Reader) Token(ctx context.Context) (Token, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	tok, err := r.tokens.get(ctx)
	if err != nil {
		return Token{}, err
	}
	return about(tok), nil
}

// DropToken makes the next call fetch a new token.
func (r *Reader) DropToken() { r.tokens.drop(nil) }

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, readTimeout)
}

// read gets an address, with a token unless tokens is nil, and repeats what failed
// in passing as long as the deadline allows.
func (r *Reader) read(ctx context.Context, op, address string, tokens *tokens) ([]byte, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	renewed := false
	for try := 0; ; try++ {
		body, used, err := r.try(ctx, op, address, tokens)
		if err == nil {
			return body, nil
		}
		var said *Error
		answered := errors.As(err, &said)
		if answered && said.Status == http.StatusUnauthorized && used != nil && !renewed {
			// The token may be signed by a key that is revoked by now.
			renewed = true
			tokens.drop(used)
			continue
		}
		if answered && !said.passing() {
			return nil, err
		}
		if !pause(ctx, backoff(try, said)) {
			return nil, err
		}
	}
}

func (r *Reader) try(ctx context.Context, op, address string, tokens *tokens) (body []byte, used *oauth2.Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	if tokens != nil {
		if used, err = tokens.get(ctx); err != nil {
			return nil, nil, err
		}
		used.SetAuthHeader(req)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, used, fmt.Errorf("%s: %w", op, err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, used, fmt.Errorf("%s: reading the answer: %w", op, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, used, errorOf(op, res, body, time.Now())
	}
	if len(body) > maxBody {
		return nil, used, &Error{Op: op, Status: res.StatusCode, Message: "the answer is too long"}
	}
	return body, used, nil
}

// backoff is how long to wait before the next try: as long as the answer asks for,
// or a growing and jittered while.
func backoff(try int, said *Error) time.Duration {
	if said != nil && !said.Reset.IsZero() {
		return max(0, time.Until(said.Reset)) + rand.N(100*time.Millisecond)
	}
	full := 200 * time.Millisecond << min(try, 5)
	return full/2 + rand.N(full/2)
}

// pause waits, unless the deadline would come first: then there is no use in it.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close closes idle connections.
func (r *Reader) Close() { r.client.CloseIdleConnections() }
