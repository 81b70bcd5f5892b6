package bot

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/approval"
)

func TestParse(t *testing.T) {
	const kid = "21hi274Rp02112mgkUGma"
	one, two := []string{"prod"}, []string{"prod", "staging"}
	for _, tc := range []struct {
		text    string
		tenants []string
		want    words
	}{
		{"", one, words{verb: "list", tenant: "prod"}},
		{"  LIST  ", one, words{verb: "list", tenant: "prod"}},
		{"list prod", one, words{verb: "list", tenant: "prod"}},
		{"revoke", one, words{verb: "revoke", tenant: "prod"}},
		{"revoke " + kid, one, asks("revoke", "prod", kid)},
		{"revoke prod " + kid + " in a  log", one, asks("revoke", "prod", kid+" in a  log")},
		{"revoke pasted in a log", one, asks("revoke", "prod", "pasted in a log")},
		{"rotate " + kid, one, asks("rotate", "prod", kid)},
		{"rotate staging a &lt;leak&gt; &amp; more", two, asks("rotate", "staging", "a <leak> & more")},
		{"rotate-and-revoke Prod\nleak", two, asks("rotate-and-revoke", "prod", "leak")},
		{"certificate", one, words{verb: "certificate", tenant: "prod"}},
		{"certificate staging Current", two, words{verb: "certificate", tenant: "staging", role: "current"}},
		{"audit", two, words{verb: "audit"}},
		{"audit 40", two, words{verb: "audit", n: 40}},
		{"audit KT-abcd2345", two, words{verb: "audit", request: "kt-abcd2345"}},
		{"requests", two, words{verb: "requests"}},
		{"help me", two, words{verb: "help"}},
	} {
		tc.want.slash = defaultSlash
		if tc.want.role == "" {
			tc.want.role = "next"
		}
		if tc.want.n == 0 {
			tc.want.n = 10
		}
		got, err := parse(tc.text, tc.tenants, defaultSlash)
		if err != nil {
			t.Errorf("%q: %v", tc.text, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(words{}, typed{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.text, diff)
		}
	}
	for _, text := range []string{"revoek", "list", "rotate test", "audit 0", "audit 41", "audit x", "audit 1 2", "requests now", "certificate prod first", "list prod all", "<!here>", "revoke,"} {
		var m misread
		if w, err := parse(text, two, defaultSlash); !errors.As(err, &m) {
			t.Errorf("%q was read as %+v", text, w)
		}
	}
}

func asks(verb, tenant, said string) words {
	return words{verb: verb, tenant: tenant, typed: typed{text: said}}
}

func TestEveryRefusalHasWords(t *testing.T) {
	r := &approval.Request{ID: "kt-1", State: approval.Denied}
	seen := map[string]approval.Why{}
	for _, why := range approval.Whys {
		no := &approval.Refusal{Why: why, Request: r, Other: r, KID: "kid"}
		got := refusalWords(defaultSlash, no, func(*approval.Request) string { return "link" })
		if strings.Contains(got, string(why)) && strings.Contains(got, "This was refused") {
			t.Errorf("%s has no words of its own", why)
		}
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s have the same words", why, other)
		}
		seen[got] = why
	}
}

// TestOnlyOurOwnButtonsPress builds presses that are almost one of ours.
func TestOnlyOurOwnButtonsPress(t *testing.T) {
	type action = struct {
		Action string `json:"action_id"`
		Block  string `json:"block_id"`
		Value  string `json:"value"`
	}
	good := action{"approve", requestBlock("kt-1", 7), "kt-1"}
	var i interaction
	i.Actions = append(i.Actions, good)
	if id, verb, ok := i.press(); !ok || id != "kt-1" || verb != approval.Approve {
		t.Fatalf("our own button: %s %s %v", id, verb, ok)
	}
	for name, actions := range map[string][]action{
		"none":                       {},
		"two":                        {good, good},
		"an unknown verb":            {{"approve-all", good.Block, good.Value}},
		"another block":              {{"approve", "keys", "kt-1"}},
		"another's block":            {{"approve", requestBlock("kt-2", 7), "kt-1"}},
		"a block without a revision": {{"approve", "request:kt-1", "kt-1"}},
		"no value":                   {{"approve", good.Block, ""}},
	} {
		var i interaction
		i.Actions = append(i.Actions, actions...)
		if id, verb, ok := i.press(); ok {
			t.Errorf("%s: taken as %s of %s", name, verb, id)
		}
	}
}

// TestASubmissionIsCheckedHereToo submits what Slack's client would not let through.
func TestASubmissionIsCheckedHereToo(t *testing.T) {
	for _, tc := range []struct {
		reason, link, kid string
		want              string // the block that is wrong
	}{
		{"leak", "", "kid", ""},
		{strings.Repeat("x", 5000), "", "kid", reasonBlock},
		{"  ", "", "kid", reasonBlock},
		{"leak", "example", "kid", linkBlock},
		{"leak", "https://example.com/1", "", keyBlock},
	} {
		var i interaction
		i.View.Metadata = encode(asking{Tenant: "prod", Action: approval.Revoke})
		i.View.State.Values = map[string]map[string]input{reasonBlock: {"x": {Value: tc.reason}}, linkBlock: {"x": {Value: tc.link}}}
		key := input{}
		key.Selected.Value = tc.kid
		i.View.State.Values[keyBlock] = map[string]input{"x": key}
		_, wrong, err := i.readAsk()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := wrong[tc.want]; ok != (tc.want != "") || len(wrong) > 1 {
			t.Errorf("%.10s %s %s: wrong are %v, want %q", tc.reason, tc.link, tc.kid, wrong, tc.want)
		}
	}
	var i interaction
	i.View.Metadata = "{"
	if _, _, err := i.readAsk(); err == nil {
		t.Error("metadata that cannot be read was taken")
	}
}
