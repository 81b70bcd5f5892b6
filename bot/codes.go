package bot

import (
	"errors"

	"github.com/slack-go/slack"
)

// This file is the one table of Slack's error codes: what each is about, and what to do.
// The codes are those that Slack lists for the methods on the path of a press and of a
// command: chat.postMessage, chat.update, chat.postEphemeral, views.open, views.update,
// users.info, conversations.info, usergroups.users.list, auth.test (facts: slack.md 3).

// concern is what an error of a call to Slack is about, and so what is done about it.
type concern int

const (
	aboutNothing concern = iota // no error
	aboutPassing                // the same call may do in a moment: it is tried again
	aboutMessage                // this message alone, as we sent it: it goes out as text
	aboutGone                   // the message that was to be changed: it is forgotten
	aboutThread                 // this reply alone: the line is left out of the thread
	aboutChannel                // nothing can be posted there: the channel is parked
	aboutPerson                 // this person cannot be reached so: another way is taken
	aboutTrigger                // the form came too late: the person has to begin again
	aboutGroup                  // this user group cannot be read: the others count
	aboutScope                  // the app lacks a permission: the operator has to grant it
	aboutToken                  // the token: see suspect
	aboutOther                  // not in the table
)

// errorCode is a row of the table.
type errorCode struct {
	about  concern
	advice string // what to do, as a sentence for whoever reads it; "": nothing
}

const (
	inviteAdvice  = "Invite me there again."
	archiveAdvice = "The channel is archived or frozen. Unarchive it, or use another one."
	rightsAdvice  = "Let me post there in the channel's posting permissions, or use another channel."
	scopeAdvice   = "Tell the operator: the Slack app lacks a scope of manifest.yml. " +
		"Add it and install the app again."
	tokenAdvice = "Tell the operator: Slack does not take the app's token. Install the app again."
	groupAdvice = "Tell the operator: a user group in the configuration cannot be read."
	adminAdvice = "A workspace administrator has to allow it."
)

