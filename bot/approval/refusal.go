package approval

import (
	"fmt"
	"time"

	"keyturn/bot/audit"
)

// Refusal is a no of the rules. It may be shown to the person who asked or pressed:
// it holds nothing that is secret. Any other error is the operator's.
type Refusal struct {
	Why     Why
	Request *Request    // the request in question, as it now stands
	Other   *Request    // the request that is in the way
	KID     string      // the key in question
	By      audit.Actor // who decided before
	Look    *audit.Look // the keys as they are now
	Until   time.Time
	Limit   int         // what was exceeded
	Scopes  []string    // those of Auth0 that are missing
	Cannot  []Candidate // of NobodyElse: the approvers, and why each could not
	Code    string      // Slack's error code, of what it lets nobody read
	Needs   string      // the scopes that Slack asks for with it; "": it named none
	Group   string      // the user group that cannot be read
}

func (r *Refusal) Error() string {
	if r.Request != nil {
		return fmt.Sprintf("refused: %s (request %s, %s)", r.Why, r.Request.ID, r.Request.State)
	}
	return fmt.Sprintf("refused: %s", r.Why)
}

// Why is the reason of a refusal. The words for each are in package bot.
type Why string

const (
	// Who.
	IsRequester    Why = "requester"       // nobody approves or denies what they asked for
	NotRequester   Why = "not_requester"   // only the requester cancels
	NotApprover    Why = "not_approver"    // not among the tenant's approvers
	MayNotAsk      Why = "may_not_ask"     // not among the requesters
	IsBot          Why = "bot"             // a bot or an app's user
	IsGuest        Why = "guest"           // a guest of either kind
	IsDeactivated  Why = "deactivated"     // no longer a member
	IsStranger     Why = "stranger"        // a member of another workspace
	NotEstablished Why = "not_established" // Slack did not say who this is
	NobodyElse     Why = "nobody_else"     // no approver besides the requester could approve

	UnknownPerson   Why = "unknown_person"   // Slack does not describe them here
	GroupUnreadable Why = "group_unreadable" // a group that they may be in can be read by no retry
	SlackRefuses    Why = "slack_refuses"    // Slack says who or where to no retry
	TooOften        Why = "too_often"        // their presses ask Slack for more than it gives
	MayNotRead      Why = "may_not_read"     // neither among the requesters nor the approvers

	// Where.
	DirectMessage     Why = "direct_message"
	BotNotInChannel   Why = "bot_not_in_channel"
	SharedChannel     Why = "shared_channel" // people of another organisation read it
	ChannelNotAllowed Why = "channel_not_allowed"
	ChannelTakesNone  Why = "channel_takes_none" // keyturn may not post there; Code says why

	// What.
	UnknownTenant Why = "unknown_tenant"
	UnknownKey    Why = "unknown_key"
	KeyIsCurrent  Why = "key_is_current"
	KeyIsNext     Why = "key_is_next"
	KeyIsRevoked  Why = "key_is_revoked"
	KeysUnclear   Why = "keys_unclear" // not exactly one current and one next key
	KeysChanged   Why = "keys_changed" // since they were shown; Look has them now
	NoReason      Why = "no_reason"
	LongReason    Why = "long_reason"
	BadLink       Why = "bad_link"
	LacksScope    Why = "lacks_scope" // the application at Auth0 has not Scopes

	// When.
	UnknownRequest Why = "unknown_request"
	AlreadyOpen    Why = "already_open" // the same is asked for in Other
	TenantBusy     Why = "tenant_busy"  // Other is being carried out
	Over           Why = "over"         // decided before; By and Request say how
	PastExpiry     Why = "past_expiry"
	Stale          Why = "stale"        // the press lay too long before it could be worked
	Frozen         Why = "frozen"       // nothing may be written to Auth0
	TrailForged    Why = "trail_forged" // what was said of it before cannot be believed
	Auth0Limits    Why = "auth0_limits" // Auth0 takes no more reads, until Until if it said so
)

// Whys lists every reason there is, so that none can be without words.
var Whys = []Why{
	IsRequester, NotRequester, NotApprover, MayNotAsk, IsBot, IsGuest, IsDeactivated, IsStranger, NotEstablished, NobodyElse,
	UnknownPerson, GroupUnreadable, SlackRefuses, TooOften, MayNotRead,
	DirectMessage, BotNotInChannel, SharedChannel, ChannelNotAllowed, ChannelTakesNone,
	UnknownTenant, UnknownKey, KeyIsCurrent, KeyIsNext, KeyIsRevoked, KeysUnclear, KeysChanged,
	NoReason, LongReason, BadLink, LacksScope,
	UnknownRequest, AlreadyOpen, TenantBusy, Over, PastExpiry, Stale, Frozen, TrailForged,
	Auth0Limits,
}
