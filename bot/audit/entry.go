package audit

import "time"

// Kind is what an entry records, as a past-tense verb or the state that was reached.
type Kind string

// The kinds. Those of a carrying-out come in this order.
const (
	Asked     Kind = "asked"     // a request was made; bears Change and Look
	Approved  Kind = "approved"  // a second person agreed
	Denied    Kind = "denied"    // an approver said no
	Cancelled Kind = "cancelled" // the requester withdrew it
	Expired   Kind = "expired"   // nobody decided in time, or it was approved and never begun
	Reminded  Kind = "reminded"  // half of the time is over, and nobody decided: the approvers are reminded
	Explained Kind = "explained" // whoever denied or cancelled said why; bears Reason
	Refused   Kind = "refused"   // a person's press did not count; bears Press. Moves nothing

	Began    Kind = "began"    // carrying out began: the keys are as pinned; bears Look
	Waiting  Kind = "waiting"  // Auth0 cannot be read, and it is tried on; Note says what it answers
	Intended Kind = "intended" // a write to Auth0 comes next; bears Change and Step
	Answered Kind = "answered" // what came back; bears Answer. Concludes nothing
	Rotated  Kind = "rotated"  // the list shows that the rotation took effect; bears Look
	Revoked  Kind = "revoked"  // the list shows that the key is revoked; bears Look

	Done    Kind = "done"     // proven; bears Look
	Voided  Kind = "voided"   // the keys were not as pinned: nothing was applied
	Failed  Kind = "failed"   // refused, or never taken: nothing was applied
	Halted  Kind = "halted"   // rotated, and the key is not revoked
	InDoubt Kind = "in_doubt" // what is true contradicts every explanation
	Stated  Kind = "stated"   // a person says how what is in doubt came out; bears Says. A second one ends it

	Unlisted    Kind = "unlisted"     // after done: the last key set that listed the revoked key lists it no more; bears Look
	StillListed Kind = "still_listed" // after done: an hour later a key set still lists it; bears Look

	// Those of no request.
	Started       Kind = "started"        // keyturn started; bears Key, Config, Policy and Version
	Stopped       Kind = "stopped"        // keyturn was stopped, and had the time to say so
	PolicyChanged Kind = "policy_changed" // who may ask and approve is not what it was at the last start; Note says how
	Checkpointed  Kind = "checkpointed"   // bears Checkpoint; comes right after each end, and once a day
	Watched       Kind = "watched"        // the keys of a tenant, as the watch begins to compare with; bears Look
	Alarmed       Kind = "alarmed"        // people have to be woken; bears Alarm, Note, and Look where keys are the matter
	Traced        Kind = "traced"         // who did what an alarm was about, by Auth0's log; bears Trace
	Overdue       Kind = "overdue"        // a key is in use, or left unrevoked, for longer than configured; bears Look, Note
)

// Ends reports whether an entry of this kind ends a request.
func (k Kind) Ends() bool {
	switch k {
	case Denied, Cancelled, Expired, Done, Voided, Failed, Halted:
		return true
	}
	return false
}

// Entry is one line of the trail. Fields that are empty for a kind are left out of
// the line. Times are UTC to the microsecond.
type Entry struct {
	Seq  int64     `json:"seq"`  // its number; the first is 1. Set by Seal
	Time time.Time `json:"time"` // when it was committed, by the store's clock. Set by Seal
	Kind Kind      `json:"kind"`

	// Cause names the press, submission or attempt that this entry records. It is
	// unique in the trail, so the same press again finds its recorded outcome.
	Cause string `json:"cause,omitempty"`

	Tenant  string   `json:"tenant,omitempty"`
	Request string   `json:"request,omitempty"`
	Actor   *Actor   `json:"actor,omitempty"`   // who did it; absent: keyturn by itself
	Change  *Change  `json:"change,omitempty"`  // the whole of what was asked for, on asked and intended
	Step    *Step    `json:"step,omitempty"`    // which write, on intended, answered, rotated and revoked
	Answer  *Answer  `json:"answer,omitempty"`  // on answered
	Look    *Look    `json:"look,omitempty"`    // the keys as they were seen for this entry
	Account *Account `json:"account,omitempty"` // what was tried and not proven, on ends and in_doubt
	Says    string   `json:"says,omitempty"`    // on stated, and on the end that a second person makes of it: took_effect or did_not
	Press   *Press   `json:"press,omitempty"`   // on refused
	Reason  string   `json:"reason,omitempty"`  // a person's words, whole, on explained
	Note    string   `json:"note,omitempty"`    // what is true now and why, in keyturn's words, for people

	Key        string   `json:"key,omitempty"`        // on started: the public part of the key that signs the checkpoints
	Config     []string `json:"config,omitempty"`     // on started: each setting as NAME=value, without secrets
	Checkpoint string   `json:"checkpoint,omitempty"` // on checkpointed: the signed checkpoint over all entries before
	Alarm      *Alarm   `json:"alarm,omitempty"`      // on alarmed
	Trace      *Trace   `json:"trace,omitempty"`      // on traced

	Policy  string `json:"policy,omitempty"`  // digest of who may ask and approve, as configured then
	Version string `json:"version,omitempty"` // of keyturn
}

