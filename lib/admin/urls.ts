// The page that builds what is pasted into the CRM, and tries it without changing anything.
import { changeList, sentence, warningList } from '../answer/page';
import { html, Html, type Content } from '../html';
import type { Preview } from '../inside';
import { BUILT_IN_ACTIONS } from '../queue/webhook';
import { webhookUrl } from '../webhook/url';
import type { Page, Visit } from './visit';
import { textIn } from './visit';
import { advice, titleOf } from './words';

/** Stands where the key has to be: the page never shows one. */
const PLACEHOLDER = 'YOUR-ACCESS-KEY';

const EXPLAINED: Readonly<Record<string, string>> = {
  add: 'creates the contact’s user, or updates the one that is there',
  update: 'updates fields and tags of the contact’s user',
  update_tags: 'updates only the tags of the contact’s user',
  test: 'says whether the key is right, and does nothing',
};

/** The page, with the URL that its query asks for. */
export function urlsPage(visit: Visit): Page {
  return page(visit, visit.query, undefined);
}

/** The page, with what would become of a contact. */
export async function tryWebhook(visit: Visit): Promise<Page> {
  const { inside, form } = visit;
  const contactId = textIn(form, 'contact');
  const action = textIn(form, 'action');
  const { contactIdPattern } = inside.configuration;
  let preview: Preview | undefined;
  if (!contactIdPattern.test(contactId))
    preview = {
      kind: 'failure',
      code: 'INVALID_REQUEST',
      detail: `“${contactId}” is no contact id of this CRM.`,
    };
  else if (['add', 'update', 'update_tags'].includes(action))
    preview = await inside.preview({
      ...{ action, contactId },
      role: textIn(form, 'role') || undefined,
      sendNotification: form.get('send_notification') === 'true',
    });
  else
    preview = {
      kind: 'failure',
      code: 'UNKNOWN_ACTION',
      detail: 'Only add, update and update_tags can be tried here.',
    };
  return page(visit, form, preview);
}

function page(visit: Visit, values: Visit['query'], preview: Preview | undefined): Page {
  const { configuration } = visit.inside;
  const actions = [...BUILT_IN_ACTIONS, ...configuration.actions.keys()];
  const action = actions.find((each) => each === values.get('action')) ?? 'add';
  const content = html`<h1>URLs</h1>
<p>What to paste into the CRM, for a webhook of an automation: method POST, no data.</p>
${urlForm(visit, values, actions, action)}
${built(visit, values, action)}
${tryForm(visit, values, action)}
${preview === undefined ? undefined : outcomeOf(visit, preview)}`;
  return { section: 'urls', title: 'URLs', content };
}

type Choice = readonly [value: string, text: string];

function select(name: string, label: string, choices: readonly Choice[], chosen: string, id = name): Html {
  const options = choices.map(
    ([value, text]) =>
      html`<option value="${value}"${value === chosen ? new Html(' selected') : ''}>${text}</option>`,
  );
  return html`<div><label for="${id}">${label}</label><select id="${id}" name="${name}">${options}</select></div>`;
}

const BOOLEANS: readonly Choice[] = [
  ['', 'not said'],
  ['true', 'true'],
  ['false', 'false'],
];

function urlForm(visit: Visit, values: Visit['query'], actions: readonly string[], action: string): Html {
  const { roles, accessKeys } = visit.inside.configuration;
  const chosen = (name: string): string => textIn(values, name);
  const explained = actions.map((each): Choice => [
    each,
    `${each}: ${EXPLAINED[each] ?? 'an action of this site'}`,
  ]);
  return html`<form class="panel fields" method="get" action="urls" aria-label="Build a URL">
<div class="wide"><label for="site">Address of the site<small>With the path on which the webhook is mounted</small></label><input id="site" name="site" type="url" value="${siteIn(visit, values)}"></div>
${select('action', 'Action', explained, action)}
${select('role', 'Role', [['', `not said (${roles.defaultRole})`], ...roles.assignable.map((role): Choice => [role, role])], chosen('role'))}
${select('send_notification', 'Welcome mail', BOOLEANS, chosen('send_notification'))}
${select('async', 'Answer at once', BOOLEANS, chosen('async'))}
${select(
  'key',
  'Access key',
  accessKeys.map(({ name }): Choice => [name, name]),
  chosen('key'),
)}
${select(
  'place',
  'The key stands',
  [
    ['url', 'in the URL'],
    ['header', 'in a header'],
  ],
  chosen('place'),
)}
<div><button type="submit">Build</button></div>
</form>`;
}

