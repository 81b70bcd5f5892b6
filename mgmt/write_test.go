package mgmt

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
)

const (
	rotating = "POST /api/v2/keys/signing/rotate"
	revoking = "PUT /api/v2/keys/signing/{kid}/revoke"
)

// isLost fails unless err says that nobody knows what became of a write.
func isLost(t *testing.T, err error) {
	t.Helper()
	var said *Error
	switch {
	case err == nil:
		t.Error("a lost answer is no error")
	case errors.Is(err, ErrNotSent):
		t.Errorf("a write that took effect is said not to have been sent: %v", err)
	case errors.As(err, &said) && said.Refused():
		t.Errorf("a write that took effect is said to be refused: %v", err)
	}
}

func TestWriteRequest(t *testing.T) {
	tn := newTenant()
	var got *http.Request
	var body []byte
	see := func(status int, answered string) http.HandlerFunc {
		return tn.authorized(func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			answer(w, status, answered)
		})
	}
	tn.mux.HandleFunc(rotating, see(201, `{"kid":"new-next","cert":"C"}`))
	tn.mux.HandleFunc(revoking, see(200, `{"kid":"old","cert":"C","more":{}}`))
	_, w, _ := openAt(t, tn)

	check := func(a Answer, err error, want Answer, path, correlation string) {
		t.Helper()
		if err != nil || a != want {
			t.Errorf("answer = %+v, %v; want %+v", a, err, want)
		}
		if got.URL.EscapedPath() != path {
			t.Errorf("path = %s, want %s", got.URL.EscapedPath(), path)
		}
		if c := got.Header.Get("X-Correlation-ID"); c != correlation {
			t.Errorf("X-Correlation-ID = %q, want %q", c, correlation)
		}
		for _, h := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if _, there := got.Header[h]; there {
				t.Errorf("%s is sent: net/http would take it as leave to send again", h)
			}
		}
		if len(body) != 0 || got.ProtoMajor != 1 || !got.Close {
			t.Errorf("body %q, %s, close %v; want none, HTTP/1.1 and a connection of its own", body, got.Proto, got.Close)
		}
	}
	a, err := w.Rotate(t.Context(), "request-1")
	check(a, err, Answer{Status: 201, KID: "new-next"}, "/api/v2/keys/signing/rotate", "request-1")
	a, err = w.Revoke(t.Context(), "-a/b_", strings.Repeat("x", 65))
	check(a, err, Answer{Status: 200, KID: "old"}, "/api/v2/keys/signing/-a%2Fb_/revoke", strings.Repeat("x", 64))
}

func TestWriteSucceedsWithoutAKID(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"nothing":           says(201, ``),
		"a page":            says(201, `<html>`),
		"OK":                says(201, `OK`),
		"no kid":            says(200, `{}`),
		"null":              says(200, `null`),
		"a kid of a number": says(200, `{"kid":7}`),
		"no content":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"one that breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(201)
			fmt.Fprint(w, `{"kid":"half`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		tn := newTenant()
		tn.mux.HandleFunc(rotating, h)
		_, w, _ := openAt(t, tn)
		if a, err := w.Rotate(t.Context(), "c"); err != nil || a.Status/100 != 2 || a.KID != "" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if n := tn.called(rotating); n != 1 {
			t.Errorf("%s: %d writes", name, n)
		}
	}
}

// drop hijacks the connection and closes it; with reset, as a crash or a firewall
// does.
func drop(reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		if reset {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
	}
}

