package serve

import (
	"strings"
	"testing"
)

// TestNamesThatOnlyLookSecretAreTaken starts with paths, domains and a client secret that have
// the beginning of a token somewhere within.
func TestNamesThatOnlyLookSecretAreTaken(t *testing.T) {
	for _, env := range []map[string]string{
		{"KEYTURN_AUDIT_KEY_FILE": "/etc/keyturn/private.key"},
		{"KEYTURN_AUDIT_KEY_FILE": "/run/secrets/keyturn-private-key"},
		{"KEYTURN_DATABASE_URL": "/srv/fluxapp-prod/keyturn.db"},
		{"KEYTURN_DATABASE_URL": "/srv/boxox.io/keyturn.db"},
		{"KEYTURN_TENANT_PROD_DOMAIN": "maxapp-prod.eu.auth0.com"},
		{"KEYTURN_TENANT_PROD_DOMAIN": "lexox.eu.auth0.com"},
		{"KEYTURN_TENANT_PROD_JWKS_DOMAINS": "login.foxapp-eu.com"},
		{"KEYTURN_TENANT_PROD_DOMAIN": "xoxo-prod.eu.auth0.com"},
		// 64 random characters of Auth0's; one in some 20,000 has these.
		{"KEYTURN_TENANT_PROD_CLIENT_SECRET": "aB3dxOx-9" + strings.Repeat("kQ", 27) + "z"},
	} {
		environ(t, env)
		if _, err := Load(); err != nil {
			t.Errorf("%v: %v", env, err)
		}
	}
}
