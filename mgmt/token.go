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
	// The secret is in the closure alone: fmt follows the pointers of a Reader under
	// some verbs, into fields that no method of ours can guard.
	fetch    func(context.Context) (*oauth2.Token, error)
	fetching chan struct{} // held while one fetches, so that the others wait for it

	mu    sync.Mutex
	have  *oauth2.Token
	since time.Time // when it was fetched
	drops int       // how often the token was dropped, whichever it was
}

func newTokens(cfg Config, client *http.Client) *tokens {
	credentials := clientcredentials.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
		TokenURL:       cfg.BaseURL + "/oauth/token",
		EndpointParams: url.Values{"audience": {cfg.BaseURL + "/api/v2/"}},
		// Detecting the style would cost two refused calls where the secret is wrong.
		AuthStyle: oauth2.AuthStyleInParams,
	}
	fetch := func(ctx context.Context) (*oauth2.Token, error) {
		tok, err := credentials.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
		if err != nil {
			return nil, tokenError(err, cfg.ClientSecret, url.QueryEscape(cfg.ClientSecret))
		}
		return tok, nil
	}
	return &tokens{fetch: fetch, fetching: make(chan struct{}, 1)}
}

// get returns the token, fetching one if there is none that lives for 30 s more.
// Whoever waits for another's fetch that fails fetches with its own ctx.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	select {
	case t.fetching <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("fetching a token: %w", ctx.Err())
	}
	defer func() { <-t.fetching }()
	kept, drops := t.kept()
	if kept != nil {
		return kept, nil
	}
	tok, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// Dropped while it was being fetched: it may be signed by the key that is gone, and
	// whoever dropped it was promised a new one.
	if t.drops == drops {
		t.have, t.since = tok, time.Now()
	}
	return tok, nil
}

func (t *tokens) kept() (tok *oauth2.Token, drops int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have == nil || !t.have.Expiry.IsZero() && time.Until(t.have.Expiry) < 30*time.Second {
		return nil, t.drops
	}
	return t.have, t.drops
}

// drop forgets the token, and one that is being fetched.
func (t *tokens) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have = nil
	t.drops++
}

// dropIf forgets the token if it is still this one: another may have replaced it.
func (t *tokens) dropIf(used *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have == used {
		t.have = nil
	}
}

// dropOlder forgets the token if it was fetched longer than age ago, and reports whether it was.
func (t *tokens) dropOlder(age time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.have == nil || time.Since(t.since) < age {
		return false
	}
	t.have = nil
	return true
}

// tokenError replaces an error of the token endpoint: oauth2's prints the body, which
// may repeat what was sent.
func tokenError(err error, secrets ...string) error {
	const op = "fetching a token"
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.Response != nil {
		return &Error{
			Op: op, Status: said.Response.StatusCode, Reset: resetOf(said.Response, time.Now()),
			Code: clip(said.ErrorCode, secrets...), Message: clip(said.ErrorDescription, secrets...),
			shaped: said.ErrorCode != "",
		}
	}
	var network *url.Error
	if errors.As(err, &network) {
		return fmt.Errorf("%s: %w", op, network)
	}
	return errors.New(op + ": the answer could not be read")
}

// about says what is known of a token. Its header is not verified: the tenant that
// issued it judges it, when it is used.
func about(tok *oauth2.Token) Token {
	a := Token{Expires: tok.Expiry}
	if s, ok := tok.Extra("scope").(string); ok && s != "" {
		a.Scopes = strings.Fields(s)
	}
	// Three parts are a signed token; one of five is encrypted, and names another key.
	parts := strings.Split(tok.AccessToken, ".")
	if len(parts) != 3 {
		return a
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return a
	}
	var header struct {
		KID string `json:"kid"`
	}
	if json.Unmarshal(head, &header) == nil {
		a.KID = header.KID
	}
	return a
}
