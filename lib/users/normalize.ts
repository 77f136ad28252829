// The one rule by which emails, usernames and role names are compared: trimmed and in ASCII lower case, nothing else folded.
// Unicode folding would make strangers equal (the Kelvin sign is not a K), and databases disagree about it.

/** The key under which a value is compared. The value itself is stored as it was given. */
export function comparisonKey(value: string): string {
  return value.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Whether an email can be a user's: one `@` with something on each side, no white space or control characters, 254 at most. */
export function isUsableEmail(email: string): boolean {
  return email.length <= 254 && /^[^\s@\p{C}]+@[^\s@\p{C}]+$/u.test(email);
}
