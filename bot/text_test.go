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
	if n := utf8.RuneCountInString(got); n > 100 || !strings.HasSuffix(got, "(cut here)") {
		t.Errorf("%d characters: %q", n, got)
	}
	if got := shorten("twenty-five characters it", 24); got != "twenty-five characters…" {
		t.Errorf("got %q", got)
	}
}

// TestNothingThatIsSeenAsOneIsHalved cuts at every length.
func TestNothingThatIsSeenAsOneIsHalved(t *testing.T) {
	for name, one := range map[string]string{
		"an accent": "e\u0301", "an emoji": "🔥", "a family": "👩\u200d👩\u200d👧",
		"a colour": "👍🏽", "a flag": "🇩🇪", "a variation": "❤\ufe0f",
		"Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
		"Hangul":   "\u1112\u1161\u11ab", "a line": "\r\n",
	} {
		s := strings.Repeat(one, 20)
		for most := range units(s) + 1 {
			got := beginning(s, most)
			if n := units(got); n > most || n+units(one) <= most && got != s {
				t.Errorf("%s: %d characters of %d", name, n, most)
			}
			if strings.Repeat(one, strings.Count(got, one)) != got {
				t.Errorf("%s is cut in two: %q", name, got)
			}
		}
	}
	if got := beginning("x"+strings.Repeat("\u0301", 5000), 3000); units(got) != 3000 {
		t.Errorf("%d characters are left of a letter with 5,000 accents", units(got))
	}
	got := shorten(strings.Repeat("🔥", 1600), 3000)
	if units(got) > 3000 || !strings.HasSuffix(got, cutMark) {
		t.Errorf("%d characters of 3,000", units(got))
	}
}

// TestOnlyWhatTheTrailHasIsSaidToBeThere looks at what is shown of long words.
func TestOnlyWhatTheTrailHasIsSaidToBeThere(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	look, keys := aTenant("next-21-characters-xx", "curr-21-characters-xx", nil)
	_, asked, _ := fill("rotate "+long, look, keys)
	_, refused, _ := fill("revoke "+long, look, keys)
	_, err := parse(strings.Repeat("x", 5000), []string{"prod"}, defaultSlash)
	for what, shown := range map[string]any{
		"the form": asked, "a form that is refused": refused, "an unknown word": err.Error(),
		"words that are returned": quoteTyped(long),
		"a section":               section(long), "a header": header(long),
		"a certificate":      preformatted(long),
		"a command's answer": plain(long, maxSection),
	} {
		b, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "the trail has it") {
			t.Errorf("%s says that the trail has it", what)
		}
		if !strings.Contains(string(b), "cut ") {
			t.Errorf("%s does not say that it is cut: %s", what, b)
		}
	}
	b, err := json.Marshal(quote(long))
	if err != nil || !strings.Contains(string(b), "the trail has it whole") {
		t.Errorf("a reason is shown as %s, %v", b, err)
	}
	var form []struct {
		Element struct {
			Value string `json:"initial_value"`
		} `json:"element"`
	}
	if err := json.Unmarshal(asked, &form); err != nil {
		t.Fatal(err)
	}
	for _, b := range form {
		v := b.Element.Value
		if v != "" && (units(v) != approval.MaxReason || !strings.HasPrefix(long, v)) {
			t.Errorf("the reason has %d characters and ends with %q", units(v), v[len(v)-20:])
		}
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
