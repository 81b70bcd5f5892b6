package serve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"

	"keyturn/bot"
	"keyturn/bot/approval"
)

// Config is the manual of the environment: each variable is KEYTURN_ and the
// field's name in capitals. Lists are comma-separated. A secret can come from a file
// instead, named by the variable with _FILE at its end.
type Config struct {
	SlackAppToken Secret        `split_words:"true"`                                  // app-level token, xapp-…; required
	SlackBotToken Secret        `split_words:"true"`                                  // bot token, xoxb-…; required
	SlackAPIUrl   string        `split_words:"true" default:"https://slack.com/api/"` // another only for a simulator or a proxy
	Approvers     []string      // ids of users and user groups; required: nobody may approve by default
	Requesters    []string      // the same; default: the approvers; *: every full member
	Channels      []string      // ids of channels where it may be used; default: every channel the bot is in
	AuditChannel  string        `split_words:"true"`                      // id of the channel where the trail is posted; required
	ApprovalTTL   time.Duration `split_words:"true" default:"30m"`        // how long a request waits for its approval, 1m to 24h
	Mention       string        `default:"on"`                            // on, or off: nobody is mentioned on cards and posts
	DatabaseURL   string        `split_words:"true" default:"keyturn.db"` // path of the SQLite file
	AuditKeyFile  string        `split_words:"true"`                      // path of the key that signs the trail's checkpoints; default: the SQLite file's with .key at its end
	HTTPAddr      string        `split_words:"true"`                      // address of /healthz, /readyz and /metrics, such as :8080; default: off
	LogLevel      string        `split_words:"true" default:"info"`       // debug, info, warn or error
	LogFormat     string        `split_words:"true" default:"json"`       // json or console
	Tenants       []string      // names, such as prod,staging; required

	ByTenant []TenantConfig `ignored:"true"` // read by the names in Tenants
}

// TenantConfig is the same for one tenant: each variable is KEYTURN_TENANT_, the
// tenant's name, and the field's name in capitals.
type TenantConfig struct {
	Domain       string   // the canonical domain, acme.eu.auth0.com; an http:// address only where its host is loopback; required
	ClientID     string   `split_words:"true"` // of the machine-to-machine application; required
	ClientSecret Secret   `split_words:"true"` // required
	JWKSDomains  []string `split_words:"true"` // custom domains whose JWKS must also be looked at
	Approvers    []string // overrides KEYTURN_APPROVERS for this tenant

	Name string `ignored:"true"`
}

// Secret is a text that does not print.
type Secret string

func (Secret) String() string   { return "[hidden]" }
func (Secret) GoString() string { return "[hidden]" }

// Faults are all that is wrong with the environment, in one go.
type Faults []string

func (f Faults) Error() string {
	return "the configuration has faults:\n  " + strings.Join(f, "\n  ")
}

func (f *Faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// Load reads the environment. The error is of type Faults.
func Load() (Config, error) {
	var c Config
	var faults Faults
	fill("KEYTURN", &c, &faults)
	for _, name := range c.Tenants {
		t := TenantConfig{Name: name}
		if tenantName.MatchString(name) {
			fill(tenantPrefix(name), &t, &faults)
		}
		c.ByTenant = append(c.ByTenant, t)
	}
	unknown(c, &faults)
	c.check(&faults)
	if len(faults) > 0 {
		return Config{}, faults
	}
	return c, nil
}

func tenantPrefix(name string) string { return "KEYTURN_TENANT_" + strings.ToUpper(name) }

// fill reads the variables of spec. Where one cannot be parsed, envconfig stops; then
// it is noted, and the rest is read without it.
func fill(prefix string, spec any, faults *Faults) {
	var parse *envconfig.ParseError
	for range reflect.TypeOf(spec).Elem().NumField() {
		err := envconfig.Process(prefix, spec)
		if err == nil {
			break
		}
		if !errors.As(err, &parse) {
			faults.add("%s: %v", prefix, err)
			break
		}
		faults.add("%s is no %s, such as 30m", parse.KeyName, parse.TypeName)
		restore := unset(parse.KeyName)
		defer restore()
	}
	files(prefix, spec, faults)
	trim(spec)
}

// trim takes spaces and empty places out of lists.
func trim(spec any) {
	v := reflect.ValueOf(spec).Elem()
	for i := range v.NumField() {
		if all, ok := v.Field(i).Interface().([]string); ok && all != nil {
			var kept []string
			for _, s := range all {
				if s = strings.TrimSpace(s); s != "" {
					kept = append(kept, s)
				}
			}
			v.Field(i).Set(reflect.ValueOf(kept))
		}
	}
}

func unset(name string) (restore func()) {
	value := os.Getenv(name)
	os.Unsetenv(name)
	return func() { os.Setenv(name, value) }
}

// files reads the secrets that come from files.
func files(prefix string, spec any, faults *Faults) {
	v := reflect.ValueOf(spec).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Type != reflect.TypeFor[Secret]() {
			continue
		}
		name := variable(prefix, f) + "_FILE"
		path := os.Getenv(name)
		if path == "" {
			continue
		}
		if v.FieldByIndex(f.Index).String() != "" {
			faults.add("%s and %s are both set; one is enough", strings.TrimSuffix(name, "_FILE"), name)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			faults.add("%s: %v", name, err)
			continue
		}
		v.FieldByIndex(f.Index).SetString(strings.TrimSpace(string(text)))
	}
}

