package slacksim

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Surface is where blocks are shown.
type Surface int

// The surfaces that keyturn uses.
const (
	OnMessage Surface = iota
	InModal
)

// CheckBlocks returns what Slack would refuse of blocks, each problem with a JSON
// pointer to its place; nil: nothing. It knows the blocks and elements that keyturn may
// use; another one is a problem, and so is a property that it does not know. Lengths
// are in characters.
func CheckBlocks(blocks json.RawMessage, where Surface) []string {
	var p problems
	p.blocks(blocks, where)
	return p.all
}

// problems is what was found, under the place where the blocks are.
type problems struct {
	root string
	all  []string
}

func (p *problems) add(at, format string, a ...any) {
	problem := fmt.Sprintf(format, a...)
	p.all = append(p.all, fmt.Sprintf("[ERROR] %s [json-pointer:%s%s]", problem, p.root, at))
}

func (p *problems) length(at, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		p.add(at, "must be at most %d characters, and has %d", limit, n)
	}
}

// required checks a string that must be there.
func (p *problems) required(at string, o map[string]any, name string, limit int) {
	if str(o[name]) == "" {
		p.add(at+"/"+name, "must be at least 1 character")
	}
	p.length(at+"/"+name, str(o[name]), limit)
}

func (p *problems) count(at string, n, least, most int) {
	if n < least || n > most {
		p.add(at, "must be %d to %d, and there are %d", least, most, n)
	}
}

// only checks that an object has no other properties than type and those named.
func (p *problems) only(at string, o map[string]any, names ...string) {
	for _, name := range sortedKeys(o) {
		if name != "type" && !slices.Contains(names, name) {
			p.add(at, "invalid additional property: %s", name)
		}
	}
}

// text checks a text object; plain: it must be plain_text.
func (p *problems) text(at string, v any, limit int, plain bool) {
	o := obj(v)
	kind := str(o["type"])
	switch {
	case o == nil:
		p.add(at, "must be a text object")
		return
	case kind != "plain_text" && (plain || kind != "mrkdwn"):
		p.add(at+"/type", "unsupported type %q", kind)
	case kind == "plain_text":
		p.only(at, o, "text", "emoji")
	default:
		p.only(at, o, "text", "verbatim")
	}
	p.required(at, o, "text", limit)
}

func (p *problems) optionalText(at string, o map[string]any, name string, limit int) {
	if o[name] != nil {
		p.text(at+"/"+name, o[name], limit, true)
	}
}

func (p *problems) blocks(blocks json.RawMessage, where Surface) {
	var all []any
	if json.Unmarshal(blocks, &all) != nil {
		p.add("/blocks", "must be a list")
		return
	}
	limit := 50
	if where == InModal {
		limit = 100
	}
	if len(all) > limit {
		p.add("/blocks", "must be at most %d, and there are %d", limit, len(all))
	}
	ids, tables := map[string]bool{}, 0
	for i, b := range all {
		at, o := fmt.Sprintf("/blocks/%d", i), obj(b)
		if id := str(o["block_id"]); id != "" {
			if ids[id] {
				p.add(at+"/block_id", "%q is there twice", id)
			}
			ids[id] = true
			p.length(at+"/block_id", id, 255)
		}
		kind := str(o["type"])
		if kind == "table" {
			tables++
		}
		switch {
		case blockProperties[kind] == nil:
			p.add(at+"/type", "unsupported block %q", kind)
			continue
		case where == OnMessage && kind == "input": // Slack takes it; keyturn asks in modals alone
			p.add(at+"/type", "an input block is not expected in a message")
		case where == InModal && kind == "table": // assumption
			p.add(at+"/type", "a table is not expected in a modal")
		}
		p.only(at, o, append([]string{"block_id"}, blockProperties[kind]...)...)
		p.block(at, kind, o)
	}
	if tables > 1 {
		p.add("/blocks", "must be at most one table, and there are %d", tables)
	}
}

// blockProperties are the blocks that keyturn may use.
var blockProperties = map[string][]string{
	"actions":   {"elements"},
	"context":   {"elements"},
	"divider":   {},
	"header":    {"text", "level"},
	"image":     {"image_url", "alt_text", "title"},
	"input":     {"label", "element", "hint", "optional", "dispatch_action"},
	"rich_text": {"elements"},
	"section":   {"text", "fields", "accessory", "expand"},
	"table":     {"rows", "column_settings"},
}

