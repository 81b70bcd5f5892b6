package bot

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

func TestShortenShowsThatItDid(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("ä", 100)} {
		if got := shorten(s, 100); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	got := shorten(strings.Repeat("ä", 101), 100)
	if n := utf8.RuneCountInString(got); n > 100 || !strings.HasSuffix(got, "(cut here; the trail has it whole)") {
		t.Errorf("%d characters: %q", n, got)
	}
	if got := shorten("twenty-five characters it", 24); got != "twenty-five characters…" {
		t.Errorf("got %q", got)
	}
}

func TestShortenMarkupLeavesNoHalves(t *testing.T) {
	for _, end := range []string{"<@U0ALICE>", "&amp;", "`kid`", "<!date^1^{date}|then>"} {
		for pad := range 60 {
			s := strings.Repeat("x", 100+pad) + end + strings.Repeat(" more", 30)
			got, _, _ := strings.Cut(shortenMarkup(s, 170), " … (cut here")
			for _, half := range []string{`<[^>]*$`, `&[^;]*$`, "^[^`]*`[^`]*$"} {
				if regexp.MustCompile(half).MatchString(got) {
					t.Errorf("half of something is left: %q", got)
				}
			}
		}
	}
}

func TestEscapeLeavesNoMarkup(t *testing.T) {
	if got := escape("<!here> & `x` &amp;\nnext"); got != "&lt;!here&gt; &amp; ˋxˋ &amp;amp; next" {
		t.Errorf("got %q", got)
	}
	if got := escape("abc\u202edef\u200bghi\x00"); got != "abc\ufffddef\ufffdghi\ufffd" {
		t.Errorf("got %q", got)
	}
	if got := unescape("&amp;lt;"); got != "&lt;" {
		t.Errorf("an escaped entity became %q", got)
	}
}

// FuzzEscape reads back, as Slack's client would show it, what was escaped.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "<!channel>", "`a` & b", "&lt;", "<@U1|x>", "a\nb", "\u202e", strings.Repeat("<&>", 2000), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := escape(s)
		if strings.ContainsAny(escaped, "<>`\n\r") {
			t.Errorf("%q has markup in it", escaped)
		}
		want := strings.NewReplacer("\n", " ", "\r", " ", "`", "ˋ").Replace(audit.Visible(s))
		if got := unescape(escaped); got != want {
			t.Errorf("reads as %q, want %q", got, want)
		}
		b, err := json.Marshal([]slack.Block{section("*x* " + code(s) + " <@U0ALICE>"), header("x " + s), quote("x" + s), fields("a", escaped+"x")})
		if err != nil {
			t.Fatal(err)
		}
		if wrong := slacksim.CheckBlocks(b, slacksim.OnMessage); len(wrong) > 0 {
			t.Errorf("Slack would refuse it: %v", wrong)
		}
		if utf8.RuneCountInString(escaped) < 1900 && !strings.HasSuffix(slacksim.PlainText(b[:]), "x") {
			t.Errorf("what follows is lost:\n%s", slacksim.PlainText(b))
		}
	})
}

// markup is what mrkdwn makes a mention, a link or a date of.
var markup = regexp.MustCompile(`<[^>]*>`)

// texts returns all mrkdwn objects in blocks.
func texts(v any) (out []map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	case map[string]any:
		if v["type"] == "mrkdwn" {
			return []map[string]any{v}
		}
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	}
	return out
}

// FuzzCard draws cards and posts of requests that are full of what people typed.
func FuzzCard(f *testing.F) {
	f.Add("leak", "https://x.example", "alice", "kid", "Auth0 says no")
	f.Add("<!channel> @here `x`", "https://x.example/<@U1>", "<!here>", "<@U9>", "*Done* <!channel>")
	f.Add(strings.Repeat("<!channel>", 400), "https://x.example/"+strings.Repeat("ä", 900), strings.Repeat("&", 80), strings.Repeat("`", 64), strings.Repeat("<", 4000))
	f.Add("a\n✅ *Done*\u202e", "https://x.example/\u202e", "a\nb", "k\nid", "a\n*Approved* by <@U0BOB>")
	ours := []string{"<@UALICE>", "<@UBOB>", "<@U1>", "<!subteam^SONCALL>"}
	f.Fuzz(func(t *testing.T, reason, link, name, kid, note string) {
		if approval.CheckWords(reason, link) != nil {
			return // never stored
		}
		for _, state := range approval.States {
			r, story := told(approval.RotateAndRevoke, state)
			r.Reason, r.Link, r.Requester.Name, r.KID = reason, link, name, kid
			for i := range story {
				story[i].Note, story[i].Reason = note, reason
				if c := story[i].Change; c != nil {
					c.Reason, c.Link, c.Requester.Name = reason, link, name
					if key := c.Pins.Target(); key != nil {
						key.KID = kid
					}
				}
			}
			var all [][]slack.Block
			for _, mentions := range []bool{true, false} {
				_, blocks := card(r, story, board{approvers: []string{"U1", "SONCALL"}, mention: mentions})
				all = append(all, blocks)
				for _, e := range story {
					_, blocks := trailPost(e, story, mentions)
					all = append(all, blocks)
					if words, ok := threadLine(e, naming(mentions)); ok {
						all = append(all, []slack.Block{section(words)})
					}
				}
			}
			for _, blocks := range append(all, openBlocks([]approval.Request{r}, func(*approval.Request) string { return "link" })) {
				check(t, blocks, ours)
			}
		}
	})
}