// Each server here carries the write out, and the answer is lost in some way.
func TestWriteWhoseAnswerIsLost(t *testing.T) {
	var stray atomic.Int32
	_, _, other := openAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stray.Add(1)
		answer(w, 201, `{"kid":"k"}`)
	}))
	redirect := func(status int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to+r.URL.Path, status) }
	}
	for name, h := range map[string]http.HandlerFunc{
		"reset":                    drop(true),
		"closed":                   drop(false),
		"redirected 301":           redirect(301, ""),
		"redirected 307":           redirect(307, ""),
		"redirected 308":           redirect(308, ""),
		"redirected 307 elsewhere": redirect(307, other.URL),
		"redirected 308 elsewhere": redirect(308, other.URL),
		"redirected to nowhere": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://[::1")
			w.WriteHeader(307)
		},
		"a 502":                     says(502, `<html>Bad Gateway</html>`),
		"a 500 in Auth0's shape":    func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "oops") },
		"a 408 in Auth0's shape":    func(w http.ResponseWriter, _ *http.Request) { refuse(w, 408, "slow") },
		"a 503 with Retry-After: 0": withHeader(503, "Retry-After", func() string { return "0" }),
		"a 403 by something else":   says(403, `<html>blocked</html>`),
		"a 400 without a body":      says(400, ``),
		"a 401 of another shape":    says(401, `{"error":"x"}`),
		"slow":                      func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow after its first half": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(502)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "220 mail.example ESMTP\r\n")
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pattern := range []string{rotating, revoking} {
				tn := newTenant()
				tn.mux.HandleFunc(pattern, h)
				_, w, _ := openAt(t, tn)
				write := func(ctx context.Context) error { _, err := w.Rotate(ctx, "c"); return err }
				if pattern == revoking {
					write = func(ctx context.Context) error { _, err := w.Revoke(ctx, "k", "c"); return err }
				}
				// The token first: the deadline is the write's alone.
				if _, err := w.tokens.get(t.Context()); err != nil {
					t.Fatal(err)
				}
				limit := 5 * time.Second
				if strings.HasPrefix(name, "slow") {
					limit = 100 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				isLost(t, write(ctx))
				if n := tn.called(strings.Replace(pattern, "{kid}", "k", 1)); n != 1 {
					t.Errorf("%s was sent %d times", pattern, n)
				}
			}
		})
	}
	if n := stray.Load(); n != 0 {
		t.Errorf("a write went to another server %d times", n)
	}
}

func TestWriteRefused(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 429} {
		tn := newTenant()
		tn.mux.HandleFunc(rotating, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
			refuse(w, status, "no")
		})
		_, w, _ := openAt(t, tn)
		_, err := w.Rotate(t.Context(), "c")
		var said *Error
		if !errors.As(err, &said) || !said.Refused() || said.Status != status || said.Message != "no" || errors.Is(err, ErrNotSent) {
			t.Errorf("%d: %v", status, err)
		}
		if said != nil && said.Reset.IsZero() == (status == 429) {
			t.Errorf("%d: reset = %v", status, said.Reset)
		}
		// Also a 401: a new token would make it a second write.
		if writes, tokens := tn.called(rotating), tn.called("POST /oauth/token"); writes != 1 || tokens != 1 {
			t.Errorf("%d: %d writes with %d tokens", status, writes, tokens)
		}
	}
}

func TestWriteNotSent(t *testing.T) {
	dials := func(dial func(context.Context, string, string) (net.Conn, error)) *Writer {
		_, w := Open(Config{BaseURL: "http://tenant.test", Dial: dial})
		w.tokens.have = &oauth2.Token{AccessToken: "t"}
		return w
	}
	tn := newTenant()
	strange := httptest.NewUnstartedServer(tn)
	strange.Config.ErrorLog = quiet()
	strange.StartTLS()
	t.Cleanup(strange.Close)
	_, untrusting := Open(Config{BaseURL: strange.URL})
	_, good, srv := openAt(t, tn)
	_, stranger := Open(Config{BaseURL: srv.URL, ClientID: testID, ClientSecret: "wrong"})
	_, lonely := Open(Config{BaseURL: "http://127.0.0.1:1"})
	over, cancel := context.WithCancel(t.Context())
	cancel()

	for _, w := range []*Writer{untrusting, good, lonely} {
		w.tokens.have = &oauth2.Token{AccessToken: "t"}
	}
	tests := []struct {
		name        string
		ctx         context.Context
		w           *Writer
		correlation string
	}{
		{"nobody listens", t.Context(), lonely, "c"},
		{"no route", t.Context(), dials(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route")
		}), "c"},
		{"nobody answers", t.Context(), dials(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), "c"},
		{"a certificate that nobody vouches for", t.Context(), untrusting, "c"},
		{"no token", t.Context(), stranger, "c"},
		{"a correlation that is no header", t.Context(), good, "a\r\nb: c"},
		{"a context that is over", over, good, "c"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(test.ctx, 300*time.Millisecond)
			defer cancel()
			if _, err := test.w.Rotate(ctx, test.correlation); !errors.Is(err, ErrNotSent) {
				t.Errorf("got %v, want ErrNotSent", err)
			}
		})
	}
	for _, kid := range []string{"", ".", ".."} {
		if _, err := good.Revoke(t.Context(), kid, "c"); !errors.Is(err, ErrNotSent) {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
	if n := tn.called(rotating); n != 0 {
		t.Errorf("%d writes were sent", n)
	}
}

func TestWriteIsBoundedWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant()
		tn.mux.HandleFunc(rotating, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		_, w, end := openPiped(tn)
		defer end()
		start := time.Now()
		_, err := w.Rotate(context.Background(), "c")
		isLost(t, err)
		if took := time.Since(start); took != writeTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// rude speaks HTTP/2 on the wire: it carries out each request, and then resets its
// stream with PROTOCOL_ERROR, which Go's transport takes as leave to send a POST
// without a body again. Over HTTP/1.1 it breaks the connection after the effect.
func rude(t *testing.T, seen func(n int32)) (srv *httptest.Server, effects *atomic.Int32) {
	effects = new(atomic.Int32)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		seen(effects.Add(1))
		panic(http.ErrAbortHandler)
	}))
	srv.Config.ErrorLog = quiet()
	srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
			resetStreams(conn, func() { seen(effects.Add(1)) })
		},
	}
	srv.StartTLS()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv, effects
}

