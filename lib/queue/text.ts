// Text as the stores of the queue hold it: printable ASCII only. So neither charset nor collation of the host's database can
// change it, lose a part of it, or take two texts for the same.

/** Any value that survives JSON, as JSON in ASCII. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\0-~]/g, (character) => `\\u${hexOf(character)}`);
}

/**
 * A contact id, or another name, as a key: the same text where it is plain, each other character as `%` and four digits. Keys
 * are equal where the texts are, also in a database that knows no case or no space at the end.
 */
export function keyOf(text: string): string {
  return text.replace(/[^!-~]|%/g, (character) => `%${hexOf(character)}`);
}

/** The text that a key was made of. */
export function textOfKey(key: string): string {
  return key.replace(/%([0-9a-f]{4})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** How long a key of a text of this length can be. */
export const keyLength = (characters: number): number => characters * 5;

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
