package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/bot/audit"
	"keyturn/mgmt"
)

// between waits, after a rotation, for a token that the new key signed. It returns why
// the request halts, if none is to be had in time: a tenant whose management tokens
// cannot be used is worse than a slow incident.
func (t *turn) between(ctx context.Context) (halts string, err error) {
	since := t.last(audit.Rotated).Time
	switch {
	case t.r.State == InDoubt:
		return "it was seen too late that the rotation took effect.", nil
	case t.Now().Sub(since) > t.Timing.Between:
		return "too much time went by since.", nil
	}
	reader := t.Tenants[t.r.Tenant].Reader
	if !t.fresh {
		reader.DropToken()
	}
	token, err := reader.Token(ctx)
	if err == nil && token.KID == t.r.Pins.Next.KID {
		t.fresh = true
		return "", nil
	}
	t.fresh = false
	if err == nil {
		err = fmt.Errorf("the token is signed by key %q", token.KID)
	}
	if t.claimed.After(since) {
		since = t.claimed
	}
	if t.Now().Sub(since) > t.Timing.NewToken {
		return "Auth0 gave no token signed by the new key.", nil
	}
	return "", t.wait(ctx, fmt.Errorf("waiting for a token signed by the new key: %w", err))
}

// halt ends a request between its effects. Somebody may have revoked the key meanwhile,
// in the Dashboard: a last look knows, if one can be had.
func (t *turn) halt(ctx context.Context, why string) (pause time.Duration, over bool, err error) {
	switch err := t.see(ctx, false); {
	case err != nil:
		return t.end(ctx, Halted, "Rotated. This request did not revoke the key, because "+why+" The keys could not be read at the end.")
	case has(t.keys, *t.r.Pins.Current, mgmt.RoleRevoked):
		return t.follow(ctx, Revoke, attempts{}, applied)
	}
	return t.end(ctx, Halted, "Rotated. The key is not revoked, because "+why)
}

// prove ends the request as done once a token signed by the current key has read a
// list that shows it.
func (t *turn) prove(ctx context.Context) (time.Duration, bool, error) {
	if t.r.Action != Rotate {
		if !has(t.keys, *t.r.Pins.Target(), mgmt.RoleRevoked) {
			return t.doubt(ctx, "The key was seen as revoked, and now it is not.")
		}
	}
	current, ok := t.keys.Current()
	token, err := t.Tenants[t.r.Tenant].Reader.Token(ctx)
	if err == nil && (!ok || token.KID != current.KID) {
		err = fmt.Errorf("the token is signed by key %q", token.KID)
	}
	if err != nil {
		t.fresh = false
		return t.unreadable(ctx, fmt.Errorf("proving with a token signed by the current key: %w", err))
	}
	t.look.Token = token.KID
	// A key set is cached for some seconds on its way (15 s were seen at Auth0). What
	// is then still listed is said, and looked at again.
	if revoked := t.last(audit.Revoked); revoked != nil && !unlisted(t.r.KID, t.look) && t.Now().Sub(revoked.Time) < t.Timing.Proof {
		return t.Timing.ProofEvery, false, nil
	}
	words := []string{"Read back with a token signed by the key that is currently used."}
	if t.r.Action != Rotate {
		words = append(words, listedWords(t.r.KID, t.look)...)
	}
	return t.end(ctx, Done, strings.Join(words, " "))
}

// lookLate looks, for an hour after done, at key sets that still listed the revoked key,
// and records when the last of them dropped it, or that one never did.
func (t *turn) lookLate(ctx context.Context) (time.Duration, bool, error) {
	done := t.last(audit.Done)
	tenant, ok := t.Tenants[t.r.Tenant]
	if t.r.State != Done || t.r.Action == Rotate || done == nil || !ok || t.last(audit.Unlisted) != nil || t.last(audit.StillListed) != nil {
		return t.letGo(ctx, time.Time{})
	}
	t.look = &audit.Look{At: t.Now().UTC().Truncate(time.Microsecond), JWKS: tenant.published(ctx)}
	kind := audit.Unlisted
	if !unlisted(t.r.KID, t.look) {
		if t.Now().Sub(done.Time) < t.Timing.Late {
			return t.letGo(ctx, t.Now().Add(t.Timing.LateEvery))
		}
		kind = audit.StillListed
	}
	e := t.entry(t.r, kind, strings.Join(listedWords(t.r.KID, t.look), " "))
	e.Look, e.Account = t.look, account(Done, t.r.KID, t.story, t.look, t.Now())
	if e.Account != nil {
		e.Account.Tried = nil // as done said it
	}
	m := t.moveTo(Done, e)
	m.Release = true
	err := t.commit(ctx, m)
	return 0, err == nil, err
}

// listedWords says of each domain whether its key set lists a revoked key, as seen from
// here.
func listedWords(kid string, look *audit.Look) (words []string) {
	for _, p := range look.JWKS {
		switch {
		case p.Err != "":
			words = append(words, "The JWKS of "+p.Domain+" could not be read.")
		case slices.Contains(p.KIDs, kid):
			words = append(words, "The JWKS of "+p.Domain+" still lists the key, so verifiers may still accept it.")
		default:
			words = append(words, "The key is gone from the JWKS of "+p.Domain+", seen from here at "+look.At.Format("15:04:05 MST")+".")
		}
	}
	return words
}

// unreadable goes on looking while Auth0 cannot be read or a proof is outstanding, and
// leaves the request in doubt when that lasts. Before an intent the approval expires
// instead.
func (t *turn) unreadable(ctx context.Context, err error) (time.Duration, bool, error) {
	if t.r.State == InDoubt {
		return t.doubt(ctx, "")
	}
	if intent := t.last(audit.Intended); intent != nil && t.Now().Sub(intent.Time) > t.Timing.Unreadable {
		return t.doubt(ctx, "What is true could not be read from Auth0: "+err.Error())
	}
	return 0, false, t.wait(ctx, err)
}

// waitAfter is how many turns in a row fail before people are told.
const waitAfter = 2

// wait returns err. Where it is not the first, it lets people know why nothing goes on:
// once, until the next step.
func (t *turn) wait(ctx context.Context, err error) error {
	if len(t.story) == 0 || t.failures < waitAfter || t.story[len(t.story)-1].Kind == audit.Waiting {
		return err
	}
	e := t.entry(t.r, audit.Waiting, "Auth0 does not answer as it should, still looking: "+err.Error())
	e.Cause += fmt.Sprintf(":%d", t.story[len(t.story)-1].Seq)
	if moveErr := t.move(ctx, t.r.State, e); moveErr != nil {
		return moveErr
	}
	return err
}
