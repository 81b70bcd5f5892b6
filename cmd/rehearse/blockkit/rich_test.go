package blockkit_test

import (
	"encoding/json"
	"testing"
)

func TestRichText(t *testing.T) {
	section := func(elements string) string { return `{"type": "rich_text_section", "elements": [` + elements + `]}` }
	words := func(s string) string { return `{"type": "text", "text": "` + s + `"}` }
	a := func(address, label string) string { return `<a href="` + address + `"` + blank + `>` + label + `</a>` }
	for _, c := range []struct{ in, want string }{
		{section(words(`a\n*b* <@UBOB> &lt; @here`)), `<div class="bk-text">a<br>*b* &lt;@UBOB&gt; &amp;lt; @here</div>`},
		{section(`{"type": "text", "text": "x", "style": {"bold": true, "italic": true, "strike": true, "code": true}}`),
			`<div class="bk-text"><strong><em><s><code class="bk-code">x</code></s></em></strong></div>`},
		{section(`{"type": "link", "url": "https://x.example/?a=1&b", "text": "<x>", "style": {"bold": true}}`),
			`<div class="bk-text"><strong>` + a("https://x.example/?a=1&amp;b", "&lt;x&gt;") + `</strong></div>`},
		{section(`{"type": "link", "url": "mailto:a@b"}, {"type": "link", "url": "javascript:alert(1)", "text": "https://x.example"}`),
			`<div class="bk-text">` + a("mailto:a@b", "mailto:a@b") + `&lt;javascript:alert(1)|https://x.example&gt;</div>`},
		{section(`{"type": "user", "user_id": "UBOB"}, {"type": "user", "user_id": "<b>"}, {"type": "usergroup", "usergroup_id": "SONCALL"}, {"type": "channel", "channel_id": "C1"}, {"type": "broadcast", "range": "here"}`),
			`<div class="bk-text"><span class="bk-mention me">@bob</span><span class="bk-mention">@&lt;b&gt;</span><span class="bk-mention">@oncall</span><span class="bk-mention">#keys</span><span class="bk-mention broadcast">@here</span></div>`},
		{section(`{"type": "emoji", "name": "+1", "unicode": "1f44d-1f3fb"}, {"type": "emoji", "name": "house", "unicode": "no"}, {"type": "emoji", "name": "own"}`),
			`<div class="bk-text"><span role="img" aria-label="&#43;1">👍🏻</span>:house::own:</div>`},
		{section(`{"type": "date", "timestamp": 1795405320, "format": "{time}", "url": "https://x.example", "fallback": "then"}, {"type": "date", "timestamp": 1795405320, "format": "{no}", "fallback": "then"}, {"type": "date", "timestamp": -1, "format": "{time}"}`),
			`<div class="bk-text">` + a("https://x.example", `<time datetime="2026-11-23T03:42:00Z">03:42</time>`) + `then{time}</div>`},
		{`{"type": "rich_text_quote", "elements": [` + words(`<q>\nr`) + `]}`, `<blockquote class="bk-quote">&lt;q&gt;<br>r</blockquote>`},
		{`{"type": "rich_text_preformatted", "elements": [` + words(`\n a`) + `]}`, "<pre class=\"bk-pre\" tabindex=\"0\">\n<br> a</pre>"},
		{`{"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [` + section(words("a")) + `, ` + section(words("b")) + `]}`,
			`<ul class="bk-list bk-indent-1"><li class="bk-text">a</li><li class="bk-text">b</li></ul>`},
		{`{"type": "rich_text_list", "style": "ordered", "indent": 99, "offset": 2, "elements": [` + section(words("a")) + `]}`,
			`<ol class="bk-list bk-indent-8" start="3"><li class="bk-text">a</li></ol>`},
	} {
		drew := bob.Message(json.RawMessage(`[{"type": "rich_text", "elements": [` + c.in + `]}]`))
		if want := `<div class="bk bk-rich-text">` + c.want + "</div>\n"; string(drew) != want {
			t.Errorf("%s is drawn as\n%s, want\n%s", c.in, drew, want)
		}
		scan(t, drew)
	}
}
