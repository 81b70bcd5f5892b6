package blockkit_test

import (
	"encoding/json"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"keyturn/bot/slacksim"
)

// mayDraw has the tags that a text may become, with the forms of their attributes.
var mayDraw = map[string]map[string]*regexp.Regexp{
	"br": nil, "strong": nil, "em": nil, "s": nil,
	"div":        {"class": regexp.MustCompile(`^bk-text$`)},
	"blockquote": {"class": regexp.MustCompile(`^bk-quote$`)},
	"code":       {"class": regexp.MustCompile(`^bk-code$`)},
	"pre":        {"class": regexp.MustCompile(`^bk-pre$`), "tabindex": regexp.MustCompile(`^0$`)},
	"span":       {"class": regexp.MustCompile(`^bk-mention( me| broadcast)?$`)},
	"time":       {"datetime": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)},
	"a": {
		"href":   regexp.MustCompile(`^(?i:https?://|mailto:)[!-~]+$`),
		"rel":    regexp.MustCompile(`^noreferrer noopener$`),
		"target": regexp.MustCompile(`^_blank$`),
	},
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		"*a _b ~c~_* `d` ```e\nf``` > g\n&gt; h\n>i", "<@UBOB> <#C1|x> <!subteam^S1> <!here> @here https://x.example/_a_?b=\"c\".",
		"<!date^1795405320^{date_short_pretty} {time_secs}^https://x|2026>", "<https://x.example/\"onload=\"|'y\"> <javascript:alert(1)|x> <script>&lt;script&gt;",
		"*`*`*", "```` ``` ` `` ` ```", "_*_*_*", "<mailto:\x00\u202e|\xff>", "http://\u2028x &amp;amp;lt;", "<!date^1^{time}^mailto:a|>", "http://x.example/?a&amp;;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, drew := range []template.HTML{bob.Text(s), bob.Message(mustBlocks(s))} {
			d := scan(t, drew)
			if len(d.class("bk-refused")) > 0 {
				return // too long, or nothing
			}
			for _, g := range d.tags {
				if g.has("bk") {
					continue
				}
				forms, may := mayDraw[g.name]
				if !may || len(g.attrs) != len(forms) {
					t.Errorf("%q draws <%s %v>", s, g.name, g.attrs)
				}
				for name, value := range g.attrs {
					if form := forms[name]; form == nil || !form.MatchString(value) {
						t.Errorf("%q draws %s=%q in <%s>", s, name, value, g.name)
					}
					if _, err := time.Parse(time.RFC3339, value); name == "datetime" && err != nil {
						t.Errorf("%q draws a time that is none: %v", s, err)
					}
				}
			}
			// Without a reference, which may read otherwise, no letter is lost and none is new.
			entities := strings.NewReplacer("&lt;", "", "&gt;", "", "&amp;", "")
			if want := letters(entities.Replace(s)); !strings.Contains(s, "<") && letters(d.text) != want {
				t.Errorf("%q reads %q, want the letters %q", s, d.text, want)
			}
		}
	})
}

// mustBlocks is a message with s in a verbatim text.
func mustBlocks(s string) json.RawMessage {
	b, err := json.Marshal([]any{map[string]any{
		"type": "context", "elements": []any{map[string]any{"type": "mrkdwn", "text": s, "verbatim": true}},
	}})
	if err != nil {
		panic(err)
	}
	return b
}

func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return -1
	}, s)
}

// FuzzBlocks draws anything: it is refused exactly if the checker refuses it, or if a
// property is of a wrong type, and then nothing can be pressed.
func FuzzBlocks(f *testing.F) {
	for _, pattern := range []string{goldens + "/*.json", "testdata/refused/*.json"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no files are %s: %v", pattern, err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(b))
		}
	}
	f.Add(`[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"ordered","elements":[null]}]}]`)
	f.Add(`[{"type":"section","fields":[null],"accessory":null}, null, {"type":"input"}, {"type":"actions","elements":[null]}]`)
	f.Fuzz(func(t *testing.T, s string) {
		blocks := json.RawMessage(s)
		for where, drew := range map[slacksim.Surface]template.HTML{
			slacksim.OnMessage: bob.Message(blocks),
			slacksim.InModal:   bob.Modal(blocks, map[string]string{"reason": "<wrong>"}),
		} {
			d := scan(t, drew)
			refused := len(d.class("bk-refused")) > 0
			if len(slacksim.CheckBlocks(blocks, where)) > 0 && !refused {
				t.Errorf("%s is drawn, and Slack would refuse it", s)
			}
			if refused && len(d.class("bk"))+len(d.named("button", "input", "select", "textarea", "a")) > 0 {
				t.Errorf("%s is refused, and drawn as %s", s, drew)
			}
		}
	})
}
