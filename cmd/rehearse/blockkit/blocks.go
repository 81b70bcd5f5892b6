package blockkit

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

// This file reads blocks that the checker took, into what the template blocks.html draws.

// block is a block as Slack gets it.
type block struct {
	Type      string
	ID        string `json:"block_id"`
	Text      *textObject
	Fields    []*textObject
	Accessory *element
	Elements  json.RawMessage
	Label     *textObject
	Hint      *textObject
	Element   *element
	Optional  bool
}

type textObject struct {
	Type     string
	Text     string
	Verbatim bool
}

// element is an element of a block, or an image among texts.
type element struct {
	Type           string
	ActionID       string `json:"action_id"`
	Text           *textObject
	Value          string
	URL            string
	Style          string
	Label          string `json:"accessibility_label"`
	Confirm        *confirm
	Placeholder    *textObject
	InitialValue   string `json:"initial_value"`
	Multiline      bool
	MinLength      int `json:"min_length"`
	MaxLength      int `json:"max_length"`
	Options        []option
	OptionGroups   []any    `json:"option_groups"`
	InitialOption  *option  `json:"initial_option"`
	InitialOptions []option `json:"initial_options"`
}

type confirm struct {
	Title, Text, Confirm, Deny *textObject
	Style                      string
}

type option struct {
	Text, Description *textObject
	Value             string
}

// shown is a block as it is drawn.
type shown struct {
	Kind      string // what its class is named for
	Unknown   string // what is not drawn; the rest is then empty
	Text      []piece
	Fields    [][]piece
	Parts     []part // of a context or of actions
	Accessory *part
	Input     *input
}

// part is a text, a button, or what is not drawn.
type part struct {
	Unknown string
	Text    []piece
	Button  *button
}

type button struct {
	Words, Label        string
	Action              template.HTMLAttr
	Block, Value, Style string
	Confirm             *confirmation
}

// confirmation is what is asked before a press counts.
type confirmation struct{ Title, Text, Yes, No, Style string }

// read turns blocks into what is drawn of them. An error means that one has a property of a
// type that it cannot be of.
func (r Reader) read(blocks json.RawMessage, wrong map[string]string) ([]shown, error) {
	var all []block
	if err := json.Unmarshal(blocks, &all); err != nil {
		return nil, fmt.Errorf("reading the blocks: %w", err)
	}
	out := make([]shown, len(all))
	for i, b := range all {
		var err error
		if out[i], err = r.block(i, b, wrong); err != nil {
			return nil, fmt.Errorf("reading block %d: %w", i, err)
		}
	}
	return out, nil
}

func (r Reader) block(i int, b block, wrong map[string]string) (shown, error) {
	s := shown{Kind: strings.ReplaceAll(b.Type, "_", "-")}
	var err error
	switch b.Type {
	case "header":
		s.Text = r.text(b.Text)
	case "section":
		s.Text = r.text(b.Text)
		for _, f := range b.Fields {
			s.Fields = append(s.Fields, r.text(f))
		}
		if b.Accessory != nil {
			p := r.pressable(b.ID, b.Accessory)
			s.Accessory = &p
		}
	case "divider":
	case "context":
		err = r.context(&s, b)
	case "actions":
		var elements []*element
		err = json.Unmarshal(b.Elements, &elements)
		for _, e := range elements {
			s.Parts = append(s.Parts, r.pressable(b.ID, e))
		}
	case "rich_text":
		var elements []rich
		err = json.Unmarshal(b.Elements, &elements)
		for _, e := range elements {
			s.Text = append(s.Text, r.rich(e))
		}
	case "input":
		s.Input, s.Unknown = r.input(i, b, wrong)
	default:
		s.Unknown = inWords(b.Type)
	}
	return s, err
}

// context reads the elements of a context: texts, which are text objects themselves, and
// images.
func (r Reader) context(s *shown, b block) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(b.Elements, &elements); err != nil {
		return err
	}
	for _, raw := range elements {
		var o textObject
		if err := json.Unmarshal(raw, &o); err != nil {
			return err
		}
		if o.Type == "image" {
			s.Parts = append(s.Parts, part{Unknown: inWords(o.Type)})
			continue
		}
		s.Parts = append(s.Parts, part{Text: r.text(&o)})
	}
	return nil
}

// pressable reads what can be pressed: a button, as far as keyturn goes.
func (r Reader) pressable(block string, e *element) part {
	switch {
	case e.Type != "button":
		return part{Unknown: inWords(e.Type)}
	case e.URL != "":
		return part{Unknown: "link button"}
	}
	b := &button{
		Words: r.words(e.Text), Label: e.Label, Action: actionAttr(e.ActionID),
		Block: block, Value: e.Value, Style: e.Style,
	}
	if c := e.Confirm; c != nil {
		b.Confirm = &confirmation{
			Title: r.words(c.Title), Text: r.words(c.Text), Yes: r.words(c.Confirm), No: r.words(c.Deny),
			Style: c.Style,
		}
	}
	return part{Button: b}
}

// actionAttr is the one attribute that no template escapes: html/template takes data-action
// for an address, as a form's action is one, and would put #ZgotmplZ for ask:revoke.
func actionAttr(id string) template.HTMLAttr {
	return template.HTMLAttr(`data-action="` + template.HTMLEscapeString(id) + `"`)
}

// text draws a text object; none is drawn as nothing.
func (r Reader) text(o *textObject) []piece {
	switch {
	case o == nil:
		return nil
	case o.Type == "mrkdwn":
		return r.mrkdwn(o.Text, o.Verbatim)
	}
	return literal(o.Text)
}

// words is a text object for where there is no markup.
func (r Reader) words(o *textObject) string { return plain(r.text(o)) }

// inWords is a type as it is called.
func inWords(kind string) string { return strings.ReplaceAll(kind, "_", " ") }
