package bot

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"keyturn/bot/slacksim"
	"keyturn/mgmt"
)

// FuzzParse types commands.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "list",
		"revoke prod abcdefghijklmnopqrstu leaked", "rotate  <@U1> &amp; co",
		"audit 5", "certificate next", "help me", "REVOKE x",
		"rotate-and-revoke staging\nwhy", "&lt;!channel&gt;"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, several bool) {
		tenants := []string{"prod"}
		if several {
			tenants = append(tenants, "staging")
		}
		w, err := parse(text, tenants, defaultSlash)
		if err != nil {
			if _, ok := err.(misread); !ok || err.Error() == "" {
				t.Errorf("an error that is nobody's: %v", err)
			}
			if slices.Contains([]string{"revoke", "rotate", "rotate-and-revoke"}, w.verb) && !several {
				t.Errorf("%q is not understood: %v", text, err)
			}
			return
		}
		named := w.tenant == "" || slices.Contains(tenants, w.tenant)
		if !slices.Contains(verbs, w.verb) || !named || w.n < 1 || w.n > 40 {
			t.Errorf("%q became %+v", text, w)
		}
		asks := slices.Contains([]string{"revoke", "rotate", "rotate-and-revoke"}, w.verb)
		if asks && w.tenant == "" || !asks && w.typed != (typed{}) {
			t.Errorf("%q became %+v", text, w)
		}
		if !strings.Contains(unescape(text), w.typed.text) {
			t.Errorf("%q has the words %q, which are not in it", text, w.typed.text)
		}
	})
}

// FuzzNoKeyIsChosenUnnamed types around the kids of a tenant, and looks at the form with
// eyes of its own: a key is chosen only if its kid, or eight characters of its beginning,
// stand there, or if it is the only one; and never if another key's stand there as well,
// or something that looks like a kid of Auth0's.
func FuzzNoKeyIsChosenUnnamed(f *testing.F) {
	for i, form := range Forms {
		f.Add(form.Typed, uint64(i), uint8(form.Previous))
	}
	f.Add("revoke {A8}{B-8}", uint64(1), uint8(2))
	f.Add("revoke {A}\u200b{B}", uint64(2), uint8(2))
	f.Add("revoke {A}-{B8}", uint64(3), uint8(3))
	f.Add("revoke <https://x.example|{B}> {A}", uint64(4), uint8(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64, n uint8) {
		r := rand.New(rand.NewPCG(seed, 1))
		var previous []string
		for range n % 4 {
			previous = append(previous, aKid(r))
		}
		form := Form{Typed: text}.Filled(aKid(r), aKid(r), previous)
		next, current := aKid(r), aKid(r)
		look, keys := aTenant(next, current, previous)
		_, blocks, ok := fill(form.Typed, look, keys)
		if !ok {
			return
		}
		if wrong := slacksim.CheckBlocks(blocks, slacksim.InModal); len(wrong) > 0 {
			t.Fatalf("%q: Slack would refuse the form: %v", form.Typed, wrong)
		}
		chosen := chosenIn(t, blocks)
		if chosen == "" {
			return
		}
		seen := onlySeen(unescape(form.Typed))
		for _, word := range strings.Fields(seen) {
			known := slices.ContainsFunc(keys, func(k mgmt.Key) bool { return k.KID == word })
			if looksRandom(word) && !known {
				t.Errorf("%q: %s is chosen, and %s looks like a kid", form.Typed, chosen, word)
			}
		}
		if !strings.Contains(seen, chosen[:minPrefix]) && len(previous) > 1 {
			t.Errorf("%q: %s is chosen, which nobody named, of %q", form.Typed, chosen, previous)
		}
		for _, kid := range append(previous, next, current) {
			if kid != chosen && strings.Contains(seen, kid) {
				t.Errorf("%q: %s is chosen, and %s is named as well", form.Typed, chosen, kid)
			}
			if kid != chosen && !strings.Contains(seen, chosen[:minPrefix]) && mayMean(seen, kid) {
				t.Errorf("%q: %s is chosen unnamed, and %s may be meant", form.Typed, chosen, kid)
			}
		}
	})
}

// onlySeen is text without what is not seen.
func onlySeen(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, text)
}

// mayMean reports whether a text has the beginning of a kid, whatever the case of its
// letters, as a word.
func mayMean(text, kid string) bool {
	between := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) && r != '-' && r != '_'
	}
	return slices.ContainsFunc(strings.FieldsFunc(text, between), func(word string) bool {
		n := len(word)
		return n >= minPrefix && n <= len(kid) && strings.EqualFold(word, kid[:n])
	})
}

