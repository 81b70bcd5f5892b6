package bot

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares blocks with a file, and lets none be recorded that Slack would
// refuse.
func golden(t *testing.T, name string, where slacksim.Surface, blocks []slack.Block) {
	t.Helper()
	b, err := json.MarshalIndent(blocks, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range slacksim.CheckBlocks(b, where) {
		t.Errorf("%s: Slack would refuse it: %s", name, problem)
	}
	path := filepath.Join("testdata", "blocks", name+".json")
	if *update && !t.Failed() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(want), b) {
		t.Errorf("%s differs from its golden file (go test ./bot -update writes it anew); now it reads:\n%s", name, slacksim.PlainText(b))
	}
}

var (
	alice  = audit.Actor{Team: "T1", User: "UALICE", Name: "alice"}
	bob    = audit.Actor{Team: "T1", User: "UBOB", Name: "bob"}
	asked  = time.Date(2026, 11, 23, 3, 12, 0, 0, time.UTC)
	sample = &audit.Look{
		At: asked,
		Keys: []audit.Key{
			{KID: "nextnextnextnextnext1", Role: mgmt.RoleNext.String(), SHA1: "AA11"},
			{KID: "currentcurrentcurrent", Role: mgmt.RoleCurrent.String(), SHA1: "BB22", Since: asked.Add(-200 * 24 * time.Hour)},
			{KID: "previousprevious12345", Role: mgmt.RolePrevious.String(), SHA1: "CC33", Since: asked.Add(-400 * 24 * time.Hour), Until: asked.Add(-200 * 24 * time.Hour)},
			{KID: "revokedrevoked1234567", Role: mgmt.RoleRevoked.String(), SHA1: "DD44", RevokedAt: asked.Add(-300 * 24 * time.Hour)},
		},
		JWKS: []audit.Published{
			{Domain: "acme.eu.auth0.com", KIDs: []string{"nextnextnextnextnext1", "currentcurrentcurrent", "previousprevious12345"}},
			{Domain: "login.acme.com", KIDs: []string{"currentcurrentcurrent"}},
			{Domain: "down.acme.com", Err: "reading the JWKS: auth0: 503"},
		},
		Rotations: 2,
	}
)

