package serve

import (
	"os"
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
	// SlackAppToken is the app-level token, xapp-…; required.
	SlackAppToken     Secret `split_words:"true"`
	SlackAppTokenFile File   `split_words:"true"`

	// SlackBotToken is the bot token, xoxb-…; required.
	SlackBotToken     Secret `split_words:"true"`
	SlackBotTokenFile File   `split_words:"true"`

	// SlackAPIUrl is Slack's; another only for a simulator or a proxy.
	SlackAPIUrl Text `split_words:"true"`

	// Approvers are ids of users and user groups; required: nobody may approve by default.
	Approvers List

	// Requesters are the same; default: the approvers; *: every full member.
	Requesters List

	// Channels are the ids of those where it may be used; default: every one the bot is in.
	Channels List

	// AuditChannel is the id of the channel where the trail is posted; required.
	AuditChannel Text `split_words:"true"`

	// ApprovalTTL is how long a request waits for its approval, 1m to 24h.
	ApprovalTTL Duration `split_words:"true"`

	// Mention is on or off; off: nobody is mentioned on cards and posts.
	Mention Text

	// Frozen is on or off; on: nothing is written to Auth0, and all else works.
	Frozen Text

	// DatabaseURL is the path of the SQLite file.
	DatabaseURL Text `split_words:"true"`

	// AuditKeyFile is the path of the key that signs the trail's checkpoints; default: the
	// SQLite file's with .key at its end.
	AuditKeyFile Text `split_words:"true"`

	// HTTPAddr is where /healthz, /readyz and /metrics are, such as :8080; default: off.
	HTTPAddr Text `split_words:"true"`

	LogLevel  Text `split_words:"true"` // debug, info, warn or error
	LogFormat Text `split_words:"true"` // json or console

	// WatchInterval is between two looks at each tenant's keys, 1s to 1h; 0: off.
	WatchInterval Duration `split_words:"true"`

	// KeyMaxAge is how long a key may be in use before it is reminded of; 0: for ever.
	KeyMaxAge Duration `split_words:"true"`

	// PreviousMaxAge is the same for a previously used key that is not revoked.
	PreviousMaxAge Duration `split_words:"true"`

	// Tenants are names, such as prod,staging; required.
	Tenants List

	ByTenant []TenantConfig `ignored:"true"` // read by the names in Tenants
	Drill    bool           `ignored:"true"` // set by no variable
}

// TenantConfig is the same for one tenant: each variable is KEYTURN_TENANT_, the
// tenant's name, and the field's name in capitals.
type TenantConfig struct {
	// Domain is the canonical domain, acme.eu.auth0.com; an http:// address only where its
	// host is loopback; required.
	Domain Text

	// ClientID is of the machine-to-machine application; required, as is its secret.
	ClientID         Text   `split_words:"true"`
	ClientSecret     Secret `split_words:"true"`
	ClientSecretFile File   `split_words:"true"`

	// JWKSDomains are custom domains whose JWKS must also be looked at.
	JWKSDomains List `split_words:"true"`

	// Approvers overrides KEYTURN_APPROVERS for this tenant.
	Approvers List

	Name string `ignored:"true"`
}

// withDefaults is c with what is so where no variable says otherwise.
func (c Config) withDefaults() Config {
	c.SlackAPIUrl, c.DatabaseURL = "https://slack.com/api/", "keyturn.db"
	c.Mention, c.Frozen, c.LogLevel, c.LogFormat = "on", "off", "info", "json"
	c.ApprovalTTL, c.WatchInterval = Duration(30*time.Minute), Duration(time.Minute)
	c.KeyMaxAge, c.PreviousMaxAge = Duration(8760*time.Hour), Duration(720*time.Hour)
	return c
}

// Database returns the path of the SQLite file as Load reads it; "": no variable says it.
func Database() string { return clean(os.Getenv("KEYTURN_DATABASE_URL")) }

// Load reads the environment. The error is of type Faults.
func Load() (Config, error) { return load(Config{}) }

// load is Load into a configuration that says what no variable does.
func load(c Config) (Config, error) {
	c = c.withDefaults()
	faults := newNotes()
	read("KEYTURN", &c, faults)
	for _, name := range c.Tenants {
		t := TenantConfig{Name: name}
		if tenantName.MatchString(name) {
			read(tenantPrefix(name), &t, faults)
		}
		c.ByTenant = append(c.ByTenant, t)
	}
	faults.general(slices.DeleteFunc(c.variables(), func(v variable) bool {
		return v.tenant != "" && !tenantName.MatchString(v.tenant)
	}))
	faults.unknown(c.variables())
	c.check(faults)
	if len(faults.all) > 0 {
		return Config{}, faults.all
	}
	return c, nil
}

