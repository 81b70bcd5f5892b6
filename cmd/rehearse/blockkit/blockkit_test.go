package blockkit_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/slacksim"
	"keyturn/cmd/rehearse/blockkit"
)

var update = flag.Bool("update", false, "write the golden file anew")

const goldens = "../../../bot/testdata/blocks"

// bob reads in UTC, and knows two people.
var bob = blockkit.Reader{
	ID:   "UBOB",
	Zone: time.UTC,
	Name: func(id string) string {
		return map[string]string{"UALICE": "alice", "UBOB": "bob", "C1": "keys", "SONCALL": "oncall"}[id]
	},
}

func read(t *testing.T, path ...string) json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".json"))
	}
	return out
}

// words are the words and signs in a text, without punctuation.
func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.So, c)
	})
}

// TestEverythingOfKeyturnIsDrawn draws all that keyturn shows: every word that a person reads
// in Slack is there, in the same order, and in messages no other.
func TestEverythingOfKeyturnIsDrawn(t *testing.T) {
	nobody := blockkit.Reader{Zone: time.UTC} // as PlainText: mentions by id, times in UTC
	all := names(t, goldens)
	if len(all) < 60 {
		t.Fatalf("there are %d golden files", len(all))
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			blocks := read(t, goldens, name+".json")
			isModal := strings.HasPrefix(name, "modal-")
			drew := nobody.Message(blocks)
			if isModal {
				drew = nobody.Modal(blocks, nil)
			}
			d := scan(t, drew)
			if n := len(d.class("bk-refused")) + len(d.class("bk-unknown")); n > 0 {
				t.Errorf("%d panels are in it, want none:\n%s", n, d.text)
			}
			want := words(strings.ReplaceAll(slacksim.PlainText(blocks), "☐", ""))
			got := words(d.text)
			if isModal { // descriptions and (optional) are more than PlainText has
				got = only(got, want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("words of PlainText and words drawn (-want +got):\n%s", diff)
			}
			ids := map[string]bool{}
			for _, g := range d.tags {
				if id := g.attrs["id"]; id != "" && ids[id] {
					t.Errorf("id %q is there twice", id)
				} else {
					ids[id] = true
				}
			}
		})
	}
}

// only returns the longest beginning of want whose words are in got, in that order.
func only(got, want []string) []string {
	var out []string
	for _, w := range got {
		if len(out) < len(want) && want[len(out)] == w {
			out = append(out, w)
		}
	}
	return out
}

func TestCard(t *testing.T) {
	const path = "testdata/card.html"
	got := string(bob.Message(read(t, goldens, "card-rotate-pending.json")))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, path)), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

func TestRefused(t *testing.T) {
	const dir = "testdata/refused"
	reasons := map[string]string{
		"51-blocks":            "must be at most 50, and there are 51",
		"action-twice":         `"approve" is there twice in the block`,
		"button-of-76":         "must be at most 75 characters, and has 76",
		"header-of-151":        "must be at most 150 characters, and has 151",
		"input-in-message":     "an input block is not expected in a message",
		"markup-in-the-reason": "invalid additional property: <script>alert(1)</script>",
		"unknown-block":        `unsupported block "video"`,
		"unknown-property":     "invalid additional property: colour",
		"value-is-a-number":    "cannot unmarshal number",
	}
	for _, name := range names(t, dir) {
		t.Run(name, func(t *testing.T) {
			reason := reasons[name]
			if reason == "" {
				t.Fatal("the test has no reason for this file")
			}
			delete(reasons, name)
			d := scan(t, bob.Message(read(t, dir, name+".json")))
			panels := d.class("bk-refused")
			if len(panels) != 1 || panels[0].attrs["role"] != "alert" {
				t.Errorf("the panels are %v, want one with role alert", panels)
			}
			if !strings.Contains(d.text, "Slack would refuse these blocks:") || !strings.Contains(d.text, reason) {
				t.Errorf("it says %q, want the reason %q", d.text, reason)
			}
			if drew := d.class("bk"); len(drew) > 0 {
				t.Errorf("blocks are drawn: %v", drew)
			}
			if press := d.named("button", "input", "select", "textarea", "a"); len(press) > 0 {
				t.Errorf("%v can be pressed", press)
			}
		})
	}
	for name := range reasons {
		t.Errorf("there is no file %s", name)
	}
}

func TestRefusedInAModal(t *testing.T) {
	blocks := json.RawMessage(`[{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}]`)
	if d := scan(t, bob.Modal(blocks, nil)); len(d.class("bk-refused")) != 1 {
		t.Errorf("a table in a modal is drawn: %s", d.text)
	}
	if d := scan(t, bob.Message(blocks)); len(d.class("bk-refused")) != 0 {
		t.Errorf("a table in a message is refused: %s", d.text)
	}
}

