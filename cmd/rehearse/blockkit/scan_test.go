package blockkit_test

import (
	"html"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tag is a start tag of what was drawn.
type tag struct {
	name  string
	attrs map[string]string // their values as a browser has them
}

func (t tag) has(class string) bool {
	return slices.Contains(strings.Fields(t.attrs["class"]), class)
}

// drawn is what was drawn, as a browser reads it.
type drawn struct {
	tags []tag
	text string // blocks apart by line ends, with what stands in a text input
}

func (d drawn) find(is func(tag) bool) []tag {
	return slices.DeleteFunc(slices.Clone(d.tags), func(t tag) bool { return !is(t) })
}

func (d drawn) class(class string) []tag {
	return d.find(func(t tag) bool { return t.has(class) })
}

func (d drawn) named(names ...string) []tag {
	return d.find(func(t tag) bool { return slices.Contains(names, t.name) })
}

var (
	tagForm  = regexp.MustCompile(`^<(/?)([a-z][a-z0-9]*)((?: [a-z-]+(?:="[^"<>]*")?)*)>`)
	attrForm = regexp.MustCompile(` ([a-z-]+)(?:="([^"<>]*)")?`)
	void     = []string{"br", "hr", "input"}
	inline   = []string{"a", "code", "em", "s", "span", "strong", "time"}
)

// scan reads what was drawn, more strictly than a browser would: each tag is whole and is
// closed where it was opened, and each attribute is there once. What the page's policy
// forbids fails too: scripts, styles and event handlers.
func scan(t *testing.T, drew template.HTML) drawn {
	t.Helper()
	var d drawn
	var text strings.Builder
	var open []string
	for rest := string(drew); rest != ""; {
		n := strings.IndexByte(rest, '<')
		if n < 0 {
			n = len(rest)
		}
		if n > 0 {
			if strings.ContainsAny(rest[:n], `>`) {
				t.Fatalf("a bracket is left of a tag in %q", rest[:n])
			}
			text.WriteString(html.UnescapeString(rest[:n]))
			rest = rest[n:]
			continue
		}
		m := tagForm.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("no tag begins %.80q", rest)
		}
		rest = rest[len(m[0]):]
		if !slices.Contains(inline, m[2]) {
			text.WriteByte('\n')
		}
		if m[1] != "" {
			if len(open) == 0 || open[len(open)-1] != m[2] {
				t.Fatalf("</%s> ends what is not open: %v", m[2], open)
			}
			open = open[:len(open)-1]
			continue
		}
		if !slices.Contains(void, m[2]) {
			open = append(open, m[2])
		}
		g := tag{name: m[2], attrs: map[string]string{}}
		for _, a := range attrForm.FindAllStringSubmatch(m[3], -1) {
			if _, twice := g.attrs[a[1]]; twice || a[1] == "style" || strings.HasPrefix(a[1], "on") {
				t.Fatalf("attribute %s of <%s> must not be there", a[1], g.name)
			}
			g.attrs[a[1]] = html.UnescapeString(a[2])
		}
		if g.name == "script" || g.name == "style" {
			t.Fatalf("<%s> was drawn", g.name)
		}
		if g.name == "input" && g.attrs["type"] == "text" {
			text.WriteString(g.attrs["value"])
		}
		if p := g.attrs["placeholder"]; p != "" {
			text.WriteString(p + "\n")
		}
		d.tags = append(d.tags, g)
	}
	if len(open) > 0 {
		t.Fatalf("%v are not closed", open)
	}
	d.text = text.String()
	return d
}
