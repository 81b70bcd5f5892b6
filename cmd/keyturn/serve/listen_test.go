package serve

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// listening is a server on a real socket, with nothing but /healthz behind it.
func listening(t *testing.T) string {
	t.Helper()
	s := &server{cfg: Config{HTTPAddr: "127.0.0.1:0"}, log: zerolog.Nop()}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	addr, err := s.listen(ctx, &wg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return addr
}

// dial opens a connection that fails a test which waits for more than a minute on it.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestIdleConnectionsKeepNobodyOut: of many connections that ask for nothing the oldest are
// closed, before they time out, and a probe is answered.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	addr := listening(t)
	var idle []net.Conn
	for i := range 4 * maxConns {
		conn := dial(t, addr)
		if i%2 == 1 { // half of a request
			if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n"); err != nil &&
				i >= 3*maxConns {
				t.Fatal(err)
			}
		}
		idle = append(idle, conn)
	}
	conn := dial(t, addr)
	io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "alive\n" || !res.Close {
		t.Errorf("answered %q, %v; kept alive: %v", body, err, !res.Close)
	}
	for _, old := range idle[:3*maxConns] {
		if _, err := old.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Fatalf("an old connection is still open: %v", err)
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestAnAddressThatCannotBeUsedIsNotRepeated: a secret may stand there.
func TestAnAddressThatCannotBeUsedIsNotRepeated(t *testing.T) {
	taken := listening(t)
	for _, addr := range []string{taken, "127.0.0.1:hunter2"} {
		s := &server{cfg: Config{HTTPAddr: Text(addr)}, log: zerolog.Nop()}
		_, err := s.listen(t.Context(), new(sync.WaitGroup))
		if err == nil || strings.Contains(err.Error(), addr) || strings.Contains(err.Error(),
			"hunter2") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestOnlySoManyConnectionsAreOpen counts them where they are accepted.
func TestOnlySoManyConnectionsAreOpen(t *testing.T) {
	l := &newest{Listener: pipes(make(chan net.Conn, 10)), most: 3}
	for range 10 {
		_, ours := net.Pipe()
		l.Listener.(pipes) <- ours
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		if len(l.open) > 3 {
			t.Fatalf("%d are open, want 3 at most", len(l.open))
		}
	}
	for len(l.open) > 0 {
		l.open[0].Close()
	}
}

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestNobodyHoldsAConnection: one that sends nothing, that sends slowly or that takes no
// answer is closed after seconds, and a header that is too large is refused.
func TestNobodyHoldsAConnection(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(net.Conn)
	}{
		{"sends nothing", func(net.Conn) {}},
		{"sends a header slowly", func(c net.Conn) {
			io.WriteString(c, "GET /healthz HTTP/1.1\r\n")
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
					return
				}
			}
		}},
		{"takes no answer", func(c net.Conn) {
			io.WriteString(c,
				"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}},
		{"sends a large header", func(c net.Conn) {
			io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y",
				2*maxHeader))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan struct{})
				srv := newHTTPServer(&server{}, zerolog.Nop())
				srv.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						close(closed)
					}
				}
				l := pipes(make(chan net.Conn, 1))
				theirs, ours := net.Pipe()
				l <- ours
				go srv.Serve(l)
				var wg sync.WaitGroup
				wg.Go(func() { tc.do(theirs) })
				began := time.Now() // of the bubble: nobody waits for it
				<-closed
				if took := time.Since(began); took > 3*connTimeout {
					t.Errorf("it is closed after %v", took)
				}
				theirs.Close()
				wg.Wait()
				close(l)
				srv.Close()
			})
		})
	}
}
