package bot

import (
	"fmt"
	"strings"
	"time"

	"keyturn/bot/approval"
	"keyturn/bot/audit"
)

// This file has all the words of refusal. Each sentence says what is so and what to
// do next; whoever reads it is in an incident.

// refusalWords puts a refusal in words, as mrkdwn. link leads to a request's card.
func refusalWords(command slash, no *approval.Refusal, link func(*approval.Request) string) string {
	switch no.Why {
	case approval.IsRequester:
		return "You asked for this, so a *second person* has to decide. Ask another approver to press the button, or press *Cancel* to withdraw it."
	case approval.NotRequester:
		return "Only " + requester(no) + ", who asked for it, can cancel it. An approver can press *Deny*."
	case approval.NotApprover:
		return "You are not among the approvers of this tenant. Ask one of them, who are named on the card."
	case approval.MayNotAsk:
		return "You are not among those who may ask for a change of signing keys. Ask somebody who is, or have yourself added to `KEYTURN_REQUESTERS`."
	case approval.IsBot:
		return "A bot or an app's user does not count as a person here. Somebody has to press the button themselves."
	case approval.IsGuest:
		return "Guests of this workspace cannot ask or decide here. A full member has to do it."
	case approval.IsDeactivated:
		return "This account is deactivated, so it cannot ask or decide here. A full member has to do it."
	case approval.IsStranger:
		return "Members of another workspace cannot ask or decide here. A full member of this workspace has to do it."
	case approval.NotEstablished:
		return "Slack did not say in time who and where you are, so this did not count. Press again in a moment."
	case approval.UnknownPerson:
		return "Slack does not say who you are (" + code(no.Code) + "), so this did not count. " +
			"A full member of this workspace has to do it."
	case approval.GroupUnreadable:
		return "You may be in the user group " + code(no.Group) + ", which cannot " +
			"be read" + whyUnread(no) + ", so this did not count. " +
			"Tell the operator to " + unreadAdvice(no) + "; until then ask somebody whom the " +
			"settings name by their own id."
	case approval.SlackRefuses:
		return "Slack does not let me read who and where you are" + whyUnread(no) + ", so this " +
			"did not count. " +
			"Pressing again does not help. Tell the operator to " + unreadAdvice(no) + "; until " +
			"then use the tenant's Dashboard."
	case approval.MayNotRead:
		return "Only those who may ask for a change or approve one can read the keys and the " +
			"trail. Ask one of them, or have yourself added to `KEYTURN_REQUESTERS`."
	case approval.NobodyElse:
		return "Nobody besides you could approve this, so it could only " +
			"fail. " + cannotWords(no.Cannot) + "Have a second approver added to " +
			"`KEYTURN_APPROVERS`."
	case approval.DirectMessage:
		return "This needs a channel in which a second person can see it. Use the command in the incident's channel."
	case approval.BotNotInChannel:
		return "I am not in this channel. Type `/invite @keyturn` here, then ask again; if this " +
			"is a conversation of a few people, use the incident's channel."
	case approval.SharedChannel:
		return "This channel is shared with another organisation, who would read along and could press. Use a channel of your own."
	case approval.ChannelNotAllowed:
		return "keyturn may not be used in this channel. Use one of those in `KEYTURN_CHANNELS`."
	case approval.ChannelTakesNone:
		return "I may not post in this channel (" + code(no.Code) + "), so nobody would see the " +
			"card. Have that changed, or use another channel."
	case approval.UnknownTenant:
		return "There is no such tenant. Type " + command.code("help") + " for the tenants there are."
	case approval.UnknownKey:
		return "The tenant has no key " + code(no.KID) + ". Type " + command.code("list") +
			" and copy the kid from there."
	case approval.KeyIsCurrent:
		return "The key " + code(no.KID) + " is *currently used*, and Auth0 revokes " +
			"only previously used keys. Ask for " + command.code("rotate-and-revoke") + " instead."
	case approval.KeyIsNext:
		return "The key " + code(no.KID) + " is *next in queue*, and Auth0 revokes only previously used keys. If it leaked, rotate twice, then revoke it."
	case approval.KeyIsRevoked:
		return "The key " + code(no.KID) + " is *revoked* already" + revokedAt(no) + ". There is nothing left to do about it."
	case approval.KeysUnclear:
		return "Auth0 does not show exactly one key *currently used* and one *next in queue*, so nothing can be asked for. Look at the tenant's Dashboard."
	case approval.KeysChanged:
		return "The keys changed since you were shown them, so nothing was asked for. Look at the new state below, then ask again."
	case approval.NoReason:
		return "Say why: the approver has to decide on it, and the trail keeps it."
	case approval.LongReason:
		return fmt.Sprintf("The reason is too long. Shorten it to %d characters, then submit it again.", no.Limit)
	case approval.BadLink:
		return "This is no address of a page. Give one that begins with https://, or leave it empty."
	case approval.UnknownRequest:
		return "I have no such request. Type " + command.code("requests") + " for those that are open."
	case approval.AlreadyOpen:
		return "The same is asked for already: " + link(no.Other) + ". Have that one approved."
	case approval.TenantBusy:
		return "Another change of this tenant is being carried out: " + link(no.Other) + ". Press again after it."
	case approval.Over:
		return "Too late: this request is already " + stateWords(no.Request.State) + by(no.By) + ". Your press changed nothing. Ask anew if it is still needed."
	case approval.PastExpiry:
		return "Too late: this request expired " + at(no.Until) + ". Ask anew if it is still needed."
	case approval.Stale:
		return "Your press reached me late, so it did not count as an approval of what you saw. Look at the card and press again."
	case approval.TooOften:
		return "You pressed many times within a minute, so this press did not count. " +
			"Wait a minute, then press once."
	case approval.LacksScope:
		return lackingWords(no.Scopes)
	case approval.Frozen:
		return "keyturn is frozen: it writes nothing to Auth0. " +
			"Your approval did not count, since it could only expire. " +
			"The operator sets `KEYTURN_FROZEN=off` and starts keyturn again; " +
			"then press *Approve* again. *Deny* and *Cancel* count now. " +
			"Until then change keys in the tenant's Dashboard."
	case approval.TrailForged:
		return "The trail of this request was changed from outside, so nothing that was said of it can be believed. Tell the operator; until then use the tenant's Dashboard."
	case approval.Auth0Limits:
		return limitWords(no.Until)
	}
	return "This was refused (" + escape(string(no.Why)) + "). Type " + command.code("help") + "."
}

