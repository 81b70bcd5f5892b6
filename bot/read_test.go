package bot

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
)

// inTown runs a test in a bubble with a simulated workspace and people who are judged by it:
// UHOME is in the groups SONE and STWO, UGUEST is a guest.
func inTown(t *testing.T, test func(t *testing.T, w *slacksim.Workspace, pp *people)) {
	t.Helper()
	manifest, err := os.ReadFile("../manifest.yml")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w, err := slacksim.New(slacksim.Config{Manifest: manifest})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.AddPerson(slacksim.Person{ID: "UHOME", Name: "home"})
		w.AddPerson(slacksim.Person{ID: "UGUEST", Guest: true})
		w.AddGroup("SONE", "UHOME")
		w.AddGroup("STWO", "UHOME")
		w.AddChannel(slacksim.Channel{ID: "C1", Members: []string{slacksim.BotID}})
		client := &http.Client{Transport: &http.Transport{DialContext: w.Dial}}
		defer client.CloseIdleConnections()
		pp := newPeople(newReader(client), time.Now)
		pp.install = install{Team: slacksim.TeamID}
		test(t, w, pp)
	})
}

func home(often bool) presser { return presser{User: "UHOME", Team: slacksim.TeamID, often: often} }

// TestWhatPassesIsJudgedLater makes each method fail in each way that passes: it is no
// refusal, and says when to come again.
func TestWhatPassesIsJudgedLater(t *testing.T) {
	for _, method := range []string{"users.info", "usergroups.users.list", "conversations.info"} {
		for _, f := range []slacksim.Fault{
			{Status: http.StatusTooManyRequests, RetryAfter: 30 * time.Second}, {Status: 503}, {Error: "internal_error"},
			{Error: "ratelimited"}, {Delay: time.Minute}, {Lose: slacksim.LoseBefore}, {Error: "token_revoked"},
		} {
			inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
				f.Method = method
				w.Fault(f)
				began := time.Now()
				_, err := pp.judge(t.Context(), home(false), began, []string{"SONE"})
				if method == "conversations.info" {
					err = pp.place(t.Context(), "C1", nil)
				}
				var not *later
				var no *approval.Refusal
				if !errors.As(err, &not) || errors.As(err, &no) {
					t.Fatalf("%s, %+v: %v, want it to be judged later", method, f, err)
				}
				if f.RetryAfter > 0 && not.until.Before(began.Add(f.RetryAfter)) {
					t.Errorf("%s: to come again in %s, want %s", method, not.until.Sub(began), f.RetryAfter)
				}
				time.Sleep(time.Until(not.until) + time.Second)
				w.ClearFaults()
				if p, err := pp.judge(t.Context(), home(false), began, []string{"SONE"}); err != nil || len(p.Groups) != 1 {
					t.Errorf("%s, %+v: judged again: %+v, %v", method, f, p, err)
				}
				if err := pp.place(t.Context(), "C1", nil); err != nil {
					t.Errorf("%s, %+v: looked at again: %v", method, f, err)
				}
			})
		}
	}
}

// TestWhatDoesNotPassIsRefused is about answers that no retry changes.
func TestWhatDoesNotPassIsRefused(t *testing.T) {
	for _, tc := range []struct {
		method, code string
		why          approval.Why
	}{
		{"users.info", "user_not_found", approval.UnknownPerson},
		{"users.info", "user_not_visible", approval.UnknownPerson},
		{"users.info", "missing_scope", approval.SlackRefuses},
		{"users.info", "no_permission", approval.SlackRefuses},
		{"users.info", "a_code_of_tomorrow", approval.SlackRefuses},
		{"usergroups.users.list", "no_such_subteam", approval.GroupUnreadable},
		{"usergroups.users.list", "subteam_not_found", approval.GroupUnreadable},
		{"usergroups.users.list", "plan_upgrade_required", approval.GroupUnreadable},
		{"usergroups.users.list", "missing_scope", approval.GroupUnreadable},
	} {
		inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
			w.Fault(slacksim.Fault{Method: tc.method, Error: tc.code})
			_, err := pp.judge(t.Context(), home(false), time.Now(), []string{"SONE"})
			var no *approval.Refusal
			if !errors.As(err, &no) || no.Why != tc.why || no.Code != tc.code || isLater(err) {
				t.Errorf("%s: %s: %v, want %s", tc.method, tc.code, err, tc.why)
			}
		})
	}
}

