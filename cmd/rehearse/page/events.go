package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// together is how long changes are gathered that come in a burst, such as the lines of a
// thread, before they are drawn.
const together = 30 * time.Millisecond

// events tells a browser what there is to see, and then each pane that is no longer as it
// was told, until the browser goes.
func (p *Page) events(rw http.ResponseWriter, r *http.Request) {
	l := lookOf(r.URL.Query())
	rw.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(rw)
	tick := time.NewTicker(time.Second) // ages, and what an application accepts, change by themselves
	defer tick.Stop()
	told := map[string]string{}
	for {
		// Taken before the look: what changes in between wakes us again.
		slack, tenant, keyturn, own := p.world.Slack.Changed(), p.world.Tenant.Changed(), p.world.Keyturn.Changed(), p.ownChanged()
		news := map[string]json.RawMessage{}
		for name, pane := range p.panes(r.Context(), l) {
			b, err := json.Marshal(pane)
			if err != nil {
				panic(err) // strings and slices of them
			}
			if told[name] != string(b) {
				told[name], news[name] = string(b), b
			}
		}
		if len(news) > 0 {
			b, err := json.Marshal(news)
			if err != nil {
				panic(err) // what was marshalled before
			}
			if _, err := fmt.Fprintf(rw, "data: %s\n\n", b); err != nil {
				return
			}
			if err := flush.Flush(); err != nil {
				return
			}
		}
		select {
		case <-slack:
		case <-tenant:
		case <-keyturn:
		case <-own:
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		select {
		case <-time.After(together):
		case <-r.Context().Done():
			return
		}
	}
}

func (p *Page) ownChanged() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}
