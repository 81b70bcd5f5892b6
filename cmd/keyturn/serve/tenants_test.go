package serve

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"keyturn/bot/approval"
	"keyturn/mgmt"
	"keyturn/mgmt/auth0sim"
)

// TestATenantThatCanBeReadIsReady: a scope for changes that is missing is a warning, one for
// reading is what keeps it from being ready.
func TestATenantThatCanBeReadIsReady(t *testing.T) {
	const read, create, update = "read:signing_keys", "create:signing_keys", "update:signing_keys"
	for _, tc := range []struct {
		scopes []string
		fault  string // "": it is ready
		warns  string // "": it does not
	}{
		{[]string{read, create, update}, "", ""},
		{[]string{read, update}, "", `"scopes":["create:signing_keys"]`},
		{[]string{read}, "", `"scopes":["create:signing_keys","update:signing_keys"]`},
		{[]string{create, update}, read, ""},
	} {
		tenant := auth0sim.New(auth0sim.Config{Scopes: tc.scopes})
		server := httptest.NewServer(tenant)
		reader, _ := mgmt.Open(mgmt.Config{BaseURL: server.URL, ClientID: "sim-client",
			ClientSecret: "sim-secret"})
		var log bytes.Buffer
		ready := newTenantsReady(map[string]approval.Tenant{"prod": {Name: "prod", Reader: reader}},
			zerolog.New(&log))
		ready.look(t.Context())
		err := ready.err()
		if tc.fault == "" && err != nil || tc.fault != "" && (err == nil ||
			!strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("with %v: %v", tc.scopes, err)
		}
		if warned := strings.Contains(log.String(),
			"the application lacks scopes"); warned != (tc.warns != "") ||
			!strings.Contains(log.String(), tc.warns) {
			t.Errorf("with %v the log says\n%s", tc.scopes, log.String())
		}
		reader.Close()
		server.Close()
		tenant.Close()
	}
}
