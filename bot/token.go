package bot

import "github.com/slack-go/slack"

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
