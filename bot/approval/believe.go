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
	case asked.Actor.User == approved.Actor.User:
		return fmt.Errorf("%w: one person asked and approved", errNotBelieved)
	case asked.Tenant != r.Tenant || !asked.Actor.Is(r.Requester) || !approved.Actor.Is(r.Approver):
		return fmt.Errorf("%w: another tenant or other people", errNotBelieved)
	case r.State == Working && !began:
		return fmt.Errorf("%w: it never began", errNotBelieved)
	}
	want := *r.change()
	if !reflect.DeepEqual(want, *approved.Change) {
		return fmt.Errorf("%w: not what was approved", errNotBelieved)
	}
	want.Approver = nil
	if !reflect.DeepEqual(want, *asked.Change) {
		return fmt.Errorf("%w: not what was asked for", errNotBelieved)
	}
	if pinned(r.Action, r.Pins) != r.KID || r.KID == "" {
		return fmt.Errorf("%w: another key", errNotBelieved)
	}
	return nil
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
