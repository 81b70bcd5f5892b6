package serve

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This file notes what can be wrong with any variable. No fault repeats a value: a secret may
// stand in the wrong variable.

// Faults are all that is wrong with the environment, in one go.
type Faults []string

func (f Faults) Error() string {
	return "the configuration has faults:\n  " + strings.Join(f, "\n  ")
}

// notes collects faults. What is wrong with a variable in general is the only thing that is
// said of it.
type notes struct {
	all  Faults
	done map[string]bool
}

func newNotes() *notes { return &notes{done: map[string]bool{}} }

// add notes a fault: the variable's name, and what is so and what to do.
func (n *notes) add(name, format string, args ...any) {
	if !n.done[name] {
		n.all = append(n.all, name+" "+fmt.Sprintf(format, args...))
	}
}

// close notes a fault after which nothing more is said of the variable.
func (n *notes) close(name, format string, args ...any) {
	n.add(name, format, args...)
	n.done[name] = true
}

// general notes what is wrong whatever the variable is for, and takes secrets from files.
func (n *notes) general(all []variable) {
	for _, v := range all {
		if v.file != nil {
			n.secret(v)
		}
	}
	var secrets []string
	for _, v := range all {
		if s, ok := v.value.(*Secret); ok && len(*s) >= 8 {
			secrets = append(secrets, string(*s))
		}
	}
	for _, v := range all {
		given, set := os.LookupEnv(v.name)
		_, isText := v.value.(*Text)
		isSecret := func(part string) bool {
			return looksSecret(part) || slices.Contains(secrets,
				part)
		}
		switch {
		case !set || v.file != nil || given == "" && !v.careful:
		case len(parts(given)) == 0:
			n.close(v.name, "is set, but nothing is in it: give it a value, or remove it")
		case isSecret(clean(given)) || slices.ContainsFunc(parts(given), isSecret):
			n.close(v.name, "has a secret in it: a secret belongs in its own variable alone")
		case isText && !isPlain(clean(given)):
			n.close(v.name, "has a control character in it, or is not UTF-8: type it anew")
		}
	}
}

// secret checks one, wherever it comes from.
func (n *notes) secret(v variable) {
	s, ok := v.value.(*Secret)
	if !ok {
		return
	}
	given, name := os.Getenv(v.name), v.name
	switch fromFile := os.Getenv(v.name + "_FILE"); {
	case fromFile == "":
		if given != "" && *s == "" {
			n.close(name, "is set, but nothing is in it: give it a value, or remove it")
			return
		}
	case given != "":
		n.close(name, "and %s_FILE are both set; one is enough", name)
	}
	if v.file.Fault != "" {
		n.close(name+"_FILE", "is wrong: %s", v.file.Fault)
		n.done[name] = true
		return
	}
	if v.file.Secret != "" {
		*s, name = v.file.Secret, name+"_FILE"
	}
	*v.file = File{}
	if *s != "" && !isToken(string(*s)) {
		n.close(name, "cannot be right: a secret has no spaces, line ends or control characters "+
			"in it, and plain letters alone; copy it anew")
		n.done[v.name] = true
	}
}

// isToken reports whether s is of visible ASCII alone.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isPlain reports whether s is UTF-8 without control characters.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7F ||
			r == '\uFFFD'
	})
}

var (
	// Names of paths and domains have such parts in them, so each has to be whole.
	secretMark = regexp.MustCompile(`(^|[^A-Za-z0-9])(?i:xox[a-z]-[0-9]|xoxe\.xox|xapp-[0-9])|` +
		`-----BEGIN|PRIVATE\+KEY\+|eyJ[A-Za-z0-9_-]{16,}\.`)
	oneWord = regexp.MustCompile(`^[A-Za-z0-9_-]{40,}$`)
)

// looksSecret reports whether s is like a token of Slack's, a JWT, a private key, or a client
// secret of Auth0's, which is one word of 64 characters; its ids have 32.
func looksSecret(s string) bool {
	return secretMark.MatchString(s) || oneWord.MatchString(s) && strings.ContainsAny(s,
		"0123456789")
}

// unknown notes every KEYTURN_ variable that means nothing: a misspelt one would
// otherwise be a default that nobody chose.
func (n *notes) unknown(all []variable) {
	known := names(all)
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case !strings.HasPrefix(strings.ToUpper(name), "KEYTURN_"), slices.Contains(known, name):
		case isServiceLink(name, value):
		case strings.HasPrefix(name, "KEYTURN_TENANT_"):
			n.add(name, "is not known: no such setting, or its tenant is not in KEYTURN_TENANTS")
		default:
			n.add(name, "is not known")
		}
	}
}

func names(all []variable) (known []string) {
	for _, v := range all {
		known = append(known, v.name)
		if v.file != nil {
			known = append(known, v.name+"_FILE")
		}
	}
	return known
}

var (
	linkPort     = regexp.MustCompile(`_SERVICE_PORT(_[A-Z0-9_]+)?$`)
	linkProtocol = regexp.MustCompile(`_PORT_([0-9]+)_(TCP|UDP|SCTP)(|_PROTO|_PORT|_ADDR)$`)
)

// isServiceLink reports whether Kubernetes injected the variable: for each service of the
// namespace it sets the address as NAME_SERVICE_HOST, NAME_SERVICE_PORT and so on, and as
// Docker's links did, NAME_PORT_8080_TCP_ADDR. A service may be called keyturn-metrics, so
// the name alone says nothing: the value has to be like a link's too.
func isServiceLink(name, value string) bool {
	if strings.HasSuffix(name, "_SERVICE_HOST") {
		return isAddress(value)
	}
	if linkPort.MatchString(name) {
		return isPort(value)
	}
	if m := linkProtocol.FindStringSubmatch(name); m != nil {
		port, protocol := m[1], strings.ToLower(m[2])
		switch m[3] {
		case "_PROTO":
			return value == protocol
		case "_PORT":
			return value == port
		case "_ADDR":
			return isAddress(value)
		}
		return isLinkURL(value) && strings.HasPrefix(value, protocol+":") &&
			strings.HasSuffix(value, ":"+port)
	}
	return strings.HasSuffix(name, "_PORT") && isLinkURL(value)
}

// isAddress also takes what a service without an address of its own has in its place.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil || s == "None" || s == ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isLinkURL reports whether s is like tcp://10.96.0.7:8080.
func isLinkURL(s string) bool {
	protocol, rest, ok := strings.Cut(s, "://")
	at := strings.LastIndexByte(rest, ':')
	return ok && slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) &&
		at >= 0 && isAddress(rest[:at]) && isPort(rest[at+1:])
}
