package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"keyturn/cmd/rehearse/world"
	"keyturn/mgmt/auth0sim"
)

// drillTenant is the name of a drill's tenant in keyturn's configuration.
const drillTenant = "drill"

// drill runs keyturn in the workspace that the environment says, in front of a simulated
// tenant, until ctx ends. It shows what to do, what keyturn logs, and the tenant's keys as
// often as they change. It is an error where the environment is a real keyturn's, and where
// keyturn ends by itself, as it does where it is not alone on its app.
func drill(ctx context.Context, out io.Writer) error {
	own, err := ownVariables(os.Environ())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keyturn-drill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tenant := auth0sim.New(auth0sim.Config{Previous: 1})
	defer tenant.Close()
	server, address, err := world.Listen(tenant)
	if err != nil {
		return err
	}
	defer server.Close()

	var printing sync.Mutex // the log comes whenever it comes
	fmt.Fprintf(out, drillWords, drillTenant, appOf(own))
	env := append(own, world.TenantVariables(drillTenant, address)...)
	env = append(env, "KEYTURN_DATABASE_URL="+filepath.Join(dir, "keyturn.db"))
	k := world.NewDrill(env, func(line string) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Fprintln(out, "keyturn │ "+line)
	})
	if err := k.Start(); err != nil {
		return err
	}
	defer k.Kill()

	title := "The tenant's signing keys"
	for shown := []auth0sim.Key(nil); ; {
		changed := tenant.Changed()
		if keys := tenant.Keys(); !slices.Equal(keys, shown) {
			printing.Lock()
			showKeys(out, title, keys)
			printing.Unlock()
			title, shown = "The tenant's signing keys now", keys
		}
		select {
		case <-changed:
			continue
		case <-k.Ended():
			if ctx.Err() == nil {
				return fmt.Errorf("keyturn ended by itself, and says above why: %w", cmp.Or(k.Err(), errors.New("it was stopped")))
			}
		case <-ctx.Done():
		}
		if err := k.Stop(); err != nil {
			return err
		}
		fmt.Fprintln(out, "\nThe drill is over, and its tenant and trail are gone. What it showed in Slack stays, with buttons that nobody answers.")
		return nil
	}
}

const drillWords = `This is a drill: the real keyturn in your own Slack workspace, in front of a simulated Auth0 tenant
named %s. Whatever it shows in Slack begins with 🧪 DRILL. No real key changes.

keyturn connects to Slack now, %s. Where another process
uses that app, it refuses to go on. Once it says below that it is connected:

  1. In a channel that it was invited to, type  /signing-keys list  (or the name that you gave the app's
     command) and ask for a change.
  2. Let somebody else, who is among KEYTURN_APPROVERS, press [Approve].

Ctrl-C ends the drill. What it showed in Slack stays, with buttons that nobody answers.
`

// ownVariables returns what of an environment a drill's keyturn gets besides its tenant and
// database: those are the drill's. Whoever has them set is about to use the app of a real
// keyturn, and that is an error.
func ownVariables(environ []string) (own []string, err error) {
	var real []string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case !strings.HasPrefix(name, "KEYTURN_"):
		case name != "KEYTURN_TENANTS" && !strings.HasPrefix(name, "KEYTURN_TENANT_") &&
			name != "KEYTURN_DATABASE_URL" && name != "KEYTURN_AUDIT_KEY_FILE":
			own = append(own, kv)
		case value != "":
			real = append(real, name)
		}
	}
	if len(real) > 0 {
		slices.Sort(real)
		return nil, fmt.Errorf("this is the environment of a real keyturn, whose Slack app no drill may use: %s. "+
			"Unset what is named here, and give the drill the tokens of an app of its own", strings.Join(real, ", "))
	}
	if !slices.ContainsFunc(own, func(kv string) bool { return strings.HasPrefix(kv, "KEYTURN_LOG_FORMAT=") }) {
		own = append(own, "KEYTURN_LOG_FORMAT=console")
	}
	return own, nil
}

// appToken is an app-level token, with the app's id in it.
var appToken = regexp.MustCompile(`^KEYTURN_SLACK_APP_TOKEN=xapp-[0-9]+-(A[A-Z0-9]+)-[0-9]+-`)

// appOf names the app whose token is among variables.
func appOf(variables []string) string {
	for _, kv := range variables {
		if m := appToken.FindStringSubmatch(kv); m != nil {
			return "as the app https://api.slack.com/apps/" + m[1]
		}
	}
	return "as the app of the token in KEYTURN_SLACK_APP_TOKEN"
}
