package serve

import (
	"fmt"
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

	// copiedID is an id as it stands in a message of Slack's: <@U0ALICE|alice>.
	copiedID = regexp.MustCompile(`^<?(?:@|#|!subteam\^)?([A-Za-z0-9]+)(?:\|[^>]*)?>?$`)
	// smallID has a digit behind its first letter, as Slack's ids have, and few names.
	smallID = regexp.MustCompile(`^[a-zA-Z][0-9][a-zA-Z0-9]+$`)
)

const (
	peopleWords = "a user's id (U…) or a user group's (S…), such as U0123ABCD; " +
		"in Slack: the profile, the three dots, Copy member ID"
	channelWords = "a channel's id (C… or G…), such as C0123ABCD; " +
		"in Slack: the channel's name, About, at its end"
)

// check notes all that is missing or wrong, and brings ids and addresses into one form.
func (c *Config) check(faults *notes) {
	checkToken("KEYTURN_SLACK_APP_TOKEN", c.SlackAppToken, "xapp-", "app-level token", faults)
	checkToken("KEYTURN_SLACK_BOT_TOKEN", c.SlackBotToken, "xoxb-", "bot token", faults)
	c.checkAPI(faults)
	c.checkPeople(faults)
	c.checkTimes(faults)
	oneOf("KEYTURN_MENTION", &c.Mention, faults, "on", "off")
	oneOf("KEYTURN_FROZEN", &c.Frozen, faults, "on", "off")
	oneOf("KEYTURN_LOG_LEVEL", &c.LogLevel, faults, "debug", "info", "warn", "error")
	oneOf("KEYTURN_LOG_FORMAT", &c.LogFormat, faults, "json", "console")
	if strings.Contains(string(c.DatabaseURL), "://") || c.DatabaseURL == "" {
		faults.add("KEYTURN_DATABASE_URL", "must be the path of a SQLite file")
	}
	if c.AuditKeyFile == "" {
		c.AuditKeyFile = c.DatabaseURL + ".key"
	}
	if c.HTTPAddr != "" {
		if _, port, err := net.SplitHostPort(string(c.HTTPAddr)); err != nil || port != "0" &&
			!isPort(port) {
			faults.add("KEYTURN_HTTP_ADDR", "is no address such as :8080 or 127.0.0.1:8080")
		}
	}
	c.checkTenants(faults)
}

func (c *Config) checkAPI(faults *notes) {
	u, err := url.Parse(string(c.SlackAPIUrl))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "",
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		faults.add("KEYTURN_SLACK_API_URL", "is no https:// address such as "+
			"https://slack.com/api/ (http:// is taken only where the host is loopback)")
	default:
		c.SlackAPIUrl = Text(strings.TrimRight(string(c.SlackAPIUrl), "/") + "/")
	}
}

// checkPeople looks at who may do what, and where.
func (c *Config) checkPeople(faults *notes) {
	checkIDs("KEYTURN_APPROVERS", c.Approvers, personID, peopleWords, faults)
	if len(c.Approvers) == 0 {
		faults.add("KEYTURN_APPROVERS", "is missing: nobody may approve by default")
	}
	if !slices.Equal(c.Requesters, List{"*"}) {
		checkIDs("KEYTURN_REQUESTERS", c.Requesters, personID, peopleWords+"; or it is * alone",
			faults)
	}
	if len(c.Requesters) == 0 {
		c.Requesters = c.Approvers
	}
	checkIDs("KEYTURN_CHANNELS", c.Channels, channelID, channelWords, faults)
	if c.AuditChannel == "" {
		faults.add("KEYTURN_AUDIT_CHANNEL", "is missing: the id of the channel "+
			"where the trail is posted")
		return
	}
	one := List{string(c.AuditChannel)}
	checkIDs("KEYTURN_AUDIT_CHANNEL", one, channelID, channelWords, faults)
	c.AuditChannel = Text(one[0])
}

func (c *Config) checkTenants(faults *notes) {
	if len(c.Tenants) == 0 {
		faults.add("KEYTURN_TENANTS", "is missing: names of your choice, such as prod")
	}
	for i := range c.ByTenant {
		t := &c.ByTenant[i]
		switch {
		case !tenantName.MatchString(t.Name):
			faults.add(part("KEYTURN_TENANTS", i, len(c.Tenants)),
				"is no name such as prod: small letters and digits, and a letter first")
			continue
		case bot.IsVerb(t.Name):
			faults.add(part("KEYTURN_TENANTS", i, len(c.Tenants)),
				"is a word of the command; choose another name")
		case len(c.Tenants) > 1 && bot.IsPassedOver(t.Name):
			faults.add(part("KEYTURN_TENANTS", i, len(c.Tenants)),
				"is a word that a command passes over; choose another name")
		case slices.Index(c.Tenants, t.Name) != i:
			faults.add(part("KEYTURN_TENANTS", i, len(c.Tenants)), "is named twice")
		}
		t.check(c.Drill, faults)
	}
}

