package slacksim

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Surface is where blocks are shown.
type Surface int

const (
	OnMessage Surface = iota
	InModal
)

// CheckBlocks returns what Slack would refuse of blocks, each problem with a JSON
// pointer to its place; nil: nothing. It knows the blocks and elements that keyturn
// may use; another one is a problem.
func CheckBlocks(blocks json.RawMessage, where Surface) []string {
	var p problems
	var all []any
	if err := json.Unmarshal(blocks, &all); err != nil {
		return []string{"no list of blocks"}
	}
	limit := 50
	if where == InModal {
		limit = 100
	}
	if len(all) > limit {
		p.add("", "at most %d blocks, and there are %d", limit, len(all))
	}
	ids := map[string]bool{}
	for i, b := range all {
		at, o := fmt.Sprintf("/%d", i), obj(b)
		if id := str(o["block_id"]); id != "" {
			if ids[id] {
				p.add(at+"/block_id", "%q is there twice", id)
			}
			ids[id] = true
			p.length(at+"/block_id", id, 255)
		}
		p.block(at, o, where)
	}
	return p
}

type problems []string

func (p *problems) add(at, format string, a ...any) {
	*p = append(*p, fmt.Sprintf("[ERROR] %s [json-pointer:/blocks%s]", fmt.Sprintf(format, a...), at))
}

func (p *problems) length(at, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		p.add(at, "must be at most %d characters, and has %d", limit, n)
	}
}

// text checks a text object; plain: it must be plain_text.
func (p *problems) text(at string, v any, limit int, plain bool) {
	o := obj(v)
	kind := str(o["type"])
	switch {
	case o == nil:
		p.add(at, "must be a text object")
	case kind != "plain_text" && kind != "mrkdwn":
		p.add(at+"/type", "unsupported type %q", kind)
	case plain && kind != "plain_text":
		p.add(at+"/type", "must be plain_text")
	case kind == "plain_text" && o["verbatim"] == true:
		p.add(at+"/verbatim", "is not allowed in plain_text")
	case kind == "mrkdwn" && o["emoji"] == true:
		p.add(at+"/emoji", "is not allowed in mrkdwn")
	}
	if str(o["text"]) == "" {
		p.add(at+"/text", "must be at least 1 character")
	}
	p.length(at+"/text", str(o["text"]), limit)
}

func (p *problems) block(at string, o map[string]any, where Surface) {
	switch kind := str(o["type"]); kind {
	case "section":
		fields := list(o["fields"])
		if o["text"] == nil && len(fields) == 0 {
			p.add(at, "a section needs text or fields")
		}
		if o["text"] != nil {
			p.text(at+"/text", o["text"], 3000, false)
		}
		if len(fields) > 10 {
			p.add(at+"/fields", "at most 10, and there are %d", len(fields))
		}
		for i, f := range fields {
			p.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, false)
		}
		if o["accessory"] != nil {
			p.element(at+"/accessory", obj(o["accessory"]), []string{"button", "overflow", "static_select", "checkboxes", "radio_buttons", "image"})
		}
	case "header":
		p.text(at+"/text", o["text"], 150, true)
	case "divider":
	case "image":
		p.required(at, o, "alt_text", 2000)
		p.required(at, o, "image_url", 3000)
	case "context":
		elements := list(o["elements"])
		p.count(at+"/elements", len(elements), 1, 10)
		for i, e := range elements {
			here := fmt.Sprintf("%s/elements/%d", at, i)
			if str(obj(e)["type"]) == "image" {
				p.element(here, obj(e), []string{"image"})
			} else {
				p.text(here, e, 3000, false)
			}
		}
	case "actions":
		elements := list(o["elements"])
		p.count(at+"/elements", len(elements), 1, 25)
		seen := []string{}
		for i, e := range elements {
			here := fmt.Sprintf("%s/elements/%d", at, i)
			id := str(obj(e)["action_id"])
			if slices.Contains(seen, id) {
				p.add(here+"/action_id", "%q is there twice in the block", id)
			}
			seen = append(seen, id)
			p.element(here, obj(e), []string{"button", "overflow", "static_select", "checkboxes", "radio_buttons"})
		}
	case "input":
		p.text(at+"/label", o["label"], 2000, true)
		if o["hint"] != nil {
			p.text(at+"/hint", o["hint"], 2000, true)
		}
		p.element(at+"/element", obj(o["element"]), []string{"plain_text_input", "static_select", "checkboxes", "radio_buttons"})
	case "rich_text":
		elements := list(o["elements"])
		p.count(at+"/elements", len(elements), 1, 1000) // assumption: Slack names no limit
		for i, e := range elements {
			p.rich(fmt.Sprintf("%s/elements/%d", at, i), obj(e))
		}
	default:
		p.add(at+"/type", "unsupported block %q", kind)
	}
	if where == OnMessage && str(o["type"]) == "input" {
		p.add(at, "an input block is not expected here") // keyturn asks in modals alone
	}
}

