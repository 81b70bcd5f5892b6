package bot

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/bot/socket"
	"keyturn/mgmt"
)

// TestWhichHelloADrillGoesOnAfter tells a bot of its hellos, and asks what it then takes.
func TestWhichHelloADrillGoesOnAfter(t *testing.T) {
	for _, tc := range []struct {
		name   string
		drill  bool
		hellos []socket.Status
		ends   bool
	}{
		{"alone", true, []socket.Status{{Connections: 1, Held: 1}}, false},
		{"beside another", true, []socket.Status{{Connections: 2, Held: 1}}, true},
		{"beside another that comes later", true, []socket.Status{{Connections: 1, Held: 1}, {Connections: 3, Held: 2}}, false},
		{"beside another that is gone later", true, []socket.Status{{Connections: 2, Held: 1}, {Connections: 1, Held: 1}}, true},
		{"beside one of which it is not known whose it is", true, []socket.Status{{Connections: 2, Held: 2}}, true},
		{"Slack does not say", true, []socket.Status{{Held: 1}}, true},
		{"no drill", false, []socket.Status{{Connections: 2, Held: 1}}, false},
		{"no drill, and Slack does not say", false, []socket.Status{{Held: 1}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := New(Config{Drill: tc.drill, Now: time.Now})
			defer b.Close()
			for _, hello := range tc.hellos {
				hello.State = socket.Connected
				b.report(hello)
			}
			if err := b.refusal(); errors.Is(err, ErrNotAlone) != tc.ends {
				t.Errorf("it ends with %v", err)
			}
			if got := b.alone(t.Context()); got == tc.ends {
				t.Errorf("alone is %v", got)
			}
			if got := b.acksFirst("slash_commands"); got == tc.ends {
				t.Errorf("commands are acknowledged first: %v", got)
			}
			_, err := b.receive(t.Context(), socket.Envelope{ID: "e1", Type: "of no interest"})
			if (err != nil) != tc.ends {
				t.Errorf("an envelope is taken with %v", err)
			}
		})
	}
}

// TestTheMarkFits marks the largest messages that there are, and each modal.
func TestTheMarkFits(t *testing.T) {
	b := &Bot{Config: Config{Drill: true}}
	look := &audit.Look{At: asked}
	for range 120 {
		look.Keys = append(look.Keys, audit.Key{KID: strings.Repeat("k", 54), Role: mgmt.RolePrevious.String(), SHA1: strings.Repeat("A", 40)})
	}
	var requests []approval.Request
	for i := range 40 {
		r, _ := told(approval.Revoke, approval.Pending)
		r.Revision = int64(i)
		requests = append(requests, r)
	}
	_, story := told(approval.RotateAndRevoke, approval.Done)
	keys := keyBlocks("prod", look, asked, true)
	for name, blocks := range map[string][]slack.Block{
		"keys":     keys,
		"changed":  append(append([]slack.Block{section("They changed.")}, keys...), contextLine("Your reason was:"), quote("a leak")), // Bot.answer
		"requests": openBlocks(requests, func(*approval.Request) string { return "link" }),
		"audit":    trailBlocks("The trail", slices.Repeat(story, maxEntries), "the end"),
	} {
		before := len(blocks)
		_, blocks = b.marked("", blocks)
		if len(blocks) != before+1 {
			t.Errorf("%s: %d blocks with the mark, want %d", name, len(blocks), before+1)
		}
		raw, err := json.Marshal(blocks)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range slacksim.CheckBlocks(raw, slacksim.OnMessage) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	views := []slack.ModalViewRequest{explainModal("kt-abcd2345", "C1")}
	for _, action := range approval.Actions {
		views = append(views, loadingModal(action))
	}
	for _, v := range views {
		if got, want := b.markedView(v).Title.Text, "DRILL: "+v.Title.Text; got != want {
			t.Errorf("a modal's title is %q, want %q", got, want)
		}
	}
}

func TestADrillsCard(t *testing.T) {
	r, story := told(approval.RotateAndRevoke, approval.Pending)
	text, blocks := card(r, story, board{approvers: []string{"UALICE", "UBOB", "SONCALL"}, mention: true})
	text, blocks = (&Bot{Config: Config{Drill: true}}).marked(text, blocks)
	golden(t, "card-drill", slacksim.OnMessage, blocks)
	if want := "DRILL · Rotate, then revoke the signing key of prod: waiting for a second person"; text != want {
		t.Errorf("the notification says %q, want %q", text, want)
	}
}
