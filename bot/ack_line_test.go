//go:build linux

package bot_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// This file is Slack's end of a socket, as far as BenchmarkAck needs one.

// line is one socket, and what measures it.
type line struct {
	ws      *websocket.Conn
	conn    *arrivals
	writing sync.Mutex
	acks    chan ack // but those of the load; closed when the socket has ended
}

type ack struct {
	id string
	at time.Time
}

type envelope struct {
	id    string
	frame []byte
}

func newLine(ws *websocket.Conn) *line {
	return &line{ws: ws, conn: ws.NetConn().(*arrivals), acks: make(chan ack, 100)}
}

// send returns when it began to.
func (l *line) send(frame []byte) (time.Time, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	at := time.Now().Round(0) // by the wall clock, as the kernel's times are
	return at, l.ws.WriteMessage(websocket.TextMessage, frame)
}

// read takes acks until the socket ends.
func (l *line) read() {
	defer close(l.acks)
	for {
		_, frame, err := l.ws.ReadMessage()
		if err != nil {
			return
		}
		if id := envelopeID(frame); !strings.HasPrefix(id, ofLoad) {
			l.acks <- ack{id, l.conn.last}
		}
	}
}

// envelopeID finds the id in a frame; "": there is none.
func envelopeID(frame []byte) string {
	_, rest, _ := bytes.Cut(frame, []byte(`"envelope_id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// burst sends envelopes at once, and returns how long each ack took to arrive.
func (l *line) burst(b *testing.B, envelopes []envelope) []time.Duration {
	b.Helper()
	sent := map[string]time.Time{}
	for _, e := range envelopes {
		at, err := l.send(e.frame)
		if err != nil {
			b.Fatal(err)
		}
		sent[e.id] = at
	}
	var took []time.Duration
	for range envelopes {
		a := receive(b, l.acks, "an ack")
		at, ok := sent[a.id]
		if !ok || a.at.IsZero() {
			b.Fatalf("an ack of %q, which was sent: %v, and arrived at %v", a.id, ok, a.at)
		}
		took = append(took, a.at.Sub(at))
	}
	return took
}

// timed is a listener whose connections are arrivals.
type timed struct{ net.Listener }

func (l timed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
	if err == nil {
		err = refused
	}
	return &arrivals{Conn: c, raw: raw}, err
}

// arrivals is a connection that knows when what was read last had arrived. It has that
// from the kernel: this process may get no processor while keyturn, which has just
// acknowledged, goes on to its work, and Slack would not wait for that.
type arrivals struct {
	net.Conn
	raw  syscall.RawConn
	last time.Time // belongs to the reader
}

func (a *arrivals) Read(b []byte) (n int, err error) {
	var control [64]byte
	var length int
	closed := a.raw.Read(func(fd uintptr) bool {
		n, length, _, _, err = syscall.Recvmsg(int(fd), b, control[:], 0)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	switch {
	case closed != nil:
		return 0, closed
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	messages, err := syscall.ParseSocketControlMessage(control[:length])
	if err != nil {
		return n, err
	}
	for _, m := range messages {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, nanos := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			a.last = time.Unix(int64(seconds), int64(nanos))
		}
	}
	return n, nil
}

// receive returns the next of from, which has to come soon.
func receive[T any](b *testing.B, from <-chan T, what string) T {
	b.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			b.Fatalf("waiting for %s: the socket has ended", what)
		}
		return v
	case <-time.After(30 * time.Second):
		b.Fatalf("waited too long for %s", what)
		panic("not reached")
	}
}