func (p *problems) count(at string, n, least, most int) {
	if n < least || n > most {
		p.add(at, "must be %d to %d, and there are %d", least, most, n)
	}
}

func (p *problems) required(at string, o map[string]any, name string, limit int) {
	if str(o[name]) == "" {
		p.add(at+"/"+name, "is required")
	}
	p.length(at+"/"+name, str(o[name]), limit)
}

func (p *problems) element(at string, e map[string]any, allowed []string) {
	kind := str(e["type"])
	if !slices.Contains(allowed, kind) {
		p.add(at+"/type", "unsupported element %q", kind)
		return
	}
	p.length(at+"/action_id", str(e["action_id"]), 255)
	if e["placeholder"] != nil {
		p.text(at+"/placeholder", e["placeholder"], 150, true)
	}
	if c := obj(e["confirm"]); c != nil {
		p.text(at+"/confirm/title", c["title"], 100, true)
		p.text(at+"/confirm/text", c["text"], 300, false)
		p.text(at+"/confirm/confirm", c["confirm"], 30, true)
		p.text(at+"/confirm/deny", c["deny"], 30, true)
	}
	switch kind {
	case "button":
		p.text(at+"/text", e["text"], 75, true)
		p.length(at+"/value", str(e["value"]), 2000)
		p.length(at+"/url", str(e["url"]), 3000)
		if s := str(e["style"]); s != "" && s != "primary" && s != "danger" {
			p.add(at+"/style", "unsupported style %q", s)
		}
	case "image":
		p.required(at, e, "alt_text", 2000)
		p.required(at, e, "image_url", 3000)
	case "plain_text_input":
		limit := number(e["max_length"])
		if limit < 0 || limit > 3000 {
			p.add(at+"/max_length", "must be 1 to 3000")
		}
		if initial := str(e["initial_value"]); limit > 0 {
			p.length(at+"/initial_value", initial, limit)
		} else {
			p.length(at+"/initial_value", initial, 3000)
		}
	case "overflow":
		p.options(at, e, 1, 5)
	case "static_select":
		p.options(at, e, 1, 100)
	case "checkboxes", "radio_buttons":
		p.options(at, e, 1, 10)
	}
}

func (p *problems) options(at string, e map[string]any, least, most int) {
	all := list(e["options"])
	p.count(at+"/options", len(all), least, most)
	for i, v := range all {
		here, o := fmt.Sprintf("%s/options/%d", at, i), obj(v)
		p.text(here+"/text", o["text"], 75, false)
		p.length(here+"/value", str(o["value"]), 75)
		if o["description"] != nil {
			p.text(here+"/description", o["description"], 75, false)
		}
	}
	for _, v := range append(list(e["initial_options"]), e["initial_option"]) {
		if v == nil {
			continue
		}
		if !slices.ContainsFunc(all, func(o any) bool { return str(obj(o)["value"]) == str(obj(v)["value"]) }) {
			p.add(at+"/initial_option", "is none of the options")
		}
	}
}

func (p *problems) rich(at string, o map[string]any) {
	kind := str(o["type"])
	elements := list(o["elements"])
	switch kind {
	case "rich_text_list":
		for i, e := range elements {
			p.rich(fmt.Sprintf("%s/elements/%d", at, i), obj(e))
		}
		return
	case "rich_text_section", "rich_text_preformatted", "rich_text_quote":
	default:
		p.add(at+"/type", "unsupported rich text %q", kind)
		return
	}
	for i, v := range elements {
		here, e := fmt.Sprintf("%s/elements/%d", at, i), obj(v)
		needs, known := map[string]string{
			"text": "text", "link": "url", "user": "user_id", "usergroup": "usergroup_id", "channel": "channel_id",
			"emoji": "name", "broadcast": "range", "date": "format",
		}[str(e["type"])]
		switch {
		case !known:
			p.add(here+"/type", "unsupported rich text element %q", str(e["type"]))
		case str(e[needs]) == "":
			p.add(here+"/"+needs, "must be at least 1 character")
		}
	}
}

// obj, list, str and number read what may be anything.
func obj(v any) map[string]any { o, _ := v.(map[string]any); return o }
func list(v any) []any         { l, _ := v.([]any); return l }
func str(v any) string         { s, _ := v.(string); return s }
func number(v any) int         { n, _ := v.(float64); return int(n) }
