package serve

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"keyturn/bot"
)

// This file notes all that is missing or wrong in a configuration.

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
	if c.WatchInterval != 0 && (c.WatchInterval < time.Second || c.WatchInterval > time.Hour) {
		faults.add("KEYTURN_WATCH_INTERVAL is %s; it has to be from 1s to 1h, or 0 for off", c.WatchInterval)
	}
	for name, age := range map[string]time.Duration{"KEYTURN_KEY_MAX_AGE": c.KeyMaxAge, "KEYTURN_PREVIOUS_MAX_AGE": c.PreviousMaxAge} {
		if age < 0 || age > 0 && age < time.Hour {
			faults.add("%s is %s; it has to be 1h or more, or 0 for off", name, age)
		}
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
		if c.Drill {
			checkSimulated(prefix+"_DOMAIN", []string{t.Domain}, faults)
			checkSimulated(prefix+"_JWKS_DOMAINS", t.JWKSDomains, faults)
		}
		checkIDs(prefix+"_APPROVERS", t.Approvers, personID, "ids of users (U…) and user groups (S…)", faults)
	}
}

// checkSimulated notes the domains that may be a real tenant's: only what is on loopback
// is not. What is no domain at all is noted elsewhere.
func checkSimulated(name string, domains []string, faults *Faults) {
	for _, d := range domains {
		if base := baseURL(d); base != "" && !strings.HasPrefix(base, "http://") {
			faults.add("%s: %q may be a real tenant's; a drill takes only a simulated one, at an http:// address of which the host is loopback", name, d)
		}
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