func TestAListBegunBeforeThePressDoesNotCount(t *testing.T) {
	inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
		first := time.Now()
		time.Sleep(time.Second)
		judge := func(received time.Time) int {
			p, err := pp.judge(t.Context(), home(false), received, []string{"SONE"})
			if err != nil {
				t.Fatal(err)
			}
			return len(p.Groups)
		}
		if judge(first) != 1 {
			t.Error("a member is in no group")
		}
		w.AddGroup("SONE")
		if judge(first) != 1 {
			t.Error("a list that began after the press does not count for it")
		}
		time.Sleep(time.Second)
		if judge(time.Now()) != 0 {
			t.Error("a list from before the press counts for a yes")
		}
		w.AddGroup("SONE", "UHOME")
		time.Sleep(time.Second)
		if judge(time.Now()) != 1 {
			t.Error("a list from before the press counts for a no")
		}
	})
}

func TestGroupsAreReadTwentyTimesAMinuteAtMost(t *testing.T) {
	inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
		w.SetLimits(true)
		for range 600 {
			pp.judge(t.Context(), home(false), time.Now(), []string{"SONE"})
			time.Sleep(time.Second)
		}
		n := w.Counts()["usergroups.users.list"]
		if n.Refused > 0 || n.Taken > 10*20+groupBurst || n.Taken < 100 {
			t.Errorf("in ten minutes %+v", n)
		}
	})
}

func TestNoGroupIsReadForWhoeverNeedsNone(t *testing.T) {
	inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
		w.Fault(slacksim.Fault{Method: "usergroups.users.list", Error: "internal_error"})
		if _, err := pp.judge(t.Context(), home(true), time.Now(), []string{"SONE", "UHOME"}); err != nil {
			t.Errorf("named by id: %v", err)
		}
		guest := presser{User: "UGUEST", Team: slacksim.TeamID, often: true}
		if p, err := pp.judge(t.Context(), guest, time.Now(), []string{"SONE"}); err != nil || !p.Guest {
			t.Errorf("a guest: %+v, %v", p, err)
		}
		var no *approval.Refusal
		if _, err := pp.judge(t.Context(), home(true), time.Now(), []string{"SONE"}); !errors.As(err, &no) || no.Why != approval.TooOften {
			t.Errorf("who pressed often: %v", err)
		}
	})
}

func TestWhoeverMayNeitherAskNorApproveReadsNothing(t *testing.T) {
	inTown(t, func(t *testing.T, w *slacksim.Workspace, pp *people) {
		w.AddPerson(slacksim.Person{ID: "UELSE"})
		w.AddPerson(slacksim.Person{ID: "UASK"})
		w.AddPerson(slacksim.Person{ID: "UNAMED"})
		b := &Bot{people: pp, Config: Config{Names: []string{"prod", "staging"}, Policy: approval.Policy{
			Approvers: []string{"SONE"}, Requesters: []string{"UASK"}, ByTenant: map[string][]string{"staging": {"UNAMED"}},
		}}}
		for user, want := range map[string]approval.Why{
			"UASK": "", "UNAMED": "", "UHOME": "", "UELSE": approval.MayNotRead, "UGUEST": approval.IsGuest, "UNOBODY": approval.UnknownPerson,
		} {
			err := b.mayRead(t.Context(), presser{User: user, Team: slacksim.TeamID}, time.Now(), false)
			var no *approval.Refusal
			if errors.As(err, &no); (err == nil) != (want == "") || no != nil && no.Why != want {
				t.Errorf("%s: %v, want %q", user, err, want)
			}
		}
	})
}

func TestWhatDecidesHasOneShape(t *testing.T) {
	for text, want := range map[string]bool{`{}`: true, `{"deleted":false}`: true, `{"deleted":true}`: true,
		`{"deleted":null}`: true, `{"deleted":0}`: false, `{"deleted":"false"}`: false, `{"id":7}`: false, `{"name":{}}`: true, `{"enterprise_user":[]}`: true} {
		var a account
		if err := json.Unmarshal([]byte(text), &a); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]bool{
		`{}`: false, `{"deleted":null}`: false, `{"deleted":true}`: true, `{"deleted":false}`: false,
		`{"deleted":false,"is_bot":true}`:                                                    true,
		`{"deleted":false,"is_bot":false,"is_restricted":false}`:                             false,
		`{"deleted":false,"is_bot":false,"is_restricted":true,"is_ultra_restricted":null}`:   false,
		`{"deleted":false,"is_bot":false,"is_restricted":false,"is_ultra_restricted":false}`: true,
	} {
		var a account
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.isWhole() != want {
			t.Errorf("%s says what decides: %v, %v", text, a.isWhole(), err)
		}
	}
}
