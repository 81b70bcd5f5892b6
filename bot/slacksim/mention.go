package slacksim

import (
	"encoding/json"
	"regexp"
	"slices"
)

// mentions returns whom a message tells, sorted: by references in its text and in
// mrkdwn, by rich text elements, and by what Slack parses by itself, in mrkdwn objects
// that are not verbatim, and in the text where auto is true. Assumption: the text
// counts also where blocks are shown in its place.
func mentions(m *Message, auto bool) []string {
	out := referred(m.Text)
	if auto {
		out = append(out, parsed(m.Text)...)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			switch str(v["type"]) {
			case "mrkdwn":
				out = append(out, referred(str(v["text"]))...)
				if v["verbatim"] != true {
					out = append(out, parsed(str(v["text"]))...)
				}
			case "user":
				out = append(out, str(v["user_id"]))
			case "usergroup":
				out = append(out, str(v["usergroup_id"]))
			case "broadcast":
				out = append(out, str(v["range"]))
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	var blocks any
	if json.Unmarshal(m.Blocks, &blocks) == nil {
		walk(blocks)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var (
	reference = regexp.MustCompile(
		`<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(here|channel|everyone))(?:[|^][^<>]*)?>`)
	bare = regexp.MustCompile(`(?:^|[^\w])@(here|channel|everyone)\b`)
)

// referred returns whom text refers to in angle brackets.
func referred(text string) []string {
	var out []string
	for _, f := range reference.FindAllStringSubmatch(text, -1) {
		out = append(out, f[1]+f[2]+f[3])
	}
	return out
}

// parsed returns whom Slack finds in text by itself.
func parsed(text string) []string {
	var out []string
	for _, f := range bare.FindAllStringSubmatch(text, -1) {
		out = append(out, f[1])
	}
	return out
}