// told is a request of an action that has come to a state, with its story.
func told(action approval.Action, state approval.State) (approval.Request, []audit.Entry) {
	r := approval.Request{
		ID: "kt-abcd2345", Tenant: "prod", Action: action, State: state, Requester: alice, Reason: "<!channel> pasted in a *build* log", Link: "https://incident.example/1",
		Channel: "C1", AskedAt: asked, EnteredAt: asked.Add(time.Minute), ExpiresAt: asked.Add(30 * time.Minute), Revision: 1,
		KID: "currentcurrentcurrent", Pins: audit.Pins{Current: &audit.Pin{KID: "currentcurrentcurrent"}, Next: &audit.Pin{KID: "nextnextnextnextnext1"}, Previous: []string{"previousprevious12345"}},
	}
	if action == approval.Revoke {
		r.KID, r.Pins = "previousprevious12345", audit.Pins{Key: &audit.Pin{KID: "previousprevious12345"}}
	}
	change := &audit.Change{Action: string(action), Pins: r.Pins, Requester: alice, Reason: r.Reason, Link: r.Link, Channel: "C1"}
	step := func(write approval.Action) *audit.Step {
		return &audit.Step{Write: string(write), KID: r.KID, Attempt: 1}
	}
	story := []audit.Entry{{Kind: audit.Asked, Actor: &alice, Change: change, Look: sample}}
	add := func(entries ...audit.Entry) { story = append(story, entries...) }
	switch state {
	case approval.Pending:
	case approval.Denied:
		add(audit.Entry{Kind: audit.Denied, Actor: &bob}, audit.Entry{Kind: audit.Explained, Actor: &bob, Reason: "the wrong key, <@UALICE>"})
	case approval.Cancelled:
		add(audit.Entry{Kind: audit.Cancelled, Actor: &alice})
	case approval.Expired:
		add(audit.Entry{Kind: audit.Expired, Note: "Nobody decided in time. No key was touched."})
	default:
		r.Approver = bob
		add(audit.Entry{Kind: audit.Approved, Actor: &bob, Change: change})
		switch state {
		case approval.Approved:
		case approval.Voided:
			add(audit.Entry{Kind: audit.Voided, Note: "The keys are not as they were when this was asked for. Nothing was applied; ask again."})
		default:
			add(audit.Entry{Kind: audit.Began, Look: sample})
			write := approval.Rotate
			if action == approval.Revoke {
				write = approval.Revoke
			}
			add(audit.Entry{Kind: audit.Intended, Step: step(write), Change: change},
				audit.Entry{Kind: audit.Answered, Step: step(write), Answer: &audit.Answer{Sent: true, Words: "the answer was lost"}})
			if state != approval.Failed && state != approval.InDoubt && write == approval.Rotate {
				add(audit.Entry{Kind: audit.Rotated, Step: step(write), Note: "The next key is in use, and the key before it is previously used.", Look: sample})
			}
			account := &audit.Account{Tried: []string{"rotate, attempt 1, 03:12:04 UTC: Auth0 answered 502 (<b>)."}, Unproven: []string{"Whether anybody reads this."}}
			switch {
			case state == approval.Working && write == approval.Revoke:
				add(audit.Entry{Kind: audit.Waiting, Note: "Auth0 does not answer as it should, still looking: auth0: 503"})
			case state == approval.Done && action != approval.Rotate:
				account.CachedUntil = asked.Add(approval.LongestCache)
			case state == approval.Failed:
				account.Reset = asked.Add(4 * time.Hour)
			}
			if state != approval.Working {
				add(audit.Entry{Kind: audit.Kind(state), Note: "What is true, said by <Auth0>.", Look: sample, Account: account})
			}
			switch {
			case state == approval.InDoubt && action != approval.Rotate:
				add(audit.Entry{Kind: audit.Stated, Actor: &alice, Says: string(approval.DidNot)})
			case state == approval.Done && action == approval.RotateAndRevoke:
				add(audit.Entry{Kind: audit.Unlisted, Note: "The key is gone from the JWKS of login.acme.com.", Look: sample, Account: account})
			}
		}
	}
	for i := range story {
		story[i].Seq, story[i].Time = int64(i+1), asked.Add(time.Duration(i)*time.Second)
		story[i].Tenant, story[i].Request = r.Tenant, string(r.ID)
	}
	r.Revision = int64(len(story))
	return r, story
}

// TestCards draws the card, the thread and the audit posts of every action in every
// state, and holds them to their golden files.
func TestCards(t *testing.T) {
	b := board{approvers: []string{"UALICE", "UBOB", "SONCALL"}, mention: true}
	for _, action := range approval.Actions {
		for _, state := range approval.States {
			name := string(action) + "-" + strings.ReplaceAll(string(state), "_", "-")
			r, story := told(action, state)
			_, blocks := card(r, story, b)
			golden(t, "card-"+name, slacksim.OnMessage, blocks)

			var posts []slack.Block
			for _, e := range story {
				if line, ok := threadLine(e, naming(true)); ok {
					posts = append(posts, section(line))
				}
				if isPosted(e) {
					_, post := trailPost(e, story, true)
					posts = append(posts, post...)
				}
				posts = append(posts, section(entryLine(e)))
			}
			golden(t, "posts-"+name, slacksim.OnMessage, posts)
		}
	}
}

// TestFrozenCards: until a request is at its end its card says that nothing is written.
func TestFrozenCards(t *testing.T) {
	b := board{approvers: []string{"UALICE", "UBOB"}, mention: true, frozen: true}
	for _, state := range approval.States {
		r, story := told(approval.RotateAndRevoke, state)
		_, blocks := card(r, story, b)
		if says := strings.Contains(slacksim.PlainText(encoded(t, blocks)),
			"keyturn is frozen"); says == state.IsFinal() {
			t.Errorf("the card of what is %s says so: %v", state, says)
		}
		if state == approval.Pending {
			golden(t, "card-frozen", slacksim.OnMessage, blocks)
		}
	}
}

