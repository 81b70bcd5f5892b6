package auth0sim

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// lifetime is Auth0's default for a Management API token.
const lifetime = 86400 * time.Second

// claims are what Auth0 puts in a token of client credentials.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
	AZP   string `json:"azp"`
	GTY   string `json:"gty"`
}

// grant is what a client sends for a token.
type grant struct {
	Type         string `json:"grant_type"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Audience     string `json:"audience"`
}

// grantOf reads a form or JSON; anything else is no grant.
func grantOf(contentType string, body []byte) (grant, bool) {
	var g grant
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		return g, json.Unmarshal(body, &g) == nil
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		return grant{
			Type: form.Get("grant_type"), Audience: form.Get("audience"),
			ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"),
		}, err == nil
	}
	return g, false
}

// token answers POST /oauth/token, for the client credentials alone, which must be in
// the body (client_secret_post): that a client which sends them in a header is told of
// a missing client_id is an assumption. Errors have OAuth's shape and, where the OpenAPI
// document has them, its words.
func (t *Tenant) token(c *call) *answer {
	g, understood := grantOf(c.r.Header.Get("Content-Type"), c.body)
	if !understood {
		return oauthError(http.StatusBadRequest, "invalid_request", "Invalid request body")
	}
	for _, p := range []struct{ name, value string }{
		{"grant_type", g.Type}, {"client_id", g.ClientID}, {"audience", g.Audience},
	} {
		if p.value == "" {
			return oauthError(http.StatusBadRequest, "invalid_request",
				"Missing required parameter: "+p.name)
		}
	}
	switch {
	case g.Type != "client_credentials":
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "Grant type not supported")
	// Documented is only that wrong credentials are a 401 or a 403, with one of these
	// codes: which of them is for what is an assumption.
	case g.ClientID != t.cfg.ClientID:
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	case g.ClientSecret != t.cfg.ClientSecret:
		return oauthError(http.StatusUnauthorized, "access_denied", "Unauthorized")
	case !slices.Contains(audiences(c.r), g.Audience):
		return oauthError(http.StatusForbidden, "access_denied", "Service not found: "+g.Audience)
	}
	signed, err := t.sign(base(c.r)+"/", g.Audience)
	if err != nil {
		return failure(http.StatusInternalServerError, "Internal error", "")
	}
	c.entry.Authenticated = true
	t.tokens = append(t.tokens, signed)
	return ok(http.StatusOK, map[string]any{
		"access_token": signed, "token_type": "Bearer",
		"expires_in": int(lifetime / time.Second), "scope": strings.Join(t.cfg.Scopes, " "),
	})
}

// Grant gives the application these scopes and no others, in the tokens from now on.
func (t *Tenant) Grant(scopes ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Scopes = scopes
}

// Tokens returns the access tokens that were given out so far.
func (t *Tenant) Tokens() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.tokens)
}

// sign makes a token. t.mu is held.
func (t *Tenant) sign(issuer, audience string) (string, error) {
	now := t.cfg.Now()
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: t.cfg.ClientID + "@clients", Audience: jwt.ClaimStrings{audience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		},
		Scope: strings.Join(t.cfg.Scopes, " "), AZP: t.cfg.ClientID, GTY: "client-credentials",
	})
	signer := t.signer(now)
	tok.Header["kid"] = signer.kid
	return tok.SignedString(signer.private)
}

// signer is the key that signs a token now: the current one, or within TokenLag the
// one before it. t.mu is held.
func (t *Tenant) signer(now time.Time) *signingKey {
	k, old := t.inRole(current), t.inRole(previous)
	if old != nil && old.until.Equal(k.since) && now.Sub(k.since) < t.cfg.TokenLag {
		return old
	}
	return k
}

func oauthError(status int, code, description string) *answer {
	return ok(status, map[string]any{"error": code, "error_description": description})
}

// audiences are the names of the Management API: the tenant itself as it was called,
// which behind a proxy may have been another scheme.
func audiences(r *http.Request) []string {
	return []string{"https://" + r.Host + "/api/v2/", "http://" + r.Host + "/api/v2/"}
}

// authorize checks the token of a call: its signature by a key that the tenant has
// and did not revoke, its expiry, its audience, and each of the scopes. It returns
// the refusal, or nil. t.mu is held.
func (t *Tenant) authorize(c *call) *answer {
	if c.scopes == nil {
		return nil
	}
	ours := func(audience string) bool { return slices.Contains(audiences(c.r), audience) }
	raw, isBearer := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !isBearer {
		return failure(http.StatusUnauthorized, "Missing authentication", "")
	}
	var got claims
	_, err := jwt.ParseWithClaims(raw, &got, t.verifier, jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithTimeFunc(t.cfg.Now), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return failure(http.StatusUnauthorized,
			"Invalid signature received for JSON Web Token validation", "invalid_token")
	case err != nil:
		return failure(http.StatusUnauthorized, "Invalid token.", "invalid_token")
	case !slices.ContainsFunc(got.Audience, ours):
		return failure(http.StatusUnauthorized, "Bad audience: "+strings.Join(got.Audience, ", "), "")
	}
	c.entry.Authenticated = true
	has := strings.Fields(got.Scope)
	for _, s := range c.scopes {
		if !slices.Contains(has, s) {
			return failure(http.StatusForbidden, c.lacks, "insufficient_scope")
		}
	}
	return nil
}

// verifier finds the key that a token names. That a revoked key's tokens are refused
// at once, and not after some cache's time, is an assumption. t.mu is held.
func (t *Tenant) verifier(tok *jwt.Token) (any, error) {
	kid, _ := tok.Header["kid"].(string)
	if k := t.find(kid); k != nil && k.role != revoked {
		return &k.private.PublicKey, nil
	}
	return nil, jwt.ErrTokenUnverifiable
}
