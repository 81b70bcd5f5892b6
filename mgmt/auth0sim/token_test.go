package auth0sim_test

import (
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"keyturn/mgmt/auth0sim"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, c := open(t, auth0sim.Config{})
		asked := map[string]string{}
		for name, values := range credentials() {
			asked[name] = values[0]
		}
		asJSON, err := json.Marshal(asked)
		if err != nil {
			t.Fatal(err)
		}
		https := credentials()
		https.Set("audience", "https://acme.test/api/v2/")
		good := schema(t, "auth0-oas-token.json", "TokenResponse")
		for _, tc := range []struct{ contentType, body, audience string }{
			{form, credentials().Encode(), base + "/api/v2/"},
			{form + "; charset=utf-8", https.Encode(), "https://acme.test/api/v2/"},
			{"application/json", string(asJSON), base + "/api/v2/"},
		} {
			res, err := c.send("POST", "/oauth/token", tc.contentType, tc.body)
			if err != nil || res.status != 200 {
				t.Fatalf("%s: %d %s, %v", tc.contentType, res.status, res.body, err)
			}
			if err := valid(good, res.body); err != nil {
				t.Error(err)
			}
			var got struct {
				AccessToken string `json:"access_token"`
				TokenType   string `json:"token_type"`
				ExpiresIn   int    `json:"expires_in"`
				Scope       string
			}
			res.decode(t, &got)
			const scope = "read:signing_keys create:signing_keys update:signing_keys"
			if got.TokenType != "Bearer" || got.ExpiresIn != 86400 || got.Scope != scope {
				t.Errorf("the answer is %+v", got)
			}
			var claims jwt.MapClaims
			tok, _, err := jwt.NewParser().ParseUnverified(got.AccessToken, &claims)
			if err != nil {
				t.Fatal(err)
			}
			now := float64(time.Now().Unix())
			want := jwt.MapClaims{
				"iss": base + "/", "aud": []any{tc.audience}, "sub": "sim-client@clients", "scope": scope,
				"iat": now, "exp": now + 86400, "azp": "sim-client", "gty": "client-credentials",
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("the claims (-want +got):\n%s", diff)
			}
			head := map[string]any{"alg": "RS256", "typ": "JWT", "kid": kid(t, tenant, "current")}
			if diff := cmp.Diff(head, tok.Header); diff != "" {
				t.Errorf("the header (-want +got):\n%s", diff)
			}
			// It is the current key's signature, and the API takes it.
			public, err := jwt.ParseRSAPublicKeyFromPEM([]byte(tenant.Keys()[1].Cert))
			if err != nil {
				t.Fatal(err)
			}
			_, err = jwt.Parse(got.AccessToken, func(*jwt.Token) (any, error) { return public, nil })
			if err != nil {
				t.Error(err)
			}
			c.token = got.AccessToken
			c.want("GET", list, 200)
		}
	})
}

func TestTokenIsRefused(t *testing.T) {
	_, c := open(t, auth0sim.Config{})
	shape := schema(t, "auth0-oas-token.json", "ErrorResponse")
	set := func(name, value string) string {
		v := credentials()
		v.Set(name, value)
		return v.Encode()
	}
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"no body":              {form, "", 400, "invalid_request"},
		"not a form":           {"text/plain", credentials().Encode(), 400, "invalid_request"},
		"no JSON":              {"application/json", "{", 400, "invalid_request"},
		"a broken form":        {form, "%", 400, "invalid_request"},
		"no grant type":        {form, set("grant_type", ""), 400, "invalid_request"},
		"no client":            {form, set("client_id", ""), 400, "invalid_request"},
		"no audience":          {form, set("audience", ""), 400, "invalid_request"},
		"another grant":        {form, set("grant_type", "password"), 400, "unsupported_grant_type"},
		"another client":       {form, set("client_id", "x"), 401, "invalid_client"},
		"another secret":       {form, set("client_secret", "x"), 401, "access_denied"},
		"no secret":            {form, set("client_secret", ""), 401, "access_denied"},
		"no slash at the end":  {form, set("audience", base+"/api/v2"), 403, "access_denied"},
		"another tenant's API": {form, set("audience", "http://other.test/api/v2/"), 403, "access_denied"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := c.send("POST", "/oauth/token", tc.contentType, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Error string }
			res.decode(t, &got)
			if res.status != tc.status || got.Error != tc.code {
				t.Errorf("%d %s, want %d %s", res.status, res.body, tc.status, tc.code)
			}
			if err := valid(shape, res.body); err != nil {
				t.Error(err)
			}
		})
	}
}

// refusal is Auth0's error body.
type refusal struct {
	StatusCode                int
	Error, Message, ErrorCode string
}

