package auth0sim_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/mgmt/auth0sim"
)

// named is the answer to a write.
type named struct{ KID, Cert string }

func TestRotateAndRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{Previous: 1})
		older, current := kid(t, tenant, "previous"), kid(t, tenant, "current")
		next := kid(t, tenant, "next")
		time.Sleep(time.Hour)
		rotated := time.Now()
		var got named
		c.want("POST", rotate, 201).decode(t, &got)
		made := tenant.Keys()[0]
		known := slices.Contains([]string{older, current, next}, got.KID)
		if got.KID != made.KID || got.Cert != made.Cert || known {
			t.Errorf("the answer names %+v, and the new next key is %+v", got, made)
		}
		c.want("GET", list, 200) // what the previous key signed is still accepted
		time.Sleep(time.Hour)
		revoked := time.Now()
		c.want("PUT", revoke(current), 200).decode(t, &got)
		if got.KID != current || got.Cert == "" {
			t.Errorf("the answer names %+v", got)
		}

		var is refusal
		c.want("GET", list, 401).decode(t, &is) // and now it is not
		if is.Message != "Invalid signature received for JSON Web Token validation" {
			t.Errorf("with a revoked key's token: %+v", is)
		}
		c.login()
		c.want("GET", list, 200)

		var roles []auth0sim.Key
		for _, k := range tenant.Keys() {
			k.Cert = ""
			roles = append(roles, k)
		}
		began := tenant.History()[0].At
		day := func(n int) time.Time { return began.Add(time.Duration(n) * 24 * time.Hour) }
		want := []auth0sim.Key{
			{KID: made.KID, Role: "next"},
			{KID: next, Role: "current", CurrentSince: rotated},
			{KID: older, Role: "previous", CurrentSince: day(-400), CurrentUntil: day(-200)},
			{KID: current, Role: "revoked", CurrentSince: day(-200), CurrentUntil: rotated,
				RevokedAt: revoked},
		}
		if diff := cmp.Diff(want, roles); diff != "" {
			t.Errorf("the keys (-want +got):\n%s", diff)
		}
	})
}

func TestOnlyAPreviouslyUsedKeyIsRevoked(t *testing.T) {
	tenant, c := open(t, auth0sim.Config{Previous: 1})
	old := kid(t, tenant, "previous")
	c.want("PUT", revoke(old), 200)
	const only = "You can only revoke the previously used signing key."
	before := tenant.Keys()
	for name, tc := range map[string]struct {
		kid  string
		want refusal
	}{
		"next":    {kid(t, tenant, "next"), refusal{400, "Bad Request", only, ""}},
		"current": {kid(t, tenant, "current"), refusal{400, "Bad Request", only, ""}},
		"revoked": {old, refusal{400, "Bad Request", "The signing key is already revoked.", ""}},
		"unknown": {"none", refusal{404, "Not Found", "Signing key not found.", ""}},
	} {
		var got refusal
		c.want("PUT", revoke(tc.kid), tc.want.StatusCode).decode(t, &got)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if tenant.Revoke(tc.kid) == nil {
			t.Errorf("%s: the Dashboard revoked it", name)
		}
	}
	if diff := cmp.Diff(before, tenant.Keys()); diff != "" || effects(tenant) != 1 {
		t.Errorf("%d effects, want 1; the keys (-before +after):\n%s", effects(tenant), diff)
	}
	var got refusal
	c.want("GET", list+"/none", 404).decode(t, &got)
	if got.Message != "Signing key not found." {
		t.Errorf("reading an unknown key: %+v", got)
	}
}

func TestTheLastThreeRevokedAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where all four are revoked in one instant
		tenant, c := open(t, auth0sim.Config{Previous: 5})
		old := kids(tenant, "previous")
		order := []string{old[2], old[0], old[3], old[1]}
		for _, k := range order {
			c.want("PUT", revoke(k), 200)
		}
		slices.Reverse(order)
		if diff := cmp.Diff(order, kids(tenant, "revoked")); diff != "" {
			t.Errorf("the revoked keys (-want +got):\n%s", diff)
		}
		var keys []wireKey
		c.want("GET", list, 200).decode(t, &keys)
		var got []string
		for _, k := range keys {
			got = append(got, k.KID)
		}
		want := slices.Concat(kids(tenant, "next"), kids(tenant, "current"), old[4:], order[:3])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the list (-want +got):\n%s", diff)
		}
		var first wireKey
		c.want("GET", list+"/"+order[3], 200).decode(t, &first)
		if !first.Revoked || first.Previous {
			t.Errorf("the key that is not listed is %+v", first)
		}
	})
}

func TestFiveRotationsADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{})
		began := time.Now()
		const refill = 24 * time.Hour / 5
		check := func(status, remaining int, reset time.Time) {
			t.Helper()
			h := c.want("POST", rotate, status).header
			if h.Get("X-RateLimit-Limit") != "5" ||
				h.Get("X-RateLimit-Remaining") != strconv.Itoa(remaining) ||
				h.Get("X-RateLimit-Reset") != strconv.FormatInt(reset.Unix(), 10) {
				t.Errorf("after %v: %v, want %d remaining and a reset at %d",
					time.Since(began), h, remaining, reset.Unix())
			}
		}
		for i := range 5 {
			check(201, 4-i, began.Add(refill))
		}
		check(429, 0, began.Add(refill))
		tenant.Rotate() // the Dashboard's are not counted
		var got refusal
		c.want("POST", rotate, 429).decode(t, &got)
		want := refusal{429, "Too Many Requests", "Global limit has been reached", "too_many_requests"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := effects(tenant); n != 6 {
			t.Errorf("%d rotations, want 5 and the Dashboard's", n)
		}

		time.Sleep(refill - time.Millisecond)
		check(429, 0, began.Add(refill))
		time.Sleep(time.Millisecond)
		check(201, 0, began.Add(2*refill))
		check(429, 0, began.Add(2*refill))

		time.Sleep(30 * 24 * time.Hour) // never more than five at once
		c.login()
		for i := range 5 {
			check(201, 4-i, time.Now().Add(refill))
		}
		check(429, 0, time.Now().Add(refill))
	})
}

func TestTheDateHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := func() time.Time { return time.Now().Add(3 * time.Hour) }
		_, c := open(t, auth0sim.Config{Now: ahead})
		got, want := c.want("GET", list, 200).header.Get("Date"), ahead().UTC().Format(http.TimeFormat)
		if got != want {
			t.Errorf("the tenant's clock says %q, want %q", got, want)
		}
		for _, says := range []string{"", "yesterday"} {
			_, c := open(t, auth0sim.Config{Date: func(time.Time) string { return says }})
			if got := c.want("GET", list, 200).header.Get("Date"); got != says {
				t.Errorf("got %q, want %q", got, says)
			}
		}
	})
}

func TestKeySetLags(t *testing.T) {
	const lag = 30 * time.Second
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{Previous: 1, JWKSMaxAge: lag})
		served := func() []string {
			t.Helper()
			res := c.want("GET", "/.well-known/jwks.json", 200)
			const announced = "public, max-age=30, stale-while-revalidate=15, stale-if-error=86400"
			if got := res.header.Get("Cache-Control"); got != announced {
				t.Errorf("Cache-Control: %s", got)
			}
			var set struct{ Keys []struct{ KID string } }
			res.decode(t, &set)
			var out []string
			for _, k := range set.Keys {
				out = append(out, k.KID)
			}
			return out
		}
		check := func(when string, want []string) {
			t.Helper()
			if diff := cmp.Diff(want, served()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		current, next := kid(t, tenant, "current"), kid(t, tenant, "next")
		old := kid(t, tenant, "previous")
		first := []string{current, next, old}
		check("at first", first)
		if err := tenant.Revoke(old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		made := tenant.Rotate()
		time.Sleep(20*time.Second - time.Millisecond)
		check("before the lag is over", first)
		time.Sleep(time.Millisecond)
		check("when the revocation shows", []string{current, next})
		time.Sleep(10 * time.Second)
		check("when the rotation shows", []string{next, made, current})
	})
}
