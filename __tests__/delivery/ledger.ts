// What the sites write down while they work: one line for each hook, mail, step and error. A line that was written is there,
// also when its process is killed in the same moment.
import { existsSync, readFileSync } from 'node:fs';

/** A line of the ledger. `pid` tells whose it is. */
export type LedgerLine = { readonly pid: number } & (
  | { readonly what: 'step'; readonly step: string }
  | { readonly what: 'dies at'; readonly step: string }
  | { readonly what: 'afterCreate'; readonly contactId: string; readonly tags: readonly string[] }
  | { readonly what: 'mail'; readonly contactId: string }
  | {
      readonly what: 'beforeTagsChange';
      readonly contactId: string;
      readonly added: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly what: 'afterUpdate'; readonly contactId: string; readonly role: string }
  /** Two processes were at work on one contact, or one without having it. */
  | { readonly what: 'collision'; readonly contactId: string; readonly detail: string }
  | { readonly what: 'log'; readonly contactId?: string; readonly message: string }
);

/** Reads a ledger. */
export function readLedger(path: string): LedgerLine[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LedgerLine);
}

/** The contact that a line is about. */
export const contactOf = (line: LedgerLine): string | undefined =>
  'contactId' in line ? line.contactId : undefined;
