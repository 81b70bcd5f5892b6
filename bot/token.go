package bot

import (
	"slices"

	"github.com/slack-go/slack"
)

// This file holds the bot token that is in use, and the client that uses it.

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

// tokenCodes are what Slack says of a token that is good no more. One odd answer is no end:
// auth.test has to say so, too.
var tokenCodes = []string{
	"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
	"not_allowed_token_type", "org_login_required", "two_factor_setup_required",
	"forbidden_team", "team_access_not_granted",
}

func isTokenCode(code string) bool { return slices.Contains(tokenCodes, code) }

// suspect is to be told of every error of Slack's Web API under the bot token.
func (b *Bot) suspect(err error) {}
