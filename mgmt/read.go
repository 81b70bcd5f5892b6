package mgmt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const (
	readTimeout = 10 * time.Second // of a read with its retries, where the caller sets none
	tryTimeout  = 5 * time.Second  // of each try
)

// Reader reads a tenant. It is safe for concurrent use. Keys, Key and JWKS repeat a
// read that failed in passing until ctx's deadline, or for 10 s where there is none.
// Where Auth0 says to come back after the deadline, its *Error is returned at once.
type Reader struct {
	base   string
	client *http.Client
	tokens *tokens

	limit *limit
	skew  *atomic.Int64 // as Skew returns it
}

// Keys lists the tenant's application signing keys. It returns an *Error where Auth0
// answered with one, and never a list that is not Auth0's.
func (r *Reader) Keys(ctx context.Context) (Keys, error) {
	const op = "listing the keys"
	body, err := r.read(ctx, op, r.base+"/api/v2/keys/signing", r.tokens)
	if err != nil {
		return nil, err
	}
	keys, err := decodeKeys(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return keys, nil
}

// Key reads one key. An *Error with status 404: there is none of this kid.
func (r *Reader) Key(ctx context.Context, kid string) (Key, error) {
	const op = "reading a key"
	segment, err := pathSegment(kid)
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", op, err)
	}
	body, err := r.read(ctx, op, r.base+"/api/v2/keys/signing/"+segment, r.tokens)
	if err != nil {
		return Key{}, err
	}
	k, err := decodeKey(body)
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", op, err)
	}
	if k.KID != kid {
		return Key{}, fmt.Errorf("%s: the answer is about key %q", op, clip(k.KID))
	}
	return k, nil
}

// Token fetches a token if there is none, and says what is known of the one that the
// next call will use. The fetch is tried once.
func (r *Reader) Token(ctx context.Context) (Token, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	tok, err := r.tokens.get(ctx)
	if err != nil {
		return Token{}, err
	}
	return about(tok), nil
}

// grantedAnew is how old a token may be before it is fetched anew to see a scope that was
// granted since.
const grantedAnew = time.Minute

// Lacking returns those of scopes that the access token has not. A token that does not say its
// scopes proves nothing, and lacks none. One that lacks some is fetched anew first, once a
// minute at most: Auth0 puts a scope that is granted into the tokens from then on.
func (r *Reader) Lacking(ctx context.Context, scopes ...string) ([]string, error) {
	token, err := r.Token(ctx)
	if err != nil {
		return nil, err
	}
	lacking := token.lacking(scopes)
	if len(lacking) == 0 || !r.tokens.dropOlder(grantedAnew) {
		return lacking, nil
	}
	if token, err = r.Token(ctx); err != nil {
		return nil, err
	}
	return token.lacking(scopes), nil
}

func (t Token) lacking(scopes []string) (lacking []string) {
	for _, s := range scopes {
		if len(t.Scopes) > 0 && !slices.Contains(t.Scopes, s) {
			lacking = append(lacking, s)
		}
	}
	return lacking
}

// DropToken makes the next call, of the Writer too, fetch a new token.
func (r *Reader) DropToken() { r.tokens.drop() }

// pathSegment returns kid as one segment of a path. Servers take "." and ".." as
// steps, however they are sent: the call would be another one.
func pathSegment(kid string) (string, error) {
	if kid == "" || kid == "." || kid == ".." {
		return "", fmt.Errorf("%q is not a kid", kid)
	}
	return url.PathEscape(kid), nil
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, readTimeout)
}

// read gets an address, with a token unless tokens is nil, and repeats what failed
// in passing as long as the deadline allows.
func (r *Reader) read(ctx context.Context, op, address string, tokens *tokens) ([]byte, error) {
	if _, err := url.Parse(address); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	renewed := false
	for try := 0; ; try++ {
		body, used, err := r.try(ctx, op, address, tokens)
		if tokens != nil {
			r.limit.heed(err, time.Now())
		}
		if err == nil {
			return body, nil
		}
		var said *Error
		answered := errors.As(err, &said)
		if answered && said.Status == http.StatusUnauthorized && used != nil && !renewed {
			// The token may be signed by a key that is revoked by now.
			renewed = true
			tokens.dropIf(used)
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

// try gets the address once. used is the token that was sent along, if any.
func (r *Reader) try(
	ctx context.Context, op, address string, tokens *tokens,
) (body []byte, used *oauth2.Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	var secret string
	if tokens != nil {
		if used, err = tokens.get(ctx); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", op, err)
		}
		used.SetAuthHeader(req)
		secret = used.AccessToken
	}
	sent := time.Now()
	res, err := r.client.Do(req)
	if err != nil {
		return nil, used, fmt.Errorf("%s: %w", op, err)
	}
	defer res.Body.Close()
	if tokens != nil { // a key set may be another's, out of a cache
		r.measure(res, sent, time.Now())
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, used, fmt.Errorf("%s: reading the answer: %w", op, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, used, errorOf(op, res, body, time.Now(), secret)
	}
	if len(body) > maxBody {
		return nil, used, &Error{Op: op, Status: res.StatusCode}
	}
	return body, used, nil
}

// backoff is how long to wait before the next try: a growing and jittered while, and
// at least as long as the answer asks for.
func backoff(try int, said *Error) time.Duration {
	full := 200 * time.Millisecond << min(try, 5)
	wait := full/2 + rand.N(full/2)
	if said != nil && !said.Reset.IsZero() {
		wait = max(wait, time.Until(said.Reset)+rand.N(100*time.Millisecond))
	}
	return wait
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
