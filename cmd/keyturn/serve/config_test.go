package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// good is a whole environment; each test changes something of it.
var good = map[string]string{
	"KEYTURN_SLACK_APP_TOKEN":           "xapp-1-A-1-secret",
	"KEYTURN_SLACK_BOT_TOKEN":           "xoxb-secret",
	"KEYTURN_APPROVERS":                 "U0ALICE,S0ONCALL",
	"KEYTURN_AUDIT_CHANNEL":             "C0TRAIL",
	"KEYTURN_TENANTS":                   "prod",
	"KEYTURN_TENANT_PROD_DOMAIN":        "acme.eu.auth0.com",
	"KEYTURN_TENANT_PROD_CLIENT_ID":     "client",
	"KEYTURN_TENANT_PROD_CLIENT_SECRET": "hush",
}

// environ sets the good environment with changes; an empty value unsets.
func environ(t *testing.T, changes map[string]string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(strings.ToUpper(name),
			"KEYTURN_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for _, vars := range []map[string]string{good, changes} {
		for name, value := range vars {
			t.Setenv(name, value)
			if value == "" {
				os.Unsetenv(name)
			}
		}
	}
}

func TestSettingsHaveNoSecrets(t *testing.T) {
	environ(t, map[string]string{"KEYTURN_APPROVERS": "U0ALICE, U0BOB"})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.settings(), "\n")
	for _, want := range []string{"KEYTURN_SLACK_APP_TOKEN=[hidden]", "KEYTURN_APPROVERS=U0ALICE,U0BOB", "KEYTURN_APPROVAL_TTL=30m0s", "KEYTURN_TENANT_PROD_CLIENT_SECRET=[hidden]", "KEYTURN_TENANT_PROD_DOMAIN=acme.eu.auth0.com"} {
		if !strings.Contains(all, want) {
			t.Errorf("the settings lack %s:\n%s", want, all)
		}
	}
	for _, secret := range []string{string(c.SlackAppToken), string(c.SlackBotToken), string(c.ByTenant[0].ClientSecret)} {
		if strings.Contains(all, secret) {
			t.Errorf("the settings have %q in them:\n%s", secret, all)
		}
	}
}

func TestDefaults(t *testing.T) {
	environ(t, nil)
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		SlackAppToken: "xapp-1-A-1-secret", SlackBotToken: "xoxb-secret", SlackAPIUrl: "https://slack.com/api/",
		Approvers: []string{"U0ALICE", "S0ONCALL"}, Requesters: []string{"U0ALICE", "S0ONCALL"}, AuditChannel: "C0TRAIL",
		ApprovalTTL: Duration(30 * time.Minute), Mention: "on", Frozen: "off",
		DatabaseURL: "keyturn.db", AuditKeyFile: "keyturn.db.key",
		LogLevel: "info", LogFormat: "json", WatchInterval: Duration(time.Minute),
		KeyMaxAge: Duration(8760 * time.Hour), PreviousMaxAge: Duration(720 * time.Hour),
		Tenants:  []string{"prod"},
		ByTenant: []TenantConfig{{Name: "prod", Domain: "acme.eu.auth0.com", ClientID: "client", ClientSecret: "hush"}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, "secret") || strings.Contains(s, "hush") {
		t.Errorf("the configuration prints a secret: %s", s)
	}
}

