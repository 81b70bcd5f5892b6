package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/bot/audit"
)

// Store keeps requests and the trail, and moves both in one transaction: where it
// returns nil, both are on disk; where it returns an error, the caller knows nothing
// and may try again, because a cause is recorded at most once.
type Store interface {
	// Create keeps a new request in state pending with its entry. *Blocked: the
	// same is asked for already. *Recorded: its cause is in the trail.
	Create(ctx context.Context, r Request, e audit.Entry) (Request, error)

	// Move makes one compare-and-swap. *Recorded: the cause is in the trail.
	// *Moved: the row was not as the move demands. *Blocked: another request of
	// the tenant is being carried out.
	Move(ctx context.Context, m Move) (Request, error)

	// Note appends an entry that moves no request, once: with a cause that the trail
	// has it does nothing.
	Note(ctx context.Context, e audit.Entry) error

	// Request reads a row. ErrUnknown: there is none.
	Request(ctx context.Context, id ID) (Request, error)

	// Story reads a request's entries in their order, each one proven to be in the
	// trail. audit.ErrForged: one is not.
	Story(ctx context.Context, id ID) ([]audit.Entry, error)

	// Claim takes the lease of the request that is due and unleased for longest,
	// with a new epoch. ErrUnknown: none is due.
	Claim(ctx context.Context, owner string, lease time.Duration) (Request, error)

	// Renew prolongs a lease. *Moved: it is somebody else's by now.
	Renew(ctx context.Context, id ID, epoch int64, lease time.Duration) error

	// NextDue returns when a request will next be claimable; zero: none.
	NextDue(ctx context.Context) (time.Time, error)

	// Rotations returns how many rotations of a tenant the trail has since a time.
	Rotations(ctx context.Context, tenant string, since time.Time) (int, error)

	// Changed returns a channel that is closed at the next commit.
	Changed() <-chan struct{}
}

// Move is one step of a request: what must hold, what then holds, and the entry
// that says so.
type Move struct {
	ID        ID
	From      []State // the row must be in one of these
	Epoch     int64   // the row's epoch must be this; 0: a person's move, which takes the row from whoever has its lease
	Revision  int64   // the row's revision must be this; 0: any
	Unexpired bool    // the row's ExpiresAt must lie ahead
	To        State
	Approver  *audit.Actor // recorded in the row; nil: as it is
	DueAt     time.Time    // zero: never
	Release   bool         // the lease is given up
	Recheck   bool         // the tenant's pending requests are due at once: their pins may no longer hold
	Entry     audit.Entry  // without a kind: none, the row alone is moved
}

// ErrUnknown is returned where there is no such request.
var ErrUnknown = errors.New("no such request")

// Moved says that the row was not as a move demanded, and how it is.
type Moved struct{ Now Request }

func (e *Moved) Error() string {
	return fmt.Sprintf("request %s is %s by now, epoch %d", e.Now.ID, e.Now.State, e.Now.Epoch)
}

// Recorded says that the trail has an entry of this cause already.
type Recorded struct {
	Seq int64
	Now Request // the request that the entry is about, as it stands
}

func (e *Recorded) Error() string { return fmt.Sprintf("recorded already, as entry %d", e.Seq) }

// Blocked says which other request is in the way.
type Blocked struct{ By Request }

func (e *Blocked) Error() string {
	return fmt.Sprintf("request %s of the same tenant is %s", e.By.ID, e.By.State)
}