// read fills spec. Its types take every value, so that one fault does not hide the others.
func read(prefix string, spec any, faults *notes) {
	if err := envconfig.Process(prefix, spec); err != nil {
		// Not with err: it prints the value.
		faults.add(prefix, "the variables cannot be read")
	}
}

func tenantPrefix(name string) string { return "KEYTURN_TENANT_" + strings.ToUpper(name) }

// variable is one of the environment, and what it was read into.
type variable struct {
	name   string
	tenant string // whose it is; "": it is no tenant's
	value  value
	file   *File // of a secret, named by name and _FILE; nil: it is no secret

	// careful: set and empty is a fault and not the default, since that would let more
	// people, places or writes through than was meant, or begin another database.
	careful bool
}

// value is as a value prints; a Secret does not.
type value interface{ String() string }

func (t *Text) String() string { return string(*t) }

// variables lists all that are known, each with what it was read into. A test holds it
// against the names that envconfig reads.
func (c *Config) variables() []variable {
	all := []variable{
		{name: "KEYTURN_SLACK_APP_TOKEN", value: &c.SlackAppToken, file: &c.SlackAppTokenFile},
		{name: "KEYTURN_SLACK_BOT_TOKEN", value: &c.SlackBotToken, file: &c.SlackBotTokenFile},
		{name: "KEYTURN_SLACK_API_URL", value: &c.SlackAPIUrl},
		{name: "KEYTURN_APPROVERS", value: &c.Approvers},
		{name: "KEYTURN_REQUESTERS", value: &c.Requesters},
		{name: "KEYTURN_CHANNELS", value: &c.Channels, careful: true},
		{name: "KEYTURN_AUDIT_CHANNEL", value: &c.AuditChannel},
		{name: "KEYTURN_APPROVAL_TTL", value: &c.ApprovalTTL},
		{name: "KEYTURN_MENTION", value: &c.Mention},
		{name: "KEYTURN_FROZEN", value: &c.Frozen, careful: true},
		{name: "KEYTURN_DATABASE_URL", value: &c.DatabaseURL, careful: true},
		{name: "KEYTURN_AUDIT_KEY_FILE", value: &c.AuditKeyFile},
		{name: "KEYTURN_HTTP_ADDR", value: &c.HTTPAddr},
		{name: "KEYTURN_LOG_LEVEL", value: &c.LogLevel},
		{name: "KEYTURN_LOG_FORMAT", value: &c.LogFormat},
		{name: "KEYTURN_WATCH_INTERVAL", value: &c.WatchInterval},
		{name: "KEYTURN_KEY_MAX_AGE", value: &c.KeyMaxAge},
		{name: "KEYTURN_PREVIOUS_MAX_AGE", value: &c.PreviousMaxAge},
		{name: "KEYTURN_TENANTS", value: &c.Tenants},
	}
	for i := range c.ByTenant {
		all = append(all, c.ByTenant[i].variables()...)
	}
	return all
}

func (t *TenantConfig) variables() []variable {
	all := []variable{
		{name: "DOMAIN", value: &t.Domain},
		{name: "CLIENT_ID", value: &t.ClientID},
		{name: "CLIENT_SECRET", value: &t.ClientSecret, file: &t.ClientSecretFile},
		{name: "JWKS_DOMAINS", value: &t.JWKSDomains},
		{name: "APPROVERS", value: &t.Approvers, careful: true},
	}
	for i := range all {
		all[i].name, all[i].tenant = tenantPrefix(t.Name)+"_"+all[i].name, t.Name
	}
	return all
}

// settings lists what is configured, each as NAME=value and the secrets only as set.
func (c Config) settings() []string {
	var lines []string
	for _, v := range c.variables() {
		lines = append(lines, v.name+"="+v.value.String())
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

// frozen reports whether nothing may be written to Auth0.
func (c Config) frozen() bool { return c.Frozen == "on" }

// level is the log level; check has seen that it is one.
func (c Config) level() zerolog.Level {
	level, err := zerolog.ParseLevel(string(c.LogLevel))
	if err != nil {
		return zerolog.InfoLevel
	}
	return level
}
