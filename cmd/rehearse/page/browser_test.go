package page_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"keyturn/cmd/rehearse/page"
	"keyturn/cmd/rehearse/world"
)

var update = flag.Bool("update", false, "make the screenshots of the README anew; look at each")

// TestMain lets the test's own binary be the keyturn that a world starts.
func TestMain(m *testing.M) {
	world.BeKeyturn()
	os.Exit(m.Run())
}

// browser is the page of a world, before somebody's eyes. What goes wrong on the page's
// console fails the test.
type browser struct {
	t     *testing.T
	ctx   context.Context
	world *world.World
	url   string
}

// patience is how long somebody waits for what they should see: quiet times are 15 s.
const patience = 60 * time.Second

// chromium is where the browser is, or skips the test, loudly; in CI it has to be there.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: the page is not tested with -short")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_CHROMIUM") != "" {
		t.Fatal("Chromium is required here, and is not installed")
	}
	t.Skip("SKIPPED: the page is not tested, since there is no Chromium; apt-get install chromium")
	return ""
}

// open starts a world with a keyturn, and looks at its page as alice, in a window of
// 1440 × 900.
func open(t *testing.T) *browser {
	t.Helper()
	path := chromium(t)
	t.Parallel() // the quiet times of one are another's time to work
	w, err := world.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server, url, err := world.Listen(page.New(w))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx, world: w, url: url}
	b.watchConsole()
	b.do(chromedp.EmulateViewport(1440, 900), chromedp.Navigate(url))
	b.sees(".status", "keyturn runs, 1 socket")
	return b
}

// watchConsole fails the test where the page's console has an error.
func (b *browser) watchConsole() {
	messages := chromedp.Console(b.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning {
				b.t.Errorf("the console says %s: %s (%s)", m.Type, m.Text, m.URL)
			}
		}
	})
	b.t.Cleanup(func() {
		chromedp.Cancel(b.ctx)
		wg.Wait()
	})
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\nthe page shows:\n%s\nkeyturn's log:\n%s", err, b.text("body"), b.world.Keyturn.Log())
	}
}

// eval runs an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// text is what an element shows.
func (b *browser) text(css string) string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector(`+quoted(css)+`)?.innerText ?? ""`))
	if err != nil {
		return err.Error()
	}
	return s
}

// sees waits until an element is there that shows the words.
func (b *browser) sees(css, words string) {
	b.t.Helper()
	b.awaits(fmt.Sprintf(`[...document.querySelectorAll(%s)].some((el) => el.checkVisibility() && el.innerText.includes(%s))`, quoted(css), quoted(words)),
		fmt.Sprintf("%q in %s", words, css))
}

// seesNo waits until no element is there that shows the words.
func (b *browser) seesNo(css, words string) {
	b.t.Helper()
	b.awaits(fmt.Sprintf(`![...document.querySelectorAll(%s)].some((el) => el.checkVisibility() && el.innerText.includes(%s))`, quoted(css), quoted(words)),
		fmt.Sprintf("no %q in %s", words, css))
}

func (b *browser) awaits(expression, what string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(patience))); err != nil {
		b.t.Fatalf("waiting for %s: %v\nthe page shows:\n%s\nkeyturn's log:\n%s", what, err, b.text("body"), b.world.Keyturn.Log())
	}
}

// click clicks the newest element that can be seen and has the words, as soon as nothing
// lies over it.
func (b *browser) click(css, words string) {
	b.t.Helper()
	b.awaits(fmt.Sprintf(`(() => {
		const el = [...document.querySelectorAll(%s)].filter((el) => el.checkVisibility() && !el.disabled && el.innerText.includes(%s)).at(-1);
		if (!el) return false;
		el.scrollIntoView({block: "center"});
		const r = el.getBoundingClientRect();
		if (!el.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return false;
		el.focus();
		el.click();
		return true;
	})()`, quoted(css), quoted(words)), fmt.Sprintf("%q to click in %s", words, css))
}

// be becomes somebody.
func (b *browser) be(name string) {
	b.t.Helper()
	b.click(".who label", name)
	b.awaits(`document.body.dataset.as === `+quoted(name), "being "+name)
}

// keys presses keys, wherever the focus is.
func (b *browser) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// types types a line in the composer and sends it.
func (b *browser) types(line string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS("#line")))
	b.keys(line + kb.Enter)
}

// asks asks for a change: the line, and the modal with its reason.
func (b *browser) asks(line, reason string) {
	b.t.Helper()
	b.types(line)
	b.awaits(`Boolean(document.querySelector("#modal[open] textarea[name=reason]:focus"))`, "the modal, with the focus on the reason")
	b.keys(reason)
	b.click("#modal button", "Ask for approval")
	b.awaits(`!document.querySelector("#modal[open]")`, "the modal to close")
	b.sees(".message", reason)
}

// approves presses Approve on the newest card, and confirms it.
func (b *browser) approves() {
	b.t.Helper()
	b.click(".message button", "Approve")
	b.click("#confirm button", "Approve")
	b.awaits(`!document.querySelector("#confirm[open]")`, "the confirm dialog to close")
}

// dark lets the page be as for somebody who prefers it dark, or light.
func (b *browser) dark(scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// shot makes a screenshot, and with -update it becomes the one that the README shows.
func (b *browser) shot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	dir := b.t.TempDir()
	if *update {
		dir = filepath.Join("testdata", "screenshots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// rotations counts those that took effect, and were asked for by keyturn.
func (b *browser) rotations() (n int) {
	for _, c := range b.world.Tenant.History() {
		if c.Op == "rotate" && c.Effect && c.Via == "api" {
			n++
		}
	}
	return n
}

func (b *browser) contains(css string, words ...string) {
	b.t.Helper()
	text := b.text(css)
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Errorf("%s lacks %q:\n%s", css, w, text)
		}
	}
}
