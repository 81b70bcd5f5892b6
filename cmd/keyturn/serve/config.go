package serve

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"

	"keyturn/bot/approval"
)

// Config is the manual of the environment: each variable is KEYTURN_ and the
// field's name in capitals. Lists are comma-separated. A secret can come from a file
// instead, named by the variable with _FILE at its end.
type Config struct {
	SlackAppToken  Secret        `split_words:"true"`                                  // app-level token, xapp-…; required
	SlackBotToken  Secret        `split_words:"true"`                                  // bot token, xoxb-…; required
	SlackAPIUrl    string        `split_words:"true" default:"https://slack.com/api/"` // another only for a simulator or a proxy
	Approvers      []string      // ids of users and user groups; required: nobody may approve by default
	Requesters     []string      // the same; default: the approvers; *: every full member
	Channels       []string      // ids of channels where it may be used; default: every channel the bot is in
	AuditChannel   string        `split_words:"true"`                      // id of the channel where the trail is posted; required
	ApprovalTTL    time.Duration `split_words:"true" default:"30m"`        // how long a request waits for its approval, 1m to 24h
	Mention        string        `default:"on"`                            // on, or off: nobody is mentioned on cards and posts
	DatabaseURL    string        `split_words:"true" default:"keyturn.db"` // path of the SQLite file
	AuditKeyFile   string        `split_words:"true"`                      // path of the key that signs the trail's checkpoints; default: the SQLite file's with .key at its end
	HTTPAddr       string        `split_words:"true"`                      // address of /healthz, /readyz and /metrics, such as :8080; default: off
	LogLevel       string        `split_words:"true" default:"info"`       // debug, info, warn or error
	LogFormat      string        `split_words:"true" default:"json"`       // json or console
	WatchInterval  time.Duration `split_words:"true" default:"1m"`         // between two looks at each tenant's keys, 1s to 1h; 0: off
	KeyMaxAge      time.Duration `split_words:"true" default:"8760h"`      // how long a key may be in use before it is reminded of; 0: for ever
	PreviousMaxAge time.Duration `split_words:"true" default:"720h"`       // the same for a previously used key that is not revoked; 0: for ever
	Tenants        []string      // names, such as prod,staging; required

	ByTenant []TenantConfig `ignored:"true"` // read by the names in Tenants
	Drill    bool           `ignored:"true"` // set by no variable
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
func Load() (Config, error) { return load(Config{}) }

// load is Load into a configuration that says what no variable does.
func load(c Config) (Config, error) {
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
