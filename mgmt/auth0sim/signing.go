package auth0sim

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"
)

// listedRevoked is how many revoked keys the list has: the Dashboard shows the last
// three, and that the API does so too is an assumption.
const listedRevoked = 3

func (t *Tenant) list(*call) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := []map[string]any{}
	revoked := 0
	for _, k := range t.ordered() {
		if k.revoked() {
			if revoked++; revoked > listedRevoked {
				continue
			}
		}
		keys = append(keys, k.wire(t.cfg.Dense))
	}
	return ok(http.StatusOK, keys)
}

func (t *Tenant) get(c *call) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.find(c.kid); k != nil {
		return ok(http.StatusOK, k.wire(t.cfg.Dense))
	}
	return failure(http.StatusNotFound, "Signing key not found.", "")
}

func (t *Tenant) rotate(c *call) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	taken := t.bucket.take(now)
	var a *answer
	if taken {
		made := t.applyRotate()
		c.effect = true
		a = ok(http.StatusCreated, map[string]any{"kid": made.kid, "cert": made.cert()})
	} else {
		a = failure(http.StatusTooManyRequests, "Global limit has been reached", "too_many_requests")
	}
	a.header.Set("X-RateLimit-Limit", strconv.Itoa(rotateBurst))
	a.header.Set("X-RateLimit-Remaining", strconv.Itoa(int(t.bucket.level)))
	a.header.Set("X-RateLimit-Reset", strconv.FormatInt(t.bucket.next(now).Unix(), 10))
	return a
}

// revoke answers PUT …/revoke. Auth0 documents that only a previously used key can be
// revoked; the status it gives for another is an assumption.
func (t *Tenant) revoke(c *call) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.find(c.kid)
	switch {
	case k == nil:
		return failure(http.StatusNotFound, "Signing key not found.", "")
	case k.role() != "previous":
		return failure(http.StatusBadRequest, "You can only revoke the previously used signing key.", "")
	}
	t.applyRevoke(k)
	c.effect = true
	return ok(http.StatusOK, map[string]any{"kid": k.kid, "cert": k.cert()})
}

// rotateBurst and a day are Auth0's documented limit on every plan. That the bucket
// refills steadily is an assumption.
const rotateBurst = 5

type bucket struct {
	level float64
	at    time.Time
}

const refill = 24 * time.Hour / rotateBurst

func (b *bucket) take(now time.Time) bool {
	b.level = min(rotateBurst, b.level+float64(now.Sub(b.at))/float64(refill))
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// next is when there will be a whole rotation more.
func (b *bucket) next(now time.Time) time.Time {
	missing := 1 - (b.level - float64(int(b.level)))
	return now.Add(time.Duration(missing * float64(refill)))
}

// published is the public key set from a time on.
type published struct {
	from time.Time
	set  []map[string]any
}

// publish takes the key set as it is now into the public one, which shows it after
// the lag. t.mu is held.
func (t *Tenant) publish(now time.Time) {
	from := now
	if !now.IsZero() {
		from = now.Add(t.cfg.JWKSMaxAge)
	}
	set := []map[string]any{}
	for _, role := range []string{"current", "next", "previous"} {
		for _, k := range t.ordered() {
			if k.role() == role {
				set = append(set, k.jwk())
			}
		}
	}
	t.jwks = append(t.jwks, published{from, set})
}

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

func (t *Tenant) serveJWKS(*call) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	var set []map[string]any
	for _, p := range t.jwks {
		if !p.from.After(now) {
			set = p.set
		}
	}
	maxAge := 15 // what Auth0 announces
	if t.cfg.JWKSMaxAge > 0 {
		maxAge = int(t.cfg.JWKSMaxAge / time.Second)
	}
	a := ok(http.StatusOK, map[string]any{"keys": set})
	a.header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, stale-while-revalidate=15, stale-if-error=86400", maxAge))
	return a
}

func (t *Tenant) discovery(c *call) *answer {
	b := base(c.r)
	return ok(http.StatusOK, map[string]any{
		"issuer": b + "/", "token_endpoint": b + "/oauth/token", "jwks_uri": b + "/.well-known/jwks.json",
		"id_token_signing_alg_values_supported": []string{"HS256", "RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}
