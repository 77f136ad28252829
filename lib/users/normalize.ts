// The one rule by which emails, usernames and role names are compared: trimmed and in ASCII lower case, nothing else folded.
// Unicode folding would make strangers equal (the Kelvin sign is not a K), and databases disagree about it.

/**
 * The key under which a value is compared. The value itself is stored as it was given. A repository of your own compares
 * emails and usernames by it.
 *
 * @example
 * comparisonKey(' Mary@Example.COM '); // → 'mary@example.com'
 */
export function comparisonKey(value: string): string {
  return value.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Text that every database can hold: PostgreSQL has no place for U+0000, none of them for half a surrogate pair. */
export function storable(text: string): string {
  return text.replaceAll('\0', '').replace(/\p{Surrogate}/gu, '\ufffd');
}

/** What separates, quotes or encloses in a list of addresses: `a@x.org,b@y.org` and `group:a@x.org;` are no email of one person. */
const USABLE_EMAIL = /^[^\s\p{C}"(),:;<>@[\\\]]+@[^\s\p{C}"(),:;<>@[\\\]]+$/u;

/** Whether an email can be a user's: one `@` with something on each side, nothing that a mail program reads as more, 254 at most. */
export function isUsableEmail(email: string): boolean {
  return email.length <= 254 && USABLE_EMAIL.test(email);
}
