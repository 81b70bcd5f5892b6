package world_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"keyturn/cmd/rehearse/world"
)

// TestMain lets the test's own binary be the keyturn that a world starts.
func TestMain(m *testing.M) {
	world.BeKeyturn()
	os.Exit(m.Run())
}

// TestOtherOriginsAreRefused asks as a page of another origin would, and as one that
// points a name of its own to 127.0.0.1: of each of the three that listen.
func TestOtherOriginsAreRefused(t *testing.T) {
	w, err := world.New()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	server, page, err := world.Listen(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) }))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const jwks = "/.well-known/jwks.json"
	for at, served := range map[string]int{page: http.StatusTeapot, w.Auth0URL + jwks: http.StatusOK, w.SlackURL + "/api/auth.test": http.StatusOK} {
		if !strings.HasPrefix(at, "http://127.0.0.1:") {
			t.Errorf("%s is not on loopback", at)
		}
		host := strings.SplitAfter(strings.TrimPrefix(at, "http://"), "/")[0]
		own := "http://" + strings.TrimSuffix(host, "/")
		for name, tc := range map[string]struct {
			host, origin, site string
			want               int
		}{
			"itself":                   {want: served},
			"a page of itself":         {origin: own, site: "same-origin", want: served},
			"typed":                    {site: "none", want: served},
			"another page":             {origin: "https://evil.example", site: "cross-site", want: http.StatusForbidden},
			"another port":             {origin: "http://127.0.0.1:1", site: "same-site", want: http.StatusForbidden},
			"no page, such as a file":  {origin: "null", want: http.StatusForbidden},
			"an image of another page": {site: "cross-site", want: http.StatusForbidden},
			"a name of its own":        {host: "evil.example", want: http.StatusMisdirectedRequest},
			"localhost":                {host: "localhost", want: http.StatusMisdirectedRequest},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tc.host
			for header, value := range map[string]string{"Origin": tc.origin, "Sec-Fetch-Site": tc.site} {
				if value != "" {
					req.Header.Set(header, value)
				}
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tc.want {
				t.Errorf("%s, %s: %d, want %d", at, name, res.StatusCode, tc.want)
			}
		}
	}
}

// TestKilledAndStarted kills keyturn and starts it again with the same database.
func TestKilledAndStarted(t *testing.T) {
	w, err := world.New()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Errorf("started twice: %v", err)
	}
	changed := w.Keyturn.Changed()
	w.Keyturn.Kill()
	<-changed
	if w.Keyturn.Running() || w.Keyturn.Err() == nil || !strings.Contains(w.Keyturn.Log(), "keyturn starts") {
		t.Errorf("it runs: %v, ended with %v, and logged\n%s", w.Keyturn.Running(), w.Keyturn.Err(), w.Keyturn.Log())
	}
	if err := w.Await(t.Context(), func() bool { return w.Slack.Sockets() == 0 }); err == nil && w.Slack.Sockets() != 0 {
		t.Error("a killed keyturn has a socket")
	}
	if err := w.ForgeRequester(t.Context()); !errors.Is(err, world.ErrNothingToForge) {
		t.Errorf("forging nothing gives %v", err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Keyturn.Stop(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(w.Keyturn.Log(), "keyturn starts"); n != 2 {
		t.Errorf("it started %d times, want 2", n)
	}
	dir := w.Database()
	w.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the database is still there: %v", err)
	}
}
