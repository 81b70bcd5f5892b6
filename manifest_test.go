package keyturn_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"keyturn"
)

// TestManifestHoldsAgainstSlacksSchema validates manifest.yml as Slack does.
func TestManifestHoldsAgainstSlacksSchema(t *testing.T) {
	raw, err := os.ReadFile("testdata/slack-manifest-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	dropLookaheads(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("manifest.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := yaml.YAMLToJSON(keyturn.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Error(err)
	}
	v.(map[string]any)["settings"].(map[string]any)["misspelt"] = true
	if err := schema.Validate(v); err == nil {
		t.Error("the schema takes a setting that there is not, so it proves nothing")
	}
}

// dropLookaheads takes out the two patterns that Go's regular expressions, which have
// no lookahead, cannot read; they are about domains that keyturn does not have.
func dropLookaheads(v any) {
	switch v := v.(type) {
	case map[string]any:
		if p, ok := v["pattern"].(string); ok && strings.Contains(p, "(?!") {
			delete(v, "pattern")
		}
		for _, e := range v {
			dropLookaheads(e)
		}
	case []any:
		for _, e := range v {
			dropLookaheads(e)
		}
	}
}

// needs is which scope each method of Slack's that package bot calls wants, by the name
// that slack-go gives the method, or by its own where keyturn reads it itself; "": none.
var needs = map[string]string{
	"StartSocketModeContext": "", // the app-level token's connections:write
	"OpenViewContext":        "",
	"UpdateViewContext":      "",
	"PostMessageContext":     "chat:write",
	"UpdateMessageContext":   "chat:write",
	"PostEphemeralContext":   "chat:write",
	"auth.test":              "",
	"users.info":             "users:read",
	"usergroups.users.list":  "usergroups:read",
	"conversations.info":     "channels:read groups:read",
}

// TestManifestAsksForTheLeastScopes compares the scopes with the calls in the code.
func TestManifestAsksForTheLeastScopes(t *testing.T) {
	called := regexp.MustCompile(`\bclient\(\)\.(\w+Context)\(|\bread\(ctx, "([a-z.]+)"`)
	want := []string{"commands"}
	files, err := os.ReadDir("bot")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		b, err := os.ReadFile("bot/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllStringSubmatch(string(b), -1) {
			scopes, known := needs[m[1]+m[2]]
			if !known {
				t.Errorf("bot/%s calls %s, and it is not known which scope that needs",
					f.Name(), m[1]+m[2])
			}
			want = append(want, strings.Fields(scopes)...)
		}
	}
	var m struct {
		OAuth struct {
			Scopes struct{ Bot []string } `json:"scopes"`
		} `json:"oauth_config"`
		Features struct {
			Commands []struct{ Command string } `json:"slash_commands"`
		} `json:"features"`
	}
	b, err := yaml.YAMLToJSON(keyturn.Manifest)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := m.OAuth.Scopes.Bot
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("scopes (-calls +manifest):\n%s", diff)
	}
	if len(m.Features.Commands) != 1 || m.Features.Commands[0].Command != "/signing-keys" {
		t.Errorf("commands: %v", m.Features.Commands)
	}
}
