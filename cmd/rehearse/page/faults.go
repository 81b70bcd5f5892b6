package page

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"keyturn/bot/slacksim"
	"keyturn/mgmt/auth0sim"
)

// fault is something that goes wrong, to play with.
type fault struct {
	Name  string
	Title string
	Watch string // what to look at
	Did   string // what happened then, where nothing else shows it at once
	do    func(context.Context, *Page) error
	on    func(*Page) bool // it is switched on, and its button switches it off; nil: it happens at once
	can   func(*Page) bool // it can happen now; nil: always
}

// lostRotate and limitRotate spoil one rotate each.
func lostRotate() auth0sim.Fault {
	return auth0sim.Fault{Op: "rotate", Times: 1, Lose: auth0sim.LoseAfter}
}

func limitRotate() auth0sim.Fault {
	return auth0sim.Fault{
		Op: "rotate", Times: 1, Status: http.StatusTooManyRequests,
		Body: `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`,
		Header: http.Header{
			"X-Ratelimit-Limit": {"5"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(5 * time.Hour).Unix())},
		},
	}
}

// runs reports whether there is a keyturn that something can happen to.
func runs(p *Page) bool { return p.world.Keyturn.Running() }

// playable are the faults, in the order of the page.
var playable = []fault{
	{
		Name: "lost", Title: "Lose the answer to the next rotate",
		Watch: "Ask for a rotation, and approve it. Auth0 rotates, but the answer never arrives. keyturn waits 15 quiet seconds, looks at the keys, and goes on: among the changes to the keys there is one rotation, not two.",
		do:    spoilRotate(lostRotate), on: rotateSpoiltBy(lostRotate),
	},
	{
		Name: "limit", Title: "Answer the next rotate with 429",
		Watch: "Auth0 allows five rotations a day. The request ends as failed: the card says that nothing was applied and when Auth0 takes the next one. keyturn does not try again by itself.",
		do:    spoilRotate(limitRotate), on: rotateSpoiltBy(limitRotate),
	},
	{
		Name: "slack", Title: "Let Slack's API be down",
		Watch: "A press still arrives, but keyturn cannot ask Slack who pressed, and what cannot " +
			"be established is a no: nothing is carried out. What was approved before goes on. The " +
			"press is kept for two minutes. Switch the fault off before that: the press counts, " +
			"and cards, threads and the channel of the trail catch up, in order.",
		do: func(_ context.Context, p *Page) error {
			if len(p.world.Slack.Faults()) > 0 {
				p.world.Slack.ClearFaults()
			} else {
				p.world.Slack.Fault(slacksim.Fault{Status: http.StatusServiceUnavailable})
			}
			return nil
		},
		on: func(p *Page) bool { return len(p.world.Slack.Faults()) > 0 },
	},
	{
		Name: "drop", Title: "Drop the socket",
		Watch: "The connection breaks off without a word. keyturn opens another within a second or so. What you press in between shows Slack's warning: press again.",
		Did:   "The socket was dropped.", can: runs,
		do: func(_ context.Context, p *Page) error {
			p.world.Slack.Drop()
			return nil
		},
	},
	{
		Name: "kill", Title: "kill -9 keyturn",
		Watch: "Do it while a change is carried out; losing an answer first leaves you 15 seconds. Start it again: the request goes on where it was and comes to its end, once. The trail says that keyturn started without a stop before it.",
		Did:   "keyturn was killed.", can: runs,
		do: func(_ context.Context, p *Page) error {
			p.world.Keyturn.Kill()
			return nil
		},
	},
	{
		Name: "start", Title: "Start keyturn",
		Watch: "As after a crash: the same program, with the same database.",
		Did:   "keyturn was started.", can: func(p *Page) bool { return !runs(p) },
		do: func(_ context.Context, p *Page) error { return p.world.Keyturn.Start() },
	},
	{
		Name: "behind", Title: "Rotate behind its back",
		Watch: "Somebody rotates in Auth0's Dashboard. Within ten seconds or so an alarm is in #signing-keys-trail. A request that was asked for before is voided when it is approved: the keys are no longer as they were shown.",
		Did:   "Somebody rotated in the Dashboard.",
		do: func(_ context.Context, p *Page) error {
			p.world.Tenant.Rotate()
			return nil
		},
	},
	{
		Name: "forge", Title: "Change a row of the database",
		Watch: "Ask for something first. The row of the last request is changed to say that somebody else asked, so that whoever did could approve it alone. keyturn believes the trail: approve it, and nothing is sent to Auth0. Verify the trail below: it names the row.",
		Did:   "The row of the newest request says now that mallory asked for it.",
		do: func(ctx context.Context, p *Page) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			return p.world.ForgeRequester(ctx)
		},
	},
	{
		Name: "mend", Title: "Mend everything",
		Watch: "All faults are off, and keyturn runs. Keys that were changed stay so, and so do the rotations of the day: for another tenant, start the rehearsal anew.",
		Did:   "Everything is mended.",
		do: func(_ context.Context, p *Page) error {
			p.world.Tenant.ClearFaults()
			p.world.Slack.ClearFaults()
			return p.world.Keyturn.Start()
		},
	},
}

// spoilRotate switches a fault of the next rotate on, or off where it is on. The other one
// is off then.
func spoilRotate(made func() auth0sim.Fault) func(context.Context, *Page) error {
	return func(_ context.Context, p *Page) error {
		on := rotateSpoiltBy(made)(p)
		p.world.Tenant.ClearFaults()
		if !on {
			p.world.Tenant.Fault(made())
		}
		return nil
	}
}

func rotateSpoiltBy(made func() auth0sim.Fault) func(*Page) bool {
	f := made()
	return func(p *Page) bool {
		return slices.ContainsFunc(p.world.Tenant.Faults(), func(on auth0sim.Fault) bool { return on.Status == f.Status && on.Lose == f.Lose })
	}
}

// faults draws each with its button.
func (p *Page) faults() []fragment {
	var out []fragment
	for _, f := range playable {
		data := map[string]any{"Fault": f, "Can": f.can == nil || f.can(p)}
		if f.on != nil {
			data["Switch"], data["On"] = true, f.on(p)
		}
		out = append(out, drawn(f.Name, "fault", data))
	}
	return out
}

// fault lets something go wrong.
func (p *Page) fault(r *http.Request, a asked) (said, error) {
	i := slices.IndexFunc(playable, func(f fault) bool { return f.Name == a.Name })
	if i < 0 {
		return said{}, fmt.Errorf("there is no fault %q", a.Name)
	}
	err := playable[i].do(r.Context(), p)
	p.poke()
	if err != nil {
		return said{}, err
	}
	return said{Done: playable[i].Did}, nil
}

// poke lets everybody draw anew, where a simulator does not tell of a change.
func (p *Page) poke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell()
}
