package bot

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
	"keyturn/mgmt"
)

// Form is what is typed after the command, and the form that opens. In its texts {A}, {B}
// and {C} are the kids of the previously used keys, the newest first, {CUR} and {NEXT}
// those of the others; {A8} is the beginning of {A}, {A7} too little of it, {A~} has its
// letters' case swapped, {A?} another alphabet's letter in it, and {A_} its end.
type Form struct {
	Typed    string
	Previous int    // how many previously used keys there are
	Title    string // "": Revoke a key
	Chosen   string // "": none
	Reason   string
	Link     string
	Says     string // a part of what is said; "": no more than always
	Refused  bool   // there is nothing to fill in, and Says is why
}

const (
	rotating = "Rotate the key"
	both     = "Rotate and revoke"
	choose   = "No key is chosen: choose below"
)

// Forms are read by both tests of what people type: the form alone, and Slack's modal.
var Forms = []Form{
	// No key is named.
	{Typed: "revoke", Previous: 1, Chosen: "{A}"},
	{Typed: "revoke", Previous: 2},
	{Typed: "revoke leaked in CI", Previous: 1, Chosen: "{A}", Reason: "leaked in CI"},
	{Typed: "revoke leaked in CI", Previous: 3, Reason: "leaked in CI"},
	{Typed: "revoke PagerDuty INC-1234, us-east-1", Previous: 1, Chosen: "{A}",
		Reason: "PagerDuty INC-1234, us-east-1"},

	// One is, in every dress.
	{Typed: "revoke {B} leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke `{B}` leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke {B}, leaked", Previous: 3, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke {B}: leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke *{B}*", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke _{B}_", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke ~{B}~", Previous: 2, Chosen: "{B}"},
	{Typed: `revoke "{B}"`, Previous: 2, Chosen: "{B}"},
	{Typed: "revoke '{B}'", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke “{B}”", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke „{B}“", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke «{B}»", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke 「{B}」", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke ＂{B}＂", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke ({B}).", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke [{B}]!", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke ˋ{B}ˋ", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke ```{B}```", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke <{B}>", Previous: 2, Chosen: "{B}"},
	{Typed: `revoke {"kid":"{B}"}`, Previous: 2, Chosen: "{B}"},
	{Typed: "revoke --kid={B} leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke kid={B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke key {B} leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke the key {B} - leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke leaked in CI: {B}", Previous: 2, Chosen: "{B}", Reason: "leaked in CI:"},
	{Typed: "revoke leaked\n{B}\nin CI", Previous: 2, Chosen: "{B}", Reason: "leaked\nin CI"},
	{Typed: "revoke {B} {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke {B}が漏れた", Previous: 2, Chosen: "{B}", Reason: "{B}が漏れた"},
	{Typed: "revoke {B}🔥", Previous: 2, Chosen: "{B}", Reason: "{B}🔥"},
	{Typed: "revoke prod {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke {B} build1234", Previous: 2, Chosen: "{B}", Reason: "build1234"},

	// Spaces and what is not seen.
	{Typed: "revoke\u00a0{B}\u00a0leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke\u3000{B}\u2003leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke\u2028{B}\u2029leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke \u200b{B}\ufeff leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke \u202a{B}\u202c leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke {B}\ufe0f leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "\u200e/signing-keys revoke {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke {B8}\u202e{B-8} leaked", Previous: 2, Reason: "{B8}\u202e{B-8} leaked",
		Says: "change how it looks"},

	// The beginning of one.
	{Typed: "revoke {B8} leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke {B8}… leaked", Previous: 2, Chosen: "{B}", Reason: "leaked"},
	{Typed: "revoke {B8}...", Previous: 3, Chosen: "{B}"},
	{Typed: "revoke `{B8}…`", Previous: 3, Chosen: "{B}"},
	{Typed: "revoke {B8}", Previous: 1, Reason: "{B8}", Says: "not a key of prod"},
	{Typed: "revoke {B7} leaked", Previous: 2, Reason: "{B7} leaked", Says: "too short to name a key"},
	{Typed: "revoke {A7}…", Previous: 1, Reason: "{A7}…", Says: "It may mean {A}"},

	// Two, or one that is none.
	{Typed: "revoke {A} {B}", Previous: 2, Reason: "{A} {B}", Says: "You named 2 keys"},
	{Typed: "revoke {A} or {B8}", Previous: 3, Reason: "{A} or {B8}", Says: choose},
	{Typed: "revoke {A}/{B}", Previous: 2, Reason: "{A}/{B}", Says: "You named 2 keys"},
	{Typed: "revoke {A} as {CUR} is used", Previous: 1, Reason: "{A} as {CUR} is used", Says: choose},
	{Typed: "revoke {A~}", Previous: 1, Reason: "{A~}", Says: "close to {A}. Every letter counts"},
	{Typed: "revoke {B~8}", Previous: 2, Reason: "{B~8}", Says: "close to {B}"},
	{Typed: "revoke {A?} leaked", Previous: 1, Reason: "{A?} leaked", Says: "close to {A}"},
	{Typed: "revoke {A}x", Previous: 1, Reason: "{A}x", Says: "close to {A}"},
	{Typed: "revoke {A_}", Previous: 1, Reason: "{A_}", Says: "close to {A}"},
	{Typed: "revoke {A} after {B?}", Previous: 2, Reason: "{A} after {B?}", Says: "close to {B}"},
	{Typed: "revoke abcdefghijklmnopqrstu", Previous: 1, Reason: "abcdefghijklmnopqrstu",
		Says: choose},
	{Typed: "revoke bB8w9q-z leaked", Previous: 1, Reason: "bB8w9q-z leaked",
		Says: "“bB8w9q-z” is not a key of prod"},
	{Typed: "revoke @Qx7Gone4KeyOfLastYear", Previous: 1,
		Reason: "@Qx7Gone4KeyOfLastYear", Says: choose},
	{Typed: "revoke bB8w9q…", Previous: 1, Reason: "bB8w9q…", Says: "“bB8w9q” is not a key of prod"},
	{Typed: "revoke Qx7Gone4KeyOfLastYear", Previous: 0,
		Says: "is not a key of prod. There is no previously", Refused: true},

	// One that cannot be revoked.
	{Typed: "revoke {CUR} leaked", Previous: 2, Says: "{CUR} is currently used", Refused: true},
	{Typed: "revoke `{CUR}` leaked", Previous: 1, Says: "> `{CUR}` leaked", Refused: true},
	{Typed: "revoke {CUR8}… leaked", Previous: 1, Says: "{CUR} is currently used", Refused: true},
	{Typed: "revoke key {NEXT}", Previous: 1, Says: "{NEXT} is next in queue", Refused: true},
	{Typed: "revoke the current key, it leaked", Previous: 1, Reason: "the current key, it leaked",
		Says: "To revoke the one in use, type /signing-keys rotate-and-revoke"},
	{Typed: "revoke next", Previous: 1, Reason: "next", Says: choose},
	{Typed: "revoke the key in use", Previous: 1, Reason: "the key in use", Says: choose},
	{Typed: "revoke {A} it was in use", Previous: 1, Chosen: "{A}", Reason: "it was in use"},
	{Typed: "revoke in use until yesterday", Previous: 1, Chosen: "{A}",
		Reason: "in use until yesterday"},
	{Typed: "revoke", Previous: 0, Says: "There is no previously used key", Refused: true},

	// The verb, in every dress.
	{Typed: "Revoke… {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "REVOKE: {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke—{B}", Previous: 2, Chosen: "{B}"},
	{Typed: "revoke – leaked", Previous: 1, Chosen: "{A}", Reason: "leaked"},
	{Typed: "/signing-keys revoke {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "signing-keys revoke the key", Previous: 1, Chosen: "{A}"},
	{Typed: "ｒｅｖｏｋｅ {B}", Previous: 2, Chosen: "{B}"},
	{Typed: "rotate the key", Previous: 1, Title: rotating},
	{Typed: "rotate key, it is old", Previous: 1, Title: rotating, Reason: "it is old"},
	{Typed: "rotate & revoke leaked", Previous: 1, Title: both, Reason: "leaked"},
	{Typed: "rotate → revoke", Previous: 1, Title: both},
	{Typed: "rotate and revoke", Previous: 1, Title: both},
	{Typed: "rotate+revoke", Previous: 1, Title: both},
	{Typed: "rotate, then revoke", Previous: 1, Title: both},
	{Typed: "Rotate & Revoke Key", Previous: 1, Title: both},
	{Typed: "Rotate & revoke… leaked", Previous: 1, Title: both, Reason: "leaked"},
	{Typed: "rotate-&-revoke", Previous: 1, Title: both},
	{Typed: "rotate_and_revoke", Previous: 1, Title: both},
	{Typed: "rotateandrevoke", Previous: 1, Title: both},
	{Typed: "rotate–and–revoke", Previous: 1, Title: both},
	{Typed: "rotate‑and‑revoke", Previous: 1, Title: both},
	{Typed: "rotate the key and revoke it", Previous: 1, Title: both},
	{Typed: "rotate the current key, then revoke it", Previous: 1, Title: both},
	{Typed: "rotate the leaked key and revoke it", Previous: 1, Title: rotating,
		Reason: "the leaked key and revoke it", Says: "does not revoke"},
	{Typed: "rotate and revoke tomorrow", Previous: 1, Title: rotating, Reason: "and revoke tomorrow",
		Says: "does not revoke"},
	{Typed: "rotate and rvoke", Previous: 1, Title: rotating, Reason: "and rvoke",
		Says: "does not revoke"},
	{Typed: "revoke & rotate", Previous: 1, Chosen: "{A}", Reason: "& rotate",
		Says: "does not rotate"},
	{Typed: "rotate-and-revoke {A} leaked", Previous: 1, Title: both, Reason: "{A} leaked",
		Says: "You named {A}, which is previously used. This is about the key currently used."},
	{Typed: "rotate-and-revoke {CUR} leaked", Previous: 1, Title: both, Reason: "{CUR} leaked"},

	// What Slack makes of people, channels and links.
	{Typed: "revoke {B} see https://incident.example/1, ask @bob in #incident", Previous: 2,
		Chosen: "{B}",
		Reason: "see https://incident.example/1, ask @bob in #incident",
		Link:   "https://incident.example/1"},
	{Typed: "revoke see https://logs.example/?kid={B}", Previous: 2,
		Reason: "see https://logs.example/?kid={B}",
		Link:   "https://logs.example/?kid={B}", Says: "A link in your words has the key {B}"},
	{Typed: "revoke @oncall said so to bob@example.com", Previous: 1, Chosen: "{A}",
		Reason: "@oncall said so to bob@example.com"},
	{Typed: "revoke <!here> & <@U1>", Previous: 1, Chosen: "{A}", Reason: "<!here> & <@U1>"},
}

// Filled puts the kids of keys in a form's texts.
func (f Form) Filled(next, current string, previous []string) Form {
	named := map[string]string{"CUR": current, "NEXT": next, "A": gone, "B": gone, "C": gone}
	for i, kid := range previous {
		named[string(rune('A'+i))] = kid
	}
	var pairs []string
	for name, kid := range named {
		for dress, said := range map[string]string{
			"": kid, "8": kid[:8], "-8": kid[8:], "7": kid[:7], "_": kid[5:],
			"~": swapped(kid), "~8": swapped(kid[:8]), "?": kid[:9] + "р" + kid[10:],
		} {
			pairs = append(pairs, "{"+name+dress+"}", said)
		}
	}
	fill := strings.NewReplacer(pairs...).Replace
	f.Typed, f.Chosen, f.Reason = fill(f.Typed), fill(f.Chosen), fill(f.Reason)
	f.Link, f.Says = fill(f.Link), fill(f.Says)
	return f
}

// gone is the kid of a key that the tenant does not have.
const gone = "goNe5Lk-9x_Wq2Tn8Rb4Y"

// swapped has the case of every letter swapped.
func swapped(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// Check fails where a modal is not the form.
func (f Form) Check(t *testing.T, title string, blocks json.RawMessage) {
	t.Helper()
	var all []struct {
		Block   string `json:"block_id"`
		Element struct {
			Value  string `json:"initial_value"`
			Chosen struct {
				Value string `json:"value"`
			} `json:"initial_option"`
		} `json:"element"`
	}
	if err := json.Unmarshal(blocks, &all); err != nil {
		t.Fatal(err)
	}
	text := slacksim.PlainText(blocks)
	if f.Title == "" {
		f.Title = "Revoke a key"
	}
	got := Form{Typed: f.Typed, Previous: f.Previous, Title: title, Refused: true}
	for _, b := range all {
		switch b.Block {
		case keyBlock:
			got.Chosen = b.Element.Chosen.Value
		case reasonBlock:
			got.Reason, got.Refused = b.Element.Value, false
		case linkBlock:
			got.Link = b.Element.Value
		}
	}
	if got.Says = f.Says; !strings.Contains(text, f.Says) {
		t.Errorf("%q, %d previous keys: it does not say %q:\n%s", f.Typed, f.Previous, f.Says, text)
	}
	if f.Says == "" && strings.Contains(text, "⚠️") {
		t.Errorf("%q, %d previously used keys: it says something:\n%s", f.Typed, f.Previous, text)
	}
	if got != f {
		t.Errorf("%q, %d previously used keys:\n got %+v\nwant %+v", f.Typed, f.Previous, got, f)
	}
}

// aKid is as random as Auth0's are.
func aKid(r *rand.Rand) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
	b := make([]byte, 21)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// aTenant has the keys next, current, and previously used ones.
func aTenant(next, current string, previous []string) (*audit.Look, mgmt.Keys) {
	keys := mgmt.Keys{{KID: next, Next: true}, {KID: current, Current: true}}
	for _, kid := range previous {
		keys = append(keys, mgmt.Key{KID: kid, Previous: true})
	}
	look := &audit.Look{At: asked}
	for _, k := range keys {
		look.Keys = append(look.Keys, audit.Key{KID: k.KID, Role: k.Role().String()})
	}
	return look, keys
}

// fill opens the form for what was typed; ok is false where it is no form.
func fill(
	typed string, look *audit.Look, keys mgmt.Keys,
) (title string, blocks json.RawMessage, ok bool) {
	w, err := parse(typed, []string{"prod"}, defaultSlash)
	action := approval.Action(w.verb)
	if err != nil || !slices.Contains(approval.Actions, action) {
		return "", nil, false
	}
	t := target{Tenant: "prod", Action: action, typed: w.typed, slash: w.slash}
	v, _, no := fillAsk(t, "C1", look, keys, time.Time{})
	if no != nil {
		no.Look = look
		v = noModal(action, refusalWords(w.slash, no, nil), w.typed.text)
	}
	blocks, err = json.Marshal(v.Blocks.BlockSet)
	return v.Title.Text, blocks, err == nil
}

// address is what Slack puts in angle brackets.
var address = regexp.MustCompile(`https?://[^\s<>]+`)

// fromSlack is what was typed as a command gets it.
func fromSlack(typed string) string {
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(typed)
	return address.ReplaceAllString(escaped, "<$0>")
}

// TestWhatPeopleTypeFillsInTheForm types each text for tenants with many kids.
func TestWhatPeopleTypeFillsInTheForm(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		for _, f := range Forms {
			var previous []string
			for range f.Previous {
				previous = append(previous, aKid(r))
			}
			next, current := aKid(r), aKid(r)
			f = f.Filled(next, current, previous)
			look, keys := aTenant(next, current, previous)
			title, blocks, ok := fill(fromSlack(f.Typed), look, keys)
			if !ok {
				t.Errorf("%q opens no form", f.Typed)
				continue
			}
			f.Check(t, title, blocks)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}
