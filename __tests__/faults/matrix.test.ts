// The matrix of faults: each outside part × each of its faults × each action, without a queue, with one, and while a webhook that was
// accepted is worked off. The answer is the documented one and comes in time, nothing is half done, and all is done in the end
// without a restart. docs/faults.md is made of what is seen here: DELIVERY_SIZE=whole UPDATE=1 npx jest __tests__/faults/matrix
import { openSandbox } from '../actions/site';
import { isRedisServerThere } from '../bullmq/redis-server';
import { isWhole } from '../delivery/size';
import { availableDatabases } from '../knex/databases';
import type { OntraportSandbox } from '../../lib/testing';
import { show, shownOf, tableOf, type SeenRow } from './page';
import { PARTS, type Cells, type Part, type Row } from './matrix';
import { watchProcess } from './scene';
import { ACTIONS, Ground, Stage, type Action, type Seen, type Way } from './stage';

watchProcess();

let sandbox: OntraportSandbox;
beforeAll(async () => {
  sandbox = await openSandbox();
});
afterAll(() => sandbox.close());

/** How many cells are played at once. */
const AT_ONCE = 10;

function isThere({ name }: Part): boolean {
  if (name === 'PostgreSQL' || name === 'MariaDB') return availableDatabases(name).length > 0;
  return name !== 'Redis' || isRedisServerThere();
}

interface Cell {
  readonly row: Row;
  readonly way: Way;
  readonly action: Action;
  readonly expected: Seen | string;
}

const cellsOf = (row: Row): Cell[] => {
  const of = (cells: Cells, action: Action): Seen | string => ('add' in cells ? cells[action] : cells);
  return [
    ...ACTIONS.map((action) => ({ row, way: 'inside' as const, action, expected: of(row.inside, action) })),
    ...ACTIONS.map((action) => ({ row, way: 'queued' as const, action, expected: of(row.queued, action) })),
    { row, way: 'accepted', action: 'add', expected: row.accepted },
  ];
};

/**
 * The cells that are played with every change: how a webhook is stored does not depend on its action, and what the second database
 * does otherwise does not either. DELIVERY_SIZE=whole plays all.
 */
function isPlayed({ name }: Part, { way, action, expected }: Cell): boolean {
  if (typeof expected === 'string') return false;
  return isWhole || action === 'add' || (way === 'inside' && name !== 'MariaDB');
}

const nameOf = ({ row, way, action }: Cell): string => `${row.title} | ${way} | ${action}`;

/** Plays the cells of a part, several at a time; those of a fault share a ground, but for a file that is taken away as a whole. */
async function play(part: Part): Promise<Map<string, Seen | string>> {
  const seen = new Map<string, Seen | string>();
  const waiting = part.rows.flatMap(cellsOf).filter((cell) => isPlayed(part, cell));
  const grounds = new Map<unknown, Promise<Ground>>();
  const worker = async (): Promise<void> => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const { row, way, action, expected } = cell;
      const key = row.fault.isOfServer === true ? cell : row;
      const opened = grounds.get(key) ?? Ground.open(part.name, sandbox);
      grounds.set(key, opened);
      const stage = new Stage(await opened, row.fault, action, way);
      try {
        seen.set(nameOf(cell), await stage.play(expected as Seen));
      } catch (error) {
        seen.set(nameOf(cell), String(error));
      }
      await stage.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  for (const ground of grounds.values()) await (await ground).close();
  return seen;
}

/** What was seen of a fault, in the order of the page. */
function seenRow(row: Row, seen: ReadonlyMap<string, Seen | string>): SeenRow {
  const of = (way: Way): (readonly [Action, Seen | string])[] =>
    cellsOf(row)
      .filter((cell) => cell.way === way)
      .map((cell) => [cell.action, seen.get(nameOf(cell)) ?? cell.expected]);
  return { title: row.title, inside: of('inside'), queued: of('queued'), accepted: of('accepted')[0]![1] };
}

describe.each(PARTS.filter(isThere))('$name', (part) => {
  test(
    'every fault, in every action: as expected, and as docs/faults.md tells it',
    async () => {
      const seen = await play(part);
      const cells = part.rows.flatMap(cellsOf).filter((cell) => isPlayed(part, cell));
      const expected = new Map(cells.map((cell) => [nameOf(cell), cell.expected]));
      expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(expected));
      const table = tableOf(
        part,
        part.rows.map((row) => seenRow(row, seen)),
      );
      if (process.env.UPDATE === '1') show(part, table);
      // If that is meant: DELIVERY_SIZE=whole UPDATE=1 npx jest __tests__/faults/matrix
      expect(shownOf(part)).toBe(table);
    },
    isWhole ? 600_000 : 240_000,
  );
});
