package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"keyturn/cmd/rehearse/world"
)

// TestMain lets the test's own binary be the keyturn that the rehearsal starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == world.AsKeyturn || os.Args[1] == world.AsDrill) {
		main()
	}
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

func TestUnknownArguments(t *testing.T) {
	if err := run(t.Context(), []string{"faster"}, &bytes.Buffer{}); err == nil {
		t.Error("an unknown argument was taken")
	}
}
