package approval

import (
	"errors"
	"fmt"
	"reflect"

	"keyturn/bot/audit"
)

// errNotBelieved is wrapped where the trail does not bear out what a row says.
var errNotBelieved = errors.New("the row is not what the trail says")

// believe checks r against its story. A row is only a place in the database; what
// two people agreed on is what the sealed entries say. Whoever can write a row, but
// not the trail, carries nothing out.
func believe(r Request, story []audit.Entry) error {
	var asked, approved *audit.Entry
	began := false
	for i, e := range story {
		if e.Kind.Ends() {
			return fmt.Errorf("%w: entry %d ended it as %s", errNotBelieved, e.Seq, e.Kind)
		}
		switch e.Kind {
		case audit.Asked:
			if asked != nil {
				return fmt.Errorf("%w: asked for twice", errNotBelieved)
			}
			asked = &story[i]
		case audit.Approved:
			if asked == nil || approved != nil {
				return fmt.Errorf("%w: approved before it was asked for, or twice", errNotBelieved)
			}
			approved = &story[i]
		case audit.Began:
			began = true
		}
	}
	switch {
	case asked == nil || asked.Change == nil || asked.Actor == nil:
		return fmt.Errorf("%w: nobody asked for it", errNotBelieved)
	case approved == nil || approved.Actor == nil || approved.Change == nil:
		return fmt.Errorf("%w: nobody approved it", errNotBelieved)
	case asked.Actor.SharesID(*approved.Actor):
		return fmt.Errorf("%w: one person asked and approved", errNotBelieved)
	case asked.Tenant != r.Tenant || !asked.Actor.Is(r.Requester) || !approved.Actor.Is(r.Approver):
		return fmt.Errorf("%w: another tenant or other people", errNotBelieved)
	case r.State == Working && !began:
		return fmt.Errorf("%w: it never began", errNotBelieved)
	}
	return asAsked(r, asked.Change, approved.Change)
}

// asAsked checks that r is what was asked for, and then what was approved, where it was.
func asAsked(r Request, asked, approved *audit.Change) error {
	want := *r.change()
	if asked.Expires.IsZero() {
		want.Expires = asked.Expires // asked for before that was recorded
	}
	if approved != nil && !reflect.DeepEqual(want, *approved) {
		return fmt.Errorf("%w: not what was approved", errNotBelieved)
	}
	want.Approver = nil
	if !reflect.DeepEqual(want, *asked) {
		return fmt.Errorf("%w: not what was asked for", errNotBelieved)
	}
	if pinned(r.Action, r.Pins) != r.KID || r.KID == "" {
		return fmt.Errorf("%w: another key", errNotBelieved)
	}
	return nil
}

// Agrees returns nil if the row of r is what its entries make of it, in whatever state
// it is, and otherwise says what is not. Row and story have to be of one moment.
func Agrees(r Request, story []audit.Entry) error {
	var want Request
	var asked, approved *audit.Entry
	for i, e := range story {
		state := want.State
		switch {
		case e.Kind == audit.Refused:
			continue // moves nothing
		case e.Kind == audit.Asked && asked == nil:
			asked, state = &story[i], Pending
		case asked == nil || asked.Change == nil || asked.Actor == nil:
			return fmt.Errorf("%w: it does not begin with being asked for", errNotBelieved)
		case e.Kind == audit.Approved && approved == nil && state == Pending:
			approved, state = &story[i], Approved
		case e.Kind == audit.Began && state == Approved:
			state = Working
		case e.Kind.Ends() && !state.IsFinal(), e.Kind == audit.InDoubt && !state.IsFinal():
			state = State(e.Kind)
		case e.Kind == audit.Asked, e.Kind == audit.Approved, e.Kind == audit.Began, e.Kind.Ends(), e.Kind == audit.InDoubt:
			return fmt.Errorf("%w: entry %d says %s, after it was %s", errNotBelieved, e.Seq, e.Kind, state)
		}
		want.Revision = e.Seq
		if state != want.State {
			want.State, want.EnteredAt = state, e.Time
		}
	}
	if asked == nil || asked.Change == nil || asked.Actor == nil {
		return fmt.Errorf("%w: nobody asked for it", errNotBelieved)
	}
	want.Tenant, want.Requester = asked.Tenant, *asked.Actor
	var change *audit.Change
	if approved != nil && approved.Actor != nil {
		want.Approver, change = *approved.Actor, approved.Change
		if approved.Actor.SharesID(*asked.Actor) {
			return fmt.Errorf("%w: one person asked and approved", errNotBelieved)
		}
	}
	switch {
	case r.Tenant != want.Tenant:
		return fmt.Errorf("%w: the tenant is %s, and was %s", errNotBelieved, r.Tenant, want.Tenant)
	case r.Requester != want.Requester || r.Approver != want.Approver:
		return fmt.Errorf("%w: other people", errNotBelieved)
	case r.State != want.State:
		return fmt.Errorf("%w: it is %s, and has to be %s", errNotBelieved, r.State, want.State)
	case r.Revision != want.Revision:
		return fmt.Errorf("%w: its last entry is #%d, and has to be #%d", errNotBelieved, r.Revision, want.Revision)
	case !r.EnteredAt.Equal(want.EnteredAt):
		return fmt.Errorf("%w: it is %s since %s, and has to be since %s", errNotBelieved, r.State, r.EnteredAt, want.EnteredAt)
	}
	return asAsked(r, asked.Change, change)
}

// pinned is the key that a change takes out of use; "" where pins are not those of
// action.
func pinned(action Action, p audit.Pins) string {
	switch {
	case action == Revoke && p.Key != nil:
		return p.Key.KID
	case (action == Rotate || action == RotateAndRevoke) && p.Current != nil && p.Next != nil:
		return p.Current.KID
	}
	return ""
}
