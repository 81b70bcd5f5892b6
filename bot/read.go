package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// This file reads Slack. What decides who counts is decoded here into small types of our
// own: a field that nobody needs must not lock anybody out because it came in another
// shape, and a field that decides must not be guessed at.

const (
	maxAnswer = 4 << 20 // bytes of an answer; a user group of 50,000 has some 700 KB
	maxHeld   = time.Minute
)

// reader calls the reading methods of Slack's Web API. It is safe for concurrent use.
type reader struct {
	*holds
	url     string // with a slash at the end
	http    *http.Client
	token   func() string // the bot token in use
	suspect func(error)   // is told of every error

	mu     sync.Mutex
	scopes []string // that Slack named last as granted; nil: not known
}

func newSlackReader(cfg Config, c *http.Client, token func() string, suspect func(error)) *reader {
	return &reader{
		holds: newHolds(maxHeld, cfg.Now), url: cfg.APIURL, http: c, token: token,
		suspect: suspect,
	}
}

// missingScope is Slack's answer where the bot token lacks a scope.
type missingScope struct {
	slack.SlackErrorResponse
	needs string // the scopes, any one of which would do; "": Slack did not say
}

func (e *missingScope) Error() string { return "missing_scope: " + e.needs }
func (e *missingScope) Unwrap() error { return e.SlackErrorResponse }

