package slacksim

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// pipeListener is a listener whose connections are net.Pipes: no socket, no file
// descriptor, and so durable waiting inside a testing/synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return newBuffered(c), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// buffered is the workspace's end of a pipe. What it writes does not wait for a
// reader, as on a real network: two ends that ping each other at the same moment
// would otherwise both wait.
type buffered struct {
	net.Conn
	out  chan []byte
	once sync.Once
	done chan struct{}
}

// maxWaiting is how many writes may wait for a reader.
const maxWaiting = 1000

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c, out: make(chan []byte, maxWaiting), done: make(chan struct{})}
	go b.flush()
	return b
}

// flush writes what waits, and at the end what is left of it.
func (b *buffered) flush() {
	defer b.Conn.Close()
	for {
		select {
		case chunk := <-b.out:
			b.Conn.Write(chunk)
			continue
		default:
		}
		select {
		case chunk := <-b.out:
			b.Conn.Write(chunk)
		case <-b.done:
			if len(b.out) == 0 {
				return
			}
		}
	}
}

func (b *buffered) Write(p []byte) (int, error) {
	select {
	case <-b.done:
		return 0, net.ErrClosed
	default:
	}
	select {
	case b.out <- slices.Clone(p):
		return len(p), nil
	case <-b.done:
		return 0, net.ErrClosed
	}
}

func (b *buffered) Close() error {
	b.once.Do(func() {
		close(b.done)
		b.Conn.SetWriteDeadline(time.Now().Add(time.Second)) // nobody may read any more
		b.Conn.SetReadDeadline(time.Now())
	})
	return nil
}

func (b *buffered) SetDeadline(t time.Time) error  { return b.Conn.SetReadDeadline(t) }
func (*buffered) SetWriteDeadline(time.Time) error { return nil }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
