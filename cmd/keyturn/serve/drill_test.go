package serve

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/bot"
)

// TestADrillTakesOnlyASimulatedTenant: whatever says DRILL in Slack must not change a real
// key.
func TestADrillTakesOnlyASimulatedTenant(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes map[string]string
		want    []string // the faults; none: it is taken
	}{
		{"simulated", map[string]string{"KEYTURN_TENANT_PROD_DOMAIN": "http://127.0.0.1:9090", "KEYTURN_TENANT_PROD_JWKS_DOMAINS": "http://localhost:9090,http://[::1]:9090"}, nil},
		{"real", nil, []string{"KEYTURN_TENANT_PROD_DOMAIN may be a real tenant's"}},
		{"on loopback, but not for sure without TLS",
			map[string]string{"KEYTURN_TENANT_PROD_DOMAIN": "127.0.0.1:9090"},
			[]string{"KEYTURN_TENANT_PROD_DOMAIN may be"}},
		{"the real one's JWKS", map[string]string{"KEYTURN_TENANT_PROD_DOMAIN": "http://127.0.0.1:9090", "KEYTURN_TENANT_PROD_JWKS_DOMAINS": "http://127.0.0.1:9090,login.acme.com"},
			[]string{"KEYTURN_TENANT_PROD_JWKS_DOMAINS: number 2 may be"}},
		{"one of two", map[string]string{
			"KEYTURN_TENANTS": "prod,staging", "KEYTURN_TENANT_PROD_DOMAIN": "http://127.0.0.1:9090",
			"KEYTURN_TENANT_STAGING_DOMAIN": "staging.eu.auth0.com", "KEYTURN_TENANT_STAGING_CLIENT_ID": "client", "KEYTURN_TENANT_STAGING_CLIENT_SECRET": "hush",
		}, []string{"KEYTURN_TENANT_STAGING_DOMAIN may be"}},
		{"among other faults", map[string]string{"KEYTURN_APPROVERS": "", "KEYTURN_TENANT_PROD_JWKS_DOMAINS": "https://x/y"},
			[]string{"KEYTURN_APPROVERS is missing",
				"KEYTURN_TENANT_PROD_JWKS_DOMAINS is no domain",
				"KEYTURN_TENANT_PROD_DOMAIN may be"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			environ(t, tc.changes)
			c, err := load(Config{Drill: true})
			if len(tc.want) == 0 {
				if err != nil || !c.Drill {
					t.Errorf("got drill %v, %v", c.Drill, err)
				}
				return
			}
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != len(tc.want) {
				t.Fatalf("got %v, want %d faults", err, len(tc.want))
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no fault says %q:\n%v", want, err)
				}
			}
		})
	}
}

// TestDrillAndRunDiffer holds the two against the same environment, of a real tenant; both
// are told to stop before they begin.
func TestDrillAndRunDiffer(t *testing.T) {
	environ(t, map[string]string{
		"KEYTURN_DATABASE_URL": filepath.Join(t.TempDir(), "keyturn.db"), "KEYTURN_SLACK_API_URL": "http://127.0.0.1:1/api/", "KEYTURN_TENANT_PROD_DOMAIN": "tenant.invalid",
	})
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	var faults Faults
	if err := Drill(stopped, io.Discard); !errors.As(err, &faults) || ExitStatus(err) != 2 {
		t.Errorf("Drill returns %v", err)
	}
	if err := Run(stopped, io.Discard); errors.As(err, &faults) || errors.Is(err, bot.ErrNotAlone) {
		t.Errorf("Run returns %v", err)
	}
}