// variable is the name that envconfig gives a field: words are split before each
// capital that begins one.
func variable(prefix string, f reflect.StructField) string {
	name := f.Name
	if f.Tag.Get("split_words") == "true" {
		name = wordEnd.ReplaceAllString(name, "${1}_${2}")
		name = acronymEnd.ReplaceAllString(name, "${1}_${2}")
	}
	return prefix + "_" + strings.ToUpper(name)
}

var (
	wordEnd    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	acronymEnd = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// variables lists the names that spec knows.
func variables(prefix string, spec any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(spec)) {
		if f.Tag.Get("ignored") == "true" {
			continue
		}
		names = append(names, variable(prefix, f))
		if f.Type == reflect.TypeFor[Secret]() {
			names = append(names, variable(prefix, f)+"_FILE")
		}
	}
	return names
}

// unknown notes every KEYTURN_ variable that means nothing: a misspelt one would
// otherwise be a default that nobody chose.
func unknown(c Config, faults *Faults) {
	known := variables("KEYTURN", c)
	for _, t := range c.ByTenant {
		known = append(known, variables(tenantPrefix(t.Name), t)...)
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case !strings.HasPrefix(name, "KEYTURN_"), slices.Contains(known, name):
		case strings.HasPrefix(name, "KEYTURN_SERVICE_"), strings.HasPrefix(name, "KEYTURN_PORT"):
			// Kubernetes injects these for a service of the name keyturn.
		case strings.HasPrefix(name, "KEYTURN_TENANT_"):
			faults.add("%s is not known: no such setting, or its tenant is not in KEYTURN_TENANTS", name)
		default:
			faults.add("%s is not known", name)
		}
	}
}

var (
	tenantName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	personID   = regexp.MustCompile(`^[UWS][A-Z0-9]+$`)
	channelID  = regexp.MustCompile(`^[CG][A-Z0-9]+$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?$`)
)

// check notes all that is missing or wrong, and brings addresses into one form.
func (c *Config) check(faults *Faults) {
	checkToken("KEYTURN_SLACK_APP_TOKEN", c.SlackAppToken, "xapp-", "app-level token", faults)
	checkToken("KEYTURN_SLACK_BOT_TOKEN", c.SlackBotToken, "xoxb-", "bot token", faults)
	if u, err := url.Parse(c.SlackAPIUrl); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		faults.add("KEYTURN_SLACK_API_URL is no https:// address (http:// is taken only where the host is loopback)")
	} else {
		c.SlackAPIUrl = strings.TrimSuffix(c.SlackAPIUrl, "/") + "/"
	}
	checkIDs("KEYTURN_APPROVERS", c.Approvers, personID, "ids of users (U…) and user groups (S…)", faults)
	if len(c.Approvers) == 0 {
		faults.add("KEYTURN_APPROVERS is missing: nobody may approve by default")
	}
	if !slices.Equal(c.Requesters, []string{"*"}) {
		checkIDs("KEYTURN_REQUESTERS", c.Requesters, personID, "ids of users (U…) and user groups (S…), or * alone", faults)
	}
	if len(c.Requesters) == 0 {
		c.Requesters = c.Approvers
	}
	checkIDs("KEYTURN_CHANNELS", c.Channels, channelID, "ids of channels (C… or G…)", faults)
	if c.AuditChannel == "" {
		faults.add("KEYTURN_AUDIT_CHANNEL is missing: the id of the channel where the trail is posted")
	} else {
		checkIDs("KEYTURN_AUDIT_CHANNEL", []string{c.AuditChannel}, channelID, "the id of a channel (C… or G…)", faults)
	}
	if c.ApprovalTTL != 0 && (c.ApprovalTTL < time.Minute || c.ApprovalTTL > 24*time.Hour) {
		faults.add("KEYTURN_APPROVAL_TTL is %s; it has to be from 1m to 24h", c.ApprovalTTL)
	}
	oneOf("KEYTURN_MENTION", c.Mention, faults, "on", "off")
	oneOf("KEYTURN_LOG_LEVEL", c.LogLevel, faults, "debug", "info", "warn", "error")
	oneOf("KEYTURN_LOG_FORMAT", c.LogFormat, faults, "json", "console")
	if strings.Contains(c.DatabaseURL, "://") || c.DatabaseURL == "" {
		faults.add("KEYTURN_DATABASE_URL has to be the path of a SQLite file")
	}
	if c.AuditKeyFile == "" {
		c.AuditKeyFile = c.DatabaseURL + ".key"
	}
	if c.HTTPAddr != "" {
		if _, _, err := net.SplitHostPort(c.HTTPAddr); err != nil {
			faults.add("KEYTURN_HTTP_ADDR is no address such as :8080")
		}
	}
	c.checkTenants(faults)
}