func TestUnknown(t *testing.T) {
	const (
		header  = `{"type": "header", "text": {"type": "plain_text", "text": "Still here"}}`
		options = `[{"text": {"type": "plain_text", "text": "a"}, "value": "a"}]`
		image   = `{"type": "image", "image_url": "https://x.example/a.png", "alt_text": "a"}`
	)
	for _, c := range []struct{ block, name string }{
		{image, "image"},
		{`{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}`, "table"},
		{`{"type": "context", "elements": [` + image + `]}`, "image"},
		{`{"type": "section", "text": {"type": "mrkdwn", "text": "a"}, "accessory": ` + image + `}`, "image"},
		{`{"type": "actions", "elements": [{"type": "overflow", "options": ` + options + `}]}`, "overflow"},
		{`{"type": "actions", "elements": [{"type": "static_select", "options": ` + options + `}]}`, "static select"},
		{`{"type": "actions", "elements": [{"type": "checkboxes", "options": ` + options + `}]}`, "checkboxes"},
		{`{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Go"}, "url": "https://x.example"}]}`, "link button"},
	} {
		d := scan(t, bob.Message(json.RawMessage(`[`+c.block+`, `+header+`]`)))
		want := "keyturn uses no " + c.name + " here, so it is not drawn."
		if len(d.class("bk-unknown")) != 1 || !strings.Contains(d.text, want) || !strings.Contains(d.text, "Still here") {
			t.Errorf("%s reads %q, want %q", c.block, d.text, want)
		}
		if press := d.named("button", "input", "select", "img"); len(press) > 0 {
			t.Errorf("%s: %v is drawn", c.block, press)
		}
	}
}

func TestButton(t *testing.T) {
	const hostile = `ask:"><script>alert(1)</script>' onclick=x %41 é`
	button := map[string]any{
		"type": "button", "action_id": hostile, "value": `{"t":"` + hostile, "style": "danger", "accessibility_label": `Deny "it"`,
		"text": map[string]any{"type": "plain_text", "text": "De*ny* & <b>"},
		"confirm": map[string]any{
			"title":   map[string]any{"type": "plain_text", "text": "Deny?"},
			"text":    map[string]any{"type": "mrkdwn", "text": "*Sure*, <@UBOB>?\n`a`&amp;_b_ <https://x.example|there>", "verbatim": true},
			"confirm": map[string]any{"type": "plain_text", "text": "Yes \"\""}, "deny": map[string]any{"type": "plain_text", "text": "No"},
			"style": "primary",
		},
	}
	bare := map[string]any{"type": "button", "text": map[string]any{"type": "plain_text", "text": "Bare"}}
	blocks, err := json.Marshal([]any{
		map[string]any{"type": "actions", "block_id": hostile, "elements": []any{button}},
		map[string]any{"type": "actions", "elements": []any{bare}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := scan(t, bob.Message(blocks))
	want := []tag{
		{"button", map[string]string{
			"type": "button", "class": "bk-button danger", "data-action": hostile, "data-block": hostile, "data-value": `{"t":"` + hostile,
			"aria-label": `Deny "it"`, "data-confirm-title": "Deny?", "data-confirm-text": "Sure, @bob?\na&b there",
			"data-confirm-yes": `Yes ""`, "data-confirm-no": "No", "data-confirm-style": "primary",
		}},
		{"button", map[string]string{"type": "button", "class": "bk-button", "data-action": "", "data-block": "", "data-value": ""}},
	}
	if diff := cmp.Diff(want, d.named("button"), cmp.AllowUnexported(tag{})); diff != "" {
		t.Errorf("buttons (-want +got):\n%s", diff)
	}
	if !strings.Contains(d.text, "De*ny* & <b>") {
		t.Errorf("the button says %q", d.text)
	}
}

// TestShape looks where the parts of a block are.
func TestShape(t *testing.T) {
	const text = `{"type": "mrkdwn", "text": "a"}`
	drew := string(bob.Message(json.RawMessage(`[
		{"type": "header", "text": {"type": "plain_text", "text": "*H* :tada: <@UBOB>\nmore"}},
		{"type": "divider"},
		{"type": "section", "text": ` + text + `, "fields": [` + text + `, ` + text + `],
			"accessory": {"type": "button", "text": {"type": "plain_text", "text": "B"}}},
		{"type": "context", "elements": [` + text + `, {"type": "plain_text", "text": "*p*"}]}
	]`)))
	for _, want := range []string{
		`<div class="bk bk-header"><h3>*H* :tada: &lt;@UBOB&gt;<br>more</h3></div>`,
		`<div class="bk bk-divider"><hr></div>`,
		"<div class=\"bk-text\">a</div>\n<div class=\"bk-fields\">\n<div class=\"bk-text\">a</div>\n<div class=\"bk-text\">a</div>\n</div>",
		`<div class="bk-accessory"><button`,
		"<div class=\"bk bk-context\">\n<div class=\"bk-text\">a</div>\n<div class=\"bk-text\">*p*</div>\n</div>",
	} {
		if !strings.Contains(drew, want) {
			t.Errorf("it has no\n%s\nin\n%s", want, drew)
		}
	}
	kinds := []string{}
	for _, g := range scan(t, blockkit.Reader{}.Message(read(t, goldens, "card-rotate-pending.json"))).class("bk") {
		kinds = append(kinds, g.attrs["class"])
	}
	if !slices.Contains(kinds, "bk bk-actions") || !slices.Contains(kinds, "bk bk-rich-text") {
		t.Errorf("the blocks are %v", kinds)
	}
}
