// Package page is the rehearsal in a browser: a simulated incident channel in which one
// may be anybody, the simulated tenant beside it, and faults to play with. It shows what
// the simulators have, and does to them what a person does; keyturn itself is the real
// one, which the page can only kill.
//
// Data flows one way. A press in the browser is a POST (acts.go, faults.go, tour.go, proof.go);
// what comes of it is a change in the simulators, and each change is drawn anew (panes.go,
// slack.go, tenant.go, keyturn.go) and sent to every browser that looks (events.go). Nothing is kept:
// who one is and what one looks at are in the page's address.
package page

import (
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"sync"

	"keyturn/cmd/rehearse/blockkit"
	"keyturn/cmd/rehearse/world"
	"keyturn/mgmt/auth0sim"
)

var (
	//go:embed static
	static embed.FS

	//go:embed *.html
	sources   embed.FS
	templates = template.Must(template.New("").ParseFS(sources, "*.html"))
)

// Page shows a world. It is safe for concurrent use.
type Page struct {
	world *world.World
	app   *auth0sim.App
	mux   *http.ServeMux

	mu      sync.Mutex
	tour    tour
	proof   proof
	changed chan struct{} // closed and replaced at each change of what is above
}

// New returns the page of a world. It starts nothing in it.
func New(w *world.World) *Page {
	p := &Page{world: w, app: w.Tenant.NewApp(keeps[0].For), mux: http.NewServeMux(), changed: make(chan struct{})}
	p.mux.HandleFunc("GET /{$}", p.index)
	p.mux.Handle("GET /static/", http.FileServerFS(static))
	p.mux.HandleFunc("GET /blockkit.css", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/css; charset=utf-8")
		rw.Write(blockkit.CSS())
	})
	p.mux.HandleFunc("GET /events", p.events)
	for name, act := range map[string]func(*http.Request, asked) (said, error){
		"type": p.typed, "press": p.press, "submit": p.submit, "close": p.closeView, "dismiss": p.dismiss,
		"fault": p.fault, "tour": p.tourAct, "prove": p.prove, "keep": p.keep, "restart": p.restart,
	} {
		p.mux.HandleFunc("POST /"+name, func(rw http.ResponseWriter, r *http.Request) { answer(rw, r, act) })
	}
	return p
}

// ServeHTTP serves the page. Whoever serves it keeps pages of other origins out.
func (p *Page) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	// Nothing from elsewhere is loaded, and nothing that is written into the page runs.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(rw, r)
}

func (p *Page) index(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	// An error can only be that the browser has gone: the template is tested.
	templates.ExecuteTemplate(rw, "index", map[string]any{
		"Look": lookOf(r.URL.Query()), "People": people, "Words": p.completions(), "Keeps": keeps,
	})
}

// asked is what the page asks for: who does it, where, and what.
type asked struct {
	As      string // the person's name
	Channel string
	Text    string         // type
	TS      string         // press, dismiss: the message's
	Block   string         // press
	Action  string         // press
	Value   string         // press, keep
	Values  map[string]any // submit: by block
	Name    string         // fault, tour, prove: which

	person person
}

// said is what the page answers beside what it then shows.
type said struct {
	Done    string `json:"done,omitempty"`    // what happened, where nothing else shows it
	Warning string `json:"warning,omitempty"` // what Slack shows where nothing came of it
	Error   string `json:"error,omitempty"`   // why a person cannot do that
}

// answer lets a person act.
func answer(rw http.ResponseWriter, r *http.Request, act func(*http.Request, asked) (said, error)) {
	var a asked
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, 1<<20)).Decode(&a); err != nil {
		http.Error(rw, "this is no JSON that the page sends", http.StatusBadRequest)
		return
	}
	var known bool
	if a.person, known = personOf(a.As); !known {
		http.Error(rw, "there is nobody called so", http.StatusBadRequest)
		return
	}
	out, err := act(r, a)
	if err != nil {
		out.Error = err.Error()
	}
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(out)
}

// tell wakes those who draw. p.mu is held.
func (p *Page) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}
