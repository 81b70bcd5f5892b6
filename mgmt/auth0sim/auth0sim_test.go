package auth0sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"keyturn/mgmt/auth0sim"
)

// client calls a tenant over its in-memory connection.
type client struct {
	t     *testing.T
	http  http.Client
	token string
}

func dial(t *testing.T, tenant *auth0sim.Tenant) *client {
	c := &client{t: t, http: http.Client{Transport: &http.Transport{DialContext: tenant.Dial, DisableKeepAlives: true}}}
	c.login()
	return c
}

func (c *client) login() {
	status, body := c.post("/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"sim-client"}, "client_secret": {"sim-secret"}, "audience": {"http://acme.test/api/v2/"},
	})
	var tok struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &tok); err != nil || status != 200 || strings.Count(tok.AccessToken, ".") != 2 {
		c.t.Fatalf("token: %d %s", status, body)
	}
	c.token = tok.AccessToken
}

func (c *client) post(path string, form url.Values) (int, []byte) {
	c.t.Helper()
	res, err := c.http.PostForm("http://acme.test"+path, form)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, b
}

func (c *client) do(method, path string) (int, []byte, http.Header, error) {
	req, err := http.NewRequest(method, "http://acme.test"+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("X-Correlation-ID", "kt-1")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, res.Header, err
}

func (c *client) want(method, path string, status int) []byte {
	c.t.Helper()
	got, body, _, err := c.do(method, path)
	if err != nil || got != status {
		c.t.Fatalf("%s %s: %d %s, %v; want %d", method, path, got, body, err, status)
	}
	return body
}

func kid(tenant *auth0sim.Tenant, role string) string {
	for _, k := range tenant.Keys() {
		if k.Role == role {
			return k.KID
		}
	}
	return ""
}

// schemas compiles the component schemas of Auth0's own document, strictly.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile("testdata/auth0-oas-signing.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("auth0.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("auth0.json#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswersHoldAgainstAuth0sDocument(t *testing.T) {
	list, get, rotate, revoke := schema(t, "SigningKeys"), schema(t, "GetSigningKeysResponseContent"), schema(t, "RotateSigningKeysResponseContent"), schema(t, "RevokedSigningKeysResponseContent")
	check := func(s *jsonschema.Schema, body []byte) {
		t.Helper()
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, dense := range []bool{false, true} {
		tenant := auth0sim.New(auth0sim.Config{Previous: 1, Dense: dense})
		defer tenant.Close()
		c := dial(t, tenant)
		check(revoke, c.want("PUT", "/api/v2/keys/signing/"+kid(tenant, "previous")+"/revoke", 200))
		check(rotate, c.want("POST", "/api/v2/keys/signing/rotate", 201))
		var keys []json.RawMessage
		if err := json.Unmarshal(c.want("GET", "/api/v2/keys/signing", 200), &keys); err != nil || len(keys) != 4 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			check(list, k)
			if sparse := !bytes.Contains(k, []byte("false")); sparse == dense {
				t.Errorf("dense is %v: %s", dense, k)
			}
		}
		check(get, c.want("GET", "/api/v2/keys/signing/"+kid(tenant, "next"), 200))
	}
	if err := list.Validate(map[string]any{"kid": "k"}); err == nil {
		t.Error("the schema takes a key without a certificate, so it proves nothing")
	}
}

func TestRotateAndRevoke(t *testing.T) {
	tenant := auth0sim.New(auth0sim.Config{})
	defer tenant.Close()
	c := dial(t, tenant)
	current, next := kid(tenant, "current"), kid(tenant, "next")
	var answer struct{ KID string }
	if err := json.Unmarshal(c.want("POST", "/api/v2/keys/signing/rotate", 201), &answer); err != nil {
		t.Fatal(err)
	}
	if kid(tenant, "current") != next || kid(tenant, "previous") != current || kid(tenant, "next") != answer.KID {
		t.Errorf("after a rotation: %+v; the answer names %s", tenant.Keys(), answer.KID)
	}
	c.want("GET", "/api/v2/keys/signing", 200) // what the previous key signed is still accepted
	c.want("PUT", "/api/v2/keys/signing/"+next+"/revoke", 400)
	c.want("PUT", "/api/v2/keys/signing/none/revoke", 404)
	c.want("PUT", "/api/v2/keys/signing/"+current+"/revoke", 200)
	c.want("GET", "/api/v2/keys/signing", 401) // and now it is not
	c.login()
	c.want("PUT", "/api/v2/keys/signing/"+current+"/revoke", 400)
	effects := 0
	for _, call := range tenant.History() {
		if call.Effect {
			effects++
			if call.Correlation != "kt-1" || !call.Authenticated || call.Via != "api" {
				t.Errorf("the history has %+v", call)
			}
		}
	}
	if effects != 2 {
		t.Errorf("the history has %d effects, want 2", effects)
	}
}