// read calls a method with the bot token and decodes the answer into out. An error is
// *slack.RateLimitedError where Slack wants no call for a while; slack.SlackErrorResponse,
// perhaps in a *missingScope, where it said no; and any other where there was no answer,
// or none of the expected shape. None of them names the token.
func (s *reader) read(ctx context.Context, method string, args url.Values, out any) error {
	err := s.call(ctx, method, args, out)
	if err != nil {
		s.suspect(err)
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func (s *reader) call(ctx context.Context, method string, args url.Values, out any) error {
	if wait := s.heldFor(method); wait > 0 {
		return &slack.RateLimitedError{RetryAfter: wait}
	}
	form := strings.NewReader(args.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+method, form)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+s.token())
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		err := limitedBy(resp.Header.Get("Retry-After"))
		s.heed(method, err)
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if err := decodeAnswer(body, out); err != nil {
		return err
	}
	s.granted(resp.Header)
	return nil
}

// decodeAnswer decodes an answer that says ok; one that does not is an error.
func decodeAnswer(body []byte, out any) error {
	var said struct {
		OK     hint  `json:"ok"`
		Error  label `json:"error"`
		Needed label `json:"needed"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	no := slack.SlackErrorResponse{Err: string(said.Error)}
	switch {
	case bool(said.OK):
	case said.Error == "missing_scope":
		return &missingScope{no, string(said.Needed)}
	case said.Error == "":
		return errors.New("the answer says neither ok nor an error")
	default:
		return no
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &oddAnswer{fmt.Errorf("decoding the answer: %w", err)}
	}
	return nil
}

// oddAnswer is an answer in which something that decides has another shape than is known.
type oddAnswer struct{ err error }

func (e *oddAnswer) Error() string { return e.err.Error() }
func (e *oddAnswer) Unwrap() error { return e.err }

// limitedBy is what a 429 asks for, a minute at most: a longer one is asked for again.
func limitedBy(retryAfter string) error {
	wait := time.Second
	if n, err := strconv.Atoi(retryAfter); err == nil && n > 0 {
		wait = time.Duration(min(n, int(maxHeld/time.Second))) * time.Second
	}
	return &slack.RateLimitedError{RetryAfter: wait}
}

// granted keeps the scopes that an answer names.
func (s *reader) granted(h http.Header) {
	named := h.Get("X-OAuth-Scopes")
	if named == "" {
		return
	}
	scopes := strings.Split(named, ",")
	for i := range scopes {
		scopes[i] = strings.TrimSpace(scopes[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

// grantedScopes returns the scopes that Slack named last; nil: not known.
func (s *reader) grantedScopes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scopes
}

// passes reports whether an error of a reading method may be gone at the next try: no
// answer came, Slack is in trouble itself, it is too much, or the token is the matter,
// which is looked at by itself. What Slack says that is not known does not pass.
func passes(err error) bool {
	var odd *oddAnswer
	about := concernOf(err)
	return !errors.As(err, &odd) && (about == aboutPassing || about == aboutToken)
}

// retryAfter is how long to wait before another try.
func retryAfter(err error) time.Duration {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return limited.RetryAfter
	}
	return time.Second
}

// truth is a yes or no that decides. A field that is absent is a no where it is no pointer, as
// Slack documents; any other shape is an error: it is not established.
type truth bool

func (f *truth) UnmarshalJSON(b []byte) error {
	switch string(bytes.TrimSpace(b)) {
	case "true":
		*f = true
	case "false":
		*f = false
	default:
		return fmt.Errorf("%.20q is neither true nor false", b)
	}
	return nil
}

// label is a text that decides nothing; in another shape it is "".
type label string

func (l *label) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*l = label(s)
	}
	return nil
}

// account is what users.info says of somebody, as far as it decides.
type account struct {
	ID         string          `json:"id"`
	Team       string          `json:"team_id"`
	Name       label           `json:"name"`
	Deleted    *truth          `json:"deleted"`
	Bot        *truth          `json:"is_bot"`
	AppUser    truth           `json:"is_app_user"`
	Workflow   truth           `json:"is_workflow_bot"`
	Connector  truth           `json:"is_connector_bot"`
	Guest      *truth          `json:"is_restricted"`
	UltraGuest *truth          `json:"is_ultra_restricted"`
	Stranger   truth           `json:"is_stranger"`
	Grid       json.RawMessage `json:"enterprise_user"` // decides in an Enterprise Grid alone
}

// gridUser is somebody in an Enterprise Grid.
type gridUser struct {
	ID         string          `json:"id"` // the one for the whole organisation
	Enterprise string          `json:"enterprise_id"`
	Teams      json.RawMessage `json:"teams"`
}

// has reports whether somebody is of a workspace of the organisation.
func (g gridUser) has(team string) bool {
	var teams []string
	return json.Unmarshal(g.Teams, &teams) == nil && slices.Contains(teams, team)
}

// describe asks who has an id. Slack may answer under the other id of the same person.
func (s *reader) describe(ctx context.Context, id string) (account, error) {
	var answer struct {
		User account `json:"user"`
	}
	err := s.read(ctx, "users.info", url.Values{"user": {id}}, &answer)
	if err == nil && !answer.User.isWhole() {
		err = &oddAnswer{errors.New("users.info: the answer does not say whether somebody is a guest")}
	}
	return answer.User, err
}

// isWhole reports whether what decides about a member is there. Slack leaves the fields of
// guests out for whoever is deactivated.
func (a account) isWhole() bool {
	return a.Deleted != nil && (bool(*a.Deleted) ||
		a.Bot != nil && (bool(*a.Bot) || a.Guest != nil && a.UltraGuest != nil))
}

// is reports whether a field is there and says yes.
func is(f *truth) bool { return f != nil && bool(*f) }

// members lists the ids of the people in a user group.
func (s *reader) members(ctx context.Context, group string) ([]string, error) {
	var answer struct {
		Users *[]string `json:"users"`
	}
	err := s.read(ctx, "usergroups.users.list", url.Values{"usergroup": {group}}, &answer)
	switch {
	case err != nil:
		return nil, err
	case answer.Users == nil:
		return nil, &oddAnswer{errors.New("usergroups.users.list: the answer has no users")}
	}
	return *answer.Users, nil
}

// conversation is what conversations.info says of a channel, as far as it decides.
type conversation struct {
	IM         truth `json:"is_im"`
	MPIM       truth `json:"is_mpim"`
	Shared     truth `json:"is_ext_shared"`
	Pending    truth `json:"is_pending_ext_shared"`
	Member     truth `json:"is_member"`
	Archived   hint  `json:"is_archived"`
	Frozen     hint  `json:"is_frozen"`
	ReadOnly   hint  `json:"is_read_only"`
	ThreadOnly hint  `json:"is_thread_only"`
}

// hint is a yes or no that only spares somebody a vain try; in another shape it is a no.
type hint bool

func (h *hint) UnmarshalJSON(b []byte) error {
	*h = hint(string(bytes.TrimSpace(b)) == "true")
	return nil
}

// conversation asks what a channel is.
func (s *reader) conversation(ctx context.Context, channel string) (conversation, error) {
	var answer struct {
		Channel *conversation `json:"channel"`
	}
	err := s.read(ctx, "conversations.info", url.Values{"channel": {channel}}, &answer)
	switch {
	case err != nil:
		return conversation{}, err
	case answer.Channel == nil:
		return conversation{}, &oddAnswer{errors.New("conversations.info: the answer has no " +
			"channel")}
	}
	return *answer.Channel, nil
}

// identity is what auth.test says of the token.
type identity struct {
	Team       string `json:"team_id"`
	Enterprise string `json:"enterprise_id"`
	URL        string `json:"url"`
	User       string `json:"user_id"`
}

// whoAmI asks whose the token is.
func (s *reader) whoAmI(ctx context.Context) (identity, error) {
	var who identity
	err := s.read(ctx, "auth.test", nil, &who)
	return who, err
}
