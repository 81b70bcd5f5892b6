// An app by Slack's own framework, which bolt_test.go plays against the simulator. It
// reports on stdout, one JSON object a line: {log, words} for what bolt logs, {took} for
// what came over the wire, and {saw} for what bolt made of it. It ends with its stdin.
import bolt from '@slack/bolt';

const report = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const log = (level) => (...words) => report({ log: level, words: words.map(String).join(' ') });
const logger = {
  debug() {}, info: log('info'), warn: log('warn'), error: log('error'),
  setLevel() {}, getLevel: () => 'info', setName() {},
};

// Every answer of the Web API is reported as it came.
const reportedFetch = async (url, init) => {
  const answer = await fetch(url, init);
  const method = String(url).split('/api/')[1];
  if (method && answer.status === 200) {
    report({ took: method, body: await answer.clone().json() });
  }
  return answer;
};

process.on('unhandledRejection', (e) => report({ saw: 'rejection', code: e.data?.error ?? String(e) }));

const app = new bolt.App({
  socketMode: true,
  appToken: process.env.SLACK_APP_TOKEN,
  token: process.env.SLACK_BOT_TOKEN,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL, fetch: reportedFetch },
  logger,
});

// So is every envelope, with what bolt takes from it for itself.
app.use(async ({ body, context, next }) => {
  report({ took: body.type ?? 'command', body });
  report({ saw: 'context', team: context.teamId, user: context.userId, bot: context.botUserId });
  await next();
});

const plain = (text) => ({ type: 'plain_text', text });
const button = (name, value) => ({ type: 'button', action_id: name, value, text: plain(name) });
const card = (text, ...elements) => ({
  text,
  blocks: [
    { type: 'section', text: { type: 'mrkdwn', text } },
    ...(elements.length > 0 ? [{ type: 'actions', block_id: 'buttons', elements }] : []),
  ],
});
const modal = (title, ...blocks) => ({
  type: 'modal', callback_id: 'ask', private_metadata: 'kt-1', title: plain(title), submit: plain('Ask'), blocks,
});
const reason = {
  type: 'input', block_id: 'reason', label: plain('Reason'),
  element: { type: 'plain_text_input', action_id: 'words' },
};

const commands = {
  async ack({ ack }) {
    await ack({ text: 'with the ack' });
  },
  async respond({ ack, respond }) {
    await ack();
    await respond('to the response URL');
    await respond({ response_type: 'in_channel', ...card('for all') });
  },
  async say({ ack, say, client, command: { channel_id: channel, user_id: user } }) {
    await ack();
    const { ts } = await say('said');
    const { permalink } = await client.chat.getPermalink({ channel, message_ts: ts });
    await client.chat.postMessage({ channel, thread_ts: ts, text: permalink });
    await client.chat.postEphemeral({ channel, user, text: 'for you' });
  },
  async look({ ack, client, command }) {
    await ack();
    const { user } = await client.users.info({ user: command.user_id });
    const { channel } = await client.conversations.info({ channel: command.channel_id });
    const { users } = await client.usergroups.users.list({ usergroup: 'SDEV' });
    report({
      saw: 'look', name: user.name, guest: user.is_restricted, deactivated: user.deleted, team: user.team_id,
      channel: channel.name, member: channel.is_member, outsiders: channel.is_ext_shared, group: users,
    });
  },
  async refused({ ack, say }) {
    await ack();
    await say({ text: 'x', blocks: [{ type: 'header', text: plain('x'.repeat(151)) }] })
      .catch((e) => report({ saw: 'refused', code: e.data.error, messages: e.data.response_metadata.messages }));
  },
  async card({ ack, say }) {
    await ack();
    await say(card('a card', button('update', 'kt-1'), button('replace', 'kt-2'), button('ask', 'kt-3')));
  },
};
app.command('/signing-keys', (args) => commands[args.command.text](args));

const reportPress = ({ body, action }) => report({
  saw: 'press', name: action.action_id, value: action.value, block: action.block_id,
  user: body.user.id, team: body.team.id, channel: body.channel.id, ts: body.message.ts,
});
app.action('update', async ({ body, action, ack, client }) => {
  await ack();
  reportPress({ body, action });
  const [, { elements }] = body.message.blocks;
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, ...card('updated', ...elements) });
});
app.action('replace', async ({ body, action, ack, respond }) => {
  await ack();
  reportPress({ body, action });
  await respond({ replace_original: true, ...card('replaced', button('ask', 'kt-3')) });
});
app.action('ask', async ({ body, action, ack, client }) => {
  await ack();
  reportPress({ body, action });
  const loading = modal('Loading', { type: 'section', text: plain('…') });
  const { view } = await client.views.open({ trigger_id: body.trigger_id, view: loading });
  await client.views.update({ view_id: view.id, hash: view.hash, view: modal('Ask', reason) });
});
app.view('ask', async ({ ack, body, view }) => {
  const { value } = view.state.values.reason.words;
  report({ saw: 'submission', value, user: body.user.id, team: body.team.id, metadata: view.private_metadata });
  const answers = {
    bad: { response_action: 'errors', errors: { reason: 'say more' } },
    more: { response_action: 'update', view: modal('More', reason) },
  };
  await ack(answers[value]);
});

process.stdin.resume().on('end', () => app.stop().then(() => process.exit()));
try {
  await app.start();
  report({ saw: 'started' });
} catch (e) {
  report({ saw: 'not started', code: e.data?.error ?? String(e) });
  process.exit();
}
