package mgmt

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/mgmt/auth0sim"
)

func TestALogRow(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 11, 5, 0, time.UTC)
	const head = `{"date":"2026-11-23T03:11:05.000Z","type":"sapi","ip":"203.0.113.7","client_id":"C1","details":{"request":{`
	for _, tc := range []struct {
		row  string
		want Event
		ok   bool
	}{
		{head + `"method":"post","path":"/api/v2/keys/signing/rotate","channel":"api","auth":{"user":{}}}},"references":{"correlation_id":"kt-1"}}`,
			Event{At: at, Write: "rotate", Client: "C1", IP: "203.0.113.7", Channel: "api", Correlation: "kt-1"}, true},
		{head + `"method":"PUT","path":"/api/v2/keys/signing/k-1/revoke","auth":{"user":{"user_id":"auth0|1","name":"mallory"}}}},"client_name":"Dashboard"}`,
			Event{At: at, Write: "revoke", KID: "k-1", Client: "Dashboard", IP: "203.0.113.7", User: "mallory"}, true},
		{head + `"method":"put","path":"/api/v2/keys/signing/k-1/revoke","auth":{"user":"mallory"}}}}`,
			Event{At: at, Write: "revoke", KID: "k-1", Client: "C1", IP: "203.0.113.7", User: "mallory"}, true},
		{head + `"method":"put","path":"/api/v2/keys/signing/k-1/revoke","auth":{"user":null}}},"user_id":"auth0|1"}`,
			Event{At: at, Write: "revoke", KID: "k-1", Client: "C1", IP: "203.0.113.7", User: "auth0|1"}, true},
		{head + `"method":"get","path":"/api/v2/keys/signing/rotate"}}}`, Event{}, false},
		{head + `"method":"post","path":"/api/v2/users"}}}`, Event{}, false},
		{`{"date":"2026-11-23T03:11:05.000Z","type":"sapi"}`, Event{}, false},
	} {
		var row logRow
		if err := json.Unmarshal([]byte(tc.row), &row); err != nil {
			t.Fatalf("%s: %v", tc.row, err)
		}
		got, ok := row.event()
		if ok != tc.ok {
			t.Errorf("%s: %v", tc.row, ok)
		}
		if diff := cmp.Diff(tc.want, got); ok && diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.row, diff)
		}
	}
}

func TestEvents(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 3}).Close()
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{Scopes: []string{"read:signing_keys", ScopeLogs}})
		defer tenant.Close()
		r, _ := Open(Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: tenant.Dial})
		defer r.Close()
		tenant.Rotate()
		time.Sleep(time.Hour)
		since := time.Now()
		time.Sleep(time.Second)
		tenant.Rotate()
		events, err := r.Events(t.Context(), since)
		if err != nil || len(events) != 1 || events[0].Write != "rotate" || events[0].User != auth0sim.AdminName || events[0].At.Before(since) {
			t.Errorf("since an hour after the first: %+v, %v", events, err)
		}
		if events, err := r.Events(t.Context(), time.Time{}); err != nil || len(events) != 2 {
			t.Errorf("all of them: %+v, %v", events, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		r, _ := Open(Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: tenant.Dial})
		defer r.Close()
		var said *Error
		if _, err := r.Events(t.Context(), time.Time{}); !errors.As(err, &said) || said.Status != http.StatusForbidden {
			t.Errorf("without the scope: %v", err)
		}
	})
}
