// What Slack's own types say of the wire. bolt_test.go writes down what the simulator
// sent, typed by this, and has the compiler judge it: a property that is missing, of
// another type, or unknown to Slack's types is an error.
import type { BlockAction, SlashCommand, ViewSubmitAction } from '@slack/bolt';
import type * as web from '@slack/web-api';

// Where Slack's documented payloads have more than the types: outside of Enterprise Grid
// enterprise is null, and whoever submits a modal has a username.
type Interaction<T> = Omit<T, 'enterprise' | 'user'> & { enterprise: null };
type Person<T extends { user: object }> = { user: T['user'] & { username: string } };

// The types of answers know no null, and have enums for words, which a word as such is not.
type Answer<T> = null | (T extends string ? string
  : T extends (infer E)[] ? Answer<E>[]
  : T extends object ? { [K in keyof T]: Answer<T[K]> } : T);

export interface Wire {
  command: SlashCommand;
  block_actions: Interaction<BlockAction> & Person<BlockAction>;
  view_submission: Interaction<ViewSubmitAction> & Person<ViewSubmitAction>;
  'apps.connections.open': Answer<web.AppsConnectionsOpenResponse>;
  'auth.test': Answer<web.AuthTestResponse>;
  'chat.getPermalink': Answer<web.ChatGetPermalinkResponse>;
  'chat.postEphemeral': Answer<web.ChatPostEphemeralResponse>;
  'chat.postMessage': Answer<web.ChatPostMessageResponse>;
  'chat.update': Answer<web.ChatUpdateResponse>;
  'conversations.info': Answer<web.ConversationsInfoResponse>;
  'usergroups.users.list': Answer<web.UsergroupsUsersListResponse>;
  'users.info': Answer<web.UsersInfoResponse>;
  'views.open': Answer<web.ViewsOpenResponse>;
  'views.update': Answer<web.ViewsUpdateResponse>;
}

// @ts-expect-error: a press needs actions, or this judges nothing
export const incomplete: Pick<Wire['block_actions'], 'type' | 'actions'> = { type: 'block_actions' };
// @ts-expect-error: Slack has no such property, or this judges nothing
export const unknown: Wire['users.info'] = { ok: true, user: { id: 'U0', colour: 'red' } };