// Last returns the last entry of a kind in a request's story, or nil.
func Last(story []Entry, kind Kind) *Entry {
	for i := len(story) - 1; i >= 0; i-- {
		if story[i].Kind == kind {
			return &story[i]
		}
	}
	return nil
}

// Actor is a person as Slack knows them. The ids are the identity; the name is that of
// the day and proves nothing.
type Actor struct {
	Enterprise string `json:"enterprise,omitempty"` // Enterprise Grid only
	Team       string `json:"team"`
	User       string `json:"user"`
	// Alias is the other id of the same person, where Slack gives them two: in an
	// Enterprise Grid, one in the workspace and one in the whole organisation.
	Alias string `json:"alias,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Has reports whether id is an id of this person.
func (a Actor) Has(id string) bool { return id == a.User || id != "" && id == a.Alias }

// SharesID reports whether a and b are one person: an id of the one is an id of the other.
// The ids of users alone decide. A team or an enterprise that Slack names at one time and
// not at another must not make two people of one.
func (a Actor) SharesID(b Actor) bool { return a.Has(b.User) || b.Alias != "" && a.Has(b.Alias) }

// Is reports whether a and b are one person in the same workspace: what allows something
// asks for more than what forbids it. The enterprise is left out: it is a property of the
// team, and Slack does not name it everywhere.
func (a Actor) Is(b Actor) bool { return a.Team == b.Team && a.SharesID(b) }

// Change is what a request asks for, with all that an approver was shown to decide on.
type Change struct {
	Action    string `json:"action"`
	Pins      Pins   `json:"pins"`
	Requester Actor  `json:"requester"`
	Approver  *Actor `json:"approver,omitempty"` // from the approval on
	Reason    string `json:"reason"`             // the requester's words, whole
	Link      string `json:"link,omitempty"`     // to the incident
	Prepared  bool   `json:"prepared,omitempty"` // the requester says that verifiers already have the new key
	Channel   string `json:"channel"`            // where it was asked for

	// Expires is until when an approval counts. Entries from before it was recorded lack it.
	Expires time.Time `json:"expires,omitzero"`
}

// Pins are the keys that a change depends on. It is carried out only while they
// are as pinned.
type Pins struct {
	Key      *Pin     `json:"key,omitempty"`      // revoke: the previously used key
	Current  *Pin     `json:"current,omitempty"`  // rotate, rotate and revoke
	Next     *Pin     `json:"next,omitempty"`     // rotate, rotate and revoke
	Previous []string `json:"previous,omitempty"` // rotate, rotate and revoke: kids previously used and not revoked, sorted
}

// Target is the key that the change takes out of use; nil where nothing is pinned.
func (p Pins) Target() *Pin {
	if p.Key != nil {
		return p.Key
	}
	return p.Current
}

// Pin is one key, by its id and its certificate.
type Pin struct {
	KID    string `json:"kid"`
	SHA256 string `json:"sha256"` // lower-case hex, over the certificate's DER
}

// Step is one attempt at one write.
type Step struct {
	Write   string `json:"write"`             // "rotate" or "revoke"
	KID     string `json:"kid"`               // the key that stops signing, or is revoked
	Attempt int    `json:"attempt,omitempty"` // from 1
}

// Press is a move that a person tried to make.
type Press struct {
	Verb  string `json:"verb"`            // by the name of its button
	Why   string `json:"why"`             // it was refused, in one word
	Times int    `json:"times,omitempty"` // how often within a minute; 0: once
}

// Alarm is what people are woken for, as programs tell one from another; people read
// the note.
type Alarm struct {
	What    string      `json:"what"`
	Changes []KeyChange `json:"changes,omitempty"` // of KeysChanged: what no request explains
	Before  time.Time   `json:"before,omitzero"`   // of KeysChanged: when it was last seen to be otherwise
	Channel string      `json:"channel,omitempty"` // of ChannelParked, ChannelShared, RowSetAside
	Entry   int64       `json:"entry,omitempty"`   // of EntryForged, PostSkipped: its number
}

// What an alarm can be about.
const (
	KeysChanged      = "keys_changed"   // of a tenant, and no request explains it
	TenantUnreadable = "unreadable"     // the keys of a tenant could not be read for long
	ChannelParked    = "channel_parked" // Slack takes nothing for a channel
	RowSetAside      = "row_set_aside"  // what somebody did cannot be worked, and did not count
	PostSkipped      = "post_skipped"   // an entry cannot be posted, and those after it are
	ChannelShared    = "channel_shared" // people of another organisation read the audit channel
	EntryForged      = "entry_forged"   // an entry of the trail is not the one that was sealed, or is gone
)

// KeyChange is one key that was seen in another role than before. The roles are those
// of Key; empty is not listed.
type KeyChange struct {
	KID string `json:"kid"`
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
}

// Trace is what Auth0's tenant log says of changes that an alarm was about.
type Trace struct {
	Alarm  int64   `json:"alarm"` // number of its entry
	Events []Event `json:"events"`
}

// Event is one write to the signing keys in Auth0's tenant log. What it says of people
// is Auth0's word.
type Event struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"`              // rotate or revoke
	KID     string    `json:"kid,omitempty"`     // revoke
	Who     string    `json:"who,omitempty"`     // a user's name or id
	Client  string    `json:"client,omitempty"`  // id or name of the application
	From    string    `json:"from,omitempty"`    // an IP address
	Channel string    `json:"channel,omitempty"` // in Auth0's words, such as api
}

