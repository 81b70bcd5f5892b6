package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"keyturn/cmd/rehearse/world"
)

// TestBlocksThatSlackRefusesAreShownAsRefused posts, as the app, what Slack does not take.
func TestBlocksThatSlackRefusesAreShownAsRefused(t *testing.T) {
	b := open(t)
	res, err := http.PostForm(b.world.SlackURL+"/api/chat.postMessage", url.Values{
		"token": {"xoxb-sim"}, "channel": {world.Incident}, "text": {"a card"},
		"blocks": {`[{"type":"header","text":{"type":"plain_text","text":"` + strings.Repeat("x", 151) + `"}},
			{"type":"actions","elements":[{"type":"button","action_id":"approve","value":"kt-aaaaaaaa","text":{"type":"plain_text","text":"Approve"}}]}]`},
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	b.sees(".message.refused", "Slack refused chat.postMessage: invalid_blocks")
	b.sees(".bk-refused", "must be at most 150 characters, and has 151")
	b.seesNo(".message.refused button", "Approve")
}

// TestWordsAreOnlyWords types what would be markup, in the channel and in a form.
func TestWordsAreOnlyWords(t *testing.T) {
	b := open(t)
	const hostile = `<script>document.title = "gone"</script><img src=x onerror="document.title = 'gone'"> <!channel>`
	b.types(hostile)
	b.sees(".message", `<img src=x onerror=`)
	b.asks("/signing-keys rotate", hostile)
	b.sees(".message .bk", `<script>document.title`)
	if title := eval[string](b, `document.title`); title != "keyturn: the rehearsal" {
		t.Errorf("the title is %q: what was typed ran", title)
	}
	if n := eval[int](b, `document.querySelectorAll("main script, main img").length`); n != 0 {
		t.Errorf("%d elements were typed into the page", n)
	}
}

// TestTheFormKeepsItsWords submits what keyturn refuses, beside the input.
func TestTheFormKeepsItsWords(t *testing.T) {
	b := open(t)
	b.types("/signing-keys rotate")
	b.awaits(`Boolean(document.querySelector("#modal[open] textarea[name=reason]:focus"))`, "the modal, with the focus on the reason")
	b.keys("a good reason" + kb.Tab + "not an address")
	b.click("#modal button", "Ask for approval")
	b.sees("#modal .bk-error", "This is no address of a page")
	b.awaits(`document.activeElement.name === "link"`, "the focus on what is wrong")
	if words := eval[string](b, `document.querySelector("#modal [name=reason]").value`); words != "a good reason" {
		t.Errorf("the reason is %q now", words)
	}
}

// TestEverybodyCanUseIt looks at the page in the dark and in the light, on a phone and on a
// desk: nothing overflows, all can be read, all has a name, and nothing moves for whoever
// wants it so.
func TestEverybodyCanUseIt(t *testing.T) {
	b := open(t)
	b.dark("light")
	b.types("/signing-keys list")
	b.sees(".message.only", "Signing keys of prod")
	b.asks("/signing-keys rotate-and-revoke", "found on a laptop that was stolen")
	b.be("bob")
	b.sees(".message", "Waits for a second person")
	b.click(".tour button", "Begin the tour")
	b.click("#proofs button", "Show the story")
	b.sees(".proof.holds", "keyturn audit show")
	for _, scheme := range []string{"light", "dark"} {
		b.dark(scheme)
		b.awaits(`matchMedia("(prefers-color-scheme: `+scheme+`)").matches`, scheme)
		for _, faint := range eval[[]string](b, contrasts) {
			t.Errorf("%s: %s", scheme, faint)
		}
		if n := eval[int](b, `document.getAnimations().length`); n != 0 {
			t.Errorf("%s: %d animations run for somebody who wants none", scheme, n)
		}
	}
	b.shot("dark")
	b.click("#theme", "")
	b.awaits(`getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)"`, "the light, by the button")
	b.click("#theme", "")
	b.awaits(`getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)"`, "the dark again")
	for _, nameless := range eval[[]string](b, namelessControls) {
		t.Errorf("it has no name: %s", nameless)
	}

	b.dark("light")
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)))
	b.click(".tabs button", "Tour")
	b.click(".tour button", "Leave the tour")
	for _, part := range []string{"Tenant", "Tour", "Slack"} {
		b.click(".tabs button", part)
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s: the page is %d wide on a phone of 390", part, wide)
		}
		for _, cut := range eval[[]string](b, overflowing) {
			t.Errorf("%s: it is cut: %s", part, cut)
		}
	}
	b.shot("phone")

	// A thread lies over the whole channel there.
	b.be("alice")
	b.click(".message button", "Cancel")
	b.click(".message .replies", "")
	b.sees("#thread", "Cancelled by")
	b.awaits(`["#thread-name", "#line"].every((at) => {
		const r = document.querySelector(at).getBoundingClientRect();
		return document.elementFromPoint(r.x + 5, r.y + 5)?.closest("#thread");
	})`, "the thread over the channel")
	b.click("#close-thread", "")
	b.awaits(`document.querySelector("#thread").hidden`, "the thread to close")
}

// contrasts lists the texts whose contrast with what they stand on is below 4.5, or 3 for
// large ones (WCAG 2.2, 1.4.3). What is disabled is exempt.
const contrasts = `(() => {
	const parts = (color) => (color.match(/[\d.]+/g) || []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const under = (el) => {
		for (; el; el = el.parentElement) {
			const c = parts(getComputedStyle(el).backgroundColor);
			if (c.length === 3 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const bad = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const el = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || !el.checkVisibility() || el.closest(":disabled, script, noscript, .unseen, .skip, [aria-hidden=true]")) continue;
		const style = getComputedStyle(el), size = parseFloat(style.fontSize);
		const a = light(parts(style.color)), b = light(under(el));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (contrast < (large ? 3 : 4.5)) bad.add(contrast.toFixed(2) + ": " + el.className + " " + walk.currentNode.data.trim().slice(0, 40));
	}
	return [...bad];
})()`

// namelessControls lists what can be used and has no name for whoever does not see it.
const namelessControls = `[...document.querySelectorAll("button, input, select, textarea, [role=log], nav, table")]
	.filter((el) => el.checkVisibility() && !(el.innerText?.trim() || el.getAttribute("aria-label") || el.getAttribute("aria-labelledby") || el.labels?.length))
	.map((el) => el.outerHTML.slice(0, 100))`

// overflowing lists what is wider than what it stands in and cannot be scrolled.
const overflowing = `[...document.querySelectorAll("main *, .top *, .tabs *")]
	.filter((el) => el.checkVisibility() && el.scrollWidth > el.clientWidth + 1 && el.clientWidth > 0 && getComputedStyle(el).overflowX === "visible" && getComputedStyle(el).display !== "inline" && !el.closest(".unseen"))
	.map((el) => el.tagName + "." + el.className + " " + el.innerText.slice(0, 40))`