// looksRandom reports whether a word has what a kid has: 21 letters and digits of each kind.
func looksRandom(word string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9]{21}$`).MatchString(word) &&
		strings.ContainsAny(word, "0123456789") &&
		strings.ToLower(word) != word && strings.ToUpper(word) != word
}

// chosenIn returns the key that a form has chosen; "": none.
func chosenIn(t *testing.T, blocks json.RawMessage) string {
	t.Helper()
	var all []struct {
		Element struct {
			Chosen struct {
				Value string `json:"value"`
			} `json:"initial_option"`
		} `json:"element"`
	}
	if err := json.Unmarshal(blocks, &all); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if v := b.Element.Chosen.Value; v != "" {
			return v
		}
	}
	return ""
}

// TestVerbsAsPeopleTypeThem reads what opens no form.
func TestVerbsAsPeopleTypeThem(t *testing.T) {
	one := []string{"prod"}
	for text, want := range map[string]words{
		"List keys":                         {verb: "list", tenant: "prod"},
		"list the keys of prod.":            {verb: "list", tenant: "prod"},
		"list-keys":                         {verb: "list", tenant: "prod"},
		"/signing-keys":                     {verb: "list", tenant: "prod"},
		"`list`":                            {verb: "list", tenant: "prod"},
		"requests!":                         {verb: "requests"},
		"🔥 help":                            {verb: "help"},
		"certificate of the next key":       {verb: "certificate", tenant: "prod"},
		"certificate: *previous*":           {verb: "certificate", tenant: "prod", role: "previous"},
		"audit `kt-abcd2345`":               {verb: "audit", request: "kt-abcd2345"},
		"audit kt–abcd2345":                 {verb: "audit", request: "kt-abcd2345"},
		"audit the last 20 entries.":        {verb: "audit", n: 20},
		"ＡＵＤＩＴ\u3000２０":                     {verb: "audit", n: 20},
		"/signing-keys /signing-keys audit": {verb: "audit"},
	} {
		want.slash = defaultSlash
		if want.role == "" {
			want.role = "next"
		}
		if want.n == 0 {
			want.n = 10
		}
		if got, err := parse(text, one, defaultSlash); err != nil || got != want {
			t.Errorf("%q was read as %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"revok x":               "“revok”. Did you mean /keys revoke?",
		"rotate-and-revok":      "Did you mean /keys rotate-and-revoke?",
		"rotae":                 "Did you mean /keys rotate?",
		"cert next":             "Did you mean /keys certificate?",
		"show":                  "Did you mean /keys list?",
		"please revoke it":      "“please”. Did you mean /keys revoke?",
		"<@U1|bob> revoke":      "“@bob”. Did you mean /keys revoke?",
		"revoke-xyz":            "“revoke-xyz”. Did you mean /keys revoke?",
		"42":                    "“42”. The words are list, ",
		"🔥":                     "“🔥”. The words are list, ",
		"frobnicate":            "“frobnicate”. The words are list, ",
		"<!here>":               "“@here”. The words are list, ",
		strings.Repeat("x", 90): "… (cut here)”. The words are",
	} {
		_, err := parse(text, one, "/keys")
		if err == nil {
			t.Errorf("%q was read", text)
			continue
		}
		wants := []string{want, "/keys help explains them"}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", text, err, want)
			}
		}
	}
}

// TestTheTenantAmongWords names one of two.
func TestTheTenantAmongWords(t *testing.T) {
	for text, want := range map[string]string{
		"revoke key prod {A} leaked":                        "{A} leaked",
		"Rotate, then revoke the signing key of prod: leak": "leak",
		"rotate in PROD it is old":                          "it is old",
		"revoke `prod` leaked":                              "leaked",
	} {
		w, err := parse(text, []string{"staging", "prod"}, defaultSlash)
		if err != nil || w.tenant != "prod" || w.typed.text != want {
			t.Errorf("%q was read as %+v, %v", text, w, err)
		}
	}
}

func TestReferencesBecomeTheirText(t *testing.T) {
	for in, want := range map[string]string{
		"<@U1|alice> and <@U2>":               "@alice and @U2",
		"<#C1|ops> and <#C2|>":                "#ops and #C2",
		"<!subteam^S1|@oncall> <!here>":       "@oncall @here",
		"<!channel|channel>":                  "@channel",
		"<!date^1^{date}|Monday>":             "Monday",
		"<https://x.example/1>":               "https://x.example/1",
		"<https://x.example/1|x.example/1>":   "https://x.example/1",
		"<https://evil.example|the incident>": "the incident (https://evil.example)",
		"<mailto:a@x.example|a@x.example>":    "a@x.example",
		"<mailto:a@x.example|alice>":          "alice (a@x.example)",
		"<https://x.example/?a=1&amp;b=&lt;>": "https://x.example/?a=1&b=<",
		"&lt;@U1|alice&gt; &amp;lt; 1 &lt; 2": "<@U1|alice> &lt; 1 < 2",
		"<tel:+49123|+49 123> <no reference>": "+49 123 (+49123) <no reference>",
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"no link":          "",
		"http://x.example": "",
		"see https://x.example/a, https://y.example":              "https://x.example/a",
		"(https://x.example/Foo_(bar)).":                          "https://x.example/Foo_(bar)",
		"the incident (https://x.example/1)":                      "https://x.example/1",
		"https://u:p@x.example https://y.example":                 "https://y.example",
		"https:// https://y.example/" + strings.Repeat("a", 1000): "",
		"“https://x.example”":                                     "https://x.example",
	} {
		if got := firstLink(in); got != want {
			t.Errorf("%q has the link %q, want %q", in, got, want)
		}
	}
}
