package serve

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/kelseyhightower/envconfig"
)

// faultsOf loads an environment and returns its faults.
func faultsOf(t *testing.T, changes map[string]string) Faults {
	t.Helper()
	environ(t, changes)
	_, err := Load()
	var faults Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("got %v, want faults", err)
	}
	return faults
}

// TestVariablesAreThoseThatEnvconfigReads holds the list against the structs.
func TestVariablesAreThoseThatEnvconfigReads(t *testing.T) {
	var out bytes.Buffer
	const keys = "{{range .}}{{usage_key .}}\n{{end}}"
	for prefix, spec := range map[string]any{"KEYTURN": &Config{},
		"KEYTURN_TENANT_PROD": &TenantConfig{}} {
		if err := envconfig.Usagef(prefix, spec, &out, keys); err != nil {
			t.Fatal(err)
		}
	}
	read := strings.Fields(out.String())
	listed := names((&Config{ByTenant: []TenantConfig{{Name: "prod"}}}).variables())
	slices.Sort(read)
	slices.Sort(listed)
	if diff := cmp.Diff(read, listed); diff != "" {
		t.Errorf("(-envconfig +listed):\n%s", diff)
	}
}

func TestServiceLinksArePassedOver(t *testing.T) {
	links := map[string]string{
		"KEYTURN_SERVICE_HOST": "10.96.0.7", "KEYTURN_SERVICE_PORT": "8080",
		"KEYTURN_PORT":                 "tcp://10.96.0.7:8080",
		"KEYTURN_METRICS_SERVICE_HOST": "10.96.0.7", "KEYTURN_METRICS_SERVICE_PORT": "8080",
		"KEYTURN_METRICS_SERVICE_PORT_HTTP": "8080", "KEYTURN_METRICS_PORT": "tcp://10.96.0.7:8080",
		"KEYTURN_METRICS_PORT_8080_TCP":       "tcp://10.96.0.7:8080",
		"KEYTURN_METRICS_PORT_8080_TCP_PROTO": "tcp",
		"KEYTURN_METRICS_PORT_8080_TCP_PORT":  "8080",
		"KEYTURN_METRICS_PORT_8080_TCP_ADDR":  "10.96.0.7",
		"KEYTURN_V6_SERVICE_HOST":             "fd00:10:96::7",
		"KEYTURN_V6_PORT":                     "tcp://[fd00:10:96::7]:443",
		"KEYTURN_V6_PORT_443_TCP":             "tcp://fd00:10:96::7:443",
		"KEYTURN_V6_PORT_443_TCP_ADDR":        "fd00:10:96::7",
		"KEYTURN_DNS_PORT_53_UDP":             "udp://10.96.0.7:53",
		"KEYTURN_DNS_PORT_53_UDP_PROTO":       "udp",
		"KEYTURN_DNS_PORT_53_UDP_PORT":        "53", "KEYTURN_DNS_PORT_53_UDP_ADDR": "10.96.0.7",
		"KEYTURN_DNS_PORT":        "udp://10.96.0.7:53",
		"KEYTURN_SIG_PORT_9_SCTP": "sctp://10.96.0.7:9", "KEYTURN_SIG_PORT_9_SCTP_PROTO": "sctp",
		"KEYTURN_NONE_SERVICE_HOST": "None",
		// Services whose names begin as a setting or a tenant does.
		"KEYTURN_HTTP_ADDR_SERVICE_HOST":          "10.96.0.7",
		"KEYTURN_HTTP_ADDR_PORT_8080_TCP_ADDR":    "10.96.0.7",
		"KEYTURN_TENANT_PROD_SERVICE_HOST":        "10.96.0.7",
		"KEYTURN_TENANT_PROD_PORT":                "tcp://10.96.0.7:80",
		"KEYTURN_TENANT_PROD_SERVICE_PORT_WEB_UI": "80", "KEYTURN_TENANTS_SERVICE_PORT": "80",
	}
	if faults := faultsOf(t, links); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestWhatOnlyLooksLikeAServiceLinkIsRefused(t *testing.T) {
	for name, value := range map[string]string{
		"KEYTURN_TENANT_PROD_PORT": "x", "KEYTURN_HTTP_PORT": "8080", "KEYTURN_PORT": "8080",
		"KEYTURN_SERVICE_HOST": "keyturn.example", "KEYTURN_SERVICE_PORT": "http",
		"KEYTURN_METRICS_SERVICE_PORT_HTTP":   "0",
		"KEYTURN_METRICS_PORT_8080_TCP":       "udp://10.96.0.7:8080",
		"KEYTURN_METRICS_PORT_8080_TCP_PROTO": "udp",
		"KEYTURN_METRICS_PORT_8080_TCP_PORT":  "8081", "KEYTURN_METRICS_PORT_8080_TCP_ADDR": "host",
		"KEYTURN_METRICS_PORT": "https://10.96.0.7:8080", "KEYTURN_METRICS_PORT_HTTP": "8080",
		"keyturn_approvers": "U0BOB",
	} {
		if faults := faultsOf(t, map[string]string{name: value}); len(faults) != 1 ||
			!strings.HasPrefix(faults[0], name+" is not known") {
			t.Errorf("%s=%s: %v", name, value, faults)
		}
	}
}

// TestValuesAreCleaned: what copying and files leave around a value does not count.
func TestValuesAreCleaned(t *testing.T) {
	for _, around := range []string{"%s\n", " %s ", "\"%s\"", "'%s'\r\n", "\ufeff%s", "\t“%s”",
		" \" %s \"\n", "\u200b%s\u00a0"} {
		changes := map[string]string{}
		for name, value := range good {
			changes[name] = fmt.Sprintf(around, value)
		}
		changes["KEYTURN_FROZEN"], changes["KEYTURN_APPROVAL_TTL"] = fmt.Sprintf(around, "ON"),
			fmt.Sprintf(around, "1h")
		environ(t, changes)
		c, err := Load()
		if err != nil {
			t.Errorf("%q: %v", around, err)
			continue
		}
		tenant := c.ByTenant[0]
		got := []string{string(c.SlackAppToken), string(c.SlackBotToken),
			string(tenant.ClientSecret), string(tenant.ClientID), string(tenant.Domain),
			c.ApprovalTTL.String()}
		want := []string{"xapp-1-A-1-secret", "xoxb-secret", "hush", "client", "acme.eu.auth0.com",
			"1h0m0s"}
		if diff := cmp.Diff(want, got); diff != "" || !c.frozen() {
			t.Errorf("%q (-want +got):\n%s", around, diff)
		}
	}
}

func TestIDsAndDomainsAreBroughtIntoOneForm(t *testing.T) {
	environ(t, map[string]string{
		"KEYTURN_APPROVERS": "<@U0ALICE>,\nu0bob\n\"<@W0CAROL|carol>\" " +
			"<!subteam^S0ONCALL|@oncall>; @U0DAVE",
		"KEYTURN_CHANNELS":                 "<#C0ROOM|incident>,c0other,",
		"KEYTURN_AUDIT_CHANNEL":            "c0trail\n",
		"KEYTURN_TENANT_PROD_DOMAIN":       "ACME.eu.auth0.com./",
		"KEYTURN_TENANT_PROD_JWKS_DOMAINS": "login.acme.com/\nid.acme.com",
	})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	got := []List{c.Approvers, c.Channels, {string(c.AuditChannel)}, {string(c.ByTenant[0].Domain)},
		c.ByTenant[0].JWKSDomains}
	want := []List{
		{"U0ALICE", "U0BOB", "W0CAROL", "S0ONCALL", "U0DAVE"}, {"C0ROOM", "C0OTHER"}, {"C0TRAIL"},
		{"acme.eu.auth0.com"}, {"login.acme.com", "id.acme.com"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"KEYTURN_TENANT_PROD_DOMAIN", "https://acme.eu.auth0.com",
			"leave https:// out, as in acme.eu.auth0.com"},
		{"KEYTURN_TENANT_PROD_DOMAIN", "http://acme.eu.auth0.com/", "leave http:// out"},
		{"KEYTURN_TENANT_PROD_DOMAIN", "acme.eu.auth0.com/api/v2/",
			"leave https:// and the path out"},
		{"KEYTURN_TENANT_PROD_JWKS_DOMAINS", "a.acme.com,https://b.acme.com",
			"number 2 is an address: leave https:// out"},
		{"KEYTURN_AUDIT_CHANNEL", "#trail", "is not a channel's id (C… or G…), such as C0123ABCD"},
		{"KEYTURN_APPROVERS", "U0ALICE,sam",
			"number 2 is not a user's id (U…) or a user group's (S…)"},
		{"KEYTURN_REQUESTERS", "*,U0BOB", "or it is * alone"},
		{"KEYTURN_APPROVAL_TTL", "soon",
			"must be a time from 1m to 24h; write it as a number and h, m or s, such as 30m"},
		{"KEYTURN_APPROVAL_TTL", "30", "such as 30m"},
		{"KEYTURN_APPROVAL_TTL", "0", "must be a time from 1m to 24h"},
		{"KEYTURN_WATCH_INTERVAL", "1d", "or 0 for off"},
		{"KEYTURN_FROZEN", "true", "must be on or off"},
		{"KEYTURN_HTTP_ADDR", "localhost:http:80", "is no address such as :8080"},
		{"KEYTURN_SLACK_APP_TOKEN", "xapp-", "is only the beginning"},
		{"KEYTURN_TENANT_PROD_CLIENT_ID", "two words", "is no client id"},
		{"KEYTURN_DATABASE_URL", "a\nb", "has a control character in it"},
	} {
		faults := faultsOf(t, map[string]string{tc.name: tc.value})
		if len(faults) != 1 || !strings.HasPrefix(faults[0], tc.name) ||
			!strings.Contains(faults[0], tc.want) {
			t.Errorf("%s=%q: %v, want %q", tc.name, tc.value, faults, tc.want)
		}
	}
}

// TestSetAndEmpty: what is the empty string is as good as not set, but where the default
// would let more through than was meant. What has only separators is a fault everywhere.
func TestSetAndEmpty(t *testing.T) {
	careful := []string{"KEYTURN_CHANNELS", "KEYTURN_FROZEN", "KEYTURN_DATABASE_URL",
		"KEYTURN_TENANT_PROD_APPROVERS"}
	for _, v := range (&Config{ByTenant: []TenantConfig{{Name: "prod"}}}).variables() {
		if v.name == "KEYTURN_TENANTS" {
			continue // then its own variables are unknown, too
		}
		_, isList := v.value.(*List)
		for _, value := range []string{"", " ", "\n", `""`, " , ", ",;\n"} {
			if strings.ContainsAny(value, ",;") && !isList {
				continue
			}
			environ(t, nil)
			t.Setenv(v.name, value)
			_, err := Load()
			fault := value != "" || good[v.name] != "" || slices.Contains(careful, v.name)
			if (err != nil) != fault {
				t.Errorf("%s=%q: %v, want a fault: %v", v.name, value, err, fault)
			}
			if err != nil && (!strings.Contains(err.Error(), v.name+" is ") ||
				strings.Count(err.Error(), "KEYTURN_") != 1) {
				t.Errorf("%s=%q: %v", v.name, value, err)
			}
		}
	}
}

// TestNoFaultRepeatsAValue gives each variable a secret, and what is no value at all.
func TestNoFaultRepeatsAValue(t *testing.T) {
	clientSecret := strings.Repeat("aB3_-", 12) + "zzzz"
	for _, v := range (&Config{ByTenant: []TenantConfig{{Name: "prod"}}}).variables() {
		given := []string{"xoxb-12-z5ecret", "PRIVATE+KEY+k+1+z5ecret", "xapp-1-A-z5ecret",
			clientSecret, "h\x01unter2",
			"hunter\xff2", "hunter 2\nhunter 3", "eyJhbGciOiJSUzI1NiIsInR5c.z5ecret"}
		for _, value := range given {
			if v.name == "KEYTURN_SLACK_BOT_TOKEN" && strings.HasPrefix(value, "xoxb-") ||
				v.name == "KEYTURN_SLACK_APP_TOKEN" && strings.HasPrefix(value, "xapp-") {
				continue
			}
			if v.name == "KEYTURN_TENANT_PROD_CLIENT_SECRET" && value == clientSecret {
				continue
			}
			environ(t, map[string]string{v.name: value})
			c, err := Load()
			said := fmt.Sprint(err, c.settings())
			if strings.Contains(said, value) || strings.Contains(said, "hunter") ||
				strings.Contains(said, "z5ecret") {
				t.Errorf("%s=%q is repeated: %s", v.name, value, said)
			}
			if err == nil && v.name != "KEYTURN_DATABASE_URL" &&
				v.name != "KEYTURN_AUDIT_KEY_FILE" {
				t.Errorf("%s=%q is taken", v.name, value)
			}
			if err != nil && !strings.Contains(err.Error(), v.name) {
				t.Errorf("%s=%q: the variable is not named: %v", v.name, value, err)
			}
		}
	}
	for _, name := range []string{"KEYTURN_SLACK_BOT_TOKEN_FILE", "KEYTURN_APROVERS"} {
		faults := faultsOf(t, map[string]string{name: "xoxb-12-z5ecret",
			"KEYTURN_SLACK_BOT_TOKEN": ""})
		if s := faults.Error(); strings.Contains(s, "z5ecret") || !strings.Contains(s, name) {
			t.Errorf("%s: %s", name, s)
		}
	}
	faults := faultsOf(t, map[string]string{"KEYTURN_TENANT_PROD_CLIENT_ID": "the-same",
		"KEYTURN_TENANT_PROD_CLIENT_SECRET": "the-same"})
	if len(faults) != 1 || !strings.HasPrefix(faults[0],
		"KEYTURN_TENANT_PROD_CLIENT_ID has a secret in it") {
		t.Error(faults)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wide := func(s string, low int) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			pair := []byte{byte(u), byte(u >> 8)}
			b = append(b, pair[low], pair[1-low])
		}
		return b
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(put("..data", []byte("hush\n")), link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"plain":          put("plain", []byte("hush")),
		"quoted":         put("quoted", []byte("\"hush\"\r\n")),
		"byte order":     put("bom", []byte("\xef\xbb\xbfhush\n")),
		"UTF-16":         put("le", wide("\ufeffhush\r\n", 0)),
		"UTF-16, big":    put("be", wide("\ufeffhush\r\n", 1)),
		"UTF-16, no BOM": put("bare", wide("hush\r\n", 0)),
		"a link":         link,
		"64 KB": put("full", append([]byte("hush"), bytes.Repeat([]byte("\n"),
			maxSecret-4)...)),
	} {
		environ(t, map[string]string{"KEYTURN_TENANT_PROD_CLIENT_SECRET": "",
			"KEYTURN_TENANT_PROD_CLIENT_SECRET_FILE": path})
		if c, err := Load(); err != nil || c.ByTenant[0].ClientSecret != "hush" {
			t.Errorf("%s: %v", name, err)
		}
	}

	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if f, err := os.Create(large); err != nil || f.Truncate(300<<20) != nil || f.Close() != nil {
		t.Fatal("no large file can be made")
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "a directory",
		pipe:                       "no regular file",
		os.DevNull:                 "no regular file",
		"/dev/zero":                "no regular file",
		large:                      "larger than 64 KB",
		put("more", bytes.Repeat([]byte("a"), maxSecret+1)): "larger than 64 KB",
		put("empty", []byte("\ufeff \n")):                   "the file is empty",
		put("two", []byte("hush\nhush\n")):                  "no spaces, line ends",
		put("wide", []byte("hush…")):                        "plain letters",
		put("binary", []byte("hu\x00sh")):                   "control characters",
	} {
		faults := faultsOf(t, map[string]string{"KEYTURN_TENANT_PROD_CLIENT_SECRET": "",
			"KEYTURN_TENANT_PROD_CLIENT_SECRET_FILE": path})
		if len(faults) != 1 || !strings.HasPrefix(faults[0],
			"KEYTURN_TENANT_PROD_CLIENT_SECRET_FILE ") || !strings.Contains(faults[0], want) ||
			strings.Contains(faults[0], path) {
			t.Errorf("%s: %v", path, faults)
		}
	}
}

// TestTheEnvironmentIsLeftAsItWas: others of the process read it, too.
func TestTheEnvironmentIsLeftAsItWas(t *testing.T) {
	environ(t, map[string]string{"KEYTURN_APPROVAL_TTL": "soon", "KEYTURN_KEY_MAX_AGE": "long",
		"KEYTURN_APPROVERS": " U0BOB"})
	before := os.Environ()
	Load()
	if diff := cmp.Diff(before, os.Environ()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if time.Duration(unreadable) >= 0 {
		t.Error("what is no time could be one")
	}
}
