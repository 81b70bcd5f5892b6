package watch_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt/auth0sim"
)

// act is a change that somebody made in the Dashboard.
type act struct {
	at   time.Time
	what string
	kids []string // one of them at least has to be in an alarm
	ours bool     // a request of ours was at the same: whose it was nobody can tell by the keys
}

// TestAnyMixture lets keyturn and administrators change keys in any order, with faults and
// starts between. Whatever an administrator did is in an alarm, and nothing else is.
func TestAnyMixture(t *testing.T) {
	auth0sim.New(auth0sim.Config{Previous: 20}).Close() // the stock of RSA keys is filled outside the bubbles
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		flag.Set("rapid.checks", map[bool]string{false: "40", true: "10"}[testing.Short()])
	}
	dir := t.TempDir()
	n := 0
	steps := rapid.SliceOfN(rapid.SampledFrom([]string{
		"rotate", "rotate-and-revoke", "revoke", "did it", "did not",
		"admin rotates", "admin revokes", "admin revokes",
		"1s", "20s", "2m", "2m", "40m", "restart",
		"rotate lost after", "rotate lost before", "rotate lands late", "revoke lost after", "unreadable", "readable",
	}), 1, 12)
	rapid.Check(t, func(rt *rapid.T) {
		script := steps.Draw(rt, "steps")
		n++
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			h := &house{t: t, path: filepath.Join(dir, fmt.Sprint(n, ".db")), tenant: auth0sim.New(auth0sim.Config{Previous: 2})}
			defer h.tenant.Close()
			h.open()
			defer h.close()
			wrong = h.mixture(script)
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// mixture plays a script and returns what is wrong at its end.
func (h *house) mixture(script []string) string {
	h.pass(interval)
	var acts []act
	var last approval.ID
	for _, step := range script {
		h.pass(time.Second)
		switch step {
		case "rotate", "rotate-and-revoke", "revoke":
			kid := ""
			if step == "revoke" {
				kid = h.kid("previous")
			}
			if id := h.ask(approval.Action(step), kid); id != "" {
				last = id
				h.press(approval.Approve, id, "UBOB")
			}
		case "did it", "did not":
			verb := map[string]approval.Verb{"did it": approval.TookEffect, "did not": approval.DidNot}[step]
			if last != "" && h.state(last) == approval.InDoubt && h.honest(last, verb) {
				h.press(verb, last, "UALICE")
				h.press(verb, last, "UBOB")
			}
		case "admin rotates":
			kids, ours := []string{h.kid("current"), h.kid("next")}, h.carried()
			kids = append(kids, h.tenant.Rotate())
			acts = append(acts, act{time.Now(), step, kids, ours != ""})
		case "admin revokes":
			if kid := h.kid("previous"); kid != "" && h.tenant.Revoke(kid) == nil {
				acts = append(acts, act{time.Now(), step, []string{kid}, kid == h.carried()})
			}
		case "restart":
			h.restart()
		case "rotate lost after":
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter})
		case "rotate lost before":
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseBefore})
		case "rotate lands late":
			h.tenant.Fault(auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LandLate, Delay: 12 * time.Second})
		case "revoke lost after":
			h.tenant.Fault(auth0sim.Fault{Op: "revoke", Times: 1, Lose: auth0sim.LoseAfter})
		case "unreadable":
			h.tenant.Fault(auth0sim.Fault{Op: "list", Status: http.StatusServiceUnavailable})
		case "readable":
			h.tenant.ClearFaults()
		default:
			d, err := time.ParseDuration(step)
			if err != nil {
				panic(err)
			}
			h.pass(d)
		}
	}
	h.tenant.ClearFaults()
	h.pass(2 * time.Hour)
	if open, err := h.store.OpenRequests(context.Background()); err != nil || len(open) > 0 {
		return "" // in doubt until people end it: nothing is concluded
	}
	var alarms []audit.Entry
	for _, e := range h.noted(audit.Alarmed) {
		if e.Alarm.What == audit.KeysChanged {
			alarms = append(alarms, e)
		}
	}
	if len(alarms) > len(acts) {
		return fmt.Sprintf("%d alarms of %d acts: %v", len(alarms), len(acts), notes(alarms))
	}
	for _, a := range acts {
		if !a.ours && !slices.ContainsFunc(alarms, func(e audit.Entry) bool {
			return !e.Time.Before(a.at) && slices.ContainsFunc(e.Alarm.Changes, func(c audit.KeyChange) bool { return slices.Contains(a.kids, c.KID) })
		}) {
			return fmt.Sprintf("%s at %v is in no alarm: %v", a.what, a.at, notes(alarms))
		}
	}
	for _, kid := range h.revokedByAdmin(acts) {
		n := 0
		for _, e := range alarms {
			for _, c := range e.Alarm.Changes {
				if c.KID == kid && c.Is == "revoked" {
					n++
				}
			}
		}
		if n != 1 {
			return fmt.Sprintf("the revocation of %s is in %d alarms: %v", kid, n, notes(alarms))
		}
	}
	return ""
}

// carried is the key of the request that is being carried out; "": none is.
func (h *house) carried() string {
	open, err := h.store.OpenRequests(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range open {
		if r.State != approval.Pending {
			return r.KID
		}
	}
	return ""
}

func (h *house) revokedByAdmin(acts []act) (kids []string) {
	for _, a := range acts {
		if a.what == "admin revokes" && !a.ours {
			kids = append(kids, a.kids[0])
		}
	}
	return kids
}

// honest reports whether a word on what is in doubt is true: people who say what is not
// are contradicted by the keys, as another test shows.
func (h *house) honest(id approval.ID, verb approval.Verb) bool {
	n, seen := 0, 0
	for _, c := range h.tenant.History() {
		if c.Effect && c.Correlation == string(id) {
			n++
		}
	}
	story, err := h.store.Story(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range story {
		if e.Kind == audit.Rotated || e.Kind == audit.Revoked {
			seen++
		}
	}
	return (n > seen) == (verb == approval.TookEffect)
}

func notes(alarms []audit.Entry) string {
	var out []string
	for _, e := range alarms {
		out = append(out, fmt.Sprintf("%v %+v", e.Time, e.Alarm.Changes))
	}
	return strings.Join(out, "\n")
}
