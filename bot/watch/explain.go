package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// known is what the trail explains of a tenant's keys.
type known struct {
	seq   int64 // the last entry that was taken in
	base  int64 // the entry from which on effects are counted
	taken int   // how many entries were taken in since

	roles      map[string]string // by kid, in Auth0's words; nil: the watch has not begun
	queued     bool              // a rotation of ours put a key in the queue whose kid we were not told
	since      time.Time         // when base looked
	found      []audit.KeyChange // what looks of our requests showed and nothing explains
	moved      time.Time         // when a request last had a step: a look from before may not show it
	unreadable int64             // the alarm that the keys cannot be read, if they could not since; else 0
	open       map[string]*work  // requests that are not at their end
	alarm      *audit.Entry      // the last one of changed keys, while nobody is known to have done it
	sent       map[string]bool   // the writes of ours that may have been sent, by request
	unrecorded []string          // requests since base that sent a write which nobody saw take effect
}

// work is a request that is not at its end.
type work struct {
	change   audit.Change
	intended map[string]bool // the writes that were sent, or may have been
	recorded map[string]bool // those that were seen to take effect
	next     string          // the new next key, as Auth0 answered
}

func newKnown() *known { return &known{open: map[string]*work{}, sent: map[string]bool{}} }

// isOurs reports whether an event in Auth0's log is a write of ours: it bears the id of a
// request that had an intent for it.
func (k *known) isOurs(e mgmt.Event) bool { return k.sent[e.Correlation+" "+e.Write] }

// working reports whether a request has an intent and no end: what the keys are now is
// for it to say.
func (k *known) working() bool {
	for _, w := range k.open {
		if len(w.intended) > 0 {
			return true
		}
	}
	return false
}

// asks reports whether a request for the key is open.
func (k *known) asks(kid string) bool {
	for _, w := range k.open {
		if key := w.change.Pins.Target(); key != nil && key.KID == kid {
			return true
		}
	}
	return false
}

// take takes in the next entry of the tenant.
func (k *known) take(e audit.Entry) {
	k.seq, k.taken = e.Seq, k.taken+1
	if e.Request == "" {
		k.begin(e)
		return
	}
	defer k.observe(e, k.moved) // after what the entry itself says
	w := k.open[e.Request]
	if w == nil && e.Change != nil && (e.Kind == audit.Asked || e.Kind == audit.Intended) { // asked for before we began
		w = &work{change: *e.Change, intended: map[string]bool{}, recorded: map[string]bool{}}
		k.open[e.Request] = w
	}
	if e.Kind == audit.Intended || w != nil && len(w.intended) > 0 {
		k.moved = e.Time
	}
	switch {
	case w == nil: // it had no intent since we began, or is at its end
	case e.Kind == audit.Intended && e.Step != nil:
		w.intended[e.Step.Write], k.sent[e.Request+" "+e.Step.Write] = true, true
	case e.Kind == audit.Answered && e.Answer != nil && e.Step != nil && e.Step.Write == rotate:
		w.next = e.Answer.KID
	case e.Kind == audit.Rotated:
		if e.Look != nil {
			w.next = kidOf(e.Look, mgmt.RoleNext)
		}
		k.happened(w, rotate)
	case e.Kind == audit.Revoked:
		k.happened(w, revoke)
	case e.Kind.Ends():
		if e.Says == string(approval.TookEffect) {
			k.happened(w, w.inDoubt())
		}
		for write := range w.intended {
			if !w.recorded[write] {
				k.unrecorded = append(k.unrecorded, e.Request)
			}
		}
		delete(k.open, e.Request)
	}
}

const rotate, revoke = string(approval.Rotate), string(approval.Revoke)

// begin counts effects from an entry of the watch on.
func (k *known) begin(e audit.Entry) {
	switch {
	case e.Kind == audit.Alarmed && e.Alarm != nil && e.Alarm.What == audit.TenantUnreadable:
		k.unreadable = e.Seq
	case e.Kind == audit.Alarmed && e.Alarm != nil && e.Alarm.What == audit.KeysChanged:
		k.alarm = &e
	case e.Kind == audit.Traced && e.Trace != nil && k.alarm != nil && e.Trace.Alarm == k.alarm.Seq:
		k.alarm = nil
	}
	if e.Kind != audit.Watched && e.Kind != audit.Alarmed || e.Look == nil {
		return
	}
	k.base, k.since, k.roles, k.queued, k.found, k.unrecorded, k.unreadable = e.Seq, e.Look.At, map[string]string{}, false, nil, nil, 0
	k.taken = 0
	for _, key := range e.Look.Keys {
		k.roles[key.KID] = key.Role
	}
}

