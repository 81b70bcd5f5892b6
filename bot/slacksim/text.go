package slacksim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// PlainText returns what a person reads in blocks: a line or more for each block,
// buttons as [Label], mentions as @id, dates in UTC.
func PlainText(blocks json.RawMessage) string {
	var all []any
	if json.Unmarshal(blocks, &all) != nil {
		return ""
	}
	var lines []string
	for _, b := range all {
		if line := blockText(obj(b)); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func blockText(o map[string]any) string {
	switch str(o["type"]) {
	case "divider":
		return "---"
	case "input":
		return "[" + objectText(o["label"]) + ": " + elementText(obj(o["element"])) + "]"
	case "rich_text":
		var lines []string
		for _, e := range list(o["elements"]) {
			lines = append(lines, richText(obj(e)))
		}
		return strings.Join(lines, "\n")
	}
	var parts []string
	if o["text"] != nil {
		parts = append(parts, objectText(o["text"]))
	}
	for _, f := range list(o["fields"]) {
		parts = append(parts, strings.ReplaceAll(objectText(f), "\n", ": "))
	}
	var buttons []string
	for _, e := range list(o["elements"]) {
		if str(obj(e)["type"]) == "mrkdwn" || str(obj(e)["type"]) == "plain_text" {
			parts = append(parts, objectText(e))
		} else {
			buttons = append(buttons, elementText(obj(e)))
		}
	}
	if a := obj(o["accessory"]); a != nil {
		buttons = append(buttons, elementText(a))
	}
	if len(buttons) > 0 {
		parts = append(parts, strings.Join(buttons, " "))
	}
	return strings.Join(parts, "\n")
}

func elementText(e map[string]any) string {
	switch str(e["type"]) {
	case "button":
		return "[" + objectText(e["text"]) + "]"
	case "static_select":
		return objectText(obj(e["initial_option"])["text"])
	case "checkboxes":
		var all []string
		for _, o := range list(e["options"]) {
			all = append(all, "☐ "+objectText(obj(o)["text"]))
		}
		return strings.Join(all, ", ")
	}
	return str(e["initial_value"])
}

func objectText(v any) string {
	o := obj(v)
	if str(o["type"]) == "mrkdwn" {
		return mrkdwnText(str(o["text"]))
	}
	return str(o["text"])
}

var (
	angled = regexp.MustCompile(`<([^<>]*)>`)
	bold   = regexp.MustCompile(`(^|[\s(>])[*_]([^*_\n]+)[*_]`)
	date   = regexp.MustCompile(`^!date\^(\d+)\^`)
)

// mrkdwnText resolves mrkdwn: references, bold, code, and entities last.
func mrkdwnText(s string) string {
	s = angled.ReplaceAllStringFunc(s, func(ref string) string {
		ref = ref[1 : len(ref)-1]
		body, label, labelled := strings.Cut(ref, "|")
		if d := date.FindStringSubmatch(body); d != nil {
			var unix int64
			fmt.Sscan(d[1], &unix)
			return time.Unix(unix, 0).UTC().Format("15:04:05")
		}
		switch {
		case strings.HasPrefix(body, "!subteam^"):
			return "@" + strings.TrimPrefix(body, "!subteam^")
		case strings.HasPrefix(body, "@"), strings.HasPrefix(body, "#"):
			return body
		case strings.HasPrefix(body, "!"):
			return "@" + body[1:]
		case labelled:
			return label
		}
		return body
	})
	s = bold.ReplaceAllString(s, "$1$2")
	s = strings.ReplaceAll(s, "`", "")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

func richText(o map[string]any) string {
	var b strings.Builder
	for _, v := range list(o["elements"]) {
		e := obj(v)
		switch str(e["type"]) {
		case "text":
			b.WriteString(str(e["text"]))
		case "link":
			b.WriteString(str(e["url"]))
		case "user":
			b.WriteString("@" + str(e["user_id"]))
		case "usergroup":
			b.WriteString("@" + str(e["usergroup_id"]))
		case "broadcast":
			b.WriteString("@" + str(e["range"]))
		case "emoji":
			b.WriteString(":" + str(e["name"]) + ":")
		case "rich_text_section":
			b.WriteString("• " + richText(e) + "\n")
		}
	}
	if str(o["type"]) == "rich_text_quote" {
		return "> " + strings.ReplaceAll(b.String(), "\n", "\n> ")
	}
	return b.String()
}

// mentions returns whom a message tells: by references in mrkdwn and in its text, by
// rich text elements, and by what Slack parses by itself where a mrkdwn object is not
// verbatim.
func mentions(m *Message) []string {
	var out []string
	out = append(out, referred(m.Text)...)
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
	reference = regexp.MustCompile(`<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(here|channel|everyone))(?:\|[^<>]*)?>`)
	bare      = regexp.MustCompile(`@(here|channel|everyone)\b`)
)

func referred(s string) []string {
	var out []string
	for _, f := range reference.FindAllStringSubmatch(s, -1) {
		out = append(out, f[1]+f[2]+f[3])
	}
	return out
}

func parsed(s string) []string {
	var out []string
	for _, f := range bare.FindAllStringSubmatch(s, -1) {
		out = append(out, f[1])
	}
	return out
}