var (
	pressable = []string{"button", "overflow", "static_select", "checkboxes", "radio_buttons"}
	fillable  = []string{"plain_text_input", "static_select", "checkboxes", "radio_buttons"}
)

func (p *problems) block(at, kind string, o map[string]any) {
	elements := list(o["elements"])
	switch kind {
	case "section":
		p.section(at, o)
	case "header":
		p.text(at+"/text", o["text"], 150, true)
	case "image":
		p.image(at, o)
		p.optionalText(at, o, "title", 2000)
	case "context":
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
		p.count(at+"/elements", len(elements), 1, 25)
		ids := map[string]bool{}
		for i, e := range elements {
			here := fmt.Sprintf("%s/elements/%d", at, i)
			id := str(obj(e)["action_id"])
			if id != "" && ids[id] {
				p.add(here+"/action_id", "%q is there twice in the block", id)
			}
			ids[id] = true
			p.element(here, obj(e), pressable)
		}
	case "input":
		p.text(at+"/label", o["label"], 2000, true)
		p.optionalText(at, o, "hint", 2000)
		p.element(at+"/element", obj(o["element"]), fillable)
	case "rich_text":
		if len(elements) == 0 {
			p.add(at+"/elements", "must be at least 1")
		}
		for i, e := range elements {
			p.richText(fmt.Sprintf("%s/elements/%d", at, i), obj(e))
		}
	case "table":
		p.table(at, o)
	}
}

func (p *problems) section(at string, o map[string]any) {
	fields := list(o["fields"])
	if o["text"] == nil && len(fields) == 0 {
		p.add(at, "must have text or fields")
	}
	if o["text"] != nil {
		p.text(at+"/text", o["text"], 3000, false)
	}
	if o["fields"] != nil {
		p.count(at+"/fields", len(fields), 1, 10)
	}
	for i, f := range fields {
		p.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, false)
	}
	if o["accessory"] != nil {
		p.element(at+"/accessory", obj(o["accessory"]), append([]string{"image"}, pressable...))
	}
}

func (p *problems) image(at string, o map[string]any) {
	p.required(at, o, "image_url", 3000)
	p.required(at, o, "alt_text", 2000)
}

// table checks the size of a table, and that its cells are of a known kind.
func (p *problems) table(at string, o map[string]any) {
	rows := list(o["rows"])
	p.count(at+"/rows", len(rows), 1, 100)
	p.count(at+"/column_settings", len(list(o["column_settings"])), 0, 20)
	for i, r := range rows {
		cells := list(r)
		p.count(fmt.Sprintf("%s/rows/%d", at, i), len(cells), 1, 20)
		for j, c := range cells {
			here := fmt.Sprintf("%s/rows/%d/%d", at, i, j)
			switch cell := obj(c); str(cell["type"]) {
			case "raw_text":
				p.required(here, cell, "text", 3000)
			case "rich_text":
				p.block(here, "rich_text", cell)
			default:
				p.add(here+"/type", "unsupported cell %q", str(cell["type"]))
			}
		}
	}
}

// withIDs returns blocks with the ids that Slack gives to blocks and elements that the
// app gave none.
func withIDs(blocks json.RawMessage) []any {
	var all []any
	if json.Unmarshal(blocks, &all) != nil {
		return nil
	}
	name := func(o map[string]any, key, format string, a ...any) {
		if o != nil && str(o[key]) == "" {
			o[key] = fmt.Sprintf(format, a...)
		}
	}
	for i, b := range all {
		o := obj(b)
		name(o, "block_id", "block%d", i)
		switch str(o["type"]) {
		case "actions":
			for j, e := range list(o["elements"]) {
				name(obj(e), "action_id", "action%d.%d", i, j)
			}
		case "section":
			if a := obj(o["accessory"]); str(a["type"]) != "image" {
				name(a, "action_id", "action%d", i)
			}
		case "input":
			name(obj(o["element"]), "action_id", "action%d", i)
		}
	}
	return all
}

// obj, list, str and number read what may be anything.
func obj(v any) map[string]any { o, _ := v.(map[string]any); return o }
func list(v any) []any         { l, _ := v.([]any); return l }
func str(v any) string         { s, _ := v.(string); return s }
func number(v any) int         { n, _ := v.(float64); return int(n) }
