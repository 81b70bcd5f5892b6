package auth0sim_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/mgmt/auth0sim"
)

func TestFaults(t *testing.T) {
	const lost = 0
	for _, tc := range []struct {
		name    string
		fault   auth0sim.Fault
		status  []int // of three rotations in a row
		effects []int // after each, and a minute later
	}{
		{"none", auth0sim.Fault{}, []int{201, 201, 201}, []int{1, 2, 3, 3}},
		{"of another call", auth0sim.Fault{Op: "revoke", Status: 503},
			[]int{201, 201, 201}, []int{1, 2, 3, 3}},
		{"every one", auth0sim.Fault{Op: "rotate", Status: 503},
			[]int{503, 503, 503}, []int{0, 0, 0, 0}},
		{"twice", auth0sim.Fault{Op: "rotate", Status: 503, Times: 2},
			[]int{503, 503, 201}, []int{0, 0, 1, 1}},
		{"after one", auth0sim.Fault{Op: "rotate", Status: 503, After: 1},
			[]int{201, 503, 503}, []int{1, 1, 1, 1}},
		{"after two", auth0sim.Fault{Op: "rotate", Status: 503, After: 2},
			[]int{201, 201, 503}, []int{1, 2, 2, 2}},
		{"the second", auth0sim.Fault{Op: "rotate", Status: 503, After: 1, Times: 1},
			[]int{201, 503, 201}, []int{1, 1, 2, 2}},
		{"lost before", auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore},
			[]int{lost, 201, 201}, []int{0, 1, 2, 2}},
		{"lost after", auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter},
			[]int{lost, 201, 201}, []int{1, 2, 3, 3}},
		{"lands late",
			auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 30 * time.Second},
			[]int{lost, 201, 201}, []int{0, 1, 2, 3}},
		{"slow", auth0sim.Fault{Op: "rotate", Times: 1, Delay: 30 * time.Second},
			[]int{201, 201, 201}, []int{1, 2, 3, 3}},
		{"slow to refuse", auth0sim.Fault{Op: "rotate", Times: 1, Delay: 30 * time.Second, Status: 403},
			[]int{403, 201, 201}, []int{0, 1, 2, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant, c := open(t, auth0sim.Config{})
				tenant.Fault(tc.fault)
				began := time.Now()
				var status, happened []int
				for range 3 {
					res, err := c.send("POST", rotate, "", "")
					if (err != nil) != (res.status == lost) {
						t.Errorf("%d, %v", res.status, err)
					}
					status, happened = append(status, res.status), append(happened, effects(tenant))
				}
				took := time.Since(began)
				if tc.fault.Lose != auth0sim.LandLate && took != tc.fault.Delay {
					t.Errorf("the calls took %v, want %v", took, tc.fault.Delay)
				}
				time.Sleep(time.Minute)
				happened = append(happened, effects(tenant))
				if diff := cmp.Diff(tc.status, status); diff != "" {
					t.Errorf("the statuses (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.effects, happened); diff != "" {
					t.Errorf("the effects (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAFaultCanSpoilEveryCall(t *testing.T) {
	tenant, c := open(t, auth0sim.Config{Previous: 1})
	for op, call := range map[string][2]string{
		"token":     {"POST", "/oauth/token"},
		"list":      {"GET", list},
		"get":       {"GET", list + "/" + kid(t, tenant, "next")},
		"rotate":    {"POST", rotate},
		"revoke":    {"PUT", revoke(kid(t, tenant, "previous"))},
		"jwks":      {"GET", "/.well-known/jwks.json"},
		"discovery": {"GET", "/.well-known/openid-configuration"},
	} {
		tenant.Fault(auth0sim.Fault{Op: op, Times: 1, Status: 500})
		var got refusal
		c.want(call[0], call[1], 500).decode(t, &got)
		if got.StatusCode != 500 || got.Error != "Internal Server Error" {
			t.Errorf("%s: %+v", op, got)
		}
		tenant.Fault(auth0sim.Fault{
			Op: op, Status: 502, Body: "<html>bad gateway</html>",
			Header: http.Header{"content-type": {"text/html"}, "Retry-After": {"7"}},
		})
		res := c.want(call[0], call[1], 502)
		if string(res.body) != "<html>bad gateway</html>" || res.header.Get("Retry-After") != "7" ||
			!slices.Equal(res.header["Content-Type"], []string{"text/html"}) ||
			res.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("%s: %s %v", op, res.body, res.header)
		}
		last := tenant.History()[len(tenant.History())-1]
		if last.Op != op || last.Status != 502 || last.Effect {
			t.Errorf("%s: the history has %+v", op, last)
		}
		tenant.ClearFaults()
	}
	c.login()
	c.want("GET", list, 200)
	if n := effects(tenant); n != 0 {
		t.Errorf("spoilt calls had %d effects", n)
	}
}

func TestAClientThatGoesEndsTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{})
		tenant.Fault(auth0sim.Fault{Op: "rotate", Delay: time.Minute})
		tenant.Fault(auth0sim.Fault{Op: "token", Delay: time.Minute})
		began := time.Now()
		c.http.Timeout = 2 * time.Second
		if _, err := c.send("POST", rotate, "", ""); err == nil {
			t.Error("the rotation was answered")
		}
		synctest.Wait()
		if n := effects(tenant); n != 1 || time.Since(began) != 2*time.Second {
			t.Errorf("%d effects after %v", n, time.Since(began))
		}
		// Also one with a body.
		if _, err := c.send("POST", "/oauth/token", form, credentials().Encode()); err == nil {
			t.Error("the token was answered")
		}
		synctest.Wait()
		history := tenant.History()
		last := history[len(history)-1]
		if last.Op != "token" || last.Status != 200 || time.Since(began) != 4*time.Second {
			t.Errorf("after %v the history ends with %+v", time.Since(began), last)
		}
	})
}

func TestWhatLandsLateIsJudgedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{})
		signer := kid(t, tenant, "current")
		tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 2, Lose: auth0sim.LandLate, Delay: time.Minute})
		tenant.Rotate()
		if _, err := c.send("POST", rotate, "", ""); err == nil {
			t.Error("it was answered")
		}
		if err := tenant.Revoke(signer); err != nil {
			t.Fatal(err)
		}
		if _, err := c.send("POST", rotate, "", ""); err == nil { // the token is no good any more
			t.Error("it was answered")
		}
		time.Sleep(2 * time.Minute)
		var got []auth0sim.Call
		for _, call := range tenant.History() {
			if call.Op == "rotate" && call.Via == "api" {
				call.At = time.Time{}
				got = append(got, call)
			}
		}
		want := []auth0sim.Call{
			{Op: "rotate", Status: 201, Effect: true, Lost: true, Via: "api", Correlation: "kt-1",
				Authenticated: true},
			{Op: "rotate", Status: 401, Lost: true, Via: "api", Correlation: "kt-1"},
		}
		slices.SortFunc(got, func(a, b auth0sim.Call) int { return a.Status - b.Status })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDroppedOverASocket(t *testing.T) {
	tenant, _ := open(t, auth0sim.Config{})
	server := httptest.NewServer(tenant)
	defer server.Close()
	for _, lose := range []auth0sim.Lose{auth0sim.LoseBefore, auth0sim.LoseAfter, auth0sim.LandLate} {
		tenant.Fault(auth0sim.Fault{Op: "jwks", Times: 1, Lose: lose})
		res, err := http.Get(server.URL + "/.well-known/jwks.json")
		if err == nil {
			res.Body.Close()
			t.Errorf("lost as %d, it was answered with %d", lose, res.StatusCode)
		}
	}
	res, err := http.Get(server.URL + "/.well-known/jwks.json")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{Previous: 2})
		old := kids(tenant, "previous")
		began := time.Now()
		c.want("GET", list, 200)
		time.Sleep(time.Second)
		c.want("POST", rotate, 201)
		c.want("PUT", revoke(old[0]), 200)
		c.want("PUT", revoke("none"), 404)
		time.Sleep(time.Second)
		tenant.Rotate()
		if err := tenant.Revoke(old[1]); err != nil {
			t.Fatal(err)
		}
		c.token = ""
		c.want("GET", list+"/"+old[1], 401)
		c.want("GET", "/.well-known/jwks.json", 200)
		c.want("GET", "/nowhere", 404)
		call := func(s int, op, kid string, status int) auth0sim.Call {
			return auth0sim.Call{
				At: began.Add(time.Duration(s) * time.Second), Op: op, KID: kid, Status: status,
				Effect: status/100 == 2 && (op == "rotate" || op == "revoke"),
				Via:    "api", Correlation: "kt-1", Authenticated: true,
			}
		}
		dashboard := func(c auth0sim.Call) auth0sim.Call {
			c.Via, c.Correlation = "dashboard", ""
			return c
		}
		unknown := func(c auth0sim.Call) auth0sim.Call {
			c.Authenticated = false
			return c
		}
		want := []auth0sim.Call{
			call(0, "token", "", 200),
			call(0, "list", "", 200),
			call(1, "rotate", "", 201),
			call(1, "revoke", old[0], 200),
			call(1, "revoke", "none", 404),
			dashboard(call(2, "rotate", "", 201)),
			dashboard(call(2, "revoke", old[1], 200)),
			unknown(call(2, "get", old[1], 401)),
			unknown(call(2, "jwks", "", 200)),
			unknown(call(2, "unknown", "", 404)),
		}
		if diff := cmp.Diff(want, tenant.History()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{})
		next := kid(t, tenant, "next")
		looks := 0
		done := make(chan error)
		go func() {
			done <- tenant.Await(t.Context(), func() bool {
				looks++
				inUse := slices.Contains(kids(tenant, "current"), next)
				// Whoever sees the effect finds it in the history.
				if inUse && effects(tenant) != 1 {
					t.Error("the effect is not in the history")
				}
				return inUse
			})
		}()
		synctest.Wait()
		time.Sleep(time.Hour) // it does not poll
		c.want("GET", list, 200)
		synctest.Wait()
		tenant.Rotate()
		if err := <-done; err != nil || looks != 3 {
			t.Errorf("%v after %d looks, want 3: at once, and after each call", err, looks)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := tenant.Await(ctx, func() bool { return false })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("awaiting what never comes: %v", err)
		}
	})
}
