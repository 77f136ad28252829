// doctor: looks at everything that a site needs, a line for each.
import { CONFIG_OPTION, JSON_OPTION, type Command } from '../command';
import { checkAccessKeys } from '../doctor/access-keys';
import { inWords, notChecked, ok, type Check, type CheckStatus } from '../doctor/check';
import { checkAccess, checkFields, checkRateLimit, checkTags } from '../doctor/crm';
import { checkActivityLog, checkQueue } from '../doctor/delivery';
import { checkUsers } from '../doctor/users';
import { EXIT } from '../failures';
import { withSite, type Site } from '../site';
import type { Colour, Terminal } from '../terminal';

export const doctor: Command = {
  name: 'doctor',
  synopsis: '[options]',
  summary: 'Looks at everything that the site needs, and says what is to be done. Changes nothing.',
  notes: [
    'The user storage is tried in a transaction that is rolled back. The CRM is asked for its fields and for some contacts.',
    'Ends with 1 where something is to be done; warnings alone end with 0.',
  ],
  options: { ...JSON_OPTION, ...CONFIG_OPTION },
  run: (call) =>
    withSite(call, { worker: false }, async (site) => {
      const { terminal } = call;
      const isJson = call.has('json');
      const checks: Check[] = [];
      for await (const check of examine(site)) {
        checks.push(check);
        if (!isJson) printCheck(terminal, check);
      }
      const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
      const [toDo, warnings] = [count('to do'), count('warning')];
      if (isJson) terminal.printJson({ ok: toDo === 0, checks });
      const warned = warnings === 0 ? '' : `, ${inWords(warnings, 'warning')}`;
      terminal.tell(toDo === 0 ? `All is well${warned}.` : `${inWords(toDo, 'thing')} to do${warned}.`);
      return toDo === 0 ? EXIT.done : EXIT.attention;
    }),
};

async function* examine(site: Site): AsyncGenerator<Check> {
  yield ok('configuration', site.file.name);
  yield* checkAccessKeys(site);
  const access = await checkAccess(site);
  yield* access;
  if (access.some(({ status }) => status === 'to do')) {
    for (const name of ['rate limit', 'fields', 'tags']) yield notChecked(name, 'the CRM is not to be had');
  } else {
    const [fields, tags] = [await checkFields(site), await checkTags(site)];
    // Behind the calls that tell of it.
    yield* checkRateLimit(site);
    yield* fields;
    yield* tags;
  }
  yield* await checkUsers(site);
  yield* await checkQueue(site);
  yield* await checkActivityLog(site);
}

const COLOURS: Readonly<Record<CheckStatus, Colour>> = {
  ok: 'green',
  warning: 'yellow',
  'to do': 'red',
  'not checked': 'grey',
};
const STATUS_WIDTH = 'not checked'.length;
const NAME_WIDTH = 'returnPassword.usernameField'.length;

function printCheck(terminal: Terminal, { name, status, detail }: Check): void {
  const [first = '', ...more] = detail.split('\n');
  const left = terminal.paint(COLOURS[status], status.padEnd(STATUS_WIDTH));
  terminal.print(`${left}  ${name.padEnd(NAME_WIDTH)}  ${first}`);
  for (const line of more) terminal.print(`${' '.repeat(STATUS_WIDTH + NAME_WIDTH + 4)}${line}`);
}
