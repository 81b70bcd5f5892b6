package approval

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"keyturn/bot/audit"
)

const (
	// MaxReason is how many characters of reason are taken: as many as Slack lets
	// a modal's input hold.
	MaxReason = 3000
	// MaxLink is how long a link may be, in UTF-16 units; Slack counts an input so.
	MaxLink = 1000
	// StaleAfter is how long an approval, or a word on what is in doubt, may lie between
	// its press and the work on it. What a person agreed to is the moment they saw; deny
	// and cancel harm nobody and always count.
	StaleAfter = 2 * time.Minute
)

// Desk takes people's moves: asking, approving, denying, cancelling. It touches no
// key. It is safe for concurrent use.
type Desk struct {
	store   Store
	policy  Policy
	tenants map[string]Tenant
	ttl     time.Duration
	version string
	now     func() time.Time

	lookouts map[string]*lookout // by tenant
}

// NewDesk returns a desk whose requests expire ttl after they were asked for.
func NewDesk(store Store, policy Policy, tenants map[string]Tenant, ttl time.Duration, version string, now func() time.Time) *Desk {
	lookouts := map[string]*lookout{}
	for name, t := range tenants {
		lookouts[name] = &lookout{tenant: t, now: now}
	}
	return &Desk{
		store: store, policy: policy, tenants: tenants, ttl: ttl, version: version, now: now,
		lookouts: lookouts,
	}
}

// Ask is what a person wants done, as they filled it in.
type Ask struct {
	Cause     string // the submission, unique; the same again is the same request
	Person    Person
	Tenant    string
	Action    Action
	KID       string // revoke: the key
	Shown     string // what Shown says of the keys that the person was shown; "": none were
	Reason    string
	Link      string
	Prepared  bool
	Channel   string
	Approvers []Candidate // of the tenant, as far as they were looked at
}

// Ask makes a pending request of a. Once it returns nil, request and entry are on
// disk; asked again with the same cause it returns the same request and nil.
//
// A *Refusal says why nothing was asked for. Any other error means that it is not
// known whether the request was kept, and the person may ask again.
func (d *Desk) Ask(ctx context.Context, a Ask) (Request, error) {
	if no := d.MayAsk(a.Tenant, a.Person, a.Approvers); no != nil {
		return Request{}, no
	}
	if no := CheckWords(a.Reason, a.Link); no != nil {
		return Request{}, no
	}
	look, keys, err := d.Look(ctx, a.Tenant, true)
	if err != nil {
		return Request{}, fmt.Errorf("asking for %s: %w", a.Action, err)
	}
	// As precisely as it is kept, since the row has to be what the entry says.
	now := d.now().UTC().Truncate(time.Microsecond)
	if no := d.tenants[a.Tenant].Grants(ctx, a.Action); no != nil {
		return Request{}, no
	}
	if a.Shown != "" && a.Shown != Shown(look) {
		return Request{}, &Refusal{Why: KeysChanged, Look: look}
	}
	pins, kid, no := pinsFor(a.Action, a.KID, keys)
	if no != nil {
		no.Look = look
		return Request{}, no
	}
	if look.Rotations, err = rotations(ctx, d.store, a.Tenant, keys, now); err != nil {
		return Request{}, fmt.Errorf("asking for %s: %w", a.Action, err)
	}
	r := Request{
		ID: newID(), Tenant: a.Tenant, Action: a.Action, State: Pending, KID: kid,
		Requester: a.Person.Actor, Pins: pins, Reason: strings.TrimSpace(a.Reason), Link: strings.TrimSpace(a.Link),
		Prepared: a.Prepared, Channel: a.Channel,
		AskedAt: now, EnteredAt: now, ExpiresAt: now.Add(d.ttl),
	}
	r.DueAt = r.halfTime()
	e := d.entry(r, audit.Asked, "ask:"+a.Cause, a.Person)
	e.Change, e.Look = r.change(), look
	r, err = d.store.Create(ctx, r, e)
	var recorded *Recorded
	var blocked *Blocked
	switch {
	case errors.As(err, &recorded):
		return recorded.Now, nil
	case errors.As(err, &blocked):
		return Request{}, &Refusal{Why: AlreadyOpen, Other: &blocked.By}
	case err != nil:
		return Request{}, fmt.Errorf("asking for %s: %w", a.Action, err)
	}
	return r, nil
}

// MayAsk returns nil if person may ask for a change of tenant's keys and somebody else
// among approvers could approve it. The refusal says why each of them could not.
func (d *Desk) MayAsk(tenant string, person Person, approvers []Candidate) *Refusal {
	if _, ok := d.tenants[tenant]; !ok {
		return &Refusal{Why: UnknownTenant}
	}
	if no := d.policy.MayAsk(person); no != nil {
		return no
	}
	others := slices.DeleteFunc(slices.Clone(approvers), func(c Candidate) bool {
		return c.SharesID(person.Actor)
	})
	if slices.ContainsFunc(others, func(c Candidate) bool { return c.Why == "" }) {
		return nil
	}
	return &Refusal{Why: NobodyElse, Cannot: others}
}