func TestWhoMayCall(t *testing.T) {
	tenant := auth0sim.New(auth0sim.Config{Scopes: []string{"read:signing_keys", "update:signing_keys"}})
	defer tenant.Close()
	c := dial(t, tenant)
	c.want("GET", "/api/v2/keys/signing", 200)
	c.want("POST", "/api/v2/keys/signing/rotate", 403) // create: is missing
	c.token = c.token[:len(c.token)-8] + "AAAAAAAA"
	c.want("GET", "/api/v2/keys/signing", 401)
	c.token = ""
	c.want("GET", "/api/v2/keys/signing", 401)
	c.want("GET", "/.well-known/jwks.json", 200)
	c.want("GET", "/.well-known/openid-configuration", 200)
	for name, form := range map[string]url.Values{
		"a wrong secret": {"grant_type": {"client_credentials"}, "client_id": {"sim-client"}, "client_secret": {"x"}, "audience": {"http://acme.test/api/v2/"}},
		"another API":    {"grant_type": {"client_credentials"}, "client_id": {"sim-client"}, "client_secret": {"sim-secret"}, "audience": {"http://acme.test/api/v2"}},
		"no grant type":  {},
	} {
		if status, body := c.post("/oauth/token", form); status < 400 || !bytes.Contains(body, []byte(`"error"`)) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestFiveRotationsADay(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 8}).Close() // the stock of RSA keys is filled outside the bubble
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		c := dial(t, tenant)
		for range 5 {
			c.want("POST", "/api/v2/keys/signing/rotate", 201)
		}
		status, _, header, err := c.do("POST", "/api/v2/keys/signing/rotate")
		if err != nil || status != 429 || header.Get("X-RateLimit-Limit") != "5" || header.Get("X-RateLimit-Remaining") != "0" || header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("the sixth: %d %v, %v", status, header, err)
		}
		time.Sleep(5 * time.Hour)
		c.want("POST", "/api/v2/keys/signing/rotate", 201)
	})
}

func TestJWKSLags(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 2}).Close()
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{Previous: 1, JWKSMaxAge: 15 * time.Second})
		defer tenant.Close()
		c := dial(t, tenant)
		old := kid(tenant, "previous")
		listed := func() bool { return bytes.Contains(c.want("GET", "/.well-known/jwks.json", 200), []byte(old)) }
		if err := tenant.Revoke(old); err != nil {
			t.Fatal(err)
		}
		if !listed() {
			t.Error("the key is gone at once")
		}
		time.Sleep(15 * time.Second)
		if listed() {
			t.Error("the key is still there after the lag")
		}
	})
}

func TestFaults(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 3}).Close()
	for _, tc := range []struct {
		name    string
		fault   auth0sim.Fault
		lost    bool
		status  int
		effects []int // right after the call, and a minute later
	}{
		{"status", auth0sim.Fault{Status: 503}, false, 503, []int{0, 0}},
		{"lost before", auth0sim.Fault{Lose: auth0sim.LoseBefore}, true, 0, []int{0, 0}},
		{"lost after", auth0sim.Fault{Lose: auth0sim.LoseAfter}, true, 0, []int{1, 1}},
		{"lands late", auth0sim.Fault{Lose: auth0sim.LandLate, Delay: 30 * time.Second}, true, 0, []int{0, 1}},
		{"slow", auth0sim.Fault{Delay: 30 * time.Second}, false, 201, []int{1, 1}},
		{"of another call", auth0sim.Fault{Op: "revoke", Status: 503}, false, 201, []int{1, 1}},
		{"of the second call", auth0sim.Fault{After: 1, Status: 503}, false, 201, []int{1, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := auth0sim.New(auth0sim.Config{})
				defer tenant.Close()
				c := dial(t, tenant)
				if tc.fault.Op == "" {
					tc.fault.Op = "rotate"
				}
				tenant.Fault(tc.fault)
				effects := func() int {
					return len(slices.DeleteFunc(tenant.History(), func(c auth0sim.Call) bool { return !c.Effect }))
				}
				status, _, _, err := c.do("POST", "/api/v2/keys/signing/rotate")
				if (err != nil) != tc.lost || status != tc.status {
					t.Errorf("got %d, %v", status, err)
				}
				if n := effects(); n != tc.effects[0] {
					t.Errorf("%d effects, want %d", n, tc.effects[0])
				}
				time.Sleep(time.Minute)
				if n := effects(); n != tc.effects[1] {
					t.Errorf("%d effects a minute later, want %d", n, tc.effects[1])
				}
			})
		})
	}
}

func TestAwaitSeesEachChange(t *testing.T) {
	tenant := auth0sim.New(auth0sim.Config{})
	defer tenant.Close()
	next := kid(tenant, "next")
	go tenant.Rotate()
	if err := tenant.Await(t.Context(), func() bool { return kid(tenant, "current") == next }); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tenant.Await(ctx, func() bool { return false }); err == nil {
		t.Error("it awaited what never comes")
	}
}
