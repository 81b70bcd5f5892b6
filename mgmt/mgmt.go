// Package mgmt is the Auth0 Management API as far as application signing keys go:
// it lists, rotates and revokes them, and reads the public key sets.
//
// It is honest about lost answers: an error of a write says whether Auth0 itself
// said no, or whether nobody knows. It never decides what follows, never repeats a
// write, and prints no secret.
package mgmt

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// Config is a tenant, and as whom to call it.
type Config struct {
	BaseURL      string // https://acme.eu.auth0.com; the API's audience is this and /api/v2/
	ClientID     string // of the machine-to-machine application
	ClientSecret string
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network
}

// String names the tenant alone.
func (c Config) String() string { return c.BaseURL }

// GoString names the tenant alone.
func (c Config) GoString() string { return c.BaseURL }

// maxBody bounds what is read of any answer.
const maxBody = 4 << 20

// Open returns the two halves of a tenant. They share one access token, and only
// whoever is given the Writer can change a key. Nothing is called yet.
func Open(cfg Config) (*Reader, *Writer) {
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	reads := http.DefaultTransport.(*http.Transport).Clone()
	if cfg.Dial != nil {
		reads.DialContext, reads.Proxy = cfg.Dial, nil
	}
	client := &http.Client{Transport: reads, CheckRedirect: sameHost}
	t := newTokens(cfg, client)
	return &Reader{base: cfg.BaseURL, client: client, tokens: t},
		&Writer{base: cfg.BaseURL, client: &http.Client{Transport: writeTransport(cfg), CheckRedirect: noRedirect}, tokens: t}
}

// sameHost follows redirects only on the tenant itself: net/http drops the token on
// the way to another host, but an answer from there would not be the tenant's.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) >= 3 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// writeTransport makes each write once. HTTP/1.1 alone: Go's HTTP/2 transport sends a
// POST without a body again after some stream errors. A connection of its own for
// each: a reused one that broke would also be a reason to send again. It is made from
// nothing, since a clone of the default transport would still negotiate HTTP/2.
func writeTransport(cfg Config) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: cfg.Dial,
		DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second,
		Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if cfg.Dial != nil {
		t.Proxy = nil
	}
	return t
}