func (t *TenantConfig) check(drill bool, faults *notes) {
	prefix := tenantPrefix(t.Name)
	domains := List{string(t.Domain)}
	if t.Domain == "" {
		faults.add(prefix+"_DOMAIN", "is missing: the canonical domain, such as acme.eu.auth0.com")
	} else {
		checkDomains(prefix+"_DOMAIN", domains, "acme.eu.auth0.com", faults)
		t.Domain = Text(domains[0])
	}
	checkDomains(prefix+"_JWKS_DOMAINS", t.JWKSDomains, "login.acme.com", faults)
	if drill {
		checkSimulated(prefix+"_DOMAIN", domains, faults)
		checkSimulated(prefix+"_JWKS_DOMAINS", t.JWKSDomains, faults)
	}
	switch {
	case t.ClientID == "":
		faults.add(prefix+"_CLIENT_ID", "is missing: of the machine-to-machine application")
	case !isToken(string(t.ClientID)):
		faults.add(prefix+"_CLIENT_ID", "is no client id: it has spaces or other signs "+
			"in it; copy it anew")
	}
	switch {
	case t.ClientSecret == "":
		faults.add(prefix+"_CLIENT_SECRET", "is missing: of the machine-to-machine application")
	case secretMark.MatchString(string(t.ClientSecret)):
		// It would be sent to Auth0.
		faults.add(prefix+"_CLIENT_SECRET", "is a token of another service; it must be "+
			"Auth0's client secret")
	}
	checkIDs(prefix+"_APPROVERS", t.Approvers, personID, peopleWords, faults)
}

// part names a part of a list by its place: the part itself is not repeated.
func part(name string, i, of int) string {
	if of < 2 {
		return name
	}
	return fmt.Sprintf("%s: number %d", name, i+1)
}

// checkDomains notes what is no domain, and why, and brings the others into one form.
func checkDomains(name string, domains List, such string, faults *notes) {
	for i, d := range domains {
		lower := strings.ToLower(d)
		short := strings.TrimSuffix(strings.TrimRight(lower, "/"), ".")
		if domains[i] = short; baseURL(short) != "" && strings.ContainsAny(short, ".:") {
			continue
		}
		switch bare, https := strings.CutPrefix(short, "https://"); {
		case https && baseURL(bare) != "":
			faults.add(part(name, i, len(domains)), "is an address: leave https:// out, as in %s",
				such)
		case strings.HasPrefix(short, "http://"):
			faults.add(part(name, i, len(domains)),
				"is an address: leave http:// out, as in %s "+
					"(it is taken only where the host is loopback)", such)
		case strings.Contains(bare, "/"):
			faults.add(part(name, i, len(domains)), "is no domain such as %s: "+
				"leave https:// and the path out", such)
		default:
			faults.add(part(name, i, len(domains)), "is no domain such as %s", such)
		}
	}
}

// checkSimulated notes the domains that may be a real tenant's: only what is on loopback
// is not. What is no domain at all is noted elsewhere.
func checkSimulated(name string, domains []string, faults *notes) {
	for i, d := range domains {
		if base := baseURL(d); base != "" && !strings.HasPrefix(base, "http://") {
			faults.add(part(name, i, len(domains)), "may be a real tenant's; a drill takes only a "+
				"simulated one, at an http:// address whose host is loopback")
		}
	}
}

func checkToken(name string, token Secret, kind, words string, faults *notes) {
	switch given := string(token); {
	case given == "":
		faults.add(name, "is missing: the %s, %s…", words, kind)
	case given == kind:
		faults.add(name, "is only the beginning of the %s", words)
	case !strings.HasPrefix(given, kind):
		of := "of another kind"
		if other, _, ok := strings.Cut(given, "-"); ok && len(other) == 4 && strings.HasPrefix(other, "x") {
			of = "a token of the kind " + other + "-…"
		}
		faults.add(name, "is %s; it must be the %s, %s…", of, words, kind)
	}
}

// checkIDs notes what is none of the ids, and brings the others into Slack's form: as they
// are copied out of a message, or in small letters.
func checkIDs(name string, ids []string, want *regexp.Regexp, words string, faults *notes) {
	for i, id := range ids {
		if m := copiedID.FindStringSubmatch(id); m != nil {
			id = m[1]
		}
		if smallID.MatchString(id) {
			id = strings.ToUpper(id)
		}
		if ids[i] = id; !want.MatchString(id) {
			faults.add(part(name, i, len(ids)), "is not %s", words)
		}
	}
}

// oneOf notes what is none of allowed; capitals do not matter.
func oneOf(name string, value *Text, faults *notes, allowed ...string) {
	*value = Text(strings.ToLower(string(*value)))
	if !slices.Contains(allowed, string(*value)) {
		faults.add(name, "must be %s", strings.Join(allowed, " or "))
	}
}

// checkTimes notes what is no time, and what is out of range.
func (c *Config) checkTimes(faults *notes) {
	const form = "; write it as a number and h, m or s, such as 30m or 1h30m"
	if t := time.Duration(c.ApprovalTTL); t < time.Minute || t > 24*time.Hour {
		faults.add("KEYTURN_APPROVAL_TTL", "must be a time from 1m to 24h"+form)
	}
	if t := time.Duration(c.WatchInterval); t != 0 && (t < time.Second || t > time.Hour) {
		faults.add("KEYTURN_WATCH_INTERVAL", "must be a time from 1s to 1h, or 0 for off"+form)
	}
	if t := time.Duration(c.KeyMaxAge); t != 0 && t < time.Hour {
		faults.add("KEYTURN_KEY_MAX_AGE", "must be a time of 1h or more, or 0 for off"+form)
	}
	if t := time.Duration(c.PreviousMaxAge); t != 0 && t < time.Hour {
		faults.add("KEYTURN_PREVIOUS_MAX_AGE", "must be a time of 1h or more, or 0 for off"+form)
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
