package bot

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKidsThatAreAlmostOthers has tenants whose kids are made to be taken for each other.
func TestKidsThatAreAlmostOthers(t *testing.T) {
	const (
		a = "abcdefgh1_first5Of_two"
		b = "abcdefgh1-other5Of-two"
		c = "-dash5Before5And5After_"
		d = "dash5Before5And5After"
		e = "eXact5And5Begins5More"
	)
	for _, tc := range []struct {
		typed  string
		kids   []string
		chosen string
		says   string
	}{
		{"abcdefgh", []string{a, b}, "", "fits 2 keys of"},
		{"abcdefgh1…", []string{a, b, c}, "", "fits 2 keys of"},
		{"abcdefgh1_", []string{a, b}, a, ""},
		{"abcdefgh1-", []string{a, b}, b, ""},
		{a, []string{a, b}, a, ""},
		{"_" + a + "_", []string{a, b}, a, ""},
		{c, []string{c, d}, c, ""},
		{d, []string{c, d}, d, ""},
		{"`" + c + "`", []string{d, c}, c, ""},
		{"_" + d + "_", []string{d, a}, d, ""},
		{"_" + d + "_", []string{c, d}, d, ""},
		{"--" + d + "__", []string{c, d}, "", "fits 2 keys of"},
		{"_" + c + "_", []string{c, a}, c, ""},
		{e, []string{e, e + "x"}, e, ""},
		{e[:10], []string{e, e + "x"}, "", "fits 2 keys of"},
		{strings.ToUpper(e), []string{e, strings.ToUpper(e)}, strings.ToUpper(e), ""},
		{strings.ToLower(e), []string{e, strings.ToUpper(e)}, "", "close to"},
		{"dash5", []string{c}, "", "too short to name a key"},
		{"-dash5B", []string{c}, "", "too short to name a key"},
		{a + " " + b, []string{a, b}, "", "You named 2 keys"},
		{a + b, []string{a, b}, "", "close to"},
		{a + " " + strings.ToUpper(b), []string{a, b}, "", "close to"},
		{a + " " + strings.ToUpper(a), []string{a, b}, "", "close to"},
		{a + " " + strings.ToUpper(a), []string{a, e}, a, ""},
		{a[:12] + " " + a[12:], []string{a, b}, a, ""},
		{a + " Qx7Gone4KeyOfLastYear", []string{a, b}, "", "not a key of"},
		{a + " 4bf92f3577b34da6a3ce929d0e0e4736", []string{a, b}, a, ""},
		{a + " https://logs.example/" + b, []string{a, b}, "", "A link in your words has the key"},
		{a + " https://logs.example/" + a, []string{a, b}, a, ""},
	} {
		look, keys := aTenant("next5Key5Of5The5Tenant", "curr5Key5Of5The5Tenant", tc.kids)
		title, blocks, ok := fill(fromSlack("revoke "+tc.typed), look, keys)
		if !ok {
			t.Fatalf("%q opens no form", tc.typed)
		}
		if got := chosenIn(t, blocks); got != tc.chosen {
			t.Errorf("%q of %q: %q is chosen, want %q\n%s", tc.typed, tc.kids, got, tc.chosen, blocks)
		}
		said := strings.Contains(string(blocks), "⚠️")
		if !strings.Contains(string(blocks), tc.says) || said != (tc.says != "") {
			t.Errorf("%q of %q: want %q said in %q:\n%s", tc.typed, tc.kids, tc.says, title, blocks)
		}
	}
}

// TestAButtonNamesItsKeyExactly presses one whose kid would fit others as typed words do.
func TestAButtonNamesItsKeyExactly(t *testing.T) {
	kids := []string{"abcdefgh", "abcdefgh1-other5Of-two", "zyxwvuts"}
	look, keys := aTenant("next5Key5Of5The5Tenant", "curr5Key5Of5The5Tenant", kids)
	others := []string{"abcdefgh1", "ABCDEFGH", "_zyxwvuts_", look.Keys[0].KID}
	for _, kid := range append(others, kids...) {
		button := target{Tenant: "prod", Action: "revoke", KID: kid}
		v, _, no := fillAsk(button, "C1", look, keys, time.Time{})
		known := slices.Contains(kids, kid)
		if (no == nil) != known || no != nil && no.KID != kid {
			t.Errorf("%s: %v", kid, no)
		}
		if known && !strings.Contains(v.PrivateMetadata, `"kid":"`+kid+`"`) {
			t.Errorf("%s: the form is about %s", kid, v.PrivateMetadata)
		}
	}
}
