package slacksim

import (
	"slices"
	"strings"
)

// SetBotToken says what becomes of calls with a bot token: they get the error code, such as
// token_revoked, token_expired or account_inactive; "": it is good. The first one is good,
// and several may be at once. Sockets stay open, since they are the app-level token's.
func (w *Workspace) SetBotToken(token, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[token] = code
}

// SetScopes sets what the bot's tokens are granted; at first what the manifest asks for.
func (w *Workspace) SetScopes(scopes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = slices.Clone(scopes)
}

// granted returns the scopes of the bot's tokens, as Slack lists them.
func (w *Workspace) granted() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.scopes, ",")
}

// authenticate returns what is wrong with the token of a call; nil: nothing.
func (w *Workspace) authenticate(m method, token string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	code, isBot := w.tokens[token]
	isApp := token == w.cfg.AppToken
	switch {
	case token == "":
		return &apiError{code: "not_authed"}
	case isApp && m.app, isBot && !m.app && code == "":
		return nil
	case isApp, isBot && m.app:
		return &apiError{code: "not_allowed_token_type"}
	case isBot:
		return &apiError{code: code}
	}
	return &apiError{code: "invalid_auth"}
}

// mayCall returns which scope is missing for a method; nil: none.
func (w *Workspace) mayCall(m method) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.app || len(m.scopes) == 0 || slices.ContainsFunc(m.scopes, w.has) {
		return nil
	}
	return w.missing(strings.Join(m.scopes, ","))
}

// has reports whether the bot's tokens are granted a scope. w.mu is held.
func (w *Workspace) has(scope string) bool { return slices.Contains(w.scopes, scope) }

// missing is the error where a scope is. w.mu is held.
func (w *Workspace) missing(scope string) error {
	return &apiError{code: "missing_scope", extra: result{
		"needed": scope, "provided": strings.Join(w.scopes, ","),
	}}
}
