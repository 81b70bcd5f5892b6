// Package keyturn_test keeps the house in order: which package may import which,
// and that each says what it is.
package keyturn_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows maps each package to what its source (not its tests) may import besides the
// standard library: ours as the path within the module, other people's as the path
// of the package or module. A package that is not here fails.
var arrows = map[string][]string{
	"keyturn":               {},
	"cmd/keyturn":           {"cmd/keyturn/serve", "cmd/keyturn/inspect"},
	"cmd/keyturn/inspect":   {"bot/audit", "bot/store"},
	"cmd/keyturn/serve":     {"bot", "bot/approval", "bot/audit", "bot/panics", "bot/store", "bot/watch", "mgmt", "github.com/kelseyhightower/envconfig", "github.com/rs/zerolog"},
	"cmd/rehearse/blockkit": {"bot/slacksim"},
	"cmd/rehearse/page":     {"cmd/rehearse/blockkit", "cmd/rehearse/world", "cmd/keyturn/inspect", "bot/slacksim", "mgmt/auth0sim"},
	"cmd/rehearse/world":    {"keyturn", "cmd/keyturn/serve", "bot/slacksim", "mgmt/auth0sim", "modernc.org/sqlite"},
	"cmd/rehearse":          {"cmd/rehearse/page", "cmd/rehearse/world", "bot/slacksim", "mgmt/auth0sim"},
	"bot": {
		"bot/approval", "bot/audit", "bot/panics", "bot/socket", "mgmt",
		"github.com/slack-go/slack", "github.com/rs/zerolog", "golang.org/x/time",
	},
	"bot/panics":    {},
	"bot/approval":  {"bot/audit", "bot/panics", "mgmt"},
	"bot/audit":     {"golang.org/x/mod"},
	"bot/socket":    {"bot/panics", "github.com/gorilla/websocket"},
	"bot/store":     {"bot/approval", "bot/audit", "modernc.org/sqlite", "github.com/pressly/goose/v3", "github.com/gofrs/flock", "golang.org/x/mod"},
	"bot/watch":     {"bot/approval", "bot/audit", "bot/panics", "mgmt"},
	"bot/slacksim":  {"github.com/gorilla/websocket", "github.com/goccy/go-yaml"},
	"mgmt":          {"golang.org/x/oauth2"},
	"mgmt/auth0sim": {"github.com/golang-jwt/jwt/v5"},
}

type listed struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,GoFiles,Imports,Standard"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArrows(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) == 0 {
			continue
		}
		name := strings.TrimPrefix(p.ImportPath, "keyturn/")
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the map of arrows", name)
		}
		for _, wrong := range forbidden(p.Imports, allowed, standard) {
			t.Errorf("package %s must not import %s", name, wrong)
		}
	}
}

// forbidden returns those imports that are neither standard nor allowed.
func forbidden(imports, allowed []string, standard map[string]bool) []string {
	var out []string
	for _, imp := range imports {
		own, isOwn := strings.CutPrefix(imp, "keyturn/")
		ok := slices.ContainsFunc(allowed, func(a string) bool {
			if isOwn {
				return own == a
			}
			return imp == a || strings.HasPrefix(imp, a+"/")
		})
		if !ok && !standard[imp] {
			out = append(out, imp)
		}
	}
	return out
}

func TestArrowsSeeAForbiddenImport(t *testing.T) {
	got := forbidden([]string{"fmt", "keyturn/mgmt", "keyturn/bot/store", "github.com/slack-go/slack/slackevents"},
		[]string{"mgmt", "github.com/slack-go/slack"}, map[string]bool{"fmt": true})
	if want := []string{"keyturn/bot/store"}; !slices.Equal(got, want) {
		t.Errorf("forbidden imports are %v, want %v", got, want)
	}
}

// TestTheImageHasKeyturnAlone: what the Dockerfile builds has no simulator in it, and
// nothing of the rehearsal.
func TestTheImageHasKeyturnAlone(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for line := range strings.Lines(string(dockerfile)) {
		for _, word := range strings.Fields(line) {
			if strings.Contains(line, "go build") && strings.HasPrefix(word, "./") {
				built = append(built, word)
			}
		}
	}
	if !slices.Equal(built, []string{"./cmd/keyturn"}) {
		t.Errorf("the image is built of %v", built)
	}
	for _, p := range list(t, "-deps", "./cmd/keyturn") {
		if strings.Contains(p.ImportPath, "rehearse") || strings.HasSuffix(p.ImportPath, "sim") {
			t.Errorf("%s is in the image", p.ImportPath)
		}
	}
}

func TestEveryPackageHasOneDoc(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) == 0 {
			continue
		}
		dir := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "keyturn"), "/")
		var documented []string
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				documented = append(documented, f)
			}
		}
		if len(documented) != 1 {
			t.Errorf("package %s has its doc in %v, want one file", p.ImportPath, documented)
		}
	}
}

// TestFilesAreShort keeps each source file one thing.
func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if n := strings.Count(string(b), "\n"); n > 400 {
			t.Errorf("%s has %d lines, at most 400", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
