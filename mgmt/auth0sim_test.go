package mgmt_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// A change from its first look to its proof, as the carrier makes it, over the wire.
func TestRotateAndRevoke(t *testing.T) {
	for _, dense := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sim := auth0sim.New(auth0sim.Config{Dense: dense})
			defer sim.Close()
			const base = "http://acme.eu.auth0.com"
			r, w := mgmt.Open(mgmt.Config{BaseURL: base, ClientID: "sim-client", ClientSecret: "sim-secret", Dial: sim.Dial})
			look := func() (current, next mgmt.Key, keys mgmt.Keys) {
				t.Helper()
				keys, err := r.Keys(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				current, _ = keys.Current()
				next, _ = keys.Next()
				return current, next, keys
			}
			k, n, _ := look()
			if k.KID == "" || n.KID == "" || k.SHA256() == n.SHA256() || k.CurrentSince.IsZero() {
				t.Fatalf("current %+v, next %+v", k, n)
			}
			answer, err := w.Rotate(t.Context(), "request-1")
			if err != nil || answer.Status != 201 {
				t.Fatalf("rotating: %+v, %v", answer, err)
			}
			current, next, keys := look()
			old, _ := keys.Find(k.KID)
			if current.KID != n.KID || next.KID != answer.KID || old.Role() != mgmt.RolePrevious {
				t.Fatalf("after rotating: current %q, next %q, answered %q, the old key is %v", current.KID, next.KID, answer.KID, old.Role())
			}
			// The token at hand is signed by the key that goes.
			if tok, err := r.Token(t.Context()); err != nil || tok.KID != k.KID {
				t.Fatalf("the token before: %+v, %v", tok, err)
			}
			answer, err = w.Revoke(t.Context(), k.KID, "request-1")
			if err != nil || answer.Status != 200 || answer.KID != k.KID {
				t.Fatalf("revoking: %+v, %v", answer, err)
			}
			// A write does not find itself another token.
			var said *mgmt.Error
			if _, err := w.Revoke(t.Context(), k.KID, "request-1"); !errors.As(err, &said) || said.Status != 401 || !said.Refused() {
				t.Fatalf("a write with the old token: %v", err)
			}
			_, _, keys = look() // a read does
			old, _ = keys.Find(k.KID)
			if tok, err := r.Token(t.Context()); err != nil || tok.KID != n.KID || old.Role() != mgmt.RoleRevoked || old.RevokedAt.IsZero() {
				t.Fatalf("after revoking: the key is %+v, the token %+v, %v", old, tok, err)
			}
			set, err := r.JWKS(t.Context(), base)
			if err != nil || set.Has(k.KID) || !set.Has(n.KID) || !set.Has(next.KID) {
				t.Fatalf("JWKS = %+v, %v", set, err)
			}
		})
	}
}
