package bot

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"keyturn/bot/approval"
	"keyturn/bot/socket"
)

// This file holds the bot token in use. One that Slack takes no more is known at once, and
// confirmed; one that its file has instead is taken without a restart; and where there is
// none, what is approved is carried to its end before Run ends.

const (
	tokenEvery   = time.Minute      // between two looks at a token that is good
	confirmAfter = 5 * time.Second  // between the two answers that make a token bad
	finishWithin = 30 * time.Minute // for what is approved, once presses cannot reach us
)

// isTokenCode reports whether a code of Slack's is about a token that is good no more. One
// odd answer is no end: auth.test has to say so, too.
func isTokenCode(code string) bool { return errorCodes[code].about == aboutToken }

// login is a bot token and the client that uses it.
type login struct {
	token string
	api   *slack.Client
}

// client is the client of the token that is in use. Ask for it at each call: the token may
// be replaced in between.
func (b *Bot) client() *slack.Client { return b.logins.Load().api }

// logIn uses token from here on. Calls that are under way end with the one before.
func (b *Bot) logIn(token string) {
	b.logins.Store(&login{token: token, api: slack.New(token, slack.OptionAppLevelToken(b.AppToken),
		slack.OptionAPIURL(b.APIURL), slack.OptionHTTPClient(b.http))})
}

// tokenState is what is known of the token in use.
type tokenState struct {
	doubted chan struct{} // has one where the token is to be looked at now

	mu    sync.Mutex
	bad   string // Slack's code, from the first sign on; "": good
	known bool   // auth.test says so, too
}

// suspect is to be told of every error of Slack's Web API under the bot token. It does
// nothing but where the code is that of a token that is good no more: then keyturn is not
// ready until auth.test says otherwise. Presses are acknowledged until auth.test confirms it:
// one odd answer of one method must not make keyturn deaf.
func (b *Bot) suspect(err error) {
	if code := said(err); isTokenCode(code) {
		b.setToken(code)
		select {
		case b.token.doubted <- struct{}{}:
		default:
		}
	}
}

// setToken keeps what Slack says of the token; "": it is good.
func (b *Bot) setToken(code string) {
	b.token.mu.Lock()
	b.token.bad, b.token.known = code, b.token.known && code != ""
	b.token.mu.Unlock()
	if code == "" {
		b.find(findToken, false, "")
		return
	}
	b.find(findToken, true, "Slack does not take the bot token ("+code+"); check "+
		"KEYTURN_SLACK_BOT_TOKEN")
}

// isDoubted reports whether something is wrong with the token, confirmed or not.
func (b *Bot) isDoubted() bool {
	b.token.mu.Lock()
	defer b.token.mu.Unlock()
	return b.token.bad != ""
}

// confirmed keeps that auth.test itself does not take the token.
func (b *Bot) confirmed(code string) {
	b.token.mu.Lock()
	defer b.token.mu.Unlock()
	b.token.known = b.token.bad == code
}

// deaf returns why nothing may be acknowledged: nobody could be judged or told. Slack then
// shows its warning to whoever presses.
func (b *Bot) deaf() error {
	b.token.mu.Lock()
	defer b.token.mu.Unlock()
	if !b.token.known {
		return nil
	}
	return errors.New("the bot token is not good: " + b.token.bad)
}

// hear takes an envelope, but for where presses could not be worked.
func (b *Bot) hear(ctx context.Context, e socket.Envelope) (any, error) {
	if err := b.deaf(); err != nil {
		return nil, err
	}
	return b.receive(ctx, e)
}

// watchToken looks at the token once a minute, and at once where it is doubted. It returns
// nil when ctx ends, and an error once the token is confirmed to be bad, no other is to be
// had, and nothing that was approved waits for its end any more.
func (b *Bot) watchToken(ctx context.Context) error {
	for {
		pause := tokenEvery
		if b.isDoubted() {
			pause = confirmAfter // auth.test could not be asked
		}
		select {
		case <-b.token.doubted:
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		code := b.tryToken(ctx)
		if code == "" || !sleep(ctx, confirmAfter) {
			continue
		}
		if code = b.tryToken(ctx); code == "" {
			continue
		}
		b.Log.Error().Str("code", code).Msg("Slack does not take the bot token; keyturn ends " +
			"once what is approved has its end")
		if b.waitForEnds(ctx, func() bool {
			b.tryToken(ctx)
			return !b.isDoubted()
		}) && ctx.Err() == nil {
			return fmt.Errorf("the bot token: Slack says %s; check KEYTURN_SLACK_BOT_TOKEN", code)
		}
	}
}

// tryToken returns why Slack does not take the token, after its file was read again; "":
// it does, or it could not be asked.
func (b *Bot) tryToken(ctx context.Context) (code string) {
	b.guarded(func() { code = b.testToken(ctx) })
	return code
}

func (b *Bot) testToken(ctx context.Context) (code string) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	who, err := b.slack.whoAmI(ctx)
	bad := socket.Permanent(said(err)) // of auth.test, whatever code it is
	if code = said(err); bad && b.takeNewToken(ctx) {
		return ""
	}
	switch {
	case bad:
		b.setToken(code)
		b.confirmed(code)
		return code
	case err == nil && who.Team == b.people.install.Team:
		b.setToken("")
	case err != nil:
		b.Log.Warn().Err(err).Msg("the bot token cannot be looked at")
	}
	return "" // the token stays what it was, where Slack could not be asked
}

// takeNewToken reads the token's file again, and uses what is there if it is another token
// of the same workspace.
func (b *Bot) takeNewToken(ctx context.Context) bool {
	if b.Reload == nil {
		return false
	}
	token, err := b.Reload()
	if err != nil {
		b.Log.Error().Err(err).Msg("the bot token's file cannot be read")
		return false
	}
	if token == "" || token == b.logins.Load().token {
		return false
	}
	try := newSlackReader(b.Config, b.http, func() string { return token }, func(error) {})
	var who identity
	err = try.read(ctx, "auth.test", url.Values{}, &who)
	switch {
	case err != nil:
		b.Log.Error().Err(err).Msg("the new bot token is not taken")
		return false
	case who.Team != b.people.install.Team:
		b.Log.Error().Str("team", who.Team).Msg("the new bot token is not taken: it is of " +
			"another workspace")
		return false
	}
	b.logIn(token)
	b.setToken("")
	b.Log.Info().Str("user", who.User).Msg("the bot token was replaced by that in its file")
	b.announcer.nudge()
	return true
}

// waitForEnds waits until no request is approved or being carried out, for half an hour at
// most, and returns true; or false as soon as better says that there is no need to.
func (b *Bot) waitForEnds(ctx context.Context, better func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	for b.underway(ctx) {
		if !sleep(ctx, confirmAfter) {
			break
		}
		if better() {
			return false
		}
	}
	return true
}

// underway reports whether a change was approved and has no end yet. What cannot be read
// counts as one.
func (b *Bot) underway(ctx context.Context) bool {
	open, err := b.Trail.OpenRequests(ctx)
	return err != nil || slices.ContainsFunc(open, func(r approval.Request) bool {
		return r.State == approval.Approved || r.State == approval.Working
	})
}
