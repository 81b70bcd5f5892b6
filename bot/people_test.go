package bot

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/slacksim"
)

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
	} {
		w.AddPerson(p)
	}
	w.AddGroup("SONE", "UHOME")
	client := &http.Client{Transport: &http.Transport{DialContext: w.Dial}}
	judge := func(enterprise string, p presser, ids ...string) (approval.Person, error) {
		pp := &people{
			api:     slack.New("xoxb-sim", slack.OptionAPIURL("http://slack.test/api/"), slack.OptionHTTPClient(client)),
			install: install{Team: slacksim.TeamID, Enterprise: enterprise}, now: time.Now, groups: map[string]members{},
		}
		return pp.judge(t.Context(), p, ids)
	}
	for _, tc := range []struct {
		name       string
		enterprise string
		who        presser
		stranger   bool
	}{
		{"at home", "", presser{"UHOME", slacksim.TeamID}, false},
		{"the payload says another team", "", presser{"UHOME", "T0OTHER"}, true},
		{"the payload says nothing", "", presser{"UHOME", ""}, true},
		{"users.info says another team", "", presser{"UAWAY", slacksim.TeamID}, true},
		{"users.info says stranger", "", presser{"UODD", slacksim.TeamID}, true},
		{"of the organisation", "E0ORG", presser{"UGRID", slacksim.TeamID}, false},
		{"of the organisation, as the payload says", "E0ORG", presser{"UGRID", "E0ORG"}, false},
		{"of another organisation", "E0ORG", presser{"UELSE", slacksim.TeamID}, true},
		{"of no organisation", "E0ORG", presser{"UHOME", slacksim.TeamID}, true},
	} {
		got, err := judge(tc.enterprise, tc.who)
		if err != nil || got.Stranger != tc.stranger || got.User != tc.who.User || got.Team != slacksim.TeamID {
			t.Errorf("%s: %+v, %v, want stranger %v", tc.name, got, err, tc.stranger)
		}
	}

	var no *approval.Refusal
	if _, err := judge("", presser{"UNOBODY", slacksim.TeamID}); !errors.As(err, &no) || no.Why != approval.NotEstablished {
		t.Errorf("somebody whom Slack does not know: %v", err)
	}
	if got, err := judge("", presser{"UHOME", slacksim.TeamID}, "UOTHER", "SNONE", "SONE"); err != nil || !slices.Equal(got.Groups, []string{"SONE"}) {
		t.Errorf("a group beside one that cannot be read: %+v, %v", got, err)
	}
	if _, err := judge("", presser{"UHOME", slacksim.TeamID}, "SNONE"); !errors.As(err, &no) {
		t.Errorf("no group but one that cannot be read: %v", err)
	}
	if got, err := judge("", presser{"UHOME", slacksim.TeamID}, "UHOME", "SNONE"); err != nil || got.Groups != nil {
		t.Errorf("named beside a group that cannot be read: %+v, %v", got, err)
	}
}
