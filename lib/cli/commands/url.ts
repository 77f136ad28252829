// url: the address that is pasted into the CRM.
import type { Configuration, ResolvedKey } from '../../options';
import { BUILT_IN_ACTIONS } from '../../queue/webhook';
import { suggestion } from '../../unknown-options';
import { webhookUrl } from '../../webhook/url';
import { CONFIG_OPTION, JSON_OPTION, type Call, type Command } from '../command';
import { isWebAddress } from '../configuration-file';
import { EXIT, UsageError } from '../failures';
import { withSite, type Site } from '../site';

const PLACEHOLDER = 'YOUR-ACCESS-KEY';

export const url: Command = {
  name: 'url',
  synopsis: '--action ACTION [options]',
  summary: 'Prints the URL to paste into the CRM.',
  options: {
    action: { argument: 'ACTION', description: 'add, update, update_tags, test, or an action of your own' },
    role: { argument: 'ROLE', description: 'the role of the user, one of roles.assignable' },
    'send-notification': { description: 'send the welcome mail to a new user' },
    async: { argument: 'true|false', description: 'whether the answer does not wait for the result' },
    header: { description: 'the key in a header instead of in the URL' },
    'show-key': { description: `the access key itself instead of ${PLACEHOLDER}` },
    key: { argument: 'NAME', description: 'which access key, where the site has several' },
    site: {
      argument: 'URL',
      description: 'the address of the webhook; default: url of the configuration file',
    },
    ...JSON_OPTION,
    ...CONFIG_OPTION,
  },
  run: (call) => withSite(call, { worker: false }, (site) => Promise.resolve(printUrl(call, site))),
};

function printUrl(call: Call, { file, configuration }: Site): number {
  const { terminal } = call;
  const address = call.text('site') ?? file.url;
  if (address === undefined) {
    throw new UsageError(
      `${file.name}: url: is missing: the address of the site’s webhook; or give it with --site.`,
    );
  }
  if (!isWebAddress(address)) {
    throw new UsageError('--site must be an address of the web: https://www.example.com/.');
  }
  const action = knownAction(call.requiredText('action'), configuration);
  const key = chosenKey(call, configuration.accessKeys, action);
  const accessKey = call.has('show-key') && key !== undefined ? key.key : PLACEHOLDER;
  const given = call.text('role');
  const sendNotification = call.has('send-notification');
  const inHeader = call.has('header');
  const found = webhookUrl({
    site: address,
    action,
    role: given === undefined ? undefined : knownRole(given, configuration),
    ...(inHeader ? {} : { accessKey }),
    ...(sendNotification ? { sendNotification } : {}),
    async: asyncOf(call),
  });
  const header = inHeader ? `X-Access-Key: ${accessKey}` : undefined;
  if (call.has('json')) {
    terminal.printJson({ url: found, ...(header === undefined ? {} : { header }) });
  } else {
    terminal.print(found);
    if (header !== undefined) terminal.print(header);
  }
  if (sendNotification && configuration.notifier === undefined) {
    terminal.tell('No mail will be sent: the site has no notifier (docs/welcome-mail.md).');
  }
  return EXIT.done;
}

function knownAction(given: string, { actions }: Configuration): string {
  const known = [...BUILT_IN_ACTIONS, ...actions.keys()];
  const action = given.toLowerCase();
  if (known.includes(action)) return action;
  throw new UsageError(`--action: ${unknown(given, 'action', known)}`);
}

/** A role as the site spells it. */
export function knownRole(given: string, { roles }: Configuration): string {
  const role = roles.match(given);
  if (role !== undefined) return role;
  throw new UsageError(`--role: ${unknown(given, 'role of roles.assignable', roles.assignable)}`);
}

/** The key that is named, or the only one that may ask for the action. */
function chosenKey(call: Call, keys: readonly ResolvedKey[], action: string): ResolvedKey | undefined {
  const name = call.text('key');
  const able = keys.filter(({ actions }) => actions === undefined || actions.has(action));
  if (name === undefined) {
    if (able.length === 1 || !call.has('show-key')) return able[0];
    const names = able.map((key) => key.name).join(', ');
    throw new UsageError(
      able.length === 0
        ? `No access key may ask for ${action}.`
        : `--key is missing: the site has several keys for ${action}: ${names}.`,
    );
  }
  const named = keys.find((key) => key.name === name);
  if (named === undefined) {
    throw new UsageError(
      `--key: ${unknown(
        name,
        'access key',
        keys.map((key) => key.name),
      )}`,
    );
  }
  if (!able.includes(named))
    throw new UsageError(`--key: ${JSON.stringify(name)} may not ask for ${action}.`);
  return named;
}

function asyncOf(call: Call): boolean | undefined {
  const given = call.text('async');
  if (given === undefined) return undefined;
  if (given === 'true' || given === 'false') return given === 'true';
  throw new UsageError(`--async must be true or false, got ${JSON.stringify(given)}.`);
}

function unknown(given: string, what: string, known: readonly string[]): string {
  const meant = suggestion(given, known);
  return `${JSON.stringify(given)} is no ${what}${meant === '' ? `. There are: ${known.join(', ')}.` : meant}`;
}
