package slacksim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/bot/slacksim"
)

// send calls a method with a form, and returns its answer; nil: the connection broke off.
func (a *app) send(method, token string, form url.Values) (*http.Response, map[string]any) {
	a.t.Helper()
	body := strings.NewReader(form.Encode())
	req, err := http.NewRequest(http.MethodPost, "http://slack.test/api/"+method, body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := a.http.Do(req)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	var answer map[string]any
	json.NewDecoder(res.Body).Decode(&answer)
	return res, answer
}

// wantCodes calls a method as often as want says, and compares what comes of it.
func (a *app) wantCodes(what, method string, form url.Values, want map[string]int) {
	a.t.Helper()
	n := 0
	for _, times := range want {
		n += times
	}
	if diff := cmp.Diff(want, a.codes(n, method, form)); diff != "" {
		a.t.Errorf("%s: %s", what, diff)
	}
}

const tooMany = "429 Too Many Requests"

// codes calls a method so many times, and counts what comes of it.
func (a *app) codes(n int, method string, form url.Values) map[string]int {
	a.t.Helper()
	got := map[string]int{}
	for range n {
		switch res, body := a.send(method, "xoxb-sim", form); {
		case res == nil:
			got["broken off"]++
		case res.StatusCode != http.StatusOK:
			got[res.Status]++
		case body["ok"] == true:
			got["ok"]++
		default:
			got[body["error"].(string)]++
		}
	}
	return got
}

func TestLimitsOfAMinute(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		form := url.Values{"channel": {"C0ROOM"}}
		const method = "conversations.info"
		a.wantCodes("without limits", method, form, map[string]int{"ok": 60})
		a.w.SetLimits(true)
		a.wantCodes("with limits", method, form, map[string]int{"ok": 50, tooMany: 10})
		res, body := a.send(method, "xoxb-sim", form)
		if res.Header.Get("Retry-After") != "2" || body["error"] != "ratelimited" { // 60 s / 50
			t.Errorf("refused with %v, %v", res.Header, body)
		}
		ann := url.Values{"user": {"UANN"}}
		a.wantCodes("another method", "users.info", ann, map[string]int{"ok": 1})
		time.Sleep(2 * time.Second)
		a.wantCodes("two seconds later", method, form, map[string]int{"ok": 1, tooMany: 1})
		counted := map[string]slacksim.Count{
			method: {Taken: 51, Refused: 12}, "users.info": {Taken: 1},
		}
		if diff := cmp.Diff(counted, a.w.Counts()); diff != "" {
			t.Errorf("counted: %s", diff)
		}
	})
}

func TestLimitOfAChannel(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		a.w.SetLimits(true)
		form := url.Values{"channel": {"C0ROOM"}, "text": {"hello"}}
		const method = "chat.postMessage"
		a.wantCodes("at once", method, form, map[string]int{"ok": 5, tooMany: 2})
		other := url.Values{"channel": {"UANN"}, "text": {"hello"}}
		a.wantCodes("another channel", method, other, map[string]int{"ok": 1})
		time.Sleep(time.Second)
		a.wantCodes("a second later", method, form, map[string]int{"ok": 1, tooMany: 1})
		if n := len(a.w.Messages("C0ROOM")); n != 6 {
			t.Errorf("%d messages, want 6", n)
		}
	})
}

func TestFlaky(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	form := url.Values{"channel": {"C0ROOM"}, "text": {"hello"}}
	run := func(t *testing.T) (got map[string]int, posted, after int) {
		inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
			a.w.Flaky(0.25, seed)
			got = a.codes(400, "chat.postMessage", form)
			posted = len(a.w.Messages("C0ROOM"))
			a.w.ClearFaults()
			after = a.codes(10, "chat.postMessage", form)["ok"]
		})
		return got, posted, after
	}
	got, posted, after := run(t)
	again, _, _ := run(t)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("the same seed does otherwise: %s", diff)
	}
	if spoilt := 400 - got["ok"]; spoilt < 70 || spoilt > 130 || after != 10 {
		t.Errorf("%v; after they were cleared %d of 10", got, after)
	}
	for _, way := range []string{"broken off", "503 Service Unavailable", tooMany, "internal_error"} {
		if got[way] == 0 {
			t.Errorf("none was %s: %v", way, got)
		}
	}
	if posted <= got["ok"] || posted >= got["ok"]+got["broken off"] {
		t.Errorf("%d were posted of %v: some that broke off are to be, and some not", posted, got)
	}
}

func TestAnswersThatAreLost(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		form := url.Values{"channel": {"C0ROOM"}, "text": {"hello"}}
		for _, tc := range []struct {
			lose   slacksim.Lose
			posted int
			code   string
		}{{slacksim.LoseBefore, 0, "lost"}, {slacksim.LoseAfter, 1, ""}} {
			a.w.Fault(slacksim.Fault{Method: "chat.postMessage", Times: 1, Lose: tc.lose})
			a.wantCodes("a post", "chat.postMessage", form, map[string]int{"broken off": 1})
			calls := a.w.History()
			last := calls[len(calls)-1]
			if n := len(a.w.Messages("C0ROOM")); n != tc.posted || !last.Lost || last.Error != tc.code {
				t.Errorf("%d posted, recorded as %+v; want %d, %q", n, last, tc.posted, tc.code)
			}
		}
	})
}

// respond answers a command over its response URL, and returns the status; 0: the
// connection broke off.
func (a *app) respond(to string) int {
	a.t.Helper()
	res, err := a.http.Post(to, "application/json", strings.NewReader(`{"text":"hello"}`))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestResponseURLsThatFail(t *testing.T) {
	inWorkspace(t, manifest(t), func(t *testing.T, a *app) {
		s := a.dial()
		defer s.ws.Close()
		go s.acknowledge(t)
		a.slash()
		to := (<-s.envelopes).Payload["response_url"].(string)
		a.w.Fault(slacksim.Fault{Method: "response_url", Times: 1, Lose: slacksim.LoseBefore})
		a.w.Fault(slacksim.Fault{Method: "response_url", Times: 1, Lose: slacksim.LoseAfter})
		if before, after := a.respond(to), a.respond(to); before != 0 || after != 0 {
			t.Errorf("answered with %d and %d", before, after)
		}
		if n := len(a.w.Ephemerals("UANN", "C0ROOM")); n != 1 {
			t.Errorf("ann was shown %d, want that of the second", n)
		}
	})
}
