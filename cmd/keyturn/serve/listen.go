package serve

import (
	"context"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// maxConns is how many connections there are to /healthz and the others at once. Each
	// takes a descriptor, which the database and the calls to Slack and Auth0 also need.
	maxConns = 50
	// connTimeout is how long a request may take to arrive, and its answer to be taken.
	connTimeout = 5 * time.Second
	maxHeader   = 8 << 10 // bytes of a request's header
)

// listen serves /healthz, /readyz and /metrics until ctx ends, if an address is configured,
// and returns that address.
func (s *server) listen(ctx context.Context, wg *sync.WaitGroup) (string, error) {
	if s.cfg.HTTPAddr == "" {
		return "", nil
	}
	l, err := net.Listen("tcp", string(s.cfg.HTTPAddr))
	if err != nil {
		return "", unaddressed(err)
	}
	srv := newHTTPServer(s, s.log)
	wg.Go(func() { srv.Serve(&newest{Listener: l, most: maxConns}) })
	wg.Go(func() {
		<-ctx.Done()
		srv.Close() // what it answers is answered at once
	})
	return l.Addr().String(), nil
}

// unaddressed is an error of the network without the address: no error repeats a value.
func unaddressed(err error) error {
	var at *net.OpError
	if errors.As(err, &at) {
		err = at.Err
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		err = errors.New(name.Err)
	}
	return err
}

// newHTTPServer returns a server that lets nobody hold a connection for longer than a probe
// needs: each carries one request.
func newHTTPServer(h http.Handler, log zerolog.Logger) *http.Server {
	srv := &http.Server{
		Handler: h, ReadTimeout: connTimeout, WriteTimeout: connTimeout, IdleTimeout: connTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: stdlog.New(log, "", 0),
	}
	srv.SetKeepAlivesEnabled(false)
	return srv
}

// newest is a listener of which only the newest connections are open: where there are more
// than most, the oldest is closed. A probe that comes now is answered now, however many
// connections hang; were the newest held back instead, it would wait behind those.
type newest struct {
	net.Listener
	most int

	mu   sync.Mutex
	open []*counted // the oldest first
}

func (l *newest) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &counted{Conn: conn, of: l}
	l.mu.Lock()
	l.open = append(l.open, c)
	var over []*counted
	if n := len(l.open) - l.most; n > 0 {
		over = slices.Clone(l.open[:n])
	}
	l.mu.Unlock()
	for _, old := range over {
		old.Close()
	}
	return c, nil
}

// counted is a connection that its listener knows until it is closed.
type counted struct {
	net.Conn
	of *newest
}

func (c *counted) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *counted) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}
