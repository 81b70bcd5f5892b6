package blockkit_test

import (
	"encoding/json"
	"html/template"
	"strings"
	"testing"
	"time"

	"keyturn/cmd/rehearse/blockkit"
)

// verbatim draws mrkdwn as keyturn has it: in a verbatim object.
func verbatim(r blockkit.Reader, s string) template.HTML {
	blocks, err := json.Marshal([]any{map[string]any{
		"type": "context", "elements": []any{map[string]any{"type": "mrkdwn", "text": s, "verbatim": true}},
	}})
	if err != nil {
		panic(err)
	}
	drew := strings.TrimPrefix(string(r.Message(blocks)), "<div class=\"bk bk-context\">\n")
	return template.HTML(strings.TrimSuffix(drew, "\n</div>\n"))
}

const blank = ` rel="noreferrer noopener" target="_blank"`

func TestMrkdwn(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"two\nlines", "two<br>lines"},
		{"a\n\nb", "a<br><br>b"},
		{"  spaces  stay ", "  spaces  stay "},
		{"&lt;b&gt; &amp;amp; & &lt;!channel&gt;", "&lt;b&gt; &amp;amp; &amp; &lt;!channel&gt;"},

		// Styles.
		{"*b* _i_ ~s~", "<strong>b</strong> <em>i</em> <s>s</s>"},
		{"(*b*), _i_.", "(<strong>b</strong>), <em>i</em>."},
		{"*a _b ~c~_*", "<strong>a <em>b <s>c</s></em></strong>"},
		{"*a _b* c_", "<strong>a _b</strong> c_"},
		{"*a `*` b*", `<strong>a <code class="bk-code">*</code> b</strong>`},
		{"*<@UBOB>*", `<strong><span class="bk-mention me">@bob</span></strong>`},
		{"snake_case_name 2*3*4 a~b~c", "snake_case_name 2*3*4 a~b~c"},
		{"é_é_é", "é_é_é"},
		{"a_b_ c_ _d_e", "a_b_ c_ _d_e"},
		{"*a*b*", "<strong>a*b</strong>"},
		{"*open _too ~far", "*open _too ~far"},
		{"* a* *b *", "* a* *b *"},
		{"**a** __b__ ***", "**a** __b__ ***"},
		{"**a* *b**", "**a* *b**"},
		{"*a\nb*", "*a<br>b*"},
		{"*a* and *b", "<strong>a</strong> and *b"},
		{"*a ```x``` b* *c*", "*a <pre class=\"bk-pre\" tabindex=\"0\">\nx</pre> b* <strong>c</strong>"},

		// Code.
		{"`a *b* _c_ <@UBOB> @here &lt;`", `<code class="bk-code">a *b* _c_ &lt;@UBOB&gt; @here &lt;</code>`},
		{"`a` `b`", `<code class="bk-code">a</code> <code class="bk-code">b</code>`},
		{"don`t, can`t", "don`t, can`t"},
		{"a`b` `c`d", "a`b` `c`d"},
		{"`a\nb`", "`a<br>b`"},
		{"`` `open", "`` `open"},
		{"```\na\n *b*\n```", "<pre class=\"bk-pre\" tabindex=\"0\">\na\n *b*</pre>"},
		{"a\n```b```\nc", "a<pre class=\"bk-pre\" tabindex=\"0\">\nb</pre>c"},
		{"```b```\n\nc", "<pre class=\"bk-pre\" tabindex=\"0\">\nb</pre><br>c"},
		{"```\n\na```", "<pre class=\"bk-pre\" tabindex=\"0\">\n\na</pre>"},
		{"```open", "```open"},

		// Quotations.
		{"&gt; a\n>b\nc", `<blockquote class="bk-quote">a<br>b</blockquote>c`},
		{"a\n&gt; *b*", `a<blockquote class="bk-quote"><strong>b</strong></blockquote>`},
		{"&gt;a\n\n&gt;b", `<blockquote class="bk-quote">a</blockquote><blockquote class="bk-quote">b</blockquote>`},
		{"a > b &gt; c", "a &gt; b &gt; c"},

		// References.
		{"<@UALICE> <@UBOB|eve> <@UEVE|bob>", `<span class="bk-mention">@alice</span> <span class="bk-mention me">@bob</span> <span class="bk-mention">@UEVE</span>`},
		{"<#C1|other> <#C2>", `<span class="bk-mention">#keys</span> <span class="bk-mention">#C2</span>`},
		{"<!subteam^SONCALL> <!subteam^S2|@x>", `<span class="bk-mention">@oncall</span> <span class="bk-mention">@S2</span>`},
		{"<!here> <!channel|x> <!everyone>", `<span class="bk-mention broadcast">@here</span> <span class="bk-mention broadcast">@channel</span> <span class="bk-mention broadcast">@everyone</span>`},
		{"<https://x.example/?a=1&amp;b=2|a &lt; b>", `<a href="https://x.example/?a=1&amp;b=2"` + blank + `>a &lt; b</a>`},
		{"<http://x.example>", `<a href="http://x.example"` + blank + `>http://x.example</a>`},
		{"<mailto:a@x.example|write>", `<a href="mailto:a@x.example"` + blank + `>write</a>`},
		{"<!date^1795405320^{date_short_pretty} {time_secs}|then>", `<time datetime="2026-11-23T03:42:00Z">Nov 23, 2026 03:42:00</time>`},
		{"<!date^1795405320^at {time}^https://x.example|then>", `<a href="https://x.example"` + blank + `><time datetime="2026-11-23T03:42:00Z">at 03:42</time></a>`},
		{"<!date^1795405320^at {time}^javascript:x|then>", `<time datetime="2026-11-23T03:42:00Z">at 03:42</time>`},
		{"<!date^1795405320^{_}|then> <!date^1795405320^none|&amp;> <!date^99999999999999999999^{time}|far>", "then &amp; far"},
		{"<!date^soon^{time}> <!date^999999999999999^{time}>", "&lt;!date^soon^{time}&gt; &lt;!date^999999999999999^{time}&gt;"},
		{":tada: é 👍 ⏳", ":tada: é 👍 ⏳"},

		// What is no reference, and what only looks harmless.
		{"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
		{"<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"},
		{"<JavaScript:alert(1)> <data:text/html,x|y> <//x.example|y> </x|y>", "&lt;JavaScript:alert(1)&gt; &lt;data:text/html,x|y&gt; &lt;//x.example|y&gt; &lt;/x|y&gt;"},
		{"<https://>", "&lt;https://&gt;"},
		{"<> < <a\nb> <@UBOB", "&lt;&gt; &lt; &lt;a<br>b&gt; &lt;@UBOB"},
		{`<https://x.example/"onclick="x|"y'>`, `<a href="https://x.example/%22onclick=%22x"` + blank + `>&#34;y&#39;</a>`},
		{"<@UBOB\"> <@bob> <!nobody>", "&lt;@UBOB&#34;&gt; &lt;@bob&gt; &lt;!nobody&gt;"},
		{"&lt;@UBOB&gt; &amp;lt;", "&lt;@UBOB&gt; &amp;lt;"},
		{"\u202eabc\u202c שלום", "\u202eabc\u202c שלום"},
		{"a\x00b", "a\ufffdb"},

		// Verbatim, so Slack finds nothing by itself.
		{"@here https://x.example", "@here https://x.example"},
	} {
		want := `<div class="bk-text">` + c.want + `</div>`
		if got := verbatim(bob, c.in); string(got) != want {
			t.Errorf("%q is drawn as\n%s, want\n%s", c.in, got, want)
		}
		scan(t, verbatim(bob, c.in))
	}
}