// lackingWords says which scope is missing and where it is granted.
func lackingWords(scopes []string) string {
	quoted := make([]string, len(scopes))
	for i, s := range scopes {
		quoted[i] = code(s)
	}
	return "keyturn's application at Auth0 lacks " + strings.Join(quoted, " and ") +
		", so Auth0 would refuse this. Have it granted in the tenant's Dashboard: " +
		"*Applications → APIs → Auth0 Management API → Machine to Machine Applications*. " +
		"Then try again in a minute; a restart is not needed."
}

// limitWords says that Auth0 takes no more reads, and when to come back; a zero time: it
// did not say.
func limitWords(until time.Time) string {
	words := "Auth0 limits how often this tenant may be read, and the limit is used up for now. "
	if until.IsZero() {
		return words + "Try again in a minute."
	}
	// What is shown has whole seconds.
	return words + "Try again after " + at(until.Add(time.Second)) + "."
}

// whyUnread is Slack's word for what cannot be read.
func whyUnread(no *approval.Refusal) string {
	if no.Code == "" {
		return ""
	}
	return " (" + code(no.Code) + ")"
}

// unreadAdvice is what the operator has to do about what no retry reads.
func unreadAdvice(no *approval.Refusal) string {
	switch {
	case no.Needs != "":
		return "add the scope " + code(no.Needs) + " to the Slack app and install it again"
	case no.Code == "missing_scope":
		return "add the scopes of keyturn's manifest to the Slack app and install it again"
	case no.Group != "":
		return "put the group right in Slack, or take it out of `KEYTURN_APPROVERS` and " +
			"`KEYTURN_REQUESTERS`"
	}
	return "look into keyturn's log"
}

// cannotWords names the approvers who could not approve, with why.
func cannotWords(all []approval.Candidate) string {
	var words []string
	for i, c := range all {
		if i == 10 {
			words = append(words, fmt.Sprintf("%d more", len(all)-i))
			break
		}
		words = append(words, fmt.Sprintf("%s (%s)", code(c.User), candidateWords(c.Why)))
	}
	if len(words) == 0 {
		return ""
	}
	return "These could not: " + strings.Join(words, ", ") + ". "
}