// Answer is what Auth0 said to a write, if it said anything. No outcome is
// concluded from it.
type Answer struct {
	Sent    bool      `json:"sent"`              // false: the write never left
	Refused bool      `json:"refused,omitempty"` // Auth0's own clear no
	Status  int       `json:"status,omitempty"`  // 0: the answer was lost
	KID     string    `json:"kid,omitempty"`     // rotate: the new next key
	Words   string    `json:"words,omitempty"`   // Auth0's, or what went wrong
	Reset   time.Time `json:"reset,omitzero"`    // when a 429 says to come back
}

// Look is what the tenant showed at one moment.
type Look struct {
	At    time.Time   `json:"at"`
	Keys  []Key       `json:"keys,omitempty"`  // next in queue, currently used, previously used, revoked
	JWKS  []Published `json:"jwks,omitempty"`  // by domain, as far as looked at
	Token string      `json:"token,omitempty"` // kid of the key that signed the token which read the keys

	// Rotations is how many rotations of the 24 hours before are known: from the trail,
	// or from the keys that went out of use, whichever are more. Auth0 allows five a day.
	Rotations int `json:"rotations,omitempty"`
}

// Key is a signing key as it was seen.
type Key struct {
	KID       string    `json:"kid"`
	Role      string    `json:"role"` // in Auth0's words: next in queue, currently used, previously used, revoked
	SHA1      string    `json:"sha1,omitempty"`
	SHA256    string    `json:"sha256,omitempty"`
	Since     time.Time `json:"since,omitzero"` // currently used since; zero: not known
	Until     time.Time `json:"until,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Published is which keys a domain's public JWKS listed.
type Published struct {
	Domain string   `json:"domain"`
	KIDs   []string `json:"kids,omitempty"`
	Err    string   `json:"err,omitempty"` // it could not be read, and why
}

// Account is what an end does not rest on the keys for: what was tried, and what
// could not be proven.
type Account struct {
	Tried    []string `json:"tried,omitempty"`    // each write and what came back, in keyturn's words
	Unproven []string `json:"unproven,omitempty"` // in keyturn's words, each a sentence

	// CachedUntil is until when verifiers with the longest default cache that is known
	// may accept a revoked key, from when it was last seen in a key set.
	CachedUntil time.Time `json:"cached_until,omitzero"`
	Reset       time.Time `json:"reset,omitzero"` // when Auth0 says that it takes the next rotation
}

// Key returns the key with this kid, if the look saw it.
func (l *Look) Key(kid string) (Key, bool) {
	if l == nil {
		return Key{}, false
	}
	for _, k := range l.Keys {
		if k.KID == kid {
			return k, true
		}
	}
	return Key{}, false
}
