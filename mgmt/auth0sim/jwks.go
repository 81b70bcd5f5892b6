package auth0sim

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"time"
)

// published is the public key set from a time on.
type published struct {
	from time.Time
	set  []map[string]any
}

// publish makes the keys as they are now the public key set from a time on: those
// not revoked, in the order of a recorded one. t.mu is held.
func (t *Tenant) publish(from time.Time) {
	set := []map[string]any{}
	for _, r := range []role{current, next, previous} {
		for _, k := range t.ordered() {
			if k.role == r {
				set = append(set, k.jwk())
			}
		}
	}
	t.jwks = append(t.jwks, published{from, set})
}

// jwk is the public half of the key. x5t is the RFC's, as of Auth0's newer keys.
func (k *signingKey) jwk() map[string]any {
	pub := k.private.PublicKey
	sum := sha1.Sum(k.der)
	return map[string]any{
		"alg": "RS256", "kty": "RSA", "use": "sig", "kid": k.kid,
		"n":   base64.RawURLEncoding.EncodeToString(pub.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()),
		"x5t": base64.RawURLEncoding.EncodeToString(sum[:]),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.der)},
	}
}

// Published returns the kids of the public key set as it is served now, in its order.
func (t *Tenant) Published() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kids []string
	for _, k := range t.published() {
		kids = append(kids, k["kid"].(string))
	}
	return kids
}

// published is the public key set as it is served now. t.mu is held.
func (t *Tenant) published() []map[string]any {
	now := t.cfg.Now()
	for len(t.jwks) > 1 && !t.jwks[1].from.After(now) {
		t.jwks = t.jwks[1:]
	}
	return t.jwks[0].set
}

// serveJWKS answers GET /.well-known/jwks.json.
func (t *Tenant) serveJWKS(*call) *answer {
	maxAge := 15 * time.Second // as Auth0's own (recorded)
	if t.cfg.JWKSMaxAge > 0 {
		maxAge = t.cfg.JWKSMaxAge
	}
	a := ok(http.StatusOK, map[string]any{"keys": t.published()})
	a.header.Set("Cache-Control", fmt.Sprintf(
		"public, max-age=%d, stale-while-revalidate=15, stale-if-error=86400", int(maxAge/time.Second)))
	return a
}

// discovery answers GET /.well-known/openid-configuration, as far as there is
// anything behind it.
func (t *Tenant) discovery(c *call) *answer {
	b := base(c.r)
	return ok(http.StatusOK, map[string]any{
		"issuer": b + "/", "token_endpoint": b + "/oauth/token",
		"jwks_uri":                              b + "/.well-known/jwks.json",
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"},
	})
}
