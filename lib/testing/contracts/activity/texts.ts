// Texts that stores get wrong.

/** Each may be a contact id, a code or a tag. */
export const HOSTILE: readonly string[] = [
  '',
  ' ',
  ' 42 ',
  '042',
  '4.2e1',
  `it's "quoted" \`here\` \\ and \\' there`,
  '?? ? $1 :name %s %d {0}',
  'a%b_c*',
  'null',
  'NULL',
  'undefined',
  '__proto__',
  'constructor',
  'toString',
  'nul \0 within',
  'line\r\nbreak\ttab',
  'Zoë',
  'ZOË',
  'Zoe\u0308',
  'İstanbul ß ﬁ',
  '\u{1f600}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
  'half \ud83d of a pair',
  '\ude00 the other half',
  '\u2028\ufeff\uffff',
  '%0000',
  '日本語',
  'x'.repeat(300),
  'x'.repeat(10_000),
  `${'x'.repeat(9999)}y`,
  '\u{1f600}'.repeat(5000),
];

/** Texts that differ from this one by what stores do not see. */
export const lookalikesOf = (text: string): string[] => [
  text.toUpperCase(),
  `${text} `,
  ` ${text}`,
  text.slice(0, -1),
  `${text}x`,
  `${text.slice(0, -1)}_`,
  `${text.slice(0, -1)}%`,
  `${text}\0`,
];
