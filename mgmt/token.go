package mgmt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Token is what is known about an access token, without the token.
type Token struct {
	KID     string    // of the key that signed it, as its header says; "": it does not say
	Scopes  []string  // nil: Auth0 did not say
	Expires time.Time // zero: not known
}

// tokens keeps one access token that can be dropped. oauth2's own cache cannot: and
// a Management API token is signed by the tenant's signing key, so a rotation or a
// revocation makes it useless long before it expires.
type tokens struct {
	cfg    clientcredentials.Config
	client *http.Client

	fetching chan struct{} // held while one fetches, so that the others wait for it

	mu   sync.Mutex
	have *oauth2.Token
}

func newTokens(cfg Config, client *http.Client) *tokens {
	return &tokens{
		cfg: clientcredentials.Config{
			ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
			TokenURL:       cfg.BaseURL + "/oauth/token",
			EndpointParams: url.Values{"audience": {cfg.BaseURL + "/api/v2/"}},
			// Detecting the style would cost two refused calls where the secret is wrong.
			AuthStyle: oauth2.AuthStyleInParams,
		},
		client:   client,
		fetching: make(chan struct{}, 1),
	}
}

// get returns the token, fetching one if there is none that lives for 30 s more.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	select {
	case t.fetching <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("fetching a token: %w", ctx.Err())
	}
	defer func() { <-t.fetching }()
	if tok := t.kept(); tok != nil {
		return tok, nil
	}
	tok, err := t.cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return nil, tokenError(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have = tok
	return tok, nil
}

func (t *tokens) kept() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have == nil || !t.have.Expiry.IsZero() && time.Until(t.have.Expiry) < 30*time.Second {
		return nil
	}
	return t.have
}

// drop forgets the token, if it is still the one; nil: whichever it is.
func (t *tokens) drop(used *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if used == nil || t.have == used {
		t.have = nil
	}
}

// tokenError puts an error of the token endpoint in our own words: oauth2's prints
// the body, which may repeat what was sent.
func tokenError(err error) error {
	const op = "fetching a token"
	var retrieve *oauth2.RetrieveError
	if errors.As(err, &retrieve) {
		e := &Error{Op: op, Code: clip(retrieve.ErrorCode), Message: clip(retrieve.ErrorDescription), shaped: retrieve.ErrorCode != ""}
		if retrieve.Response != nil {
			e.Status = retrieve.Response.StatusCode
			e.Reset = resetOf(retrieve.Response.Header, time.Now())
		}
		return e
	}
	var network *url.Error
	if errors.As(err, &network) {
		return fmt.Errorf("%s: %w", op, network)
	}
	return errors.New(op + ": the answer could not be read")
}

// about says what is known of a token. Its header is not verified: whoever issued it
// is asked what it is good for, by using it.
func about(tok *oauth2.Token) Token {
	a := Token{Expires: tok.Expiry}
	if s, ok := tok.Extra("scope").(string); ok && s != "" {
		a.Scopes = strings.Fields(s)
	}
	head, _, ok := strings.Cut(tok.AccessToken, ".")
	if !ok {
		return a
	}
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return a
	}
	var header struct {
		KID string `json:"kid"`
	}
	if json.Unmarshal(b, &header) == nil {
		a.KID = header.KID
	}
	return a
}