// candidateWords says in two or three words why somebody could not approve.
func candidateWords(why approval.Why) string {
	switch why {
	case approval.IsBot:
		return "a bot"
	case approval.IsGuest:
		return "a guest"
	case approval.IsDeactivated:
		return "deactivated"
	case approval.IsStranger:
		return "of another workspace"
	case approval.UnknownPerson:
		return "unknown to Slack"
	case approval.GroupUnreadable:
		return "a group that cannot be read"
	}
	return "not established"
}

func requester(no *approval.Refusal) string {
	if no.Request == nil {
		return "the person"
	}
	return mention(no.Request.Requester)
}

func by(a audit.Actor) string {
	if a.User == "" {
		return ""
	}
	return " by " + mention(a)
}

func revokedAt(no *approval.Refusal) string {
	if k, ok := no.Look.Key(no.KID); ok && !k.RevokedAt.IsZero() {
		return ", since " + at(k.RevokedAt)
	}
	return ""
}

// stateWords is a state as a person would say it.
func stateWords(s approval.State) string {
	switch s {
	case approval.Pending:
		return "waiting for a second person"
	case approval.Approved:
		return "approved"
	case approval.Working:
		return "approved and being carried out"
	case approval.InDoubt:
		return "in doubt"
	}
	return string(s)
}

// pressWords confirms a press that counted.
func pressWords(verb approval.Verb, again bool, now approval.Request) string {
	if again {
		return "You did that already, and it stands: the request is " + stateWords(now.State) + "."
	}
	switch verb {
	case approval.Approve:
		return "You approved it. I am carrying it out now; each step is in the thread of the card."
	case approval.Deny:
		return "You denied it. No key was touched."
	case approval.Cancel:
		return "You cancelled it. No key was touched."
	}
	if now.State == approval.InDoubt {
		return "Your word is in the trail. A second person has to say the same."
	}
	return "Two people say the same now, so the request is " + stateWords(now.State) + "."
}

// keptWords tells a person that their act is kept and does not count yet.
func keptWords(r received, until time.Time) string {
	what := "Your press is kept"
	if r.Verb == "" {
		what = "Your form is kept"
	}
	return what + ", but it does not count yet: something that I need does not answer just now. " +
		"I try again until " + at(until) + ", and tell you what came of it."
}

// troubleWords is what a person gets where something went wrong inside: the operator
// finds the reference in the log.
func troubleWords(reference string) string {
	return "Something went wrong, and I cannot say whether this counted. Try again; it counts once at most. The operator finds it in the log under " + code(reference) + "."
}

// noneToRevoke says that a tenant has no key that can be revoked.
func noneToRevoke(command slash) string {
	return "There is no previously used key, and Auth0 revokes no other. Ask for " +
		command.code("rotate-and-revoke") + " instead."
}

func helpWords(command slash, tenants []string) string {
	name := ""
	tenant := "The tenant is " + code(tenants[0]) + "."
	if len(tenants) > 1 {
		name = " " + tenants[0]
		tenant = "The tenants are "
		for i, t := range tenants {
			if i > 0 {
				tenant += ", "
			}
			tenant += code(t)
		}
		tenant += "; name one as the second word."
	}
	return "*Two people turn the key.* Whatever changes a key is asked for by one person and happens after a second one pressed *Approve*.\n" +
		"• " + command.code("list"+name) + " shows the keys\n" +
		"• " + command.code("revoke"+name+" [kid] [reason]") +
		" asks to revoke a previously used key. It cannot be undone\n" +
		"• " + command.code("rotate"+name+" [reason]") + " asks to put the next key in use\n" +
		"• " + command.code("rotate-and-revoke"+name+" [reason]") +
		" asks for both, for a key that leaked\n" +
		"• " + command.code("requests") + " shows what is open, with buttons\n" +
		"• " + command.code("certificate"+name+" [next|current|previous]") +
		" gives the certificate for those who pin it\n" +
		"• " + command.code("audit [n]") + " shows the last entries of the trail, " +
		"and with a request's id, such as `kt-abcdefgh`, those of that request\n" + tenant
}
