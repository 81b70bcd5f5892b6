package slacksim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// PlainText returns what a person reads in blocks: a line or more for each block, "---"
// for a divider, buttons as [Label], mentions as @id, dates in UTC. Mrkdwn's signs are
// taken away, and its entities resolved.
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
	case "image":
		return "[" + str(o["alt_text"]) + "]"
	case "input":
		line := "[" + objectText(o["label"]) + ": " + elementText(obj(o["element"])) + "]"
		if o["hint"] != nil {
			line += "\n" + objectText(o["hint"])
		}
		return line
	case "rich_text":
		return richBlockText(o)
	case "table":
		var lines []string
		for _, r := range list(o["rows"]) {
			var cells []string
			for _, c := range list(r) {
				cells = append(cells, str(obj(c)["text"])+richBlockText(obj(c)))
			}
			lines = append(lines, strings.Join(cells, " | "))
		}
		return strings.Join(lines, "\n")
	}
	var parts, elements []string
	if o["text"] != nil {
		parts = append(parts, objectText(o["text"]))
	}
	for _, f := range list(o["fields"]) {
		parts = append(parts, strings.ReplaceAll(objectText(f), "\n", ": "))
	}
	for _, e := range list(o["elements"]) {
		if kind := str(obj(e)["type"]); kind == "mrkdwn" || kind == "plain_text" {
			parts = append(parts, objectText(e))
		} else {
			elements = append(elements, elementText(obj(e)))
		}
	}
	if a := obj(o["accessory"]); a != nil {
		elements = append(elements, elementText(a))
	}
	if len(elements) > 0 {
		parts = append(parts, strings.Join(elements, " "))
	}
	return strings.Join(parts, "\n")
}

// elementText returns what an element shows: its label, what is chosen, or its
// placeholder.
func elementText(e map[string]any) string {
	var all []string
	switch str(e["type"]) {
	case "button":
		return "[" + objectText(e["text"]) + "]"
	case "image":
		return "[" + str(e["alt_text"]) + "]"
	case "static_select":
		if chosen := obj(e["initial_option"]); chosen != nil {
			return objectText(chosen["text"])
		}
		return objectText(e["placeholder"])
	case "overflow":
		for _, o := range list(e["options"]) {
			all = append(all, "["+objectText(obj(o)["text"])+"]")
		}
		return strings.Join(all, " ")
	case "checkboxes", "radio_buttons":
		chosen := map[string]bool{str(obj(e["initial_option"])["value"]): e["initial_option"] != nil}
		for _, o := range list(e["initial_options"]) {
			chosen[str(obj(o)["value"])] = true
		}
		for _, v := range list(e["options"]) {
			o, sign := obj(v), "☐ "
			if chosen[str(o["value"])] {
				sign = "☑ "
			}
			all = append(all, sign+objectText(o["text"]))
		}
		return strings.Join(all, ", ")
	}
	if text := str(e["initial_value"]); text != "" {
		return text
	}
	return objectText(e["placeholder"])
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
	styled = regexp.MustCompile(`(^|[\s(>])[*_]([^*_\n]+)[*_]`)
	dated  = regexp.MustCompile(`^!date\^(\d+)\^([^^]*)`)
)

// mrkdwnText resolves mrkdwn: references, styles, code, and entities last.
func mrkdwnText(s string) string {
	s = angled.ReplaceAllStringFunc(s, func(ref string) string {
		return referenceText(ref[1 : len(ref)-1])
	})
	s = styled.ReplaceAllString(s, "$1$2")
	s = strings.ReplaceAll(s, "`", "")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// referenceText returns what a person reads of what was in angle brackets.
func referenceText(ref string) string {
	body, label, labelled := strings.Cut(ref, "|")
	if d := dated.FindStringSubmatch(body); d != nil {
		unix, _ := strconv.ParseInt(d[1], 10, 64)
		return dateText(unix, d[2])
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
}

// dateText fills in the tokens of Slack's date form, in UTC.
func dateText(unix int64, form string) string {
	t := time.Unix(unix, 0).UTC()
	day, short := t.Format("January 2, 2006"), t.Format("Jan 2, 2006")
	long := t.Format("Monday, January 2, 2006")
	return strings.NewReplacer(
		"{date_num}", t.Format(time.DateOnly), "{date}", day, "{date_pretty}", day,
		"{date_short}", short, "{date_short_pretty}", short,
		"{date_long}", long, "{date_long_pretty}", long,
		"{time}", t.Format("15:04"), "{time_secs}", t.Format(time.TimeOnly),
	).Replace(form)
}

func richBlockText(o map[string]any) string {
	var lines []string
	for _, e := range list(o["elements"]) {
		lines = append(lines, richText(obj(e)))
	}
	return strings.Join(lines, "\n")
}

func richText(o map[string]any) string {
	var b strings.Builder
	for i, v := range list(o["elements"]) {
		if str(o["type"]) != "rich_text_list" {
			b.WriteString(richElementText(obj(v)))
			continue
		}
		sign := "•"
		if str(o["style"]) == "ordered" {
			sign = fmt.Sprintf("%d.", i+1)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(sign + " " + richText(obj(v)))
	}
	if str(o["type"]) == "rich_text_quote" {
		return "> " + strings.ReplaceAll(b.String(), "\n", "\n> ")
	}
	return b.String()
}

func richElementText(e map[string]any) string {
	switch str(e["type"]) {
	case "text":
		return str(e["text"])
	case "link":
		if text := str(e["text"]); text != "" {
			return text
		}
		return str(e["url"])
	case "user":
		return "@" + str(e["user_id"])
	case "usergroup":
		return "@" + str(e["usergroup_id"])
	case "broadcast":
		return "@" + str(e["range"])
	case "channel":
		return "#" + str(e["channel_id"])
	case "emoji":
		return ":" + str(e["name"]) + ":"
	case "date":
		return dateText(int64(number(e["timestamp"])), str(e["format"]))
	}
	return ""
}