func encoded(t *testing.T, blocks []slack.Block) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestListsAndModals(t *testing.T) {
	golden(t, "list", slacksim.OnMessage, keyBlocks("prod", sample, asked, true))
	golden(t, "list-empty", slacksim.OnMessage, keyBlocks("prod", &audit.Look{At: asked}, asked, false))
	pending, _ := told(approval.Rotate, approval.Pending)
	working, _ := told(approval.Revoke, approval.Working)
	doubted, _ := told(approval.Revoke, approval.InDoubt)
	golden(t, "requests", slacksim.OnMessage, openBlocks([]approval.Request{pending, working, doubted}, func(r *approval.Request) string { return code(string(r.ID)) }))
	golden(t, "requests-none", slacksim.OnMessage, openBlocks(nil, nil))
	help := helpWords(defaultSlash, []string{"prod", "staging"})
	golden(t, "help", slacksim.OnMessage, []slack.Block{section(help)})
	for _, action := range approval.Actions {
		a := asking{Tenant: "prod", Action: action, Shown: approval.Shown(sample)}
		m := askModal(a, sample, meant{reason: "typed `before`"}, defaultSlash, asked)
		golden(t, "modal-"+string(action), slacksim.InModal, m.Blocks.BlockSet)
	}
	golden(t, "modal-explain", slacksim.InModal, explainModal("kt-abcd2345", "C1").Blocks.BlockSet)
	golden(t, "modal-loading", slacksim.InModal, loadingModal(approval.Revoke).Blocks.BlockSet)
}

// TestQuiet draws everything with mentions off: only names are left.
func TestQuiet(t *testing.T) {
	for _, action := range approval.Actions {
		for _, state := range approval.States {
			r, story := told(action, state)
			_, blocks := card(r, story, board{approvers: []string{"UALICE", "SONCALL"}})
			for _, e := range story {
				if line, ok := threadLine(e, naming(false)); ok {
					blocks = append(blocks, section(line))
				}
				_, post := trailPost(e, story, false)
				blocks = append(blocks, post...)
			}
			b, err := json.Marshal(blocks)
			if err != nil {
				t.Fatal(err)
			}
			s := strings.ReplaceAll(string(b), `the wrong key, \u003c@UALICE\u003e`, "") // typed, and rich text
			if strings.Contains(s, `\u003c@U`) || strings.Contains(s, `\u003c!subteam`) {
				t.Errorf("%s %s mentions somebody: %s", action, state, slacksim.PlainText(b))
			}
		}
	}
}

// TestManyKeysAndRequestsStillFit draws far more than there should ever be.
func TestManyKeysAndRequestsStillFit(t *testing.T) {
	look := &audit.Look{At: asked}
	for range 120 {
		look.Keys = append(look.Keys, audit.Key{KID: strings.Repeat("k", 54), Role: mgmt.RolePrevious.String(), SHA1: strings.Repeat("A", 40)})
	}
	var requests []approval.Request
	for range 40 {
		r, _ := told(approval.Revoke, approval.Pending)
		r.ID += approval.ID(rune('a' + len(requests)%26))
		r.Revision = int64(len(requests))
		requests = append(requests, r)
	}
	for name, blocks := range map[string][]slack.Block{
		"keys": keyBlocks("prod", look, asked, true), "requests": openBlocks(requests, func(*approval.Request) string { return "link" }),
	} {
		b, err := json.Marshal(blocks)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range slacksim.CheckBlocks(b, slacksim.OnMessage) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	a := asking{Tenant: "prod", Action: approval.Revoke, Shown: approval.Shown(look)}
	m := askModal(a, look, meant{reason: strings.Repeat("x", 5000)}, defaultSlash, asked)
	b, err := json.Marshal(m.Blocks.BlockSet)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range slacksim.CheckBlocks(b, slacksim.InModal) {
		t.Errorf("modal: %s", problem)
	}
	if n := len(m.PrivateMetadata); n > 3000 {
		t.Errorf("the modal's metadata has %d characters, at most 3,000", n)
	}
}
