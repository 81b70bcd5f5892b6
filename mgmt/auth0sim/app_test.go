package auth0sim_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/mgmt/auth0sim"
)

func TestAnApplicationAcceptsWhatItsCopyOfTheKeySetHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		app := tenant.NewApp(10 * time.Minute)
		token := func(kid string) string {
			t.Helper()
			s, err := tenant.UserToken(kid)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		keys := tenant.Keys()
		next, current := keys[0].KID, keys[1].KID
		for _, kid := range []string{next, current} {
			if err := app.Accept(t.Context(), token(kid)); err != nil {
				t.Errorf("a token of %s: %v", kid, err)
			}
		}
		stolen := token(current)

		time.Sleep(time.Minute) // of the bubble
		third := tenant.Rotate()
		if got := tenant.Published(); !slices.Equal(got, []string{next, third, current}) {
			t.Errorf("after the rotation %v are published", got)
		}
		if err := tenant.Revoke(current); err != nil {
			t.Fatal(err)
		}
		if err := app.Accept(t.Context(), stolen); err != nil {
			t.Errorf("the copy is a minute old and has the revoked key, and yet: %v", err)
		}
		if kids, read, _ := app.Kept(); len(kids) != 2 || time.Since(read) != time.Minute {
			t.Errorf("the copy has %v, read %s ago", kids, time.Since(read))
		}
		// A key that it does not know makes it look, and the look brings the revocation.
		if err := app.Accept(t.Context(), token(third)); err != nil {
			t.Errorf("a token of the new next key: %v", err)
		}
		if err := app.Accept(t.Context(), stolen); !errors.Is(err, auth0sim.ErrUnknownKey) {
			t.Errorf("a token of the revoked key gives %v", err)
		}
		if _, err := tenant.UserToken("nobody's"); err == nil {
			t.Error("a key that there is not signed a token")
		}
	})
}

func TestAnApplicationForgetsInTimeOrWhenItIsRestarted(t *testing.T) {
	for name, forget := range map[string]func(*auth0sim.App){
		"the copy is too old": func(*auth0sim.App) { time.Sleep(10 * time.Minute) },
		"restarted":           (*auth0sim.App).Restart,
		"keeps it for less":   func(a *auth0sim.App) { a.Keep(15 * time.Second); time.Sleep(15 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := auth0sim.New(auth0sim.Config{Previous: 1})
				defer tenant.Close()
				app := tenant.NewApp(10 * time.Minute)
				previous := tenant.Keys()[2].KID
				token, err := tenant.UserToken(previous)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(app.Accept(t.Context(), token), tenant.Revoke(previous), app.Accept(t.Context(), token)); err != nil {
					t.Fatal(err)
				}
				forget(app)
				if err := app.Accept(t.Context(), token); !errors.Is(err, auth0sim.ErrUnknownKey) {
					t.Errorf("it gives %v", err)
				}
			})
		})
	}
}

func TestAnApplicationDoesNotStormTheTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{Previous: 1})
		defer tenant.Close()
		app := tenant.NewApp(time.Hour)
		previous := tenant.Keys()[2].KID
		token, _ := tenant.UserToken(previous)
		if err := tenant.Revoke(previous); err != nil {
			t.Fatal(err)
		}
		looks := func() (n int) {
			for _, c := range tenant.History() {
				if c.Op == "jwks" {
					n++
				}
			}
			return n
		}
		for range 30 {
			app.Accept(t.Context(), token)
			time.Sleep(time.Second)
		}
		if n := looks(); n != 4 { // the first, and every ten seconds for the unknown one
			t.Errorf("it read the key set %d times in half a minute, want 4", n)
		}
		tenant.Fault(auth0sim.Fault{Op: "jwks", Status: 503})
		if len(tenant.Faults()) != 1 {
			t.Error("the fault is not told of")
		}
		app.Restart()
		if err := app.Accept(t.Context(), token); err == nil || errors.Is(err, auth0sim.ErrUnknownKey) {
			t.Errorf("with a key set that cannot be read it gives %v", err)
		}
	})
}