// check fails where Slack would refuse blocks, or find markup in them that is not ours.
func check(t *testing.T, blocks []slack.Block, ours []string) {
	t.Helper()
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range slacksim.CheckBlocks(b, slacksim.OnMessage) {
		t.Errorf("Slack would refuse it: %s", problem)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, o := range texts(v) {
		if o["verbatim"] != true {
			t.Errorf("Slack would look for mentions in %q", o["text"])
		}
		for _, m := range markup.FindAllString(o["text"].(string), -1) {
			if !slices.Contains(ours, m) && !strings.HasPrefix(m, "<!date^") {
				t.Errorf("%q is in %q", m, o["text"])
			}
		}
	}
}

// FuzzParse types commands.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "list", "revoke prod abcdefghijklmnopqrstu leaked", "rotate  <@U1> &amp; co", "audit 5", "certificate next", "help me", "REVOKE x", "rotate-and-revoke staging\nwhy", "&lt;!channel&gt;"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, several bool) {
		tenants := []string{"prod"}
		if several {
			tenants = append(tenants, "staging")
		}
		w, err := parse(text, tenants)
		if err != nil {
			if _, ok := err.(misread); !ok || err.Error() == "" {
				t.Errorf("an error that is nobody's: %v", err)
			}
			if slices.Contains([]string{"revoke", "rotate", "rotate-and-revoke"}, w.verb) && !several {
				t.Errorf("%q is not understood: %v", text, err)
			}
			return
		}
		if !slices.Contains(verbs, w.verb) || w.tenant != "" && !slices.Contains(tenants, w.tenant) || w.n < 1 || w.n > 40 {
			t.Errorf("%q became %+v", text, w)
		}
		asks := slices.Contains([]string{"revoke", "rotate", "rotate-and-revoke"}, w.verb)
		if asks && w.tenant == "" || !asks && w.kid+w.reason != "" {
			t.Errorf("%q became %+v", text, w)
		}
		if w.kid != "" && (!kidLike.MatchString(w.kid) || w.verb != "revoke") {
			t.Errorf("%q has the kid %q", text, w.kid)
		}
		// Nothing that was typed is lost: verb, tenant and kid, and the rest is the reason.
		if asks && strings.TrimSpace(text) != "" {
			typed := strings.Fields(unescape(text))[1:]
			if len(typed) > 0 && strings.EqualFold(typed[0], w.tenant) {
				typed = typed[1:]
			}
			if w.kid != "" && len(typed) > 0 && typed[0] == w.kid {
				typed = typed[1:]
			}
			if got := strings.Fields(w.reason); !slices.Equal(got, typed) {
				t.Errorf("%q has the reason %q, want %q", text, got, typed)
			}
		}
	})
}

func TestAges(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-179 * time.Minute:   "0 minutes", // this machine's clock is behind
		0:                    "0 minutes",
		time.Minute:          "1 minute",
		119 * time.Minute:    "119 minutes",
		2 * time.Hour:        "2 hours",
		200 * 24 * time.Hour: "200 days",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSkewWords(t *testing.T) {
	for skew, want := range map[time.Duration]string{
		0:                                "",
		-time.Minute:                     "",
		time.Minute:                      "",
		3*time.Hour - time.Second:        "clock is 3 hours behind Auth0's",
		-90*time.Second - time.Second/2:  "clock is 2 minutes ahead of Auth0's",
		40*24*time.Hour + 12*time.Minute: "clock is 40 days behind Auth0's",
	} {
		if got := skewWords(skew); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("skewWords(%v) = %q, want %q in it", skew, got, want)
		}
	}
}
