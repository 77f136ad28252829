// The tables of docs/faults.md, made of what the cells of the matrix have seen. The words around them are written by hand.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Part } from './matrix';
import type { Seen } from './stage';

const PAGE = path.resolve(__dirname, '../../docs/faults.md');

/** What is to be done about a webhook that is not done by itself. */
const AFTERWARDS: Readonly<Record<string, string>> = {
  'by itself': 'done by itself',
  'the next webhook': 'send it again',
};

/** A cell of the page. */
function inWords(seen: Seen | string): string {
  if (typeof seen === 'string') return `– (${seen})`;
  const [answer, meanwhile, afterwards] = seen;
  const [status = '', ...codes] = answer.split(' ');
  const told = [`**${status}**`, ...codes.map((code) => `\`${code}\``)].join(' ');
  if (meanwhile === 'all is done' && !answer.startsWith('5') && codes.length === 0)
    return `${told}, all is done`;
  const [end = '', ...more] = afterwards.split('; ');
  return `${told}, ${meanwhile}; ${[AFTERWARDS[end], ...more].join(', ')}`;
}

/** Several actions in one cell: those that come to the same together. */
function together(cells: readonly (readonly [action: string, seen: Seen | string])[]): string {
  const byWords = new Map<string, string[]>();
  for (const [action, seen] of cells) {
    const words = inWords(seen);
    byWords.set(words, [...(byWords.get(words) ?? []), `\`${action}\``]);
  }
  if (byWords.size === 1) return [...byWords.keys()].join('');
  return [...byWords].map(([words, actions]) => `${actions.join(', ')}: ${words}`).join('<br>');
}

/** What a row of the table comes to. */
export interface SeenRow {
  readonly title: string;
  readonly inside: readonly (readonly [action: string, seen: Seen | string])[];
  readonly queued: readonly (readonly [action: string, seen: Seen | string])[];
  readonly accepted: Seen | string;
}

/** The table of a part, as prettier sets it. */
export function tableOf({ name }: Part, rows: readonly SeenRow[]): string {
  const lines = [
    [`${name} …`, 'without a queue', 'with a queue', 'accepted before'],
    ...rows.map(({ title, inside, queued, accepted }) => [
      `… ${title}`,
      together(inside),
      together(queued),
      inWords(accepted),
    ]),
  ];
  // What cannot be in any row needs no column.
  const isUsed = (column: number): boolean => lines.slice(1).some((line) => !line[column]?.startsWith('– ('));
  const used = lines.map((line) => line.filter((_, column) => column === 0 || isUsed(column)));
  const widths = used[0]!.map((_, column) => Math.max(...used.map((line) => line[column]!.length)));
  const set = (line: readonly string[]): string =>
    `| ${line.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [set(used[0]!), rule, ...used.slice(1).map(set)].join('\n');
}

const marks = ({ name }: Part): readonly [string, string] => [
  `<!-- seen: ${name} -->`,
  `<!-- end of ${name} -->`,
];

/** What stands before, between and behind the marks of a part. */
function split(part: Part): [before: string, between: string, behind: string] {
  const [begin, end] = marks(part);
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(begin) + begin.length, page.indexOf(end)];
  if (from < begin.length || to < from) throw new Error(`docs/faults.md has no ${begin} … ${end}.`);
  return [page.slice(0, from), page.slice(from, to), page.slice(to)];
}

/** What the page shows of a part. */
export const shownOf = (part: Part): string => split(part)[1].trim();

/** Puts a table in the place of the one that is there. */
export function show(part: Part, table: string): void {
  const [before, , behind] = split(part);
  writeFileSync(PAGE, `${before}\n\n${table}\n\n${behind}`);
}
