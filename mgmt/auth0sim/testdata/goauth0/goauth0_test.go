// Package goauth0_test holds the simulated tenant against go-auth0, Auth0's own client
// for the Management API: what keyturn is tested with is believed by a client that we
// did not write. It is a module of its own, so that keyturn does not depend on it.
package goauth0_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auth0/go-auth0/management"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// serve returns a tenant on a loopback socket, and its address.
func serve(t *testing.T, cfg auth0sim.Config) (*auth0sim.Tenant, string) {
	t.Helper()
	tenant := auth0sim.New(cfg)
	t.Cleanup(tenant.Close)
	server := httptest.NewServer(tenant)
	t.Cleanup(server.Close)
	return tenant, server.URL
}

// login returns a client that will fetch a token by itself.
func login(t *testing.T, address string) *management.SigningKeyManager {
	t.Helper()
	return open(t.Context(), t, address, "sim-secret")
}

func open(
	ctx context.Context, t *testing.T, address, secret string, options ...management.Option,
) *management.SigningKeyManager {
	t.Helper()
	m, err := management.New(strings.TrimPrefix(address, "http://"), append([]management.Option{
		management.WithInsecure(), // plain HTTP, with a token that the next option replaces
		management.WithClientCredentials(ctx, "sim-client", secret),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.SigningKey
}

// inMemory runs a test in a bubble, where waiting takes no time, with a tenant and a
// client that reaches it over in-memory connections.
func inMemory(
	t *testing.T, secret string, options []management.Option,
	test func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		c := &http.Client{Transport: &http.Transport{DialContext: tenant.Dial, DisableKeepAlives: true}}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, c) // for the token
		options = append([]management.Option{management.WithClient(c)}, options...)
		test(t, tenant, open(ctx, t, "acme.test", secret, options...))
	})
}

// calls returns the calls of an operation.
func calls(tenant *auth0sim.Tenant, op string) []auth0sim.Call {
	return slices.DeleteFunc(tenant.History(), func(c auth0sim.Call) bool { return c.Op != op })
}

