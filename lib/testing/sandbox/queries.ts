// How lists are asked for: conditions, search, sorting, paging and the choice of fields.
import { BadRequest } from './replies';
import { list, text } from './requests';
import type { Parameters } from './requests';
import type { StoredRecord } from './records';

/** The rows a query is about. */
export interface Table {
  readonly rows: readonly StoredRecord[];
  /** The key of the rows' ids: `id`, or `tag_id`. */
  readonly idKey: string;
  /** Whether a key's values are numbers. */
  readonly isNumeric: (key: string) => boolean;
  /** The keys that `search` looks into. */
  readonly searchable: readonly string[];
  /** Called on rows that nobody asked to be sorted. */
  readonly shuffle?: ((rows: StoredRecord[]) => void) | undefined;
}

/** The page of a list, and how many rows there are in all. */
export interface Page {
  readonly rows: StoredRecord[];
  readonly total: number;
}

const PAGE = 50;

type Test = (row: StoredRecord) => boolean;

/** Runs the query of a list's parameters. */
export function query(table: Table, parameters: Parameters): Page {
  const found = table.rows.filter(filterOf(table, parameters));
  const sort = text(parameters.sort);
  if (sort !== '') {
    const direction = text(parameters.sortDir).toLowerCase() === 'desc' ? -1 : 1;
    found.sort(
      (one, other) => direction * compare(one[sort] ?? '', other[sort] ?? '', table.isNumeric(sort)),
    );
  } else {
    table.shuffle?.(found);
  }
  const start = Math.max(0, Number(text(parameters.start)) || 0);
  const range = Number(text(parameters.range));
  const size = Number.isInteger(range) && range > 0 ? Math.min(range, PAGE) : PAGE;
  const rows = found
    .slice(start, start + size)
    .map((row) => pick(row, table.idKey, list(parameters.listFields)));
  return { rows, total: found.length };
}

function filterOf(table: Table, parameters: Parameters): Test {
  const ids = list(parameters.ids);
  const tests: Test[] = [];
  if (ids.length > 0 && !(ids.length === 1 && ids[0] === '0')) {
    const wanted = new Set(ids);
    tests.push((row) => wanted.has(row[table.idKey] ?? ''));
  }
  const condition = parameters.condition;
  if (condition !== undefined && condition !== '') tests.push(conditionTest(condition, table));
  const search = text(parameters.search).toLowerCase();
  if (search !== '') {
    tests.push((row) => table.searchable.some((key) => (row[key] ?? '').toLowerCase().includes(search)));
  }
  return (row) => tests.every((test) => test(row));
}

function pick(row: StoredRecord, idKey: string, keys: readonly string[]): StoredRecord {
  if (keys.length === 0) return row;
  const picked = Object.create(null) as StoredRecord;
  for (const key of [idKey, ...keys]) if (row[key] !== undefined) picked[key] = row[key];
  return picked;
}

/** AND binds closer than OR, as in SQL. */
function conditionTest(condition: unknown, table: Table): Test {
  let elements: unknown = condition;
  if (typeof condition === 'string') {
    try {
      elements = JSON.parse(condition) as unknown;
    } catch {
      throw new BadRequest('Invalid condition');
    }
  }
  if (!Array.isArray(elements) || elements.length % 2 === 0) throw new BadRequest('Invalid condition');
  const alternatives: Test[][] = [[]];
  elements.forEach((element: unknown, index) => {
    if (index % 2 === 0) {
      alternatives.at(-1)?.push(comparison(element, table));
    } else if (element === 'OR') {
      alternatives.push([]);
    } else if (element !== 'AND') {
      throw new BadRequest('Invalid condition');
    }
  });
  return (row) => alternatives.some((tests) => tests.every((test) => test(row)));
}

interface Comparison {
  readonly field?: { readonly field?: unknown };
  readonly op?: unknown;
  readonly value?: unknown;
}

function comparison(element: unknown, table: Table): Test {
  const { field, op, value } = (element ?? {}) as Comparison;
  const key = text(field?.field);
  if (key === '') throw new BadRequest('Invalid condition');
  const { value: single, list: several } = (typeof value === 'object' && value !== null ? value : {}) as {
    value?: unknown;
    list?: unknown;
  };
  const numeric = table.isNumeric(key) || typeof single === 'number';
  const wanted = text(single);
  /** An unset value takes part in no comparison, as in SQL. */
  const compared = (accept: (order: number) => boolean): Test => {
    if (typeof single !== 'string' && typeof single !== 'number') throw new BadRequest('Invalid condition');
    return (row) => row[key] != null && accept(compare(row[key], wanted, numeric));
  };
  const among = (expected: boolean): Test => {
    if (!Array.isArray(several)) throw new BadRequest('Invalid condition');
    const values = several.map((item: unknown) => text((item as { value?: unknown } | null)?.value));
    return (row) => {
      const own = row[key];
      return own != null && values.some((item) => compare(own, item, numeric) === 0) === expected;
    };
  };
  switch (text(op).toUpperCase()) {
    case '=':
      return compared((order) => order === 0);
    case '<>':
      return compared((order) => order !== 0);
    case '<':
      return compared((order) => order < 0);
    case '>':
      return compared((order) => order > 0);
    case '<=':
      return compared((order) => order <= 0);
    case '>=':
      return compared((order) => order >= 0);
    case 'IN':
      return among(true);
    case 'NOT IN':
      return among(false);
    case 'IS':
      if (value !== 'NULL') throw new BadRequest('Invalid condition');
      return (row) => (row[key] ?? '') === '';
    case 'IS NOT EMPTY':
      return (row) => (row[key] ?? '') !== '';
    case 'LIKE': {
      const pattern = likePattern(wanted);
      return (row) => pattern.test(row[key] ?? '');
    }
    case 'CONTAINS':
      return (row) => (row[key] ?? '').includes(`*/*${wanted}*/*`);
    case 'DOES NOT CONTAIN':
      return (row) => !(row[key] ?? '').includes(`*/*${wanted}*/*`);
    default:
      throw new BadRequest('Invalid condition');
  }
}

function compare(one: string, other: string, numeric: boolean): number {
  if (numeric) return (Number(one) || 0) - (Number(other) || 0);
  const [left, right] = [one.toLowerCase(), other.toLowerCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}

const likePattern = (pattern: string): RegExp => {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/%/g, '[^]*').replace(/_/g, '[^]')}$`, 'i');
};