// CheckWords returns nil if reason and link can be taken as they were typed.
func CheckWords(reason, link string) *Refusal {
	reason, link = strings.TrimSpace(reason), strings.TrimSpace(link)
	if !strings.ContainsFunc(reason, isSeen) {
		return &Refusal{Why: NoReason}
	}
	if n := utf8.RuneCountInString(reason); n > MaxReason {
		return &Refusal{Why: LongReason, Limit: MaxReason}
	}
	if link != "" && !isAddress(link) {
		return &Refusal{Why: BadLink}
	}
	return nil
}

// isAddress reports whether a link is the address of a page, and shows where it leads: a name
// before an @, or a host in letters that look like others, hide that.
func isAddress(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil &&
		isPlainHost(u.Host) && len(utf16.Encode([]rune(link))) <= MaxLink
}

// isSeen reports whether a character leaves a mark. Spaces leave none, nor do letters that are
// blank, and characters that only change how others are shown.
func isSeen(r rune) bool {
	blank := strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0", r)
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r) && !blank
}

func isPlainHost(host string) bool {
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Shown identifies the keys of a look and their roles: what a person was shown, in a
// form that fits a modal's metadata however many keys there are.
func Shown(look *audit.Look) string {
	h := sha256.New()
	for _, k := range look.Keys {
		fmt.Fprintf(h, "%s %s\n", k.KID, k.Role)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Press is a person's move on a request.
type Press struct {
	Request  ID
	Verb     Verb
	Person   Person
	Received time.Time // when keyturn got it
	Cause    string    // this press and no other

	// Where returns nil if something may be approved where it was pressed, and otherwise
	// the error that Press returns. It is asked only where that decides. nil: it may.
	Where func(ctx context.Context) error
}

// Press makes a move: once it returns nil, the move is on disk and will be acted
// on even if this process dies before the next line. again reports that this person
// made the same move before; it stands as it was recorded, and nothing changed.
//
// A *Refusal means the rules said no. Any other error means it is not known whether
// the move was kept, and the person may press again.
func (d *Desk) Press(ctx context.Context, p Press) (now Request, again bool, err error) {
	r, err := d.store.Request(ctx, p.Request)
	if errors.Is(err, ErrUnknown) {
		return Request{}, false, &Refusal{Why: UnknownRequest}
	}
	if err != nil {
		return Request{}, false, fmt.Errorf("%s %s: %w", p.Verb, p.Request, err)
	}
	if p.Verb == TookEffect || p.Verb == DidNot {
		return d.settle(ctx, r, p)
	}
	if no := d.policy.MayDecide(p.Verb, r, p.Person); no != nil {
		return r, false, no
	}
	if p.Verb == Approve && r.State == Pending {
		if d.isStale(p) {
			return r, false, &Refusal{Why: Stale, Request: &r}
		}
		if err := p.where(ctx); err != nil {
			return r, false, err
		}
		if no := d.mayBegin(ctx, r); no != nil {
			return r, false, no
		}
	}
	r, err = d.store.Move(ctx, d.move(r, p))
	var recorded *Recorded
	var moved *Moved
	var blocked *Blocked
	switch {
	case errors.As(err, &recorded):
		return recorded.Now, true, nil
	case errors.As(err, &moved):
		if d.didAlready(ctx, p) {
			return moved.Now, true, nil
		}
		return moved.Now, false, d.tooLate(ctx, moved.Now)
	case errors.As(err, &blocked):
		return r, false, &Refusal{Why: TenantBusy, Request: &r, Other: &blocked.By}
	case err != nil:
		return r, false, fmt.Errorf("%s %s: %w", p.Verb, p.Request, err)
	}
	return r, false, nil
}

func (p Press) where(ctx context.Context) error {
	if p.Where == nil {
		return nil
	}
	return p.Where(ctx)
}

// mayBegin refuses an approval that could only fail or expire.
func (d *Desk) mayBegin(ctx context.Context, r Request) *Refusal {
	tenant := d.tenants[r.Tenant]
	if tenant.Frozen {
		return &Refusal{Why: Frozen, Request: &r}
	}
	no := tenant.Grants(ctx, r.Action)
	if no != nil {
		no.Request = &r
	}
	return no
}

// Refuse records that a press did not count, why, and how often it was made. It moves
// nothing; the same cause again is recorded once.
func (d *Desk) Refuse(ctx context.Context, p Press, why Why, times int) error {
	// A request that is unknown has no tenant either, and its name may be anything.
	r, err := d.store.Request(ctx, p.Request)
	if errors.Is(err, ErrUnknown) {
		r = Request{ID: p.Request[:min(len(p.Request), 64)]}
	} else if err != nil {
		return fmt.Errorf("recording a refused press on %s: %w", p.Request, err)
	}
	e := d.entry(r, audit.Refused, "refused:"+p.Cause, p.Person)
	e.Press = &audit.Press{Verb: string(p.Verb), Why: string(why)}
	if times > 1 {
		e.Press.Times = times
	}
	if err := d.store.Note(ctx, e); err != nil {
		return fmt.Errorf("recording a refused press on %s: %w", p.Request, err)
	}
	return nil
}

// isStale reports whether a press lay too long, by a clock that may have been set meanwhile.
func (d *Desk) isStale(p Press) bool { return d.now().Sub(p.Received).Abs() > StaleAfter }

func (d *Desk) move(r Request, p Press) Move {
	m := Move{ID: r.ID, From: []State{Pending}}
	cause := p.Verb.Cause(r.ID, p.Person.Actor)
	switch p.Verb {
	case Approve:
		m.To, m.Unexpired, m.Approver, m.DueAt = Approved, true, &p.Person.Actor, d.now()
		m.Entry = d.entry(r, audit.Approved, cause, p.Person)
		r.Approver = p.Person.Actor
		m.Entry.Change = r.change()
	case Deny:
		m.To, m.Entry = Denied, d.entry(r, audit.Denied, cause, p.Person)
	case Cancel:
		m.To, m.Entry = Cancelled, d.entry(r, audit.Cancelled, cause, p.Person)
	}
	return m
}

// didAlready reports whether the trail has the move of p by the same person. Under one id
// the cause says so; somebody with two ids may make their move again under the other.
func (d *Desk) didAlready(ctx context.Context, p Press) bool {
	kind, known := entryOf[p.Verb]
	story, err := d.store.Story(ctx, p.Request)
	return known && err == nil && slices.ContainsFunc(story, func(e audit.Entry) bool {
		return e.Kind == kind && e.Actor != nil && e.Actor.Is(p.Person.Actor)
	})
}

// entryOf are the entries of the verbs that move a pending request.
var entryOf = map[Verb]audit.Kind{
	Approve: audit.Approved, Deny: audit.Denied, Cancel: audit.Cancelled,
}

// tooLate says who won over a move that lost.
func (d *Desk) tooLate(ctx context.Context, now Request) *Refusal {
	if now.State == Pending {
		return &Refusal{Why: PastExpiry, Request: &now, Until: now.ExpiresAt}
	}
	no := &Refusal{Why: Over, Request: &now}
	story, err := d.store.Story(ctx, now.ID)
	if err != nil {
		return no // the state alone answers the press; who decided can be read in the thread
	}
	for _, e := range story {
		switch e.Kind {
		case audit.Approved, audit.Denied, audit.Cancelled:
			if e.Actor != nil {
				no.By = *e.Actor
			}
		}
	}
	return no
}

// Explain keeps the words of whoever denied or cancelled the request, as a second
// entry. A *Refusal says why they are not taken; the same person's second words
// leave the first standing.
func (d *Desk) Explain(ctx context.Context, id ID, person Person, words string) (Request, error) {
	if no := cmp.Or(FullMember(person), CheckWords(words, "")); no != nil {
		return Request{}, no
	}
	story, err := d.store.Story(ctx, id)
	if err != nil {
		return Request{}, fmt.Errorf("explaining %s: %w", id, err)
	}
	decided := slices.ContainsFunc(story, func(e audit.Entry) bool {
		return (e.Kind == audit.Denied || e.Kind == audit.Cancelled) && e.Actor != nil && e.Actor.Is(person.Actor)
	})
	if !decided {
		return Request{}, &Refusal{Why: UnknownRequest}
	}
	r, err := d.store.Request(ctx, id)
	if err != nil {
		return Request{}, fmt.Errorf("explaining %s: %w", id, err)
	}
	said := slices.ContainsFunc(story, func(e audit.Entry) bool {
		return e.Kind == audit.Explained && e.Actor != nil && e.Actor.SharesID(person.Actor)
	})
	if said {
		return r, nil
	}
	e := d.entry(r, audit.Explained, "explain:"+string(id)+":"+person.User, person)
	e.Reason = strings.TrimSpace(words)
	r, err = d.store.Move(ctx, Move{ID: id, From: []State{r.State}, To: r.State, Entry: e})
	var recorded *Recorded
	if errors.As(err, &recorded) {
		return recorded.Now, nil
	}
	if err != nil {
		return Request{}, fmt.Errorf("explaining %s: %w", id, err)
	}
	return r, nil
}

func (d *Desk) entry(r Request, kind audit.Kind, cause string, person Person) audit.Entry {
	e := r.entry(kind, cause)
	e.Actor, e.Policy, e.Version = &person.Actor, d.policy.Digest(), d.version
	return e
}
