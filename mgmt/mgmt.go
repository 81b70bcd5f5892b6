// Package mgmt is the Auth0 Management API as far as application signing keys go:
// it lists, rotates and revokes them, and reads the public key sets.
//
// It is honest about lost answers: an error of a write says whether nothing left,
// whether Auth0 itself said no, or whether nobody knows. It never decides what
// follows, never repeats a write, and prints no secret.
package mgmt

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Config is a tenant, and as whom to call it.
type Config struct {
	BaseURL      string // https://acme.eu.auth0.com; the API's audience is this and /api/v2/
	ClientID     string // of the machine-to-machine application
	ClientSecret string
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the network
}

// Format prints the address of the tenant, whatever the verb: %d and %+v would
// otherwise print the secret.
func (c Config) Format(s fmt.State, _ rune) { io.WriteString(s, c.BaseURL) }

// maxBody bounds what is read of any answer.
const maxBody = 4 << 20

// Open returns the two halves of a tenant. They share one access token, and only
// whoever is given the Writer can change a key. Nothing is called yet.
//
// Both go through the proxy that the environment names, as people in companies
// expect, unless Dial is set: whoever sets it says where connections go.
func Open(cfg Config) (*Reader, *Writer) { return open(cfg, nil) }

// open is Open with a TLS configuration, for tests with a certificate of their own.
func open(cfg Config, tlsConfig *tls.Config) (*Reader, *Writer) {
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	reads := &http.Client{Transport: readTransport(cfg, tlsConfig), CheckRedirect: sameHost}
	writes := &http.Client{Transport: writeTransport(cfg, tlsConfig), CheckRedirect: noRedirect}
	t := newTokens(cfg, reads)
	r := &Reader{
		base: cfg.BaseURL, client: reads, tokens: t, limit: new(limit), skew: new(atomic.Int64),
	}
	return r, &Writer{base: cfg.BaseURL, client: writes, tokens: t}
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

// transport speaks HTTP/1.1 alone. It is made from nothing: a clone of the default
// transport would still negotiate HTTP/2 for the writes.
func transport(cfg Config, tlsConfig *tls.Config) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: cfg.Dial,
		TLSClientConfig: tlsConfig.Clone(), TLSHandshakeTimeout: 5 * time.Second,
		Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if cfg.Dial != nil {
		t.Proxy = nil
	}
	return t
}

func readTransport(cfg Config, tlsConfig *tls.Config) *http.Transport {
	t := transport(cfg, tlsConfig)
	t.Protocols.SetHTTP2(true)
	// Shorter than the minute between two looks: a connection that a firewall has
	// forgotten by then would cost a try.
	t.IdleConnTimeout = 30 * time.Second
	return t
}

// writeTransport makes each write once. Go's HTTP/2 transport sends a POST without a
// body again after some stream errors, so HTTP/1.1 alone. And each write has a
// connection of its own: a reused one that broke would also be a reason to send again.
func writeTransport(cfg Config, tlsConfig *tls.Config) *http.Transport {
	t := transport(cfg, tlsConfig)
	t.DisableKeepAlives = true
	t.DialContext = punctual(t.DialContext)
	return t
}

type leaveBy struct{}

// LeaveBy returns a context under which no byte of a write leaves after at, however
// long connecting takes.
func LeaveBy(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, leaveBy{}, at)
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// punctual returns connections that take nothing more to send once a write is late.
func punctual(dial dialFunc) dialFunc {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		at, ok := ctx.Value(leaveBy{}).(time.Time)
		if !ok {
			return dial(ctx, network, addr)
		}
		ctx, cancel := context.WithDeadline(ctx, at)
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if err := conn.SetWriteDeadline(at); err != nil {
			conn.Close()
			return nil, fmt.Errorf("setting the time to leave by: %w", err)
		}
		return conn, nil
	}
}
