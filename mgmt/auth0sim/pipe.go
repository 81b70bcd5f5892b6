package auth0sim

import (
	"context"
	"net"
	"sync"
)

// pipeListener is a listener whose connections are net.Pipes: no socket, no file
// descriptor, and so durable waiting inside a testing/synctest bubble.
type pipeListener struct {
	dialled chan net.Conn
	closing chan struct{}

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{} // the server's ends
}

func newPipeListener() *pipeListener {
	return &pipeListener{
		dialled: make(chan net.Conn), closing: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.dialled <- server:
		return client, nil
	case <-l.closing:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept keeps the connection until its end, so that Close can end it. An http.Server
// that is closed between accepting a connection and serving it would forget it, and
// its client would wait for ever.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			c.Close()
			return nil, net.ErrClosed
		}
		l.open[c] = struct{}{}
		return &pipeConn{c, l}, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	for c := range l.open {
		c.Close()
	}
	clear(l.open)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// pipeConn is the server's end of a connection.
type pipeConn struct {
	net.Conn
	of *pipeListener
}

func (c *pipeConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c.Conn)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
