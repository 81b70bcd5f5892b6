package approval

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// Tenant is an Auth0 tenant as far as looking at it goes.
type Tenant struct {
	Name   string
	Reader *mgmt.Reader
	// Frozen: nothing may be written to the tenant, whatever was approved.
	Frozen bool
	// JWKS are the base URLs whose public key sets are looked at: the tenant's own
	// and its custom domains'.
	JWKS []string
}

// The scopes that Auth0 asks for (its API document): rotating needs both, revoking the second.
const (
	scopeCreate = "create:signing_keys"
	scopeUpdate = "update:signing_keys"
)

// ScopesFor returns the scopes that Auth0 asks for before it carries out action.
func ScopesFor(action Action) []string {
	if action == Revoke {
		return []string{scopeUpdate}
	}
	return []string{scopeCreate, scopeUpdate}
}

// grantsTimeout bounds the wait for a token whose scopes are asked about; mostly one is at hand.
const grantsTimeout = 2 * time.Second

// Grants returns a refusal if Auth0 would refuse action, since the application lacks a scope for
// it. What cannot be established in time is no reason: the tenant itself decides in the end.
func (t Tenant) Grants(ctx context.Context, action Action) *Refusal {
	if t.Reader == nil {
		return nil // of a tenant that is not configured
	}
	ctx, cancel := context.WithTimeout(ctx, grantsTimeout)
	defer cancel()
	lacking, err := t.Reader.Lacking(ctx, ScopesFor(action)...)
	if err != nil || len(lacking) == 0 {
		return nil
	}
	return &Refusal{Why: LacksScope, Scopes: lacking}
}

// jwksTimeout bounds the look at one domain: a key set that does not answer must
// not keep anybody from deciding.
const jwksTimeout = 3 * time.Second

// Look reads the keys, and with published also the public key set of each domain.
// A domain that cannot be read is noted in the look; keys that cannot be read are
// an error.
func (t Tenant) Look(ctx context.Context, now time.Time, published bool) (*audit.Look, mgmt.Keys, error) {
	keys, err := t.Reader.Keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	look := &audit.Look{At: now.UTC().Truncate(time.Microsecond)}
	for _, k := range shown(keys) {
		look.Keys = append(look.Keys, audit.Key{
			KID: k.KID, Role: k.Role().String(), SHA1: k.Thumbprint, SHA256: k.SHA256(),
			Since: k.CurrentSince, Until: k.CurrentUntil, RevokedAt: k.RevokedAt,
		})
	}
	if published {
		look.JWKS = t.published(ctx)
	}
	return look, keys, nil
}

// shown are the keys that people are shown, in that order. Auth0's Dashboard shows
// the last three revoked keys; how many the API lists is not documented.
func shown(keys mgmt.Keys) mgmt.Keys {
	var out mgmt.Keys
	if k, ok := keys.Next(); ok {
		out = append(out, k)
	}
	if k, ok := keys.Current(); ok {
		out = append(out, k)
	}
	out = append(out, keys.Previous()...)
	revoked := keys.Revoked()
	return append(out, revoked[:min(3, len(revoked))]...)
}

func (t Tenant) published(ctx context.Context) []audit.Published {
	out := make([]audit.Published, len(t.JWKS))
	var wg sync.WaitGroup
	for i, base := range t.JWKS {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
			defer cancel()
			_, out[i].Domain, _ = strings.Cut(base, "://")
			set, err := t.Reader.JWKS(ctx, base)
			if err != nil {
				out[i].Err = err.Error()
				return
			}
			out[i].KIDs = set.KIDs
		})
	}
	wg.Wait()
	return out
}

// rotations returns how many rotations of the 24 hours before now are known. The trail
// lacks those made in the Dashboard; the list has them where it says until when a key
// was in use, which Auth0 may leave out.
func rotations(ctx context.Context, s Store, tenant string, keys mgmt.Keys, now time.Time) (int, error) {
	since := now.Add(-24 * time.Hour)
	recorded, err := s.Rotations(ctx, tenant, since)
	if err != nil {
		return 0, err
	}
	listed := 0
	for _, k := range keys {
		if k.CurrentUntil.After(since) {
			listed++
		}
	}
	return max(recorded, listed), nil
}

// unlisted reports whether every public key set could be read and none lists kid.
func unlisted(kid string, look *audit.Look) bool {
	return look != nil && !slices.ContainsFunc(look.JWKS, func(p audit.Published) bool { return p.Err != "" || slices.Contains(p.KIDs, kid) })
}

func pin(k mgmt.Key) *audit.Pin { return &audit.Pin{KID: k.KID, SHA256: k.SHA256()} }

func unrevoked(keys mgmt.Keys) []string {
	var kids []string
	for _, k := range keys.Previous() {
		kids = append(kids, k.KID)
	}
	slices.Sort(kids)
	return kids
}

// pinsFor returns what action depends on, and the key that it takes out of use. A
// refusal says why the keys do not allow it.
func pinsFor(action Action, kid string, keys mgmt.Keys) (audit.Pins, string, *Refusal) {
	if action == Revoke {
		k, ok := keys.Find(kid)
		if !ok {
			return audit.Pins{}, kid, &Refusal{Why: UnknownKey, KID: kid}
		}
		switch k.Role() {
		case mgmt.RolePrevious:
			return audit.Pins{Key: pin(k)}, kid, nil
		case mgmt.RoleCurrent:
			return audit.Pins{}, kid, &Refusal{Why: KeyIsCurrent, KID: kid}
		case mgmt.RoleNext:
			return audit.Pins{}, kid, &Refusal{Why: KeyIsNext, KID: kid}
		case mgmt.RoleRevoked:
			return audit.Pins{}, kid, &Refusal{Why: KeyIsRevoked, KID: kid}
		}
		return audit.Pins{}, kid, &Refusal{Why: KeysUnclear, KID: kid}
	}
	current, okCurrent := keys.Current()
	next, okNext := keys.Next()
	if !okCurrent || !okNext {
		return audit.Pins{}, "", &Refusal{Why: KeysUnclear}
	}
	return audit.Pins{Current: pin(current), Next: pin(next), Previous: unrevoked(keys)}, current.KID, nil
}

// Target returns the kid of the key that action would take out of use (for a revoke
// that is kid), or a refusal that says why the keys do not allow it.
func Target(action Action, kid string, keys mgmt.Keys) (string, *Refusal) {
	_, kid, no := pinsFor(action, kid, keys)
	return kid, no
}

// hold reports whether the keys are still as pinned.
func hold(p audit.Pins, keys mgmt.Keys) bool {
	if p.Key != nil {
		return has(keys, *p.Key, mgmt.RolePrevious)
	}
	return standsBefore(p, keys) && slices.Equal(p.Previous, unrevoked(keys))
}

// standsBefore reports whether the pinned current key is current and the pinned
// next is next: no rotation has happened.
func standsBefore(p audit.Pins, keys mgmt.Keys) bool {
	return has(keys, *p.Current, mgmt.RoleCurrent) && has(keys, *p.Next, mgmt.RoleNext)
}

// has reports whether exactly this key, certificate included, is in the role.
func has(keys mgmt.Keys, p audit.Pin, role mgmt.Role) bool {
	k, ok := keys.Find(p.KID)
	return ok && k.Role() == role && k.SHA256() == p.SHA256
}
