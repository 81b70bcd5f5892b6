package audit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keyturn/bot/audit"
)

func mustSigner(t *testing.T) *audit.Signer {
	t.Helper()
	private, err := audit.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	k, err := audit.ParseSigner(private + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCheckpoint(t *testing.T) {
	m, k := trail(t, 5), mustSigner(t)
	for size := range int64(6) {
		signed, err := k.Checkpoint(size, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := audit.ReadCheckpoint(signed, k.Public())
		if err != nil {
			t.Fatalf("size %d: %v in\n%s", size, err, signed)
		}
		root, err := tlog.TreeHash(size, m)
		if err != nil {
			t.Fatal(err)
		}
		if want := (audit.Checkpoint{Origin: got.Origin, Size: size, Root: root}); got != want {
			t.Errorf("read back %+v, want %+v", got, want)
		}
		// The library of signed notes takes the bytes as they are.
		v, err := note.NewVerifier(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := note.Open([]byte(signed), note.VerifierList(v)); err != nil || n.Text != fmt.Sprintf("%s\n%d\n%s\n", v.Name(), size, root) {
			t.Errorf("a signed note: %+v, %v", n, err)
		}
	}
	if _, err := k.Checkpoint(6, m); err == nil {
		t.Error("signed a tree that is larger than the trail")
	}
}

func TestReadCheckpointOutOfAMessage(t *testing.T) {
	m, k := trail(t, 5), mustSigner(t)
	signed, err := k.Checkpoint(3, m)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := mustSigner(t).Checkpoint(3, m)
	if err != nil {
		t.Fatal(err)
	}
	quoted := "> " + strings.ReplaceAll(strings.TrimSpace(signed), "\n", "\n> ")
	for name, text := range map[string]string{
		"as it was signed":        signed,
		"in a message":            "keyturn  APP  3:14 AM\n#17 Done · revoke of prod\n" + signed + "\n2 replies\n",
		"quoted":                  quoted,
		"in a code block":         "```\n" + signed + "```",
		"with Windows line ends":  strings.ReplaceAll(signed, "\n", "\r\n"),
		"the empty line lost":     strings.ReplaceAll(signed, "\n\n", "\n"),
		"with more empty lines":   strings.ReplaceAll(signed, "\n", "\n\n"),
		"after another trail's":   stranger + "\n" + signed,
		"indented, spaces behind": "   " + strings.ReplaceAll(signed, "\n", "  \n\t"),
	} {
		if c, err := audit.ReadCheckpoint(text, k.Public()); err != nil || c.Size != 3 {
			t.Errorf("%s: %+v, %v in\n%s", name, c, err, text)
		}
	}
	for name, text := range map[string]string{
		"empty":                  "",
		"another key's":          stranger,
		"another size":           strings.Replace(signed, "\n3\n", "\n4\n", 1),
		"a sign before the size": strings.Replace(signed, "\n3\n", "\n+3\n", 1),
		"without its signature":  signed[:strings.Index(signed, "— ")],
		"the end lost":           signed[:len(signed)-10],
		"a line between":         strings.Replace(signed, "\n3\n", "\n3\nedited\n", 1),
	} {
		if c, err := audit.ReadCheckpoint(text, k.Public()); !errors.Is(err, audit.ErrNoCheckpoint) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
	if _, err := audit.ReadCheckpoint(signed, "no key"); err == nil || errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("a public key that is none: %v", err)
	}
}

func TestParseSignerDoesNotQuoteIt(t *testing.T) {
	private, err := audit.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "secret", private[:len(private)-4], strings.Replace(private, "keyturn", "other", 1), private + "AAAA"} {
		k, err := audit.ParseSigner(text)
		if err == nil {
			t.Errorf("took %q as %s", text, k)
		} else if len(text) > 10 && strings.Contains(err.Error(), text[len(text)-10:]) {
			t.Errorf("the error has the key in it: %v", err)
		}
	}
	k, err := audit.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.SplitN(private, "+", 5)[4]
	if s := fmt.Sprintf("%v %+v %s", k, k, k); strings.Contains(s, secret[:20]) {
		t.Errorf("it prints as %s", s)
	}
}
