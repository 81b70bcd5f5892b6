package auth0sim

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// user is whom the tokens of UserToken are for.
const user = "auth0|5f7c8ec7c33c6c004bbafe83"

// UserToken returns an access token for a user, good for an hour and signed by one of the
// tenant's keys, whatever became of it: what whoever holds that key can make. The error
// says that there is no such key.
func (t *Tenant) UserToken(kid string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.find(kid)
	if k == nil {
		return "", fmt.Errorf("there is no key %q", kid)
	}
	now := t.cfg.Now()
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: "https://" + tenantName + "/", Subject: user,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
	})
	tok.Header["kid"] = kid
	return tok.SignedString(k.private)
}

// App is an application that verifies the tenant's tokens with a copy of its public key
// set that it keeps for a while: this copy, and not the tenant, decides when a revocation
// bites. It reads the set anew once the copy is too old and, as most libraries do, where a
// token names a key that is not in it; the latter at most every ten seconds, so that
// nobody makes it storm the tenant. It is safe for concurrent use.
type App struct {
	now    func() time.Time
	client *http.Client

	mu    sync.Mutex
	keeps time.Duration
	set   map[string]*rsa.PublicKey // nil: there is none yet
	read  time.Time
	asked time.Time // when it last asked for an unknown key
}

// askAgain is the time between two looks for an unknown key.
const askAgain = 10 * time.Second

// NewApp returns an application that keeps the key set for so long, and has none yet.
func (t *Tenant) NewApp(keeps time.Duration) *App {
	transport := &http.Transport{DialContext: t.Dial, DisableKeepAlives: true}
	return &App{now: t.cfg.Now, client: &http.Client{Transport: transport, Timeout: 5 * time.Second}, keeps: keeps}
}

// Keep sets for how long the key set is kept, also the one that it has.
func (a *App) Keep(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keeps = d
}

// Restart lets it forget its key set.
func (a *App) Restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set, a.read, a.asked = nil, time.Time{}, time.Time{}
}

// Kept returns the kids of the copy, sorted; when it was read, zero where there is none;
// and for how long it is kept.
func (a *App) Kept() (kids []string, read time.Time, keeps time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kid := range a.set {
		kids = append(kids, kid)
	}
	slices.Sort(kids)
	return kids, a.read, a.keeps
}

// ErrUnknownKey is why an application refuses a token of a key that is in neither its copy
// of the key set nor the tenant's.
var ErrUnknownKey = errors.New("no key of this kid in the key set")

// Accept returns nil where the application would accept the token, and otherwise why it
// refuses it: ErrUnknownKey, a bad signature, an expiry, or a key set that could not be
// read.
func (a *App) Accept(ctx context.Context, token string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := jwt.ParseWithClaims(token, &jwt.RegisteredClaims{}, func(tok *jwt.Token) (any, error) {
		kid, _ := tok.Header["kid"].(string)
		return a.key(ctx, kid)
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(a.now), jwt.WithExpirationRequired())
	return err
}

// key returns the key of a kid. a.mu is held.
func (a *App) key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	now := a.now()
	if a.set == nil || now.Sub(a.read) >= a.keeps {
		if err := a.fetch(ctx); err != nil {
			return nil, err
		}
	}
	if k := a.set[kid]; k != nil {
		return k, nil
	}
	if now.Sub(a.asked) >= askAgain && now.After(a.read) {
		a.asked = now
		if err := a.fetch(ctx); err != nil {
			return nil, err
		}
	}
	if k := a.set[kid]; k != nil {
		return k, nil
	}
	return nil, ErrUnknownKey
}

// fetch reads the public key set. Where it cannot be read the copy stays. a.mu is held.
func (a *App) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+tenantName+"/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	res, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	defer res.Body.Close()
	var body struct {
		Keys []struct{ KID, N, E string }
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("reading the key set: %s", res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	set := map[string]*rsa.PublicKey{}
	for _, k := range body.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		if err := errors.Join(errN, errE); err != nil {
			return fmt.Errorf("reading key %s of the key set: %w", k.KID, err)
		}
		set[k.KID] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	a.set, a.read = set, a.now()
	return nil
}
