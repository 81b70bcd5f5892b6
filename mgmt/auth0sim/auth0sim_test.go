package auth0sim_test

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/mgmt/auth0sim"
)

func TestWrongAddresses(t *testing.T) {
	_, c := open(t, auth0sim.Config{})
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api/v2/keys", 404, ""},
		{"GET", list + "/", 404, ""}, // a kid that is none
		{"GET", list + "/a/b", 404, ""},
		{"PUT", list + "/a/b/revoke", 404, ""},
		{"POST", list, 405, "GET"},
		{"PUT", rotate, 405, "POST, GET"},
		{"POST", revoke("k"), 405, "PUT"},
		{"GET", "/oauth/token", 405, "POST"},
		{"POST", "/.well-known/jwks.json", 405, "GET"},
	} {
		res := c.want(tc.method, tc.path, tc.status)
		var got struct {
			StatusCode int
			Error      string
		}
		res.decode(t, &got)
		if got.StatusCode != tc.status || got.Error != http.StatusText(tc.status) {
			t.Errorf("%s %s: the body says %s", tc.method, tc.path, res.body)
		}
		if allow := res.header.Get("Allow"); allow != tc.allow {
			t.Errorf("%s %s: allowed is %q, want %q", tc.method, tc.path, allow, tc.allow)
		}
	}
}

func TestEveryAnswerTellsALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := open(t, auth0sim.Config{}) // the login takes one of the tokens'
		for _, tc := range []struct {
			method, path     string
			status           int
			limit, remaining string
		}{
			{"POST", "/oauth/token", 400, "30", "28"},
			{"GET", list, 200, "50", "49"},
			{"GET", list + "/none", 404, "50", "48"},
			{"GET", "/.well-known/jwks.json", 200, "20", "19"},
			{"GET", "/.well-known/openid-configuration", 200, "20", "18"},
			{"POST", rotate, 201, "5", "4"},
		} {
			h := c.want(tc.method, tc.path, tc.status).header
			if h.Get("X-RateLimit-Limit") != tc.limit || h.Get("X-RateLimit-Remaining") != tc.remaining {
				t.Errorf("%s: %v", tc.path, h)
			}
			reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
			if err != nil || !time.Unix(reset, 0).After(time.Now()) {
				t.Errorf("%s: reset at %q", tc.path, h.Get("X-RateLimit-Reset"))
			}
		}
		time.Sleep(time.Second) // the general ones are full again
		if h := c.want("GET", list, 200).header; h.Get("X-RateLimit-Remaining") != "49" {
			t.Errorf("a second later: %v", h)
		}
		for range 60 { // and refuse nobody
			c.want("GET", list, 200)
		}
		if h := c.want("GET", list, 200).header; h.Get("X-RateLimit-Remaining") != "0" {
			t.Errorf("after sixty at once: %v", h)
		}
	})
}

func TestARateOfTheManagementAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{Rate: 10, Burst: 3})
		for range 3 {
			c.want("GET", list, 200)
		}
		for _, path := range []string{list, list + "/none"} { // all of it together
			h := c.want("GET", path, 429).header
			limit, left := h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Remaining")
			if limit != "3" || left != "0" || h.Get("Retry-After") != "" {
				t.Errorf("%s: %v", path, h)
			}
			reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
			if err != nil || !time.Unix(reset, 0).After(time.Now()) {
				t.Errorf("%s: reset at %q", path, h.Get("X-RateLimit-Reset"))
			}
		}
		c.want("POST", rotate, 429) // and it took none of the five a day
		c.want("GET", "/.well-known/jwks.json", 200)
		time.Sleep(time.Second / 10)
		if h := c.want("POST", rotate, 201).header; h.Get("X-RateLimit-Remaining") != "4" {
			t.Errorf("a tenth of a second later: %v", h)
		}
		refused := 0
		for _, c := range tenant.History() {
			if c.Status == 429 {
				refused++
			}
		}
		if refused != 3 {
			t.Errorf("%d refused calls are in the history, want 3", refused)
		}
	})
}