// truth is the keys of a tenant as the list should have them.
func truth(t *testing.T, tenant *auth0sim.Tenant) mgmt.Keys {
	t.Helper()
	var out mgmt.Keys
	for _, k := range tenant.Keys() {
		block, _ := pem.Decode([]byte(k.Cert))
		if block == nil {
			t.Fatalf("the certificate of %s is no PEM", k.KID)
		}
		sum := fmt.Sprintf("%X", sha1.Sum(block.Bytes))
		var pairs []string
		for i := 0; i < len(sum); i += 2 {
			pairs = append(pairs, sum[i:i+2])
		}
		at := func(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
		out = append(out, mgmt.Key{
			KID: k.KID, Cert: k.Cert, Thumbprint: sum, Fingerprint: strings.Join(pairs, ":"),
			Next: k.Role == "next", Current: k.Role == "current",
			Previous: k.Role == "previous", Revoked: k.Role == "revoked",
			CurrentSince: at(k.CurrentSince), CurrentUntil: at(k.CurrentUntil), RevokedAt: at(k.RevokedAt),
		})
	}
	return out
}

// asOurs is a key of go-auth0's as keyturn has it.
func asOurs(k *management.SigningKey) mgmt.Key {
	return mgmt.Key{
		KID: k.GetKID(), Cert: k.GetCert(), Fingerprint: k.GetFingerprint(), Thumbprint: k.GetThumbprint(),
		Current: k.GetCurrent(), Next: k.GetNext(), Previous: k.GetPrevious(), Revoked: k.GetRevoked(),
		CurrentSince: k.GetCurrentSince(), CurrentUntil: k.GetCurrentUntil(), RevokedAt: k.GetRevokedAt(),
	}
}

// TestAChange is a change with everything that both clients read of it.
func TestAChange(t *testing.T) {
	for _, dense := range []bool{false, true} {
		t.Run("dense "+strconv.FormatBool(dense), func(t *testing.T) {
			tenant, address := serve(t, auth0sim.Config{Previous: 1, Dense: dense})
			keys := login(t, address)
			ours, _ := mgmt.Open(mgmt.Config{BaseURL: address, ClientID: "sim-client", ClientSecret: "sim-secret"})
			defer ours.Close()
			look := func(when string) mgmt.Keys {
				t.Helper()
				list, err := keys.List(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", when, err)
				}
				var theirs mgmt.Keys
				for _, k := range list {
					theirs = append(theirs, asOurs(k))
					one, err := keys.Read(t.Context(), k.GetKID())
					if diff := cmp.Diff(k, one); diff != "" || err != nil {
						t.Errorf("%s: %s read alone: %v\n%s", when, k.GetKID(), err, diff)
					}
					der, _ := pem.Decode([]byte(k.GetCert()))
					p7, rest := pem.Decode([]byte(k.GetPKCS7()))
					if p7 == nil || p7.Type != "PKCS7" || len(rest) > 0 || !bytes.Contains(p7.Bytes, der.Bytes) {
						t.Errorf("%s: the PKCS #7 of %s is %q", when, k.GetKID(), k.GetPKCS7())
					}
				}
				if diff := cmp.Diff(truth(t, tenant), theirs); diff != "" {
					t.Errorf("%s, as go-auth0 reads it (-want +got):\n%s", when, diff)
				}
				read, err := ours.Keys(t.Context())
				if diff := cmp.Diff(theirs, read); diff != "" || err != nil {
					t.Errorf("%s, as keyturn reads it: %v (-go-auth0 +keyturn):\n%s", when, err, diff)
				}
				return theirs
			}

			before := look("before")
			current, _ := before.Current()
			made, err := keys.Rotate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			next, _ := look("rotated").Next()
			if made.GetKID() != next.KID || made.GetCert() != next.Cert {
				t.Errorf("the rotation says %s, and the next key is %s", made.GetKID(), next.KID)
			}
			// The current key signed the token at hand; the older one did not.
			older := before.Previous()[0].KID
			gone, err := keys.Revoke(t.Context(), older)
			if err != nil || gone.GetKID() != older || gone.GetCert() == "" {
				t.Fatalf("revoking %s: %v, %v", older, gone, err)
			}
			if k, _ := look("revoked").Find(older); k.RevokedAt.IsZero() {
				t.Errorf("the revoked key is %+v", k)
			}

			if _, err := keys.Revoke(t.Context(), current.KID); err != nil {
				t.Fatal(err)
			}
			_, err = keys.List(t.Context())
			wantError(t, "with a token of the revoked key's", err,
				"401 Unauthorized: Invalid signature received for JSON Web Token validation")
			keys = login(t, address)
			look("both revoked")
		})
	}
}

// wantError checks that an error is go-auth0's own, of the status that it begins with.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	var said management.Error
	if !errors.As(err, &said) || said.Error() != want || strconv.Itoa(said.Status()) != want[:3] {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func TestErrors(t *testing.T) {
	tenant, address := serve(t, auth0sim.Config{Previous: 1})
	keys := login(t, address)
	kids := map[string]string{"unknown": "none"}
	for _, k := range tenant.Keys() {
		kids[k.Role] = k.KID
	}
	if _, err := keys.Revoke(t.Context(), kids["previous"]); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]string{
		"current":  "400 Bad Request: You can only revoke the previously used signing key.",
		"next":     "400 Bad Request: You can only revoke the previously used signing key.",
		"previous": "400 Bad Request: The signing key is already revoked.",
		"unknown":  "404 Not Found: Signing key not found.",
	} {
		_, err := keys.Revoke(t.Context(), kids[role])
		wantError(t, "revoking "+role, err, want)
	}
	_, err := keys.Read(t.Context(), "none")
	wantError(t, "reading unknown", err, "404 Not Found: Signing key not found.")

	_, address = serve(t, auth0sim.Config{Scopes: []string{"read:clients"}})
	keys = login(t, address)
	_, err = keys.List(t.Context())
	wantError(t, "listing without the scope", err, "403 Forbidden: Insufficient scope, expected any of: read:signing_keys")
	_, err = keys.Rotate(t.Context())
	wantError(t, "rotating without the scopes", err,
		"403 Forbidden: Insufficient scope; expected create:signing_keys and update:signing_keys.")
	_, err = keys.Revoke(t.Context(), "none")
	wantError(t, "revoking without the scope", err, "403 Forbidden: Insufficient scope; expected any of: update:signing_keys.")
}

// TestCredentials has wrong credentials refused in OAuth's words, and says how go-auth0
// sends right ones: first in a header, which the tenant takes for none, then in the form.
func TestCredentials(t *testing.T) {
	inMemory(t, "wrong", nil, func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager) {
		_, err := keys.List(t.Context())
		var said *oauth2.RetrieveError
		if !errors.As(err, &said) || said.ErrorCode != "access_denied" || said.Response.StatusCode != 401 {
			t.Errorf("a wrong secret: %v", err)
		}
		if len(calls(tenant, "list")) != 0 {
			t.Error("a call was made without a token")
		}
	})
	inMemory(t, "sim-secret", nil, func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager) {
		if _, err := keys.List(t.Context()); err != nil {
			t.Error(err)
		}
		var got []int
		for _, c := range calls(tenant, "token") {
			got = append(got, c.Status)
		}
		if diff := cmp.Diff([]int{400, 200}, got); diff != "" {
			t.Errorf("the statuses of the token's calls:\n%s", diff)
		}
	})
}

