package blockkit_test

import (
	"encoding/json"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keyturn/cmd/rehearse/blockkit"
)

// TestCSS holds the style sheet against what is drawn: each class of the one is in the
// other, and each colour is one that the page defines.
func TestCSS(t *testing.T) {
	css := string(blockkit.CSS())
	styled := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.(bk[a-z0-9-]*)`).FindAllStringSubmatch(css, -1) {
		styled[m[1]] = true
	}
	drew := []template.HTML{
		bob.Modal(read(t, goldens, "modal-revoke.json"), map[string]string{"reason": "no"}),
		bob.Message(json.RawMessage(`[{"type": "divider"}, {"type": "image", "image_url": "x", "alt_text": "x"}]`)),
		bob.Message(nil),
		bob.Text("```a```"),
		bob.Modal(json.RawMessage(`[{"type": "input", "label": {"type": "plain_text", "text": "L"}, "hint": {"type": "plain_text", "text": "H"}, "element": {"type": "plain_text_input"}}]`), nil),
	}
	for _, name := range names(t, goldens) {
		drew = append(drew, bob.Message(read(t, goldens, name+".json")))
	}
	for _, indent := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"} {
		drew = append(drew, bob.Message(json.RawMessage(`[{"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "bullet", "indent": `+indent+`, "elements": []}]}]`)))
	}
	classes := map[string]bool{}
	for _, h := range drew {
		for _, g := range scan(t, h).tags {
			for _, class := range strings.Fields(g.attrs["class"]) {
				if strings.HasPrefix(class, "bk") {
					classes[class] = true
				}
			}
		}
	}
	unstyled := []string{"bk-image", "bk-rich-text", "bk-indent-0"} // nothing is to be said of them
	for class := range classes {
		if !styled[class] && !slices.Contains(unstyled, class) {
			t.Errorf("the style sheet says nothing of %s", class)
		}
	}
	for class := range styled {
		if !classes[class] {
			t.Errorf("nothing is drawn with %s", class)
		}
	}

	colours := []string{
		"--text", "--text-dim", "--surface", "--surface-raised", "--border", "--accent", "--danger", "--primary", "--link", "--mention-bg",
		"--mention-text", "--me-bg", "--me-text", "--code-bg", "--code-text", "--quote", "--primary-text, #fff",
	}
	for _, m := range regexp.MustCompile(`var\(([^)]*)\)`).FindAllStringSubmatch(css, -1) {
		if !slices.Contains(colours, m[1]) {
			t.Errorf("the page defines no %s", m[1])
		}
	}
	rest := strings.ReplaceAll(css, "var(--primary-text, #fff)", "")
	for _, m := range regexp.MustCompile(`(?m)^\s*[a-z-]*(?:color|background)[a-z-]*:\s*([^;]*);`).FindAllStringSubmatch(rest, -1) {
		if !strings.HasPrefix(m[1], "var(") && m[1] != "" {
			t.Errorf("%q is no colour of the page's", m[0])
		}
	}
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3}|rgb|hsl|url\(|@import`).FindAllString(rest, -1); found != nil {
		t.Errorf("the style sheet has %q", found)
	}
}
