// Package blockkit draws Slack's Block Kit as HTML: the blocks that keyturn uses, and
// mrkdwn, for whoever reads.
//
// It draws nothing that Slack would refuse, and says why instead. It never builds HTML out
// of data: mrkdwn and blocks become typed pieces, and html/template writes those. There is
// no script, no style attribute and no event handler in what it writes; what a press means
// is up to the page, which reads the data attributes of the buttons.
package blockkit

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"time"

	"keyturn/bot/slacksim"
)

//go:embed blocks.html text.html
var files embed.FS

var templates = template.Must(template.ParseFS(files, "*.html"))

//go:embed blockkit.css
var css string

// CSS is the style sheet of what this package draws. Its colours are custom properties,
// which the page defines.
func CSS() []byte { return []byte(css) }

// Reader is whoever reads.
type Reader struct {
	ID   string                 // a mention of them stands out
	Name func(id string) string // name of a person, user group or channel, without @ or #; "": not known, the id is shown
	Zone *time.Location         // nil: the local one
}

// Message draws the blocks of a message. Its headers are <h3>.
func (r Reader) Message(blocks json.RawMessage) template.HTML {
	return r.draw(blocks, slacksim.OnMessage, nil)
}

// Modal draws the blocks of a modal, with what is wrong with an input beside it, by block_id.
// It is for the one modal that is open: the ids of two would be the same.
func (r Reader) Modal(blocks json.RawMessage, wrong map[string]string) template.HTML {
	return r.draw(blocks, slacksim.InModal, wrong)
}

// Text draws mrkdwn, such as the text of a message without blocks, in a <div>. It is taken
// as text that is not verbatim: mentions and addresses that stand in it bare are found.
func (r Reader) Text(mrkdwn string) template.HTML {
	return execute("text", r.mrkdwn(mrkdwn, false))
}

func (r Reader) draw(blocks json.RawMessage, where slacksim.Surface, wrong map[string]string) template.HTML {
	if problems := slacksim.CheckBlocks(blocks, where); len(problems) > 0 {
		return execute("refused", problems)
	}
	shown, err := r.read(blocks, wrong)
	if err != nil { // a type that the checker does not look at, such as a number for a value
		return execute("refused", []string{"[ERROR] " + err.Error()})
	}
	return execute("blocks", shown)
}

func execute(name string, data any) template.HTML {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("blockkit: the template %s does not fit its data: %v", name, err))
	}
	return template.HTML(b.String())
}