func TestWhatIsTaken(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ(t, map[string]string{
		"KEYTURN_SLACK_API_URL":                  "http://127.0.0.1:8080/api",
		"KEYTURN_REQUESTERS":                     "*",
		"KEYTURN_CHANNELS":                       " C0ROOM, G0ROOM,",
		"KEYTURN_APPROVAL_TTL":                   "1h",
		"KEYTURN_MENTION":                        "off",
		"KEYTURN_TENANTS":                        "prod,staging",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET":      "",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET_FILE": secret,
		"KEYTURN_TENANT_PROD_JWKS_DOMAINS":       "login.acme.com",
		"KEYTURN_TENANT_STAGING_DOMAIN":          "http://localhost:9090",
		"KEYTURN_TENANT_STAGING_CLIENT_ID":       "c",
		"KEYTURN_TENANT_STAGING_CLIENT_SECRET":   "s",
		"KEYTURN_TENANT_STAGING_APPROVERS":       "U0BOB",
		"KEYTURN_SERVICE_HOST":                   "10.0.0.1", // Kubernetes
		"KEYTURN_PORT_8080_TCP":                  "tcp://10.0.0.1:8080",
	})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.SlackAPIUrl != "http://127.0.0.1:8080/api/" || c.ApprovalTTL != Duration(time.Hour) ||
		!slices.Equal(c.Requesters, []string{"*"}) || !slices.Equal(c.Channels, []string{"C0ROOM",
		"G0ROOM"}) {
		t.Errorf("%+v", c)
	}
	if string(c.ByTenant[0].ClientSecret) != "from-a-file" ||
		baseURL(c.ByTenant[0].JWKSDomains[0]) != "https://login.acme.com" {
		t.Errorf("%+v", c.ByTenant[0])
	}
	if baseURL(string(c.ByTenant[1].Domain)) != "http://localhost:9090" {
		t.Errorf("%+v", c.ByTenant[1])
	}
	p := c.policy()
	if !slices.Equal(p.ApproversOf("prod"), []string{"U0ALICE", "S0ONCALL"}) || !slices.Equal(p.ApproversOf("staging"), []string{"U0BOB"}) {
		t.Errorf("%+v", p)
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes map[string]string
		want    []string
	}{
		{"nothing set", map[string]string{
			"KEYTURN_SLACK_APP_TOKEN": "", "KEYTURN_SLACK_BOT_TOKEN": "", "KEYTURN_APPROVERS": "", "KEYTURN_AUDIT_CHANNEL": "", "KEYTURN_TENANTS": "",
			"KEYTURN_TENANT_PROD_DOMAIN": "", "KEYTURN_TENANT_PROD_CLIENT_ID": "", "KEYTURN_TENANT_PROD_CLIENT_SECRET": "",
		}, []string{"KEYTURN_SLACK_APP_TOKEN is missing", "KEYTURN_SLACK_BOT_TOKEN is missing", "KEYTURN_APPROVERS is missing", "KEYTURN_AUDIT_CHANNEL is missing", "KEYTURN_TENANTS is missing"}},
		{"tokens exchanged", map[string]string{"KEYTURN_SLACK_APP_TOKEN": "xoxb-secret", "KEYTURN_SLACK_BOT_TOKEN": "xapp-secret"},
			[]string{"KEYTURN_SLACK_APP_TOKEN is a token of the kind xoxb-", "KEYTURN_SLACK_BOT_TOKEN is a token of the kind xapp-"}},
		{"a token that is none", map[string]string{"KEYTURN_SLACK_BOT_TOKEN": "secret"}, []string{"KEYTURN_SLACK_BOT_TOKEN is of another kind"}},
		{"misspelt", map[string]string{"KEYTURN_APROVERS": "U0BOB", "KEYTURN_TENANT_TEST_DOMAIN": "x.auth0.com"},
			[]string{"KEYTURN_APROVERS is not known", "KEYTURN_TENANT_TEST_DOMAIN is not known"}},
		{"a tenant without its variables", map[string]string{"KEYTURN_TENANTS": "prod,test"},
			[]string{"KEYTURN_TENANT_TEST_DOMAIN is missing", "KEYTURN_TENANT_TEST_CLIENT_ID is missing", "KEYTURN_TENANT_TEST_CLIENT_SECRET is missing"}},
		{"names that are none", map[string]string{"KEYTURN_TENANTS": "prod,Prod,rotate,prod", "KEYTURN_TENANT_ROTATE_DOMAIN": "x.auth0.com", "KEYTURN_TENANT_ROTATE_CLIENT_ID": "x", "KEYTURN_TENANT_ROTATE_CLIENT_SECRET": "x"},
			[]string{"KEYTURN_TENANTS: number 2 is no name",
				"KEYTURN_TENANTS: number 3 is a word of the command",
				"KEYTURN_TENANTS: number 4 is named twice"}},
		{"a name that a command passes over", map[string]string{
			"KEYTURN_TENANTS": "prod,it", "KEYTURN_TENANT_IT_DOMAIN": "x.auth0.com",
			"KEYTURN_TENANT_IT_CLIENT_ID": "x", "KEYTURN_TENANT_IT_CLIENT_SECRET": "x",
		}, []string{"KEYTURN_TENANTS: number 2 is a word that a command passes over"}},
		{"values that are none", map[string]string{
			"KEYTURN_APPROVERS": "alice", "KEYTURN_CHANNELS": "#incident", "KEYTURN_AUDIT_CHANNEL": "trail", "KEYTURN_APPROVAL_TTL": "soon", "KEYTURN_MENTION": "maybe",
			"KEYTURN_LOG_LEVEL": "loud", "KEYTURN_LOG_FORMAT": "xml", "KEYTURN_DATABASE_URL": "postgres://db", "KEYTURN_HTTP_ADDR": "8080", "KEYTURN_SLACK_API_URL": "http://slack.example",
			"KEYTURN_TENANT_PROD_DOMAIN": "http://acme.eu.auth0.com", "KEYTURN_TENANT_PROD_JWKS_DOMAINS": "https://x/y", "KEYTURN_REQUESTERS": "*,U0BOB",
		}, []string{"KEYTURN_APPROVERS", "KEYTURN_CHANNELS", "KEYTURN_AUDIT_CHANNEL", "KEYTURN_APPROVAL_TTL", "KEYTURN_MENTION", "KEYTURN_LOG_LEVEL", "KEYTURN_LOG_FORMAT",
			"KEYTURN_DATABASE_URL", "KEYTURN_HTTP_ADDR", "KEYTURN_SLACK_API_URL", "KEYTURN_TENANT_PROD_DOMAIN", "KEYTURN_TENANT_PROD_JWKS_DOMAINS", "KEYTURN_REQUESTERS"}},
		{"a lifetime out of range", map[string]string{"KEYTURN_APPROVAL_TTL": "25h"},
			[]string{"KEYTURN_APPROVAL_TTL must be a time from 1m to 24h"}},
		{"a secret twice, and no file",
			map[string]string{"KEYTURN_SLACK_BOT_TOKEN_FILE": "/nowhere"},
			[]string{"KEYTURN_SLACK_BOT_TOKEN and KEYTURN_SLACK_BOT_TOKEN_FILE are both set",
				"KEYTURN_SLACK_BOT_TOKEN_FILE is wrong: the file cannot be read: no such file"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			environ(t, tc.changes)
			_, err := Load()
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no fault says %q:\n%v", want, err)
				}
			}
			if len(faults) != len(tc.want) {
				t.Errorf("%d faults, want %d:\n%v", len(faults), len(tc.want), err)
			}
			if strings.Contains(err.Error(), "secret\"") || strings.Contains(err.Error(), "-secret") {
				t.Errorf("a fault repeats a token: %v", err)
			}
		})
	}
}

// TestTheREADMEListsEveryVariable compares the table of the README with the structs.
func TestTheREADMEListsEveryVariable(t *testing.T) {
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	known := names((&Config{ByTenant: []TenantConfig{{Name: "prod"}}}).variables())
	var listed []string
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "| `KEYTURN_") {
			cell := strings.Split(line, "|")[1]
			listed = append(listed, regexp.MustCompile("KEYTURN_[A-Z_]+").FindAllString(cell, -1)...)
		}
	}
	known = slices.DeleteFunc(slices.Clone(known), func(name string) bool { // one sentence for all secrets
		secret, isFile := strings.CutSuffix(name, "_FILE")
		return isFile && slices.Contains(known, secret)
	})
	slices.Sort(known)
	slices.Sort(listed)
	if diff := cmp.Diff(known, listed); diff != "" {
		t.Errorf("the README's table (-structs +README):\n%s", diff)
	}
}
