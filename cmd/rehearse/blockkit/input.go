package blockkit

import (
	"fmt"
	"net/url"
	"strings"
)

// maxInput is how many characters an input takes where the app says nothing.
const maxInput = 3000

// input is an input block as it is drawn.
type input struct {
	Block       string // its block_id, or the one that Slack gives it
	ID          string // the same, for attributes in which a space parts two ids
	Kind        string // the element's type
	Label       []piece
	Hint        []piece
	Wrong       string
	Required    bool
	Multiline   bool
	Placeholder string
	Value       string
	Least, Most int // characters; a browser counts some as two, so it is the stricter
	Choices     []choice
	Chosen      bool // one of the choices is chosen at first
}

type choice struct {
	ID, Value         string
	Text, Description []piece
	Chosen            bool
}

// DescribedBy are the ids of what is said about the input besides its label.
func (in *input) DescribedBy() string {
	var ids []string
	if in.Hint != nil {
		ids = append(ids, "hint-"+in.ID)
	}
	if in.Wrong != "" {
		ids = append(ids, "error-"+in.ID)
	}
	return strings.Join(ids, " ")
}

// Words are what a choice says where there is no markup: in a select.
func (c choice) Words() string {
	if c.Description == nil {
		return plain(c.Text)
	}
	return plain(c.Text) + " – " + plain(c.Description)
}

// Alone reports whether there is one choice. Only then can the browser require it: it knows
// of no group of which one must be checked.
func (in *input) Alone() bool { return len(in.Choices) == 1 }

// input reads an input block, the i-th of all. If it has an element that keyturn does not
// use, its name comes instead.
func (r Reader) input(i int, b block, wrong map[string]string) (in *input, unknown string) {
	e := b.Element
	in = &input{
		Block: b.ID, Kind: e.Type, Label: r.text(b.Label), Hint: r.text(b.Hint), Wrong: wrong[b.ID],
		Required: !b.Optional, Multiline: e.Multiline, Placeholder: r.words(e.Placeholder),
		Value: e.InitialValue, Least: e.MinLength, Most: e.MaxLength,
	}
	if in.Most == 0 {
		in.Most = maxInput
	}
	if in.Block == "" {
		in.Block = fmt.Sprintf("block%d", i)
	}
	in.ID = url.PathEscape(in.Block)
	switch {
	case e.Type == "radio_buttons":
		return nil, inWords(e.Type)
	case len(e.OptionGroups) > 0:
		return nil, "grouped select"
	}
	chosen := map[string]bool{}
	if e.InitialOption != nil {
		chosen[e.InitialOption.Value] = true
	}
	for _, o := range e.InitialOptions {
		chosen[o.Value] = true
	}
	for n, o := range e.Options {
		in.Choices = append(in.Choices, choice{
			ID: fmt.Sprintf("choice%d-%s", n, in.ID), Value: o.Value, Chosen: chosen[o.Value],
			Text: r.text(o.Text), Description: r.text(o.Description),
		})
	}
	in.Chosen = len(chosen) > 0
	return in, ""
}
