package mgmt

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/mgmt/auth0sim"
)

// readerOf opens a tenant's Reader.
func readerOf(t *testing.T, tenant *auth0sim.Tenant) *Reader {
	t.Helper()
	r, _ := Open(Config{BaseURL: "http://acme.test", ClientID: "sim-client", ClientSecret: "sim-secret", Dial: tenant.Dial})
	t.Cleanup(r.Close)
	return r
}

func TestSkew(t *testing.T) {
	for name, tt := range map[string]struct {
		date  func(time.Time) string // nil: as the tenant's clock has it
		ahead time.Duration          // of the tenant's clock
		delay time.Duration          // of the answer
		want  time.Duration
	}{
		"none":                {},
		"we are behind":       {ahead: 3 * time.Hour, want: 3 * time.Hour},
		"we are ahead":        {ahead: -3 * time.Hour, want: -3 * time.Hour},
		"a slow answer":       {ahead: 2 * time.Minute, delay: 4 * time.Second, want: 2*time.Minute + 2*time.Second},
		"no Date":             {ahead: 3 * time.Hour, date: func(time.Time) string { return "" }},
		"a Date that is none": {ahead: 3 * time.Hour, date: func(now time.Time) string { return now.Format(time.RFC3339) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := auth0sim.New(auth0sim.Config{
					Date: tt.date, Now: func() time.Time { return time.Now().Add(tt.ahead) },
				})
				defer tenant.Close()
				if tt.delay > 0 {
					tenant.Fault(auth0sim.Fault{Op: "list", Delay: tt.delay})
				}
				r := readerOf(t, tenant)
				if got := r.Skew(); got != 0 {
					t.Errorf("before any answer the skew is %v", got)
				}
				if _, err := r.Keys(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := r.Skew(); (got - tt.want).Abs() > time.Second/2 {
					t.Errorf("the skew is %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// The last answer that said something counts, whatever it was an answer to.
func TestSkewIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says := ""
		ahead := time.Hour
		tenant := auth0sim.New(auth0sim.Config{Date: func(now time.Time) string {
			if says == "now" {
				return now.Add(ahead).Format(http.TimeFormat)
			}
			return says
		}})
		defer tenant.Close()
		r := readerOf(t, tenant)
		for _, step := range []struct {
			says  string
			ahead time.Duration
			want  time.Duration
		}{{"now", time.Hour, time.Hour}, {"", 0, time.Hour}, {"soon", 0, time.Hour}, {"now", 0, 0}} {
			says, ahead = step.says, step.ahead
			if step.want == 0 {
				tenant.Fault(auth0sim.Fault{Op: "list", Times: 1, Status: http.StatusForbidden})
			}
			r.Keys(t.Context())
			if got := r.Skew(); (got - step.want).Abs() > time.Second/2 {
				t.Errorf("after a Date that says %q the skew is %v, want %v", step.says, got, step.want)
			}
		}
	})
}

// When to come back is told by Auth0's clock, and meant for ours.
func TestResetBySkew(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	theirs := now.Add(3 * time.Hour)
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Time
	}{
		"seconds since 1970": {http.Header{"X-Ratelimit-Reset": {"1795780830"}}, now.Add(30 * time.Second)},
		"a date":             {http.Header{"Retry-After": {theirs.Add(time.Minute).Format(http.TimeFormat)}}, now.Add(time.Minute)},
		"seconds":            {http.Header{"Retry-After": {"60"}}, now.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			tt.header.Set("Date", theirs.Format(http.TimeFormat))
			got := resetOf(&http.Response{StatusCode: http.StatusTooManyRequests, Header: tt.header}, now)
			if got.Sub(tt.want).Abs() > time.Second {
				t.Errorf("come back at %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		r := readerOf(t, tenant)
		limit := func(op, after string) {
			tenant.Fault(auth0sim.Fault{
				Op: op, Times: 1, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}},
			})
		}
		want := func(what string, d time.Duration) {
			t.Helper()
			got := r.Limited()
			if d == 0 && !got.IsZero() || d > 0 && !got.Equal(time.Now().Add(d)) {
				t.Errorf("%s: limited until %v, want for %v", what, got, d)
			}
		}
		want("at first", 0)
		limit("list", "20")
		r.Keys(t.Context())
		want("a list", 20*time.Second)
		r.JWKS(t.Context(), "http://acme.test")
		want("a key set, which needs no token", 20*time.Second)
		time.Sleep(20 * time.Second)
		want("when it is over", 0)
		limit("list", "86400")
		r.Keys(t.Context())
		want("a day", maxLimited)
		r.Keys(t.Context())
		want("a read that was taken", 0)
		r.DropToken()
		limit("token", "30")
		r.Keys(t.Context())
		want("a token", 30*time.Second)
	})
}

func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := auth0sim.New(auth0sim.Config{})
		defer tenant.Close()
		r := readerOf(t, tenant)
		yields := func(what string, want time.Duration) {
			t.Helper()
			began := time.Now()
			r.Yield(t.Context(), 5*time.Second)
			if got := time.Since(began); got != want {
				t.Errorf("%s: yields for %v, want %v", what, got, want)
			}
		}
		yields("nobody goes first", 0)
		one, two := r.GoFirst(), r.GoFirst()
		yields("two go first", 5*time.Second)
		one()
		one() // counts once
		yields("one goes first", 5*time.Second)
		time.AfterFunc(time.Second, two)
		yields("until they are done", time.Second)
		yields("again nobody", 0)
	})
}
