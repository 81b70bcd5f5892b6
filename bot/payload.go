package bot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
)

// What Slack sends, as far as keyturn reads it. The types are ours and small: a
// field of another shape than some library expects must not cost a press.

// command is the payload of a slash command.
type command struct {
	Team        string `json:"team_id"`
	Enterprise  string `json:"enterprise_id"`
	Channel     string `json:"channel_id"`
	User        string `json:"user_id"`
	Command     string `json:"command"`
	Text        string `json:"text"`
	ResponseURL string `json:"response_url"`
	TriggerID   string `json:"trigger_id"`
}

// interaction is the payload of a press or of a submitted modal.
type interaction struct {
	Type string `json:"type"`
	User struct {
		ID   string `json:"id"`
		Team string `json:"team_id"`
	} `json:"user"`
	Team struct {
		ID         string `json:"id"`
		Enterprise string `json:"enterprise_id"`
	} `json:"team"` // null for org-wide installs, which are refused at the start
	Enterprise struct {
		ID string `json:"id"`
	} `json:"enterprise"` // null outside of Enterprise Grid
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Container struct {
		Type      string `json:"type"`
		Channel   string `json:"channel_id"`
		Message   string `json:"message_ts"`
		Thread    string `json:"thread_ts"`
		Ephemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Actions []struct {
		Action string `json:"action_id"`
		Block  string `json:"block_id"`
		Value  string `json:"value"`
	} `json:"actions"`
	View struct {
		ID       string `json:"id"`
		Callback string `json:"callback_id"`
		Metadata string `json:"private_metadata"`
		Install  string `json:"app_installed_team_id"`
		State    struct {
			Values map[string]map[string]input `json:"values"`
		} `json:"state"`
	} `json:"view"`
	TriggerID string `json:"trigger_id"`
}

// input is what a modal's input holds.
type input struct {
	Value    string `json:"value"`
	Selected struct {
		Value string `json:"value"`
	} `json:"selected_option"`
	Checked []struct {
		Value string `json:"value"`
	} `json:"selected_options"`
}

func (i interaction) channel() string {
	if i.Channel.ID != "" {
		return i.Channel.ID
	}
	return i.Container.Channel
}

func (i interaction) input(block string) input {
	for _, v := range i.View.State.Values[block] {
		return v // each of our input blocks holds one element
	}
	return input{}
}

// presser is somebody as the payload names them. What it did not say is "".
type presser struct {
	User       string `json:"user"`
	Team       string `json:"team,omitempty"`       // their own workspace
	Enterprise string `json:"enterprise,omitempty"` // the organisation of where it happened
	Install    string `json:"install,omitempty"`    // the workspace whose keyturn was meant

	// often says that they pressed so often of late that no user group is read for them.
	often bool
	// again says that this may be answered by what they were a moment ago: the same was refused
	// before, or it is only about reading.
	again bool
}

func (c command) presser() presser {
	return presser{User: c.User, Team: c.Team, Enterprise: c.Enterprise}
}

func (i interaction) presser() presser {
	return presser{
		User: i.User.ID, Team: cmp.Or(i.User.Team, i.Team.ID),
		Enterprise: cmp.Or(i.Enterprise.ID, i.Team.Enterprise), Install: i.View.Install,
	}
}

// card is the message whose button was pressed, if it may be a request's card: one that
// only its reader sees, or that is in a thread, is none.
func (i interaction) card() (ts string) {
	if c := i.Container; c.Type == "message" && !c.Ephemeral && (c.Thread == "" || c.Thread == c.Message) {
		return c.Message
	}
	return ""
}

// The action ids of our buttons, beside those of approval.Verb.
const (
	actAsk     = "ask"     // opens the asking modal
	actShare   = "share"   // posts the list
	actExplain = "explain" // opens the modal for saying why
)

// requestBlock names the block that holds a request's buttons. Slack wants another
// block id each time a message is updated.
func requestBlock(id approval.ID, revision int64) string {
	return fmt.Sprintf("request:%s:%d", id, revision)
}

// press reads a press on a request's buttons, and reports whether it is one: exactly
// one action, of ours, in our block, about the request that the block is of.
func (i interaction) press() (id approval.ID, verb approval.Verb, ok bool) {
	if len(i.Actions) != 1 {
		return "", "", false
	}
	a := i.Actions[0]
	verb = approval.Verb(a.Action)
	if !slices.Contains(approval.Verbs, verb) {
		return "", "", false
	}
	parts := strings.Split(a.Block, ":")
	if len(parts) != 3 || parts[0] != "request" || parts[1] != a.Value {
		return "", "", false
	}
	return approval.ID(a.Value), verb, true
}

// received is what the inbox keeps. It holds no trigger id and no response URL:
// those are secrets, and of no use after a restart.
type received struct {
	Who     presser     `json:"who"`
	Channel string      `json:"channel"`
	Request approval.ID `json:"request,omitempty"` // press, explain

	Verb    approval.Verb `json:"verb,omitempty"`    // a press
	Message string        `json:"message,omitempty"` // the card whose button was pressed
	Ask     *asking       `json:"ask,omitempty"`     // a submitted asking modal
	Explain string        `json:"explain,omitempty"` // a submitted explanation
}

// asking is what the asking modal asks for. The first part travels in its metadata.
type asking struct {
	Tenant  string          `json:"tenant"`
	Action  approval.Action `json:"action"`
	Channel string          `json:"channel"`
	Shown   string          `json:"shown"`         // the keys as they were shown
	KID     string          `json:"kid,omitempty"` // revoke: chosen before the modal

	Cause    string `json:"cause,omitempty"` // the view's id
	Reason   string `json:"reason,omitempty"`
	Link     string `json:"link,omitempty"`
	Prepared bool   `json:"prepared,omitempty"`
}

// target is what a button that opens the asking modal carries.
type target struct {
	Tenant string          `json:"t"`
	Action approval.Action `json:"a"`
	KID    string          `json:"k,omitempty"`
	typed  typed           // with a command
	slash  slash           // the command; "": a button
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types of strings and numbers always encode
	}
	return string(b)
}

// The times that bound work.
const (
	judgeTimeout = 3 * time.Second  // to establish who somebody is
	workTimeout  = 30 * time.Second // for anything a person waits for
)