func (c *Config) checkTenants(faults *Faults) {
	if len(c.Tenants) == 0 {
		faults.add("KEYTURN_TENANTS is missing: names of your choice, such as prod")
	}
	for i := range c.ByTenant {
		t := &c.ByTenant[i]
		switch {
		case !tenantName.MatchString(t.Name):
			faults.add("KEYTURN_TENANTS: %q is no name; it has to be small letters and digits", t.Name)
			continue
		case bot.IsVerb(t.Name):
			faults.add("KEYTURN_TENANTS: %q is a word of /signing-keys; choose another name", t.Name)
		case slices.Index(c.Tenants, t.Name) != i:
			faults.add("KEYTURN_TENANTS: %q is named twice", t.Name)
		}
		prefix := tenantPrefix(t.Name)
		if t.Domain == "" {
			faults.add("%s_DOMAIN is missing: the canonical domain, such as acme.eu.auth0.com", prefix)
		} else if baseURL(t.Domain) == "" {
			faults.add("%s_DOMAIN is no domain such as acme.eu.auth0.com (an http:// address is taken only where its host is loopback)", prefix)
		}
		if t.ClientID == "" {
			faults.add("%s_CLIENT_ID is missing", prefix)
		}
		if t.ClientSecret == "" {
			faults.add("%s_CLIENT_SECRET is missing", prefix)
		}
		for _, d := range t.JWKSDomains {
			if baseURL(d) == "" {
				faults.add("%s_JWKS_DOMAINS: %q is no domain such as login.acme.com", prefix, d)
			}
		}
		checkIDs(prefix+"_APPROVERS", t.Approvers, personID, "ids of users (U…) and user groups (S…)", faults)
	}
}

func checkToken(name string, token Secret, kind, words string, faults *Faults) {
	switch given := string(token); {
	case given == "":
		faults.add("%s is missing: the %s, %s…", name, words, kind)
	case !strings.HasPrefix(given, kind):
		of := "of another kind"
		if other, _, ok := strings.Cut(given, "-"); ok && len(other) == 4 && strings.HasPrefix(other, "x") {
			of = "a token of the kind " + other + "-…"
		}
		faults.add("%s is %s; it has to be the %s, %s…", name, of, words, kind)
	}
}

func checkIDs(name string, ids []string, want *regexp.Regexp, words string, faults *Faults) {
	for _, id := range ids {
		if !want.MatchString(id) {
			faults.add("%s: %q is none of %s", name, id, words)
		}
	}
}

func oneOf(name, value string, faults *Faults, allowed ...string) {
	if !slices.Contains(allowed, value) {
		faults.add("%s is %q; it has to be %s", name, value, strings.Join(allowed, " or "))
	}
}

// baseURL turns a domain into the address that is called; "" where it is none.
func baseURL(domain string) string {
	if rest, ok := strings.CutPrefix(domain, "http://"); ok {
		u, err := url.Parse(domain)
		if err != nil || !isLoopback(u.Hostname()) || !hostName.MatchString(strings.Trim(strings.TrimSuffix(rest, "/"), "[]")) && u.Hostname() != "::1" {
			return ""
		}
		return "http://" + u.Host
	}
	if !hostName.MatchString(domain) {
		return ""
	}
	return "https://" + domain
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// settings lists what is configured, each as NAME=value and the secrets only as set.
func (c Config) settings() []string {
	lines := settingsOf("KEYTURN", c)
	for _, t := range c.ByTenant {
		lines = append(lines, settingsOf(tenantPrefix(t.Name), t)...)
	}
	return lines
}

func settingsOf(prefix string, spec any) (lines []string) {
	v := reflect.ValueOf(spec)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Tag.Get("ignored") == "true" {
			continue
		}
		value := fmt.Sprint(v.FieldByIndex(f.Index).Interface()) // a Secret does not print
		if list, ok := v.FieldByIndex(f.Index).Interface().([]string); ok {
			value = strings.Join(list, ",")
		}
		lines = append(lines, variable(prefix, f)+"="+value)
	}
	return lines
}

// policy is who may ask and approve.
func (c Config) policy() approval.Policy {
	p := approval.Policy{Approvers: c.Approvers, Requesters: c.Requesters, ByTenant: map[string][]string{}}
	for _, t := range c.ByTenant {
		if len(t.Approvers) > 0 {
			p.ByTenant[t.Name] = t.Approvers
		}
	}
	return p
}

// level is the log level; check has seen that it is one.
func (c Config) level() zerolog.Level {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		return zerolog.InfoLevel
	}
	return level
}