var errorCodes = map[string]errorCode{
	"internal_error":             {about: aboutPassing},
	"fatal_error":                {about: aboutPassing},
	"service_unavailable":        {about: aboutPassing},
	"request_timeout":            {about: aboutPassing},
	"ratelimited":                {about: aboutPassing},
	"rate_limited":               {about: aboutPassing},
	"message_limit_exceeded":     {about: aboutPassing},
	"team_added_to_org":          {about: aboutPassing},
	"org_login_required":         {about: aboutPassing},
	"update_failed":              {about: aboutPassing},
	"hash_conflict":              {about: aboutPassing},
	"external_channel_migrating": {about: aboutPassing},
	"streaming_state_conflict":   {about: aboutPassing},

	"invalid_blocks":        {about: aboutMessage},
	"invalid_blocks_format": {about: aboutMessage},
	"msg_blocks_too_long":   {about: aboutMessage},
	"msg_too_long":          {about: aboutMessage},
	"no_text":               {about: aboutMessage},
	"invalid_attachments":   {about: aboutMessage},
	"too_many_attachments":  {about: aboutMessage},
	"view_too_large":        {about: aboutMessage},
	"invalid_arguments":     {about: aboutMessage},
	"invalid_array_arg":     {about: aboutMessage},
	"invalid_charset":       {about: aboutMessage},
	"invalid_form_data":     {about: aboutMessage},

	"message_not_found":   {about: aboutGone},
	"thread_not_found":    {about: aboutGone}, // the card that the thread hangs on
	"cant_update_message": {about: aboutGone},
	"edit_window_closed":  {about: aboutGone},
	"block_mismatch":      {about: aboutGone},
	"view_not_found":      {about: aboutGone},
	"response_url_closed": {about: aboutGone}, // ours, for a 4xx of a response URL
	"not_found":           {about: aboutGone}, // of views.update: the form was closed

	"cannot_reply_to_message": {about: aboutThread},
	"cant_broadcast_message":  {about: aboutThread},
	// Assumption: a locked thread has a code of this name.
	"restricted_action_thread_locked":          {about: aboutThread},
	"restricted_action_non_threadable_channel": {about: aboutThread},

	"channel_not_found":                     {aboutChannel, inviteAdvice},
	"not_in_channel":                        {aboutChannel, inviteAdvice},
	"is_archived":                           {aboutChannel, archiveAdvice},
	"is_inactive":                           {aboutChannel, archiveAdvice},
	"restricted_action":                     {aboutChannel, rightsAdvice},
	"restricted_action_read_only_channel":   {aboutChannel, rightsAdvice},
	"restricted_action_thread_only_channel": {aboutChannel, rightsAdvice},
	"channel_type_not_supported":            {aboutChannel, "Use another kind of channel."},
	"method_not_supported_for_channel_type": {aboutChannel, "Use another kind of channel."},
	"messages_tab_disabled": {aboutChannel,
		"Tell the operator: switch the app's messages tab on, as manifest.yml has it."},
	"team_not_found":    {aboutChannel, inviteAdvice},
	"ekm_access_denied": {aboutChannel, adminAdvice},

	"user_not_in_channel": {about: aboutPerson},
	"user_not_found":      {about: aboutPerson},
	"users_not_found":     {about: aboutPerson},
	"user_not_visible":    {about: aboutPerson},
	"user_disabled":       {about: aboutPerson},
	"cannot_dm_bot":       {about: aboutPerson},

	"expired_trigger_id":   {about: aboutTrigger},
	"exchanged_trigger_id": {about: aboutTrigger},
	"trigger_expired":      {about: aboutTrigger},
	"trigger_exchanged":    {about: aboutTrigger},
	"invalid_trigger_id":   {about: aboutTrigger},

	"no_such_subteam":        {aboutGroup, groupAdvice},
	"subteam_not_found":      {aboutGroup, groupAdvice},
	"subteam_disabled":       {aboutGroup, groupAdvice},
	"plan_upgrade_required":  {aboutGroup, groupAdvice},
	"subteam_is_not_allowed": {aboutGroup, groupAdvice},

	"missing_scope": {aboutScope, scopeAdvice},
	"no_permission": {aboutChannel, inviteAdvice}, // it names the membership

	"invalid_auth":     {aboutToken, tokenAdvice},
	"not_authed":       {aboutToken, tokenAdvice},
	"account_inactive": {aboutToken, tokenAdvice},
	"token_revoked":    {aboutToken, tokenAdvice},
	"token_expired":    {aboutToken, tokenAdvice},

	// Of one method, as far as it shows; auth.test says so where it is the token's.
	"not_allowed_token_type":    {aboutScope, tokenAdvice},
	"two_factor_setup_required": {aboutScope, adminAdvice},
	"team_access_not_granted":   {aboutScope, adminAdvice},
	"access_denied":             {aboutScope, adminAdvice},
	"accesslimited":             {aboutScope, adminAdvice},
	"enterprise_is_restricted":  {aboutScope, adminAdvice},
	"forbidden_team":            {aboutScope, adminAdvice},
}

// concernOf returns what an error of a call is about. What is not Slack's own answer is
// passing: the network, a status of a proxy, an answer that cannot be read.
func concernOf(err error) concern {
	if err == nil {
		return aboutNothing
	}
	code := said(err)
	if code == "" {
		return aboutPassing
	}
	if known, ok := errorCodes[code]; ok {
		return known.about
	}
	return aboutOther
}

// adviceFor says what to do about a code of Slack's.
func adviceFor(code string) string {
	if known := errorCodes[code]; known.advice != "" {
		return known.advice
	}
	return "Look in the channel's settings, or invite me there again."
}

// said returns the code of an error that is Slack's own answer; "": it is none.
func said(err error) string {
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return said.Err
	}
	return ""
}
