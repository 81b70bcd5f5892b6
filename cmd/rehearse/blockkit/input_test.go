package blockkit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModal(t *testing.T) {
	d := scan(t, bob.Modal(read(t, goldens, "modal-revoke.json"), map[string]string{
		"key": "Choose the <key> to revoke.", "prepared": "Not so.", "nothing": "not shown",
	}))
	want := []tag{
		{"select", map[string]string{"class": "bk-input-box", "id": "in-key", "name": "key", "required": "", "aria-invalid": "true", "aria-describedby": "error-key"}},
		{"textarea", map[string]string{"class": "bk-input-box", "id": "in-reason", "name": "reason", "rows": "4", "placeholder": "What happened? The approver decides on this.", "maxlength": "3000", "required": ""}},
		{"input", map[string]string{"class": "bk-input-box", "type": "text", "id": "in-link", "name": "link", "value": "", "placeholder": "https://…", "maxlength": "1000"}},
		{"fieldset", map[string]string{"id": "in-prepared", "aria-describedby": "error-prepared"}},
		{"input", map[string]string{"type": "checkbox", "id": "choice0-prepared", "name": "prepared", "value": "yes", "aria-invalid": "true", "aria-describedby": "about-choice0-prepared"}},
	}
	if diff := cmp.Diff(want, d.named("select", "textarea", "input", "fieldset"), cmp.AllowUnexported(tag{})); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	options := []tag{{"option", map[string]string{"value": ""}},
		{"option", map[string]string{"value": "previousprevious12345"}}}
	if diff := cmp.Diff(options, d.named("option"), cmp.AllowUnexported(tag{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	errors := []tag{
		{"p", map[string]string{"class": "bk-error", "id": "error-key", "role": "alert"}},
		{"p", map[string]string{"class": "bk-error", "id": "error-prepared", "role": "alert"}},
	}
	if diff := cmp.Diff(errors, d.class("bk-error"), cmp.AllowUnexported(tag{})); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		"previousprevious12345 – in use until 200 days ago", "Choose the <key> to revoke.", "\ntyped `before`\n",
		"Incident link (optional)", "Prepared (optional)", "The applications and APIs that verify this tenant",
	} {
		if !strings.Contains(d.text, want) {
			t.Errorf("it has no %q in\n%s", want, d.text)
		}
	}
	if strings.Contains(d.text, "not shown") || strings.Contains(d.text, "Reason (optional)") {
		t.Errorf("it says too much:\n%s", d.text)
	}
	tied(t, d)
}

// tied checks that each label and each description leads to one element.
func tied(t *testing.T, d drawn) {
	t.Helper()
	count := map[string]int{}
	for _, g := range d.tags {
		if id := g.attrs["id"]; id != "" {
			count[id]++
		}
	}
	for _, g := range d.tags {
		for _, id := range append(strings.Fields(g.attrs["aria-describedby"]), g.attrs["for"]) {
			if id != "" && count[id] != 1 {
				t.Errorf("<%s> names %q, which is there %d times", g.name, id, count[id])
			}
		}
	}
	labels := len(d.named("label"))
	if inputs := len(d.named("input", "select", "textarea")); labels != inputs {
		t.Errorf("there are %d labels for %d inputs", labels, inputs)
	}
}

func TestInputs(t *testing.T) {
	const (
		label   = `"label": {"type": "plain_text", "text": "L"}`
		option  = `{"text": {"type": "plain_text", "text": "%s"}, "value": "%s"}`
		hostile = `a \"b' <c>`
	)
	a, b := strings.ReplaceAll(option, "%s", "a"), strings.ReplaceAll(option, "%s", hostile)
	drew := bob.Modal(json.RawMessage(`[
		{"type": "input", `+label+`, "element": {"type": "plain_text_input", "initial_value": "`+hostile+`", "min_length": 3},
			"hint": {"type": "plain_text", "text": "Alone"}},
		{"type": "input", "block_id": "`+hostile+`", `+label+`, "hint": {"type": "plain_text", "text": "*Hint*"},
			"element": {"type": "plain_text_input", "multiline": true, "initial_value": "\n</textarea>"}},
		{"type": "input", "block_id": "s", `+label+`, "element": {"type": "static_select", "options": [`+a+`, `+b+`],
			"placeholder": {"type": "plain_text", "text": "Which?"}}},
		{"type": "input", "block_id": "c", `+label+`, "element": {"type": "checkboxes", "options": [`+a+`, `+b+`], "initial_options": [`+b+`]}},
		{"type": "input", "block_id": "one", `+label+`, "element": {"type": "checkboxes", "options": [`+a+`]}},
		{"type": "input", "block_id": "r", `+label+`, "element": {"type": "radio_buttons", "options": [`+a+`]}},
		{"type": "input", "block_id": "g", `+label+`, "element": {"type": "static_select", "option_groups": [{`+label+`, "options": [`+a+`]}]}}
	]`), map[string]string{`a "b' <c>`: "Wrong."})
	d := scan(t, drew)
	const id = "a%20%22b%27%20%3Cc%3E"
	want := []tag{
		{"input", map[string]string{"class": "bk-input-box", "type": "text", "id": "in-block0", "name": "block0", "value": `a "b' <c>`, "minlength": "3", "maxlength": "3000", "required": "", "aria-describedby": "hint-block0"}},
		{"textarea", map[string]string{"class": "bk-input-box", "id": "in-" + id, "name": `a "b' <c>`, "rows": "4", "maxlength": "3000", "required": "", "aria-invalid": "true", "aria-describedby": "hint-" + id + " error-" + id}},
		{"select", map[string]string{"class": "bk-input-box", "id": "in-s", "name": "s", "required": ""}},
		{"option", map[string]string{"value": ""}},
		{"option", map[string]string{"value": "a"}},
		{"option", map[string]string{"value": `a "b' <c>`}},
		{"input", map[string]string{"type": "checkbox", "id": "choice0-c", "name": "c", "value": "a"}},
		{"input", map[string]string{"type": "checkbox", "id": "choice1-c", "name": "c", "value": `a "b' <c>`, "checked": ""}},
		{"input", map[string]string{"type": "checkbox", "id": "choice0-one", "name": "one", "value": "a", "required": ""}},
	}
	if diff := cmp.Diff(want, d.named("input", "select", "textarea", "option"), cmp.AllowUnexported(tag{})); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	tied(t, d)
	for _, want := range []string{"*Hint*", "Which?", "Alone", "Wrong.", "uses no radio buttons here", "uses no grouped select here"} {
		if !strings.Contains(d.text, want) {
			t.Errorf("it has no %q in\n%s", want, d.text)
		}
	}
	// A browser leaves out a line end that stands first in a text area.
	if !strings.Contains(string(drew), ">\n\n&lt;/textarea&gt;</textarea>") {
		t.Errorf("the text area loses its first line end:\n%s", drew)
	}
}
