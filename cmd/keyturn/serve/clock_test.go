package serve

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"keyturn/bot/approval"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// A clock that differs from Auth0's is logged once for each change, and once when it agrees.
func TestClocksAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := 3 * time.Hour
		tenant := auth0sim.New(auth0sim.Config{Now: func() time.Time { return time.Now().Add(ahead) }})
		defer tenant.Close()
		reader, _ := mgmt.Open(mgmt.Config{
			BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: tenant.Dial,
		})
		defer reader.Close()
		var log bytes.Buffer
		c := newClocks(map[string]approval.Tenant{"prod": {Name: "prod", Reader: reader}}, zerolog.New(&log))
		logs := func(words string) {
			t.Helper()
			for range 3 {
				if _, err := reader.Keys(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				c.compare()
			}
			want := min(1, len(words))
			if got := log.String(); strings.Count(got, "\n") != want || !strings.Contains(got, words) {
				t.Errorf("%v ahead: logged %s, want %q once", ahead, got, words)
			}
			log.Reset()
		}
		c.compare()
		logs(`"auth0_ahead":"3h0m`)
		logs("")
		ahead = -time.Hour
		logs(`"auth0_ahead":"-`)
		ahead = 10 * time.Second
		logs("agrees with Auth0's again")
		logs("")
	})
}