// resetStreams is a server of RFC 9113 that knows four types of frame.
func resetStreams(conn net.Conn, effect func()) {
	const headers, rstStream, settings, protocolError = 1, 3, 4, 1
	frame := func(kind, flags byte, stream uint32, payload ...byte) []byte {
		b := []byte{0, 0, byte(len(payload)), kind, flags}
		return append(binary.BigEndian.AppendUint32(b, stream), payload...)
	}
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	conn.Write(frame(settings, 0, 0))
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return
		}
		switch kind, flags := head[3], head[4]; {
		case kind == headers:
			effect()
			conn.Write(frame(rstStream, 0, binary.BigEndian.Uint32(head[5:]), 0, 0, 0, protocolError))
		case kind == settings && flags == 0:
			conn.Write(frame(settings, 1, 0))
		}
	}
}

func TestWriteIsNotRepeatedByHTTP2(t *testing.T) {
	t.Run("the writer", func(t *testing.T) {
		srv, effects := rude(t, func(int32) {})
		for i := range int32(2) {
			_, w := open(Config{BaseURL: srv.URL}, srv.Client().Transport.(*http.Transport).TLSClientConfig)
			w.tokens.have = &oauth2.Token{AccessToken: "t"}
			var err error
			if i == 0 {
				_, err = w.Rotate(t.Context(), "c")
			} else {
				_, err = w.Revoke(t.Context(), "k", "c")
			}
			isLost(t, err)
			if n := effects.Load(); n != i+1 {
				t.Errorf("%d effects after %d writes", n, i+1)
			}
		}
	})
	// Without this the test above would prove nothing: the reads' transport does it.
	t.Run("a client that speaks HTTP/2", func(t *testing.T) {
		// It would go on, waiting longer each time; the second effect is proof enough.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		srv, effects := rude(t, func(n int32) {
			if n == 2 {
				cancel()
			}
		})
		tlsConfig := srv.Client().Transport.(*http.Transport).TLSClientConfig
		client := &http.Client{Transport: readTransport(Config{}, tlsConfig)}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/api/v2/keys/signing/rotate", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			t.Error("it was answered")
		}
		if n := effects.Load(); n < 2 {
			t.Errorf("%d effects of one call; the server no longer tempts anybody", n)
		}
	})
}

// TestWriteThatIsLate has connections that take their time: what is late never leaves,
// whether the dial heeds the context or not, and also behind a handshake.
func TestWriteThatIsLate(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			tn := newTenant()
			arrived := 0 // read while nothing moves
			tn.mux.HandleFunc(rotating, func(w http.ResponseWriter, r *http.Request) {
				arrived++
				answer(w, 201, `{"kid":"k"}`)
			})
			slow := false
			_, w, end := openDialled(tn, func(dial dialFunc) dialFunc {
				return func(ctx context.Context, network, addr string) (net.Conn, error) {
					if !heeds {
						ctx = context.WithoutCancel(ctx)
					}
					if slow {
						select {
						case <-time.After(4 * time.Second):
						case <-ctx.Done():
							return nil, ctx.Err()
						}
					}
					return dial(ctx, network, addr)
				}
			})
			defer end()
			for _, tc := range []struct {
				slow bool
				want int
			}{{false, 1}, {true, 1}, {false, 2}} {
				slow = tc.slow
				if _, err := w.tokens.get(t.Context()); err != nil {
					t.Fatal(err)
				}
				at := time.Now()
				_, err := w.Rotate(LeaveBy(t.Context(), at.Add(3*time.Second)), "c")
				synctest.Wait()
				if (err != nil) != tc.slow || arrived != tc.want {
					t.Errorf("heeds %v, slow %v: %v, and %d writes arrived, want %d", heeds, tc.slow, err, arrived, tc.want)
				}
				if tc.slow && heeds && (!errors.Is(err, ErrNotSent) || time.Since(at) > 3*time.Second) {
					t.Errorf("what never connected is given up on after %v: %v", time.Since(at), err)
				}
			}
		})
	}
}
