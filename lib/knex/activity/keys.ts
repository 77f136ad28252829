// Texts as the columns of the activity log hold them: whatever somebody sent, it fits, and equal texts alone are equal.
import { createHash } from 'node:crypto';
import { keyOf } from '../../queue/text';

/** Characters of a column. */
export const KEY_LENGTH = 255;
const HASH_LENGTH = 64;

/** The key of a text. One that would be too long ends with a hash of the text, behind a space: no other key has one. */
export function fittingKey(text: string): string {
  const key = keyOf(text);
  if (key.length <= KEY_LENGTH) return key;
  const hash = createHash('sha256').update(key).digest('hex');
  return `${key.slice(0, KEY_LENGTH - HASH_LENGTH - 1)} ${hash}`;
}

/** Whether a key tells the whole text. */
export const isWhole = (key: string): boolean => !key.includes(' ');

export const fittingKeyOrNull = (text: string | null): string | null =>
  text === null ? null : fittingKey(text);