// TestRotationLimit has go-auth0 wait for the time that the tenant's 429 tells, where it
// is near enough, and otherwise give up with the 429.
func TestRotationLimit(t *testing.T) {
	inMemory(t, "sim-secret", nil, func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager) {
		for range 5 {
			if _, err := keys.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		last := time.Now()
		_, err := keys.Rotate(t.Context())
		wantError(t, "the sixth", err, "429 Too Many Requests: Global limit has been reached")
		refill := last.Add(24 * time.Hour / 5)
		time.Sleep(time.Until(refill) - 4*time.Second)
		refused := len(calls(tenant, "rotate"))
		if _, err := keys.Rotate(t.Context()); err != nil {
			t.Errorf("4 s before another is left: %v", err)
		}
		var got []string
		for _, c := range calls(tenant, "rotate")[refused:] {
			got = append(got, fmt.Sprint(c.Status, " at ", c.At.Sub(refill)))
		}
		// It waits a quarter longer than it is told.
		if diff := cmp.Diff([]string{"429 at -4s", "201 at 1s"}, got); diff != "" {
			t.Errorf("by the time that another is left (-want +got):\n%s", diff)
		}
	})
}

// TestLostAnswer has go-auth0 meet the answer that is lost after the rotation: as it is
// delivered it rotates again, which is why keyturn writes with a client of its own.
func TestLostAnswer(t *testing.T) {
	lost := auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}
	rotations := func(tenant *auth0sim.Tenant) (n int) {
		for _, c := range calls(tenant, "rotate") {
			if c.Effect {
				n++
			}
		}
		return n
	}
	inMemory(t, "sim-secret", nil, func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager) {
		tenant.Fault(lost)
		_, err := keys.Rotate(t.Context())
		if n := rotations(tenant); n != 2 || err != nil {
			t.Errorf("as it is delivered: %d rotations, %v; want 2", n, err)
		}
	})
	once := []management.Option{management.WithNoRetries()}
	inMemory(t, "sim-secret", once, func(t *testing.T, tenant *auth0sim.Tenant, keys *management.SigningKeyManager) {
		tenant.Fault(lost)
		_, err := keys.Rotate(t.Context())
		var said management.Error
		if n := rotations(tenant); n != 1 || err == nil || errors.As(err, &said) {
			t.Errorf("without its retries: %d rotations, %v; want 1, and an error that is no answer's", n, err)
		}
	})
}

// TestLog reads the tenant log: what a rotation by a client and one in the Dashboard leave.
func TestLog(t *testing.T) {
	tenant, address := serve(t, auth0sim.Config{Scopes: []string{"read:signing_keys", "create:signing_keys", "update:signing_keys", "read:logs"}})
	m, err := management.New(strings.TrimPrefix(address, "http://"), management.WithInsecure(),
		management.WithClientCredentials(t.Context(), "sim-client", "sim-secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.SigningKey.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	tenant.Rotate()
	rows, err := m.Log.Search(t.Context(), management.Parameter("q", "type:sapi"), management.Parameter("sort", "date:-1"), management.PerPage(50))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	for i, ip := range []string{auth0sim.AdminIP, "192.0.2.1"} {
		row := rows[i]
		if row.GetType() != "sapi" || row.TypeName() != "API Operation" || row.GetIP() != ip || row.GetDate().IsZero() || row.GetLogID() == "" {
			t.Errorf("row %d is %s", i, row)
		}
	}
}