func TestANewTenant(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	tenant, c := open(t, auth0sim.Config{Previous: 2, Now: func() time.Time { return now }})
	var got []auth0sim.Key
	for _, k := range tenant.Keys() {
		k.KID, k.Cert = "", ""
		got = append(got, k)
	}
	want := []auth0sim.Key{
		{Role: "next"},
		{Role: "current", CurrentSince: day(-200)},
		{Role: "previous", CurrentSince: day(-400), CurrentUntil: day(-200)},
		{Role: "previous", CurrentSince: day(-600), CurrentUntil: day(-400)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What the API shows is the same.
	var keys []struct {
		KID          string
		CurrentSince time.Time `json:"current_since"`
	}
	c.want("GET", list, 200).decode(t, &keys)
	for i, k := range tenant.Keys() {
		if keys[i].KID != k.KID || !keys[i].CurrentSince.Equal(k.CurrentSince) {
			t.Errorf("the list has %+v, want %+v", keys[i], k)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails where a goroutine stays
		tenant, c := open(t, auth0sim.Config{})
		idle, err := tenant.Dial(t.Context(), "tcp", "anywhere:1")
		if err != nil {
			t.Fatal(err)
		}
		tenant.Fault(auth0sim.Fault{Op: "list", Delay: time.Hour})
		tenant.Fault(auth0sim.Fault{Op: "rotate", Delay: time.Hour, Lose: auth0sim.LandLate})
		if _, err := c.send("POST", rotate, "", ""); err == nil {
			t.Error("the rotation was answered")
		}
		waiting := make(chan error)
		go func() {
			_, err := c.send("GET", list, "", "")
			waiting <- err
		}()
		synctest.Wait()
		began, calls := time.Now(), len(tenant.History())
		tenant.Close()
		tenant.Close()
		if err := <-waiting; err == nil {
			t.Error("a closed tenant answered a call")
		}
		if _, err := idle.Read(make([]byte, 1)); err == nil {
			t.Error("an idle connection is open")
		}
		if _, err := tenant.Dial(t.Context(), "tcp", "anywhere:1"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dialling a closed tenant: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if n := len(tenant.History()); n != calls || effects(tenant) != 0 {
			t.Errorf("after it was closed, %d calls became %d: %+v", calls, n, tenant.History())
		}
		if waited := time.Since(began); waited != 2*time.Hour {
			t.Errorf("closing took %v", waited-2*time.Hour)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	tenant, c := open(t, auth0sim.Config{Previous: 3})
	old := kids(tenant, "previous")
	var wg sync.WaitGroup
	each := func(n int, f func(i int)) {
		for i := range n {
			wg.Go(func() { f(i) })
		}
	}
	send := func(method, path string) {
		if _, err := c.send(method, path, "", ""); err != nil {
			t.Error(err)
		}
	}
	each(8, func(int) { send("POST", rotate) })
	each(9, func(i int) { send("PUT", revoke(old[i%3])) })
	each(8, func(int) { send("GET", list) })
	each(8, func(int) { send("GET", "/.well-known/jwks.json") })
	each(2, func(int) { tenant.Rotate() })
	each(4, func(int) { tenant.Fault(auth0sim.Fault{Op: "get", Times: 1, Status: 503}) })
	each(4, func(int) { tenant.Keys(); tenant.History() })
	wg.Wait()
	var seen []string
	for _, k := range tenant.Keys() {
		seen = append(seen, k.Role)
	}
	// Of eight rotations the bucket lets five through, and two are the Dashboard's.
	want := slices.Concat([]string{"next", "current"}, slices.Repeat([]string{"previous"}, 7),
		slices.Repeat([]string{"revoked"}, 3))
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("the keys are (-want +got):\n%s", diff)
	}
	if n := effects(tenant); n != 5+2+3 {
		t.Errorf("%d effects, want 10", n)
	}
}
