package slacksim

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// perMinute are the documented tiers of the methods, for each workspace and app. Methods
// that Slack calls special have no documented number: of those it is an assumption.
var perMinute = map[string]int{
	"apps.connections.open": 50,
	"auth.test":             600, // special: several hundred
	"chat.delete":           50,
	"chat.getPermalink":     600, // special
	"chat.postEphemeral":    100,
	"chat.postMessage":      300, // special: several hundred, and oneChannel
	"chat.update":           50,
	"conversations.info":    50,
	"usergroups.list":       20,
	"usergroups.users.list": 20,
	"users.info":            100,
	"views.open":            100,
	"views.push":            100,
	"views.update":          100,
}

// oneChannel is how many messages a channel takes at once; it takes one more each second.
// Slack documents the second, and short bursts; their length is an assumption.
const oneChannel = 5

// Count says how often a method was called while the limits were on.
type Count struct{ Taken, Refused int }

// SetLimits switches Slack's documented rate limits on or off. A method that was called
// too often answers 429 with Retry-After until it has room again, and nothing happens.
// Assumption: a minute's calls may come at once, and room comes back steadily. Response
// URLs have no limit but their five uses.
func (w *Workspace) SetLimits(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limited = on
	clear(w.buckets)
}

// Counts returns how often each method was called while the limits were on. Calls with a
// bad token, and those that a Fault answered, are not counted.
func (w *Workspace) Counts() map[string]Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// bucket is a token bucket: burst calls at once, and one more each refill. It keeps the
// time that refilling it would take, so that nothing is rounded.
type bucket struct {
	burst  int
	refill time.Duration
	owed   time.Duration // at the time at
	at     time.Time
}

// wait returns how long it is until a call is left; 0: there is one now.
func (b *bucket) wait(now time.Time) time.Duration {
	b.owed = max(0, b.owed-max(0, now.Sub(b.at)))
	b.at = now
	return max(0, b.owed-time.Duration(b.burst-1)*b.refill)
}

// limit counts a call, and returns how long its method has no room, in whole seconds; 0:
// it may go through.
func (w *Workspace) limit(method string, a args) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := perMinute[method]
	if !w.limited || n == 0 {
		return 0
	}
	needed := []*bucket{w.bucket(method, n, time.Minute/time.Duration(n))}
	if method == "chat.postMessage" {
		needed = append(needed, w.bucket(method+" "+a["channel"], oneChannel, time.Second))
	}
	wait := time.Duration(0)
	for _, b := range needed {
		wait = max(wait, b.wait(w.cfg.Now()))
	}
	count := w.counts[method]
	defer func() { w.counts[method] = count }()
	if wait > 0 {
		count.Refused++
		return (wait + time.Second - 1).Truncate(time.Second)
	}
	for _, b := range needed {
		b.owed += b.refill
	}
	count.Taken++
	return 0
}

// bucket returns the bucket of a name; a new one is full. w.mu is held.
func (w *Workspace) bucket(name string, burst int, refill time.Duration) *bucket {
	b := w.buckets[name]
	if b == nil {
		b = &bucket{burst: burst, refill: refill, at: w.cfg.Now()}
		w.buckets[name] = b
	}
	return b
}

// tooMany answers that a method was called too often.
func tooMany(rw http.ResponseWriter, wait time.Duration) {
	rw.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(http.StatusTooManyRequests)
	rw.Write([]byte(`{"ok":false,"error":"ratelimited"}`))
}