// inDoubt is the write that people said took effect.
func (w *work) inDoubt() string {
	if w.change.Action != revoke && !w.recorded[rotate] {
		return rotate
	}
	return revoke
}

// happened takes in that a write took effect. Without an intent it was not ours.
func (k *known) happened(w *work, write string) {
	if !w.intended[write] {
		return
	}
	w.recorded[write] = true
	p := w.change.Pins
	target := p.Target()
	if k.roles == nil || target == nil {
		return
	}
	if write == revoke {
		k.roles[target.KID] = mgmt.RoleRevoked.String()
		return
	}
	maps.DeleteFunc(k.roles, func(kid, role string) bool { return role == mgmt.RoleNext.String() })
	k.roles[target.KID] = mgmt.RolePrevious.String()
	if p.Next != nil {
		k.roles[p.Next.KID] = mgmt.RoleCurrent.String()
	}
	k.queued = w.next == ""
	if w.next != "" {
		k.roles[w.next] = mgmt.RoleNext.String()
	}
}

// observe compares what a request's own look showed. Otherwise what somebody else changed
// could be overlaid by what we did next, before the watch looked again. It is compared
// only where it must show all that we did: no write of ours was without its outcome then,
// and the look is later than the last step.
func (k *known) observe(e audit.Entry, moved time.Time) {
	if k.roles == nil || e.Look == nil || len(e.Look.Keys) == 0 || !e.Look.At.After(moved) {
		return
	}
	for _, w := range k.open {
		if len(w.recorded) < len(w.intended) {
			return
		}
	}
	k.found = k.unexplained(e.Look)
	k.roles, k.queued = map[string]string{}, false
	for _, key := range e.Look.Keys {
		k.roles[key.KID] = key.Role
	}
}

// unexplained returns which keys a look shows in another role than the trail explains, and
// what was found before of which that is still so. A revoked key that is listed no more is
// none: how many Auth0 lists is not documented. Nor is one that was revoked before we
// began.
func (k *known) unexplained(look *audit.Look) []audit.KeyChange {
	changes := slices.Clone(k.found)
	add := func(c audit.KeyChange) {
		i := slices.IndexFunc(changes, func(f audit.KeyChange) bool { return f.KID == c.KID })
		if i < 0 {
			changes = append(changes, c)
		} else if changes[i].Is = c.Is; changes[i].Was == c.Is { // it is as it was
			changes = slices.Delete(changes, i, i+1)
		}
	}
	listed := map[string]bool{}
	for _, key := range look.Keys {
		listed[key.KID] = true
		was, known := k.roles[key.KID]
		switch {
		case was == key.Role:
		case !known && k.queued && key.Role == mgmt.RoleNext.String():
		case !known && key.Role == mgmt.RoleRevoked.String() && !key.RevokedAt.After(k.since):
		default:
			add(audit.KeyChange{KID: key.KID, Was: was, Is: key.Role})
		}
	}
	for _, kid := range slices.Sorted(maps.Keys(k.roles)) {
		if was := k.roles[kid]; !listed[kid] && was != mgmt.RoleRevoked.String() {
			add(audit.KeyChange{KID: kid, Was: was})
		}
	}
	return changes
}

func kidOf(l *audit.Look, role mgmt.Role) string {
	for _, k := range l.Keys {
		if k.Role == role.String() {
			return k.KID
		}
	}
	return ""
}

// changedWords says to people what nobody explains, and what to do.
func changedWords(tenant string, changes []audit.KeyChange, before, seen time.Time, unrecorded []string, mayTrace bool) string {
	var what []string
	for _, c := range changes {
		was, is := c.Was, c.Is
		if was == "" {
			was = "not listed"
		}
		if is == "" {
			is = "not listed"
		}
		what = append(what, fmt.Sprintf("%s was %s and is %s", c.KID, was, is))
	}
	words := fmt.Sprintf("The signing keys of the tenant %s changed, and no request of keyturn explains it: %s. First seen at %s", tenant, strings.Join(what, "; "), clock(seen))
	if !before.IsZero() {
		words += "; at " + clock(before) + " it was otherwise"
	}
	words += "."
	if len(unrecorded) > 0 {
		words += fmt.Sprintf(" It may be a late effect of what %s sent, which ended without one.", strings.Join(unrecorded, ", "))
	}
	if mayTrace {
		words += " Who did it follows as soon as Auth0's log has it."
	} else {
		words += " Auth0's tenant log has who did it; with the scope read:logs I would tell you."
	}
	return words + " Ask each other. If it was none of you, somebody else can administer the tenant."
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC on 2 January 2006") }
