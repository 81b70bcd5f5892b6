package mgmt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	writeTimeout   = 10 * time.Second // of a write with its token, where the caller sets none
	maxCorrelation = 64               // of X-Correlation-ID, as Auth0 documents
)

// Writer changes a tenant's keys. It is a client of its own that sends each write at
// most once: Auth0 has no idempotency key, and a rotation that takes effect twice
// retires a key that nobody named.
type Writer struct {
	base   string
	client *http.Client
	tokens *tokens
}

// Answer is what Auth0 said to a write that it answered with success.
type Answer struct {
	Status int
	KID    string // rotate: the new next key; revoke: the revoked one; "": it was not named
}

// Rotate puts the next key in use. correlation appears in the tenant's log; Auth0
// keeps 64 characters of it, and so only these are sent.
//
// An error that wraps ErrNotSent: nothing left, whatever else it wraps. Otherwise, an
// *Error that is Refused: Auth0 said no. Every other error is a lost answer: whether
// the rotation took effect is not known. Nothing is ever sent again.
func (w *Writer) Rotate(ctx context.Context, correlation string) (Answer, error) {
	return w.write(ctx, "rotating", http.MethodPost, "/api/v2/keys/signing/rotate", correlation)
}

// Revoke revokes a previously used key, with the errors of Rotate.
func (w *Writer) Revoke(ctx context.Context, kid, correlation string) (Answer, error) {
	const op = "revoking"
	segment, err := pathSegment(kid)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	}
	return w.write(ctx, op, http.MethodPut, "/api/v2/keys/signing/"+segment+"/revoke", correlation)
}

func (w *Writer) write(ctx context.Context, op, method, path, correlation string) (Answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, writeTimeout)
		defer cancel()
	}
	// Before the write: a token that cannot be had must not be a lost answer.
	tok, err := w.tokens.get(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	}
	// Until there is a connection, TLS included, not a byte of the request can be out.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), method, w.base+path, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	}
	tok.SetAuthHeader(req)
	req.Header.Set("X-Correlation-ID", correlation[:min(len(correlation), maxCorrelation)])
	res, err := w.client.Do(req)
	switch {
	case err != nil && !connected.Load():
		return Answer{}, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	case err != nil:
		return Answer{}, fmt.Errorf("%s: the answer was lost: %w", op, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if res.StatusCode/100 != 2 {
		return Answer{}, errorOf(op, res, body, time.Now(), tok.AccessToken)
	}
	answer := Answer{Status: res.StatusCode}
	var wire struct {
		KID string `json:"kid"`
	}
	// An answer that breaks off is still one: the caller looks at the keys anyway, and
	// the kid only says more.
	if err == nil && json.Unmarshal(body, &wire) == nil {
		answer.KID = wire.KID
	}
	return answer, nil
}
