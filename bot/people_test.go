package bot

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/bot/slacksim"
)

// newReader reads a simulated workspace.
func newReader(client *http.Client) *reader {
	cfg := Config{APIURL: "http://slack.test/api/", Now: time.Now}
	return newSlackReader(cfg, client, func() string { return "xoxb-sim" }, func(error) {})
}

// TestJudge asks for each sign of somebody alone: a payload and Slack's own word may
// differ, and either is enough for a no.
func TestJudge(t *testing.T) {
	manifest, err := os.ReadFile("../manifest.yml")
	if err != nil {
		t.Fatal(err)
	}
	w, err := slacksim.New(slacksim.Config{Manifest: manifest})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, p := range []slacksim.Person{
		{ID: "UHOME", Name: "home"}, {ID: "UAWAY", Name: "away", Team: "T0OTHER"}, {ID: "UODD", Name: "odd", Stranger: true},
		{ID: "UGRID", Name: "grid", Enterprise: "E0ORG"}, {ID: "UELSE", Name: "else", Enterprise: "E0OTHER"},
		{ID: "USISTER", Name: "sister", Team: "T0SISTER", Enterprise: "E0ORG"},
	} {
		w.AddPerson(p)
	}
	w.AddGroup("SONE", "UHOME")
	client := &http.Client{Transport: &http.Transport{DialContext: w.Dial}}
	judge := func(enterprise string, p presser, ids ...string) (approval.Person, error) {
		pp := newPeople(newReader(client), time.Now)
		pp.install = install{Team: slacksim.TeamID, Enterprise: enterprise}
		return pp.judge(t.Context(), p, time.Now(), ids)
	}
	home, org := slacksim.TeamID, "E0ORG"
	for _, tc := range []struct {
		name       string
		enterprise string // of the install
		who        presser
		stranger   bool
	}{
		{"at home", "", presser{User: "UHOME", Team: home}, false},
		{"at home, as a modal says", "", presser{User: "UHOME", Team: home, Install: home}, false},
		{"the payload says another team", "", presser{User: "UHOME", Team: "T0OTHER"}, true},
		{"the payload says an organisation", "", presser{User: "UHOME", Team: home, Enterprise: org}, true},
		{"the payload says another install", "", presser{User: "UHOME", Team: home, Install: "T0OTHER"}, true},
		{"a modal of another workspace", "", presser{User: "UAWAY", Team: "T0OTHER", Install: home}, true},
		{"users.info says another team", "", presser{User: "UAWAY", Team: home}, true},
		{"users.info says stranger", "", presser{User: "UODD", Team: home}, true},

		{"of the organisation", org, presser{User: "UGRID", Team: home, Enterprise: org}, false},
		{"of the organisation, which the payload leaves out", org, presser{User: "UGRID", Team: home}, false},
		{"of the organisation, in place of a team", org, presser{User: "UGRID", Team: org}, false},
		{"of another team of the organisation, and of ours", org, presser{User: "UGRID", Team: "T0SISTER", Enterprise: org}, false},
		{"of another team of the organisation alone", org, presser{User: "USISTER", Team: "T0SISTER", Enterprise: org}, true},
		{"of another team of who knows what", org, presser{User: "UGRID", Team: "T0SISTER"}, true},
		{"of another organisation", org, presser{User: "UELSE", Team: home, Enterprise: org}, true},
		{"of another organisation, as the payload says", org, presser{User: "UGRID", Team: home, Enterprise: "E0OTHER"}, true},
		{"of no organisation", org, presser{User: "UHOME", Team: home, Enterprise: org}, true},
	} {
		got, err := judge(tc.enterprise, tc.who)
		if err != nil || got.Stranger != tc.stranger || got.User != tc.who.User {
			t.Errorf("%s: %+v, %v, want stranger %v", tc.name, got, err, tc.stranger)
		}
		if want := (audit.Actor{Enterprise: tc.enterprise, Team: home, User: got.User, Name: got.Name}); !got.Stranger && got.Actor != want {
			t.Errorf("%s: is %+v, want %+v", tc.name, got.Actor, want)
		}
	}

	var no *approval.Refusal
	_, err = judge("", presser{User: "UNOBODY", Team: home})
	if !errors.As(err, &no) || no.Why != approval.UnknownPerson {
		t.Errorf("somebody whom Slack does not know: %v", err)
	}
	for name, who := range map[string]presser{
		"no team": {User: "UHOME"}, "no user": {Team: home}, "nothing": {},
	} {
		if _, err := judge("", who); !errors.As(err, &no) || no.Why != approval.NotEstablished {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := judge("", presser{User: "UHOME", Team: home}, "UOTHER", "SNONE", "SONE"); err != nil || !slices.Equal(got.Groups, []string{"SONE"}) {
		t.Errorf("a group beside one that cannot be read: %+v, %v", got, err)
	}
	_, err = judge("", presser{User: "UHOME", Team: home}, "SNONE")
	if !errors.As(err, &no) || no.Why != approval.GroupUnreadable || no.Group != "SNONE" {
		t.Errorf("no group but one that cannot be read: %v", err)
	}
	if got, err := judge("", presser{User: "UHOME", Team: home}, "UHOME", "SNONE"); err != nil || got.Groups != nil {
		t.Errorf("named beside a group that cannot be read: %+v, %v", got, err)
	}
}
