package slacksim

import (
	"fmt"
	"slices"
)

// maxInput is the most that a plain_text_input takes.
const maxInput = 3000

// elementProperties are the elements that keyturn may use.
var elementProperties = map[string][]string{
	"button":     {"text", "action_id", "url", "value", "style", "confirm", "accessibility_label"},
	"checkboxes": {"action_id", "options", "initial_options", "confirm", "focus_on_load"},
	"image":      {"image_url", "alt_text"},
	"overflow":   {"action_id", "options", "confirm"},
	"plain_text_input": {
		"action_id", "initial_value", "multiline", "min_length", "max_length", "placeholder",
		"focus_on_load", "dispatch_action_config",
	},
	"radio_buttons": {"action_id", "options", "initial_option", "confirm", "focus_on_load"},
	"static_select": {
		"action_id", "options", "option_groups", "initial_option", "placeholder", "confirm",
		"focus_on_load",
	},
}

func (p *problems) element(at string, e map[string]any, allowed []string) {
	kind := str(e["type"])
	if !slices.Contains(allowed, kind) {
		p.add(at+"/type", "unsupported element %q", kind)
		return
	}
	p.only(at, e, elementProperties[kind]...)
	p.length(at+"/action_id", str(e["action_id"]), 255)
	p.optionalText(at, e, "placeholder", 150)
	if e["confirm"] != nil {
		p.confirm(at+"/confirm", obj(e["confirm"]))
	}
	switch kind {
	case "button":
		p.text(at+"/text", e["text"], 75, true)
		p.length(at+"/value", str(e["value"]), 2000)
		p.length(at+"/url", str(e["url"]), 3000)
		p.length(at+"/accessibility_label", str(e["accessibility_label"]), 75)
		p.style(at, e)
	case "image":
		p.image(at, e)
	case "plain_text_input":
		p.input(at, e)
	case "overflow":
		p.options(at, e, 5, true)
	case "static_select":
		p.selection(at, e)
	case "checkboxes", "radio_buttons":
		p.options(at, e, 10, false)
		p.initial(at, e)
	}
}

func (p *problems) style(at string, o map[string]any) {
	if s, has := o["style"]; has && s != "primary" && s != "danger" {
		p.add(at+"/style", "unsupported style %q", s)
	}
}

func (p *problems) confirm(at string, c map[string]any) {
	p.only(at, c, "title", "text", "confirm", "deny", "style")
	p.text(at+"/title", c["title"], 100, true)
	p.text(at+"/text", c["text"], 300, false)
	p.text(at+"/confirm", c["confirm"], 30, true)
	p.text(at+"/deny", c["deny"], 30, true)
	p.style(at, c)
}

func (p *problems) input(at string, e map[string]any) {
	most, least := maxInput, number(e["min_length"])
	if e["max_length"] != nil {
		if most = number(e["max_length"]); most < 1 || most > maxInput {
			p.add(at+"/max_length", "must be 1 to %d", maxInput)
		}
	}
	if least < 0 || least > most {
		p.add(at+"/min_length", "must be 0 to %d", most)
	}
	p.length(at+"/initial_value", str(e["initial_value"]), most)
}

func (p *problems) selection(at string, e map[string]any) {
	groups := list(e["option_groups"])
	if (e["options"] == nil) == (e["option_groups"] == nil) {
		p.add(at, "must have either options or option_groups")
		return
	}
	if e["options"] != nil {
		p.options(at, e, 100, true)
	} else {
		p.count(at+"/option_groups", len(groups), 1, 100)
	}
	for i, v := range groups {
		here, g := fmt.Sprintf("%s/option_groups/%d", at, i), obj(v)
		p.only(here, g, "label", "options")
		p.text(here+"/label", g["label"], 75, true)
		p.options(here, g, 100, true)
	}
	p.initial(at, e)
}

// options checks a list of choices; plain: their texts must be plain_text. A
// description may have 75 characters, or 150: sources differ, and this takes 75.
func (p *problems) options(at string, e map[string]any, most int, plain bool) {
	all := list(e["options"])
	p.count(at+"/options", len(all), 1, most)
	for i, v := range all {
		here, o := fmt.Sprintf("%s/options/%d", at, i), obj(v)
		p.only(here, o, "text", "value", "description", "url")
		p.text(here+"/text", o["text"], 75, plain)
		p.required(here, o, "value", 75)
		if o["description"] != nil {
			p.text(here+"/description", o["description"], 75, plain)
		}
		p.length(here+"/url", str(o["url"]), 3000)
	}
}

// initial checks that what is chosen at first is among the choices.
func (p *problems) initial(at string, e map[string]any) {
	chosen := slices.Clone(list(e["initial_options"]))
	if e["initial_option"] != nil {
		chosen = append(chosen, e["initial_option"])
	}
	if e["initial_options"] != nil && len(chosen) == 0 {
		p.add(at+"/initial_options", "must be at least 1")
	}
	for _, v := range chosen {
		is, o := obj(v), option(e, str(obj(v)["value"]))
		if o == nil || str(obj(o["text"])["text"]) != str(obj(is["text"])["text"]) {
			p.add(at+"/initial_option", "%q is none of the options", str(is["value"]))
		}
	}
}

// richProperties are the properties of each kind of rich text element; the first must
// be there.
var richProperties = map[string][]string{
	"broadcast": {"range"},
	"channel":   {"channel_id", "style"},
	"date":      {"format", "timestamp", "url", "fallback", "style"},
	"emoji":     {"name", "unicode", "style"},
	"link":      {"url", "text", "unsafe", "style"},
	"text":      {"text", "style"},
	"user":      {"user_id", "style"},
	"usergroup": {"usergroup_id", "style"},
}

func (p *problems) richText(at string, o map[string]any) {
	kind := str(o["type"])
	switch kind {
	case "rich_text_list":
		p.only(at, o, "elements", "style", "indent", "offset", "border")
		if s := str(o["style"]); s != "bullet" && s != "ordered" {
			p.add(at+"/style", "must be bullet or ordered")
		}
	case "rich_text_section":
		p.only(at, o, "elements")
	case "rich_text_preformatted":
		p.only(at, o, "elements", "border", "language")
	case "rich_text_quote":
		p.only(at, o, "elements", "border")
	default:
		p.add(at+"/type", "unsupported rich text %q", kind)
		return
	}
	elements, is := o["elements"].([]any)
	if !is {
		p.add(at+"/elements", "must be a list")
	}
	for i, v := range elements {
		here, e := fmt.Sprintf("%s/elements/%d", at, i), obj(v)
		if kind == "rich_text_list" {
			if str(e["type"]) != "rich_text_section" {
				p.add(here+"/type", "must be rich_text_section")
			}
			p.richText(here, e)
			continue
		}
		p.richElement(here, e)
	}
}

func (p *problems) richElement(at string, e map[string]any) {
	kind := str(e["type"])
	names, known := richProperties[kind]
	if !known {
		p.add(at+"/type", "unsupported rich text element %q", kind)
		return
	}
	p.only(at, e, names...)
	if str(e[names[0]]) == "" {
		p.add(at+"/"+names[0], "must be at least 1 character")
	}
	if kind == "date" && number(e["timestamp"]) == 0 {
		p.add(at+"/timestamp", "must be a time")
	}
	ranges := []string{"here", "channel", "everyone"}
	if kind == "broadcast" && !slices.Contains(ranges, str(e["range"])) {
		p.add(at+"/range", "must be here, channel or everyone")
	}
}