// TestBare has what Slack finds by itself in text that is not verbatim.
func TestBare(t *testing.T) {
	a := func(address string) string { return `<a href="` + address + `"` + blank + `>` + address + `</a>` }
	const here = `<span class="bk-mention broadcast">@here</span>`
	for _, c := range []struct{ in, want string }{
		{"@here, (@channel) *@everyone*", here + `, (<span class="bk-mention broadcast">@channel</span>) <strong><span class="bk-mention broadcast">@everyone</span></strong>`},
		{"a@here @hereby @HERE `@here`", "a@here @hereby @HERE <code class=\"bk-code\">@here</code>"},
		{"see https://x.example/a_b_c.", "see " + a("https://x.example/a_b_c") + "."},
		{"a\xffb", "a\ufffdb"}, // what comes in JSON is UTF-8 already
		{"(HTTP://x.example), &lt;http://y.example&gt;", "(" + a("HTTP://x.example") + "), &lt;" + a("http://y.example") + "&gt;"},
		{"*https://x.example*\nhttps://y.example", "<strong>" + a("https://x.example") + "</strong><br>" + a("https://y.example")},
		{"https://x.example/?a=1&amp;b=2", `<a href="https://x.example/?a=1&amp;b=2"` + blank + `>https://x.example/?a=1&amp;b=2</a>`},
		{"https://x.example/?a&amp;.; b", `<a href="https://x.example/?a&amp;"` + blank + `>https://x.example/?a&amp;</a>.; b`},
		{"https://x.example/a_(b)", `<a href="https://x.example/a_%28b%29"` + blank + `>https://x.example/a_(b)</a>`},
		{"https:// http://. xhttps://x.example mailto:a@b ftp://x.example javascript:x", "https:// http://. xhttps://x.example mailto:a@b ftp://x.example javascript:x"},
		{"&lt;!here&gt; <https://x.example|@here>", `&lt;!here&gt; <a href="https://x.example"` + blank + `>@here</a>`},
	} {
		want := `<div class="bk-text">` + c.want + `</div>`
		if got := bob.Text(c.in); string(got) != want {
			t.Errorf("%q is drawn as\n%s, want\n%s", c.in, got, want)
		}
		scan(t, bob.Text(c.in))
	}
}

func TestDates(t *testing.T) {
	there := blockkit.Reader{Zone: time.FixedZone("", 5*3600+1800)}
	for form, want := range map[string]string{
		"{date_num}":                   "2026-11-24",
		"{date}":                       "November 24, 2026",
		"{date_pretty}":                "November 24, 2026",
		"{date_short}":                 "Nov 24, 2026",
		"{date_short_pretty}":          "Nov 24, 2026",
		"{date_long}":                  "Tuesday, November 24, 2026",
		"{date_long_pretty}":           "Tuesday, November 24, 2026",
		"{time}":                       "01:05",
		"{time_secs}":                  "01:05:09",
		"{time} and {time}, &lt;{date": "01:05 and 01:05, &lt;{date",
	} {
		want = `<div class="bk-text"><time datetime="2026-11-24T01:05:09&#43;05:30">` + want + `</time></div>`
		if got := there.Text("<!date^1795462509^" + form + "|then>"); string(got) != want {
			t.Errorf("%s is drawn as\n%s, want\n%s", form, got, want)
		}
	}
	const text = "<!date^1795462509^{date_long} {time}|then>"
	local := blockkit.Reader{Zone: time.Local}
	if got, want := (blockkit.Reader{}).Text(text), local.Text(text); got != want {
		t.Errorf("without a zone it is drawn as %s, want the local time %s", got, want)
	}
}
