package auth0sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
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

// token answers POST /oauth/token. Errors have OAuth's shape.
func (t *Tenant) token(c *call) *answer {
	given := struct {
		GrantType    string `json:"grant_type"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		Audience     string `json:"audience"`
	}{}
	if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(c.r.Body).Decode(&given); err != nil {
			return oauthError(http.StatusBadRequest, "invalid_request", "The body is no JSON")
		}
	} else {
		given.GrantType, given.Audience = c.r.PostFormValue("grant_type"), c.r.PostFormValue("audience")
		given.ClientID, given.ClientSecret = c.r.PostFormValue("client_id"), c.r.PostFormValue("client_secret")
	}
	switch {
	case given.GrantType == "":
		return oauthError(http.StatusBadRequest, "invalid_request", "Missing required parameter: grant_type")
	case given.GrantType != "client_credentials":
		return oauthError(http.StatusForbidden, "unauthorized_client", "Grant type '"+given.GrantType+"' not allowed for the client.")
	case given.ClientID != t.cfg.ClientID || given.ClientSecret != t.cfg.ClientSecret:
		return oauthError(http.StatusUnauthorized, "access_denied", "Unauthorized")
	case !slices.Contains(audiences(c.r), given.Audience):
		return oauthError(http.StatusForbidden, "access_denied", "Service not found: "+given.Audience)
	}
	now := t.cfg.Now()
	signer := t.signer(now)
	scope := strings.Join(t.cfg.Scopes, " ")
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: base(c.r) + "/", Subject: t.cfg.ClientID + "@clients", Audience: jwt.ClaimStrings{given.Audience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		},
		Scope: scope, AZP: t.cfg.ClientID, GTY: "client-credentials",
	})
	tok.Header["kid"] = signer.kid
	signed, err := tok.SignedString(signer.private)
	if err != nil {
		return failure(http.StatusInternalServerError, "signing a token", "")
	}
	c.authenticated = true
	return ok(http.StatusOK, map[string]any{
		"access_token": signed, "token_type": "Bearer", "expires_in": int(lifetime / time.Second), "scope": scope,
	})
}

// signer is the key that signs a token now.
func (t *Tenant) signer(now time.Time) *signingKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	current := t.inRole("current")
	for _, k := range t.keys {
		if k.role() == "previous" && k.until.Equal(current.since) && now.Sub(current.since) < t.cfg.TokenLag {
			return k
		}
	}
	return current
}

func oauthError(status int, code, description string) *answer {
	return ok(status, map[string]any{"error": code, "error_description": description})
}

// audiences are the names of the Management API: the tenant itself, whichever way it
// was called.
func audiences(r *http.Request) []string {
	return []string{"https://" + r.Host + "/api/v2/", "http://" + r.Host + "/api/v2/"}
}

// authorized checks the token of a call: its signature by a key that the tenant has
// and did not revoke, expiry, audience, and each of the scopes.
func (t *Tenant) authorized(next func(*call) *answer, scopes ...string) func(*call) *answer {
	return func(c *call) *answer {
		raw, bearer := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			return failure(http.StatusUnauthorized, "Missing authentication", "")
		}
		var got claims
		_, err := jwt.ParseWithClaims(raw, &got, t.verifier, jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(t.cfg.Now), jwt.WithExpirationRequired())
		if err != nil {
			return failure(http.StatusUnauthorized, "Invalid signature received for JSON Web Token validation", "invalid_token")
		}
		if !slices.ContainsFunc(audiences(c.r), func(a string) bool { return slices.Contains(got.Audience, a) }) {
			return failure(http.StatusUnauthorized, "Bad audience: "+strings.Join(got.Audience, ", "), "")
		}
		c.authenticated = true
		has := strings.Fields(got.Scope)
		for _, s := range scopes {
			if !slices.Contains(has, s) {
				return failure(http.StatusForbidden, "Insufficient scope, expected any of: "+strings.Join(scopes, ","), "insufficient_scope")
			}
		}
		a := next(c)
		if a.header.Get("X-RateLimit-Limit") == "" {
			a.header.Set("X-RateLimit-Limit", "50")
			a.header.Set("X-RateLimit-Remaining", "49")
			a.header.Set("X-RateLimit-Reset", strconv.FormatInt(t.cfg.Now().Add(time.Second).Unix(), 10))
		}
		return a
	}
}

// verifier finds the key that a token names. That a revoked key's tokens are refused
// at once, and not after some cache's time, is an assumption.
func (t *Tenant) verifier(tok *jwt.Token) (any, error) {
	kid, _ := tok.Header["kid"].(string)
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.find(kid); k != nil && !k.revoked() {
		return &k.private.PublicKey, nil
	}
	return nil, jwt.ErrTokenUnverifiable
}