func TestCallIsRefused(t *testing.T) {
	badSignature := refusal{
		Message: "Invalid signature received for JSON Web Token validation", ErrorCode: "invalid_token",
	}
	unsaid := refusal{Message: "Invalid token.", ErrorCode: "invalid_token"}
	tenant, c := open(t, auth0sim.Config{Previous: 1})
	current, good := kid(t, tenant, "current"), c.token
	forge := func(method jwt.SigningMethod, secret any) string {
		tok := jwt.NewWithClaims(method, jwt.MapClaims{
			"aud": base + "/api/v2/", "exp": time.Now().Add(time.Hour).Unix(),
			"scope": "read:signing_keys",
		})
		tok.Header["kid"] = current
		s, err := tok.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	block, _ := pem.Decode([]byte(tenant.Keys()[1].Cert))
	_, stranger := open(t, auth0sim.Config{})
	head, sum, _ := strings.Cut(good, ".")
	body, sum, _ := strings.Cut(sum, ".")
	unsigned := forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
	changed := head + "." + body + "." + strings.Repeat("A", len(sum))
	for name, tc := range map[string]struct {
		token string
		want  refusal
	}{
		"no token":                           {"", refusal{Message: "Missing authentication"}},
		"no JWT":                             {"opaque", unsaid},
		"a changed signature":                {changed, badSignature},
		"another tenant's":                   {stranger.token, badSignature},
		"not signed":                         {unsigned, badSignature},
		"signed with the public key's bytes": {forge(jwt.SigningMethodHS256, block.Bytes), badSignature},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.StatusCode, tc.want.Error = 401, "Unauthorized"
			for _, call := range [][2]string{
				{"GET", list}, {"GET", list + "/" + current}, {"POST", rotate},
				{"PUT", revoke(kid(t, tenant, "previous"))},
			} {
				c.token = tc.token
				var got refusal
				c.want(call[0], call[1], 401).decode(t, &got)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%v (-want +got):\n%s", call, diff)
				}
			}
		})
	}
	if n := effects(tenant); n != 0 {
		t.Errorf("refused calls had %d effects", n)
	}
	for _, call := range tenant.History()[1:] {
		if call.Authenticated {
			t.Errorf("the history says that this was authenticated: %+v", call)
		}
	}
}

func TestATokenIsForOneAudienceAndADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := open(t, auth0sim.Config{})
		// By another name, the tenant is another audience.
		c.want("GET", list, 200)
		elsewhere := *c
		elsewhere.host = "http://login.acme.test"
		var got refusal
		elsewhere.want("GET", list, 401).decode(t, &got)
		if got.Message != "Bad audience: "+base+"/api/v2/" {
			t.Errorf("the refusal is %+v", got)
		}
		time.Sleep(86400*time.Second - time.Millisecond)
		c.want("GET", list, 200)
		time.Sleep(time.Millisecond)
		c.want("GET", list, 401).decode(t, &got)
		if got.Message != "Invalid token." {
			t.Errorf("the refusal is %+v", got)
		}
	})
}

func TestScopes(t *testing.T) {
	const read, create, update = "read:signing_keys", "create:signing_keys", "update:signing_keys"
	for _, tc := range []struct {
		scopes []string
		calls  [4]string // "" or the words of the 403, of list, get, rotate and revoke
	}{
		{[]string{read, create, update}, [4]string{}},
		{[]string{read}, [4]string{2: "rotate", 3: "revoke"}},
		{[]string{create}, [4]string{"read", "read", "rotate", "revoke"}},
		{[]string{read, update}, [4]string{2: "rotate"}},
		{[]string{create, update}, [4]string{0: "read", 1: "read"}},
		{[]string{}, [4]string{"read", "read", "rotate", "revoke"}},
	} {
		t.Run(strings.Join(tc.scopes, " "), func(t *testing.T) {
			words := map[string]string{
				"read":   "Insufficient scope, expected any of: read:signing_keys",
				"rotate": "Insufficient scope; expected create:signing_keys and update:signing_keys.",
				"revoke": "Insufficient scope; expected any of: update:signing_keys.",
			}
			tenant, c := open(t, auth0sim.Config{Scopes: tc.scopes, Previous: 1})
			old := kid(t, tenant, "previous")
			for i, call := range []struct {
				method, path string
				status       int
			}{
				{"GET", list, 200}, {"GET", list + "/" + old, 200},
				{"POST", rotate, 201}, {"PUT", revoke(old), 200},
			} {
				if tc.calls[i] == "" {
					c.want(call.method, call.path, call.status)
					continue
				}
				var got refusal
				c.want(call.method, call.path, 403).decode(t, &got)
				want := refusal{403, "Forbidden", words[tc.calls[i]], "insufficient_scope"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", call.method, call.path, diff)
				}
			}
		})
	}
}

func TestWhichKeySignsTokens(t *testing.T) {
	for _, lag := range []time.Duration{0, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			tenant, c := open(t, auth0sim.Config{TokenLag: lag})
			signer := func() string {
				t.Helper()
				c.login()
				tok, _, err := jwt.NewParser().ParseUnverified(c.token, jwt.MapClaims{})
				if err != nil {
					t.Fatal(err)
				}
				c.want("GET", list, 200)
				return tok.Header["kid"].(string)
			}
			before := kid(t, tenant, "current")
			tenant.Rotate()
			after := kid(t, tenant, "current")
			if lag > 0 {
				time.Sleep(lag - time.Millisecond)
				if got := signer(); got != before {
					t.Errorf("within the lag %s signs, want %s", got, before)
				}
				time.Sleep(time.Millisecond)
			}
			if got := signer(); got != after {
				t.Errorf("after %v %s signs, want %s", lag, got, after)
			}
			// A key that is revoked signs nothing, whatever the lag.
			tenant.Rotate()
			if err := tenant.Revoke(after); err != nil {
				t.Fatal(err)
			}
			if got := signer(); got != kid(t, tenant, "current") {
				t.Errorf("after the revoke %s signs", got)
			}
		})
	}
}

func TestOwnCredentials(t *testing.T) {
	tenant := auth0sim.New(auth0sim.Config{ClientID: "me", ClientSecret: "hush"})
	defer tenant.Close()
	c := clientOf(t, tenant)
	own := credentials()
	own.Set("client_id", "me")
	own.Set("client_secret", "hush")
	for _, tc := range []struct {
		form   url.Values
		status int
	}{{own, 200}, {credentials(), 401}} {
		res, err := c.send("POST", "/oauth/token", form, tc.form.Encode())
		if err != nil || res.status != tc.status {
			t.Errorf("%v: %d %s, %v", tc.form, res.status, res.body, err)
		}
	}
}
