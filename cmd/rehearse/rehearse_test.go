package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"keyturn/cmd/rehearse/world"
)

// TestMain lets the test's own binary be the keyturn that a world starts.
func TestMain(m *testing.M) {
	world.BeKeyturn()
	os.Exit(m.Run())
}

func TestTheRehearsalPlaysTheMainJob(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"alice types in #incident:  /signing-keys revoke", "a second person has to decide", "bob presses [Approve]", "✅ Done",
		"bob types in #incident:  /signing-keys rotate-and-revoke", "Rotating now", " Started · ", " Refused · Revoke", " Done · Rotate, then revoke", "revoked          ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the rehearsal lacks %q:\n%s", want, out.String())
		}
	}
}

// TestServeSaysHowToStartAKeyturn starts one with just the variables that are printed.
func TestServeSaysHowToStartAKeyturn(t *testing.T) {
	w, err := world.New()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var out bytes.Buffer
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ended, w, &out); err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(out.String()) {
		if kv, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			env = append(env, kv)
		}
	}
	w.Keyturn = world.NewKeyturn(env)
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Keyturn.Stop(); err != nil {
		t.Error(err)
	}
}

// TestThePageIsServed asks for it as a browser does, and as one that a page of another
// origin tells to press.
func TestThePageIsServed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ended := newTranscript(), make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-page"}, out) }()
	out.await(t, "Ctrl-C")
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.String())
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "the rehearsal") {
		t.Errorf("%d, %v:\n%s", res.StatusCode, err, body)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") {
		t.Errorf("the page may load what it likes: %q", csp)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/fault", strings.NewReader(`{"as":"alice","name":"kill"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	if res, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin killed keyturn: %d", res.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUnknownArguments(t *testing.T) {
	if err := run(t.Context(), []string{"faster"}, &bytes.Buffer{}); err == nil {
		t.Error("an unknown argument was taken")
	}
}
