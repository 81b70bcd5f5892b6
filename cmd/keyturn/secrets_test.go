package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// secrets are all that a story's keyturn knew and must not say.
func (s *stage) secrets(folder string) (all []string) {
	all = append(all, "xapp-1-", "xoxb-sim", "sim-secret")
	all = append(all, s.slack.Secrets()...)
	for _, token := range s.tenant.Tokens() {
		all = append(all, token, token[strings.LastIndexByte(token, '.')+1:]) // its signature alone is one
	}
	keys, _ := filepath.Glob(filepath.Join(folder, "*.key"))
	for _, path := range keys {
		if text, err := os.ReadFile(path); err == nil {
			all = append(all, strings.SplitN(strings.TrimSpace(string(text)), "+", 5)[4])
		}
	}
	return all
}

// places are all that anybody can read of a story: what keyturn printed, what Slack was ever
// given to show, also what was drawn over or deleted since, and the files beside the key.
func (s *stage) places(folder string) map[string]string {
	places := map[string]string{"keyturn's output": s.said.String()}
	for i, c := range s.slack.History() {
		for name, value := range c.Args {
			if name != "trigger_id" { // which it is for
				places[fmt.Sprintf("call %d of Slack, %s, %s", i, c.Method, name)] = value
			}
		}
	}
	filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".key") || !strings.Contains(path, ".db") {
			return nil
		}
		if b, err := os.ReadFile(path); err == nil {
			places["the file "+filepath.Base(path)] = string(b)
		}
		return nil
	})
	return places
}

// leaks returns where which secret is.
func leaks(secrets []string, places map[string]string) (found []string) {
	for place, text := range places {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				found = append(found, fmt.Sprintf("%s has %.12s… in it", place, secret))
			}
		}
	}
	return found
}

// leaked collects what stories found.
type leaked struct {
	mu    sync.Mutex
	found []string
	texts int
}

// search looks for the secrets of a story that is over.
func (l *leaked) search(s *stage, folder string) {
	secrets, places := s.secrets(folder), s.places(folder)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = append(l.found, leaks(secrets, places)...)
	l.texts += len(places)
}

// report fails the test of all stories where one let a secret out.
func (l *leaked) report(t *testing.T) {
	for _, found := range l.found {
		t.Error(found)
	}
	t.Logf("searched %d texts", l.texts)
}

// TestTheSearchFindsSecrets plants one of each kind in one of each place.
func TestTheSearchFindsSecrets(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "keyturn.db.key"), []byte("PRIVATE+KEY+name+hash+the+seed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	for _, secret := range s.secrets(folder) {
		if err := os.WriteFile(filepath.Join(folder, "keyturn.db-wal"), []byte("\x00"+secret+"\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.said.Reset()
		fmt.Fprintf(&s.said, "{%q:%q}", "error", secret)
		if found := leaks([]string{secret}, s.places(folder)); len(found) != 2 {
			t.Errorf("%.12s… is in two places, and was found in %q", secret, found)
		}
	}
	if n := len(s.secrets(folder)); n != 4 {
		t.Errorf("%d secrets, want the three configured and the key", n)
	}
}
