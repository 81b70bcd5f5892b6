package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"keyturn/mgmt/auth0sim"
)

// This file draws the tenant, and the application that verifies its tokens.

// keeping is for how long the application keeps its copy of the key set.
type keeping struct {
	For   time.Duration
	Words string
}

// keeps are those that can be chosen; the first is how it begins. They are the defaults of
// these libraries (facts: auth0.md, downstream caches), and one that needs no patience.
var keeps = []keeping{
	{10 * time.Minute, "10 minutes, as node-jwks-rsa does"},
	{10 * time.Hour, "10 hours, as jwks-rsa-java does"},
	{15 * time.Second, "15 seconds"},
}

// key is a key of the tenant as the page shows it.
type key struct {
	KID, Role, Age string
	Accepted       bool
	Verdict        string // what the application says of a token that it signed
}

// keys are the tenant's keys by role, each with what the application makes of a token
// that it signed, now.
func (p *Page) keys(ctx context.Context) []fragment {
	var out []fragment
	for _, k := range p.world.Tenant.Keys() {
		shown := key{KID: k.KID, Role: k.InWords(), Age: keyAge(k)}
		token, err := p.world.Tenant.UserToken(k.KID)
		if err == nil {
			err = p.app.Accept(ctx, token)
		}
		switch {
		case err == nil:
			shown.Accepted, shown.Verdict = true, "accepted"
		case errors.Is(err, auth0sim.ErrUnknownKey):
			shown.Verdict = "refused: " + auth0sim.ErrUnknownKey.Error()
		default:
			shown.Verdict = "refused: " + err.Error()
		}
		out = append(out, drawn(k.KID, "key", shown))
	}
	return out
}

func keyAge(k auth0sim.Key) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "for " + age(time.Since(k.RevokedAt))
	case !k.CurrentUntil.IsZero():
		return "until " + age(time.Since(k.CurrentUntil)) + " ago"
	case !k.CurrentSince.IsZero():
		return "for " + age(time.Since(k.CurrentSince))
	}
	return "not used yet"
}

// published is the public key set.
func (p *Page) published() []fragment {
	var out []fragment
	for _, kid := range p.world.Tenant.Published() {
		out = append(out, drawn(kid, "published", kid))
	}
	return out
}

// copied is the application's copy of it.
func (p *Page) copied() []fragment {
	kids, read, keeps := p.app.Kept()
	data := map[string]any{"Kids": kids, "None": read.IsZero()}
	if !read.IsZero() {
		data["Age"], data["Left"] = age(time.Since(read)), age(time.Until(read.Add(keeps)))
		data["Stale"] = !slices.Equal(kids, slices.Sorted(slices.Values(p.world.Tenant.Published())))
	}
	return []fragment{drawn("copy", "copy", data)}
}

// shownCalls is how many calls are shown.
const shownCalls = 8

// calls are the last of those that are to change a key.
func (p *Page) calls() []fragment {
	type call struct {
		clock
		Op, Said, Via string
		Effect        bool
	}
	var out []fragment
	all := p.world.Tenant.History()
	for i := len(all) - 1; i >= 0 && len(out) < shownCalls; i-- {
		c := all[i]
		if !slices.Contains([]string{"rotate", "revoke"}, c.Op) {
			continue
		}
		shown := call{clock: clock{c.At}, Op: c.Op, Effect: c.Effect, Via: c.Via, Said: fmt.Sprintf("%d %s", c.Status, http.StatusText(c.Status))}
		if c.Lost {
			shown.Said = "the answer was lost"
		}
		if c.KID != "" {
			shown.Op += " " + c.KID[:min(8, len(c.KID))] + "…"
		}
		out = append(out, drawn(fmt.Sprint(i), "call", shown))
	}
	return out
}

// keep sets for how long the application keeps its copy.
func (p *Page) keep(_ *http.Request, a asked) (said, error) {
	d, err := time.ParseDuration(a.Value)
	if err != nil || !slices.ContainsFunc(keeps, func(k keeping) bool { return k.For == d }) {
		return said{}, fmt.Errorf("the application cannot keep it for %q", a.Value)
	}
	p.app.Keep(d)
	p.poke()
	return said{}, nil
}

// restart restarts the application, which forgets its copy.
func (p *Page) restart(*http.Request, asked) (said, error) {
	p.app.Restart()
	p.poke()
	return said{}, nil
}
