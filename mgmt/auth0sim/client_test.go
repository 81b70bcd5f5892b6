package auth0sim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"keyturn/mgmt/auth0sim"
)

const (
	base   = "http://acme.test"
	form   = "application/x-www-form-urlencoded"
	list   = "/api/v2/keys/signing"
	rotate = list + "/rotate"
)

func revoke(kid string) string { return list + "/" + kid + "/revoke" }

// open makes a tenant for a test, and a client that has a token of it.
func open(t *testing.T, cfg auth0sim.Config) (*auth0sim.Tenant, *client) {
	t.Helper()
	tenant := auth0sim.New(cfg)
	t.Cleanup(tenant.Close)
	c := clientOf(t, tenant)
	c.login()
	return tenant, c
}

func clientOf(t *testing.T, tenant *auth0sim.Tenant) *client {
	return &client{t: t, host: base, http: &http.Client{
		Transport: &http.Transport{DialContext: tenant.Dial, DisableKeepAlives: true},
	}}
}

// client calls a tenant over in-memory connections.
type client struct {
	t     *testing.T
	host  string
	http  *http.Client
	token string
}

// response is an answer with its body read.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (r response) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// send sends a request with the client's token.
func (c *client) send(method, path, contentType, body string) (response, error) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.host+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("X-Correlation-ID", "kt-1")
	res, err := c.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, b}, err
}

// want sends a request that is to be answered with a status.
func (c *client) want(method, path string, status int) response {
	c.t.Helper()
	res, err := c.send(method, path, "", "")
	if err != nil || res.status != status {
		c.t.Fatalf("%s %s: %d %s, %v; want %d", method, path, res.status, res.body, err, status)
	}
	return res
}

// credentials are what the token endpoint wants.
func credentials() url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"sim-client"},
		"client_secret": {"sim-secret"}, "audience": {base + "/api/v2/"},
	}
}

func (c *client) login() {
	c.t.Helper()
	res, err := c.send("POST", "/oauth/token", form, credentials().Encode())
	if err != nil || res.status != 200 {
		c.t.Fatalf("token: %d %s, %v", res.status, res.body, err)
	}
	var got struct {
		AccessToken string `json:"access_token"`
	}
	res.decode(c.t, &got)
	c.token = got.AccessToken
}

// kids returns the kids of the keys in a role, as Keys orders them.
func kids(tenant *auth0sim.Tenant, role string) []string {
	var out []string
	for _, k := range tenant.Keys() {
		if k.Role == role {
			out = append(out, k.KID)
		}
	}
	return out
}

// kid returns the one kid of a role.
func kid(t *testing.T, tenant *auth0sim.Tenant, role string) string {
	t.Helper()
	all := kids(tenant, role)
	if len(all) != 1 {
		t.Fatalf("%d keys are %s, want one", len(all), role)
	}
	return all[0]
}

// effects counts the calls that changed a key.
func effects(tenant *auth0sim.Tenant) int {
	n := 0
	for _, c := range tenant.History() {
		if c.Effect {
			n++
		}
	}
	return n
}
