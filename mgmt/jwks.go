package mgmt

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// JWKS is a public key set.
type JWKS struct {
	KIDs []string // as listed; a key without a kid is left out
}

// Has reports whether the set lists kid.
func (s JWKS) Has(kid string) bool { return slices.Contains(s.KIDs, kid) }

// JWKS reads the public key set at baseURL, which may be a custom domain's. It is
// read without a token, as any verifier does.
func (r *Reader) JWKS(ctx context.Context, baseURL string) (JWKS, error) {
	const op = "reading the JWKS"
	body, err := r.read(ctx, op, strings.TrimSuffix(baseURL, "/")+"/.well-known/jwks.json", nil)
	if err != nil {
		return JWKS{}, err
	}
	var wire struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return JWKS{}, fmt.Errorf("%s: decoding it: %w", op, err)
	}
	// Taken as an empty set, it would say that a revoked key is gone.
	if wire.Keys == nil {
		return JWKS{}, fmt.Errorf("%s: decoding it: it has no list of keys", op)
	}
	var set JWKS
	for _, k := range wire.Keys {
		if k.KID != "" {
			set.KIDs = append(set.KIDs, k.KID)
		}
	}
	return set, nil
}