const siteIn = (visit: Visit, values: Visit['query']): string => {
  const site = textIn(values, 'site');
  return URL.canParse(site) && /^https?:/i.test(site) ? site : visit.siteUrl;
};

const booleanIn = (values: Visit['query'], name: string): boolean | undefined => {
  const text = values.get(name);
  return text === 'true' || text === 'false' ? text === 'true' : undefined;
};

/** The URL, exactly. */
function built(visit: Visit, values: Visit['query'], action: string): Html {
  const { accessKeys, roles } = visit.inside.configuration;
  const key = accessKeys.find(({ name }) => name === values.get('key')) ?? accessKeys[0];
  const isInHeader = values.get('place') === 'header';
  const isOfOurs = action === 'add' || action === 'update';
  const site = siteIn(visit, values);
  const url = webhookUrl({
    ...{ site, action, accessKey: isInHeader ? undefined : PLACEHOLDER },
    role: isOfOurs ? roles.assignable.find((role) => role === values.get('role')) : undefined,
    sendNotification: action === 'add' ? booleanIn(values, 'send_notification') : undefined,
    async: action === 'test' ? undefined : booleanIn(values, 'async'),
  });
  const isAllowed = key?.actions?.has(action) ?? true;
  const notes: Content[] = [
    isAllowed
      ? undefined
      : html`<p class="notice bad">The key “${key?.name}” is not allowed the action ${action}.</p>`,
    site.startsWith('https:')
      ? undefined
      : html`<p class="warn">Without https the key can be read on the way.</p>`,
  ];
  const copy = (id: string, what: string, encode: boolean): Html =>
    html`<button class="plain" type="button" data-copy="${id}"${encode ? new Html(' data-encode="true"') : ''} hidden>Copy the ${what}</button>`;
  return html`<h2 id="built">The URL</h2>
<pre id="url">${url}</pre>
${isInHeader ? html`<p>And in the webhook’s headers:</p><pre id="header">X-Access-Key: ${PLACEHOLDER}</pre>` : undefined}
${notes}
<p>${PLACEHOLDER} is the site’s key “${key?.name ?? ''}”. It is not shown here.</p>
<div class="with-script" hidden><label for="whole-key">The key, to copy with<small>It stays in this browser</small></label><input id="whole-key" type="password" autocomplete="off"></div>
<p class="actions">${copy('url', 'URL', true)}${isInHeader ? copy('header', 'header', false) : undefined}<span id="copied" role="status"></span></p>`;
}

function tryForm(visit: Visit, values: Visit['query'], action: string): Html {
  const { roles } = visit.inside.configuration;
  const actions = (['add', 'update', 'update_tags'] as const).map((each): Choice => [each, each]);
  const hidden = (name: string): Html =>
    html`<input type="hidden" name="${name}" value="${textIn(values, name)}">`;
  return html`<h2>Try it</h2><p>Reads the contact from the CRM and shows what would change. Nothing is changed, neither here nor there.</p>
<form class="panel fields" method="post" action="urls#outcome" aria-label="Try a webhook">
<div><label for="contact">Contact id</label><input id="contact" name="contact" type="text" value="${textIn(values, 'contact')}" required autocomplete="off"></div>
${select('action', 'Action', actions, action, 'try-action')}
${select('role', 'Role', [['', 'not said'], ...roles.assignable.map((role): Choice => [role, role])], textIn(values, 'role'), 'try-role')}
${['site', 'key', 'place', 'async', 'send_notification'].map(hidden)}
<div><button type="submit">Try</button></div>
</form>`;
}

/** What would become of it. */
function outcomeOf({ inspect }: Visit, preview: Preview): Html {
  const told = (content: Content): Html =>
    html`<section id="outcome" aria-label="What would happen"><h2>What would happen</h2>${content}</section>`;
  if (preview.kind === 'failure') {
    const { code, detail } = preview;
    return told(
      html`<div class="notice bad"><p><strong>${titleOf(code)}</strong> <code>${code}</code></p><p>${detail}</p><p>${advice(code)}</p></div>`,
    );
  }
  const { warnings, changes } = preview.result;
  const hint = html`<p class="muted">Only the names; <code>wpFusionAdmin(webhook, { inspect: true })</code> shows values.</p>`;
  return told([
    html`<p class="notice good"><strong>${sentence(preview.result, true)}</strong></p>`,
    warnings.length === 0 ? undefined : warningList(warnings),
    changes.length === 0 ? undefined : changeList(changes, { dryRun: true, inspect, hint }),
  ]);
}
