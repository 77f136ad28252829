// The threat model: who attacks, what they cannot do, what keeps them from it, the test that holds it, and how the defence is
// taken out to see that test fail. SECURITY.md shows it; threats.test.ts keeps the two and the tests together.

/** Who attacks, with what in their hands. */
export const ATTACKERS = {
  'no key': {
    title: 'Somebody without a key',
    can: 'send requests, learn that a webhook answers here, and use up what refusing costs. From very many addresses a short key can be guessed in the end: take 32 random characters.',
  },
  'a key': {
    title: 'Somebody with a key',
    can: 'do what its `actions` allow: make users of any contacts (ids are small numbers), refresh users, give an assignable role to whoever is not protected, have welcome mails sent to new users, use up the CRM’s rate limit.',
  },
  'a contact': {
    title: 'Somebody who controls a contact’s fields',
    can: 'decide what is mapped of the account that belongs to this contact: name, tags, meta, an assignable role, its email; its password at creation, and later with `passwordOnUpdate`. With the email of an unprotected account that has no contact, they can be linked to it, and change its tags, its mapped fields and, among the assignable ones, its role. Anyone can fill in an opt-in form: map neither role nor password to a field that a form has.',
  },
  'the CRM': {
    title: 'Whoever answers in the place of the CRM or the mail server',
    can: 'say of each contact whatever they like, and so make users and change those that belong to a contact: the CRM is what the site believes. They can be slow, for as long as your time limits say.',
  },
  'the logs': {
    title: 'Somebody who reads the logs, the queue or the activity log',
    can: 'see who did what when: ids of contacts and users, roles, tags, names of fields, emails that a webhook named; values of fields in an activity log with `keepsValues`. Treat them as personal data.',
  },
} as const;

export interface Threat {
  readonly who: keyof typeof ATTACKERS;
  /** Goes on after “cannot”. */
  readonly cannot: string;
  /** What keeps them from it. */
  readonly because: string;
  /** The test that holds it: its file below `__tests__`, and the beginning of its name. */
  readonly test: readonly [file: string, name: string];
  /** The defence, taken out: the test has to fail then. */
  readonly without: { readonly file: string; readonly defence: string; readonly instead: string };
}

export const THREATS: readonly Threat[] = [
  {
    who: 'no key',
    cannot: 'change, read or find out anything about users, contacts or keys',
    because: 'the key comes first, and every refusal is the same 403; nothing is looked up before',
    test: ['http/keys.test.ts', 'learns nothing, and nothing is looked up for it'],
    without: {
      file: 'lib/webhook/receive.ts',
      defence: "    throw new WpFusionError('INVALID_ACCESS_KEY', 'The access key is missing or wrong.');",
      instead: "    return { name: '', inspect: false, allows: () => true };",
    },
  },
  {
    who: 'no key',
    cannot: 'learn from the time of an answer how much of a key is right',
    because: 'keys are compared as digests of one length, every one each time',
    test: ['security/keys.test.ts', 'does the same work, whichever key it is'],
    without: {
      file: 'lib/webhook/authenticate.ts',
      defence: 'if (timingSafeEqual(known.digest, digest)) found = known.key;',
      instead: 'if (timingSafeEqual(known.digest, digest)) return known.key;',
    },
  },
  {
    who: 'no key',
    cannot: 'guess keys from one place faster than 20 a minute',
    because: 'then the address is refused unseen',
    test: ['http/keys.test.ts', 'refuses an address after 20 wrong keys'],
    without: { file: 'lib/webhook/receive.ts', defence: 'if (wait > 0) {', instead: 'if (wait < 0) {' },
  },
  {
    who: 'no key',
    cannot: 'be many places from one: by IPv6, by ports, by forged headers behind a trusted proxy',
    because: 'a /64 is one address, a port is none, and what is no address is one place',
    test: ['security/keys.test.ts', 'IPv6: a customer’s network is one place'],
    without: { file: 'lib/webhook/throttle.ts', defence: '.slice(0, 4)', instead: '.slice(0, 8)' },
  },
  {
    who: 'no key',
    cannot: 'fill the memory by guessing from very many places',
    because: 'the 10,000 latest are remembered',
    test: ['webhook/throttle.test.ts', 'holds the 10,000 latest addresses'],
    without: {
      file: 'lib/webhook/throttle.ts',
      defence: 'if (map.size > MAX_ADDRESSES) {',
      instead: 'if (map.size < 0) {',
    },
  },
  {
    who: 'no key',
    cannot: 'have a body read with a wrong key',
    because: 'a wrong key in the URL or in a header is refused before it',
    test: ['http/keys.test.ts', 'a wrong key in the query'],
    without: {
      file: 'lib/webhook/receive.ts',
      defence: 'let permission = keys.length > 0 ? authenticate(keys) : undefined;',
      instead: 'let permission: Permission | undefined;',
    },
  },
  {
    who: 'no key',
    cannot: 'hold a request open without end by a body that stops',
    because: 'it is waited for as long as `timeoutMs`',
    test: ['http/no-hang.test.ts', 'and whose sender has shown no key'],
    without: {
      file: 'lib/webhook/read.ts',
      defence: "signal.addEventListener('abort', onAbort);",
      instead: "signal.removeEventListener('abort', onAbort);",
    },
  },
  {
    who: 'no key',
    cannot: 'push what really happened out of the activity log',
    because: 'rejected calls have a bound of their own',
    test: [
      'activity/memory-activity-log.test.ts',
      'the last records, and rejected ones in a bound of their own',
    ],
    without: {
      file: 'lib/activity/memory-activity-log.ts',
      defence: "const kind = entry.state === 'rejected' ? 'rejected' : 'others';",
      instead: "const kind = entry.state === 'rejected' ? 'others' : 'others';",
    },
  },
  {
    who: 'no key',
    cannot: 'see the admin page, or do something there',
    because: '`authorize` has to say `true`, and nothing like it',
    test: ['admin/door.test.ts', '403, and nothing is shown'],
    without: {
      file: 'lib/admin/admin.ts',
      defence: 'if (isAllowed !== true)',
      instead: 'if (isAllowed === false)',
    },
  },
  {
    who: 'no key',
    cannot: 'make somebody who may see the admin page do something there',
    because: 'forms of other websites are refused',
    test: ['admin/door.test.ts', 'a form of another website'],
    without: {
      file: 'lib/admin/admin.ts',
      defence: 'if (isForm && isFromElsewhere(request))',
      instead: 'if (!isForm && isFromElsewhere(request))',
    },
  },
  {
    who: 'a key',
    cannot: 'do anything that `actions` of the key does not list',
    because: 'it is asked before parameters are looked at, of every key that the request shows',
    test: ['webhook/authenticate.test.ts', 'several keys may do what all of them may'],
    without: {
      file: 'lib/webhook/authenticate.ts',
      defence: 'allows: (action) => keys.every(',
      instead: 'allows: (action) => keys.some(',
    },
  },
  {
    who: 'a key',
    cannot: 'see values of contacts and users without `inspect`',
    because: 'answers and pages name fields only',
    test: ['http/pages.test.ts', 'are not for a key without inspect'],
    without: {
      file: 'lib/answer/answer.ts',
      defence: 'return inspect ? changes : changes.map(({ field }) => ({ field }));',
      instead: 'return inspect ? changes : changes;',
    },
  },
  {
    who: 'a key',
    cannot: 'give a role outside `roles.assignable`, however it is written',
    because: 'an allow-list decides, and what is stored is its own spelling',
    test: ['security/roles.test.ts', 'a parameter of the query'],
    without: {
      file: 'lib/users/role-policy.ts',
      defence: 'return this.#spellings.get(comparisonKey(role));',
      instead: 'return this.#spellings.get(comparisonKey(role)) ?? role;',
    },
  },
  {
    who: 'a key',
    cannot: 'change role, email or password of a user whose role is not on that list',
    because: 'such a user is protected',
    test: ['security/roles.test.ts', 'JSON'],
    without: {
      file: 'lib/actions/plan.ts',
      defence: 'if (guarded.length > 0 && isProtected(configuration, user)) {',
      instead: 'if (guarded.length > 9 && isProtected(configuration, user)) {',
    },
  },
  {
    who: 'a key',
    cannot: 'link a user to a contact by an email that is not the contact’s own in the CRM',
    because:
      'the parameter `email` counts only where it equals that; fields and tags in a payload count never',
    test: ['actions/semantics.test.ts', 'an email parameter that is not the contact’s own finds nobody'],
    without: {
      file: 'lib/actions/update.ts',
      defence: '!emails.some((email) => comparisonKey(email) === comparisonKey(own))',
      instead: '!emails.some((email) => comparisonKey(email) !== null)',
    },
  },
  {
    who: 'a key',
    cannot: 'make two users of one contact, or undo what is newer, by sending at once or again',
    because: 'webhooks of a contact take turns; writes are on condition; emails and contact ids are unique',
    test: [
      'actions/interleavings.test.ts',
      'while it is under way: the second webhook’s end shows the change',
    ],
    without: {
      file: 'lib/actions/synchronise.ts',
      defence: '{ ifSyncState: user.syncState },',
      instead: 'undefined,',
    },
  },
  {
    who: 'a key',
    cannot: 'create an account by having somebody open a link',
    because: 'a browser’s GET only looks; a button does it',
    test: ['http/pages.test.ts', 'is a dry run with a button that sends the real thing'],
    without: {
      file: 'lib/middleware.ts',
      defence: 'const dryRun = webhook.dryRun || looksOnly;',
      instead: 'const dryRun = webhook.dryRun;',
    },
  },
  {
    who: 'a contact',
    cannot: 'get into an account that was there before, by its email',
    because: 'a user found by its email keeps email and password, whatever the contact brings from then on',
    test: ['security/takeover.test.ts', 'whatever an attacker fills in, whatever follows'],
    without: {
      file: 'lib/actions/synchronise.ts',
      defence: 'if (link || state.hash === THERE_BEFORE) {',
      instead: 'if (state.hash === THERE_BEFORE) {',
    },
  },
  {
    who: 'a contact',
    cannot: 'have a new password of such an account sent to themselves',
    because: 'its email is changed by its owner alone',
    test: ['security/takeover.test.ts', 'keeps its email, and'],
    without: {
      file: 'lib/actions/plan.ts',
      defence: 'parseSyncState(user.syncState).hash === THERE_BEFORE) {',
      instead: "parseSyncState(user.syncState).hash === 'never') {",
    },
  },
  {
    who: 'a contact',
    cannot: 'take over the account of another contact with the same email',
    because: 'it belongs to that contact for as long as that is in the CRM',
    test: ['security/takeover.test.ts', 'the first has the account, the second gets nowhere'],
    without: {
      file: 'lib/actions/link.ts',
      defence: 'if (user.contactId !== null && (await run.tryReadContact(user.contactId)) !== undefined) {',
      instead: 'if (user.contactId === null && (await run.tryReadContact(contact.id)) === undefined) {',
    },
  },
  {
    who: 'a contact',
    cannot: 'be linked to a protected account, or with `linkByEmail: "never"` to any',
    because: 'both are asked before the link',
    test: ['security/takeover.test.ts', 'whatever an attacker fills in, whatever follows'],
    without: {
      file: 'lib/actions/link.ts',
      defence: "if (configuration.linkByEmail === 'never') return null;",
      instead: "if (configuration.linkByEmail === ('none' as string)) return null;",
    },
  },
  {
    who: 'a contact',
    cannot:
      'get at an account by an email that only looks like its own, whatever the database takes for equal',
    because: 'what `findByEmail` gave is compared again, with nothing folded but ASCII letters',
    test: ['users/guard.test.ts', 'an email that only the storage finds equal finds nobody'],
    without: {
      file: 'lib/users/guard.ts',
      defence: 'return user !== null && comparisonKey(user.email) === comparisonKey(email) ? user : null;',
      instead: 'return user !== null && comparisonKey(email) !== null ? user : null;',
    },
  },
  {
    who: 'a contact',
    cannot: 'give themselves a role that is not assignable, where a field is mapped to it',
    because: 'the same allow-list',
    test: ['security/roles.test.ts', 'a mapped field, with and without a parameter'],
    without: {
      file: 'lib/users/role-policy.ts',
      defence: 'return this.#spellings.get(comparisonKey(role));',
      instead: 'return this.#spellings.get(comparisonKey(role)) ?? role;',
    },
  },
  {
    who: 'a contact',
    cannot: 'put markup or a script onto a page',
    because: 'every value is escaped where HTML is made, and a content security policy allows no script',
    test: ['http/pages.test.ts', 'never become markup'],
    without: {
      file: 'lib/html.ts',
      defence: 'return String(content).replace(/[&<>"\']/g, (character) => `&#${character.charCodeAt(0)};`);',
      instead: 'return String(content);',
    },
  },
  {
    who: 'a contact',
    cannot: 'add recipients or headers to a mail',
    because: 'an email is one plain address or none, and names are encoded',
    test: ['smtp/injection.test.ts', 'an email that is not one plain address gets no mail'],
    without: {
      file: 'lib/smtp/address.ts',
      defence: 'text.length <= 254 && PLAIN_ADDRESS.test(text);',
      instead: "text.length <= 254 && text.includes('@');",
    },
  },
  {
    who: 'the CRM',
    cannot: 'fill the memory: with answers without end, in pieces of a byte, or as a bomb',
    because: '`maxResponseBytes` is about the bytes once they are unpacked',
    test: ['crm/ontraport/faults.test.ts', 'endless'],
    without: {
      file: 'lib/crm/ontraport/transport.ts',
      defence: 'if (bytes.length + piece.length <= limit) bytes.add(piece);',
      instead: 'if (limit > 0) bytes.add(piece);',
    },
  },
  {
    who: 'the CRM',
    cannot: 'hold a webhook up without end',
    because: 'a limit in time on the whole of each call',
    test: ['crm/ontraport/faults.test.ts', 'is over after timeoutMs too'],
    without: {
      file: 'lib/crm/ontraport/transport.ts',
      defence: 'const timer = setTimeout(() => timeout.abort(), timeoutMs);',
      instead: 'const timer = setTimeout(() => timeout.abort(), 1000 * timeoutMs);',
    },
  },
  {
    who: 'the CRM',
    cannot: 'lead the keys of the account somewhere else',
    because: 'redirects are not followed',
    test: ['crm/ontraport/faults.test.ts', 'redirect'],
    without: {
      file: 'lib/crm/ontraport/transport.ts',
      defence: 'maxRedirects: 0,',
      instead: 'maxRedirects: 5,',
    },
  },
  {
    who: 'the CRM',
    cannot: 'take tags, and what they give access to, away by an answer that is none',
    because: 'what has another shape than documented is `CRM_BAD_RESPONSE`, and changes nothing',
    test: ['crm/ontraport/client.test.ts', 'are no list of tags'],
    without: {
      file: 'lib/crm/ontraport/client.ts',
      defence:
        "if (list === undefined || typeof list === 'boolean' || (typeof list === 'object' && list !== null)) {",
      instead: 'if (list === undefined) {',
    },
  },
  {
    who: 'the logs',
    cannot: 'find an access key, a CRM key, a password or a hash in logs, errors, events or answers',
    because: 'they are not written; of what others wrote they are taken out, in every encoding',
    test: ['security/secrets.test.ts', 'a repository whose errors quote the row'],
    without: {
      file: 'lib/redact.ts',
      defence: 'redacted = redacted.replaceAll(form, REPLACEMENT);',
      instead: 'redacted = redacted.replaceAll(form, form);',
    },
  },
  {
    who: 'the logs',
    cannot: 'find a key in the access log of the site',
    because:
      '`redactUrl` and `redactRequest` take it out, for a site that [uses them](docs/security.md#keys-in-urls)',
    test: ['security/access-logs.test.ts', 'morgan, '],
    without: {
      file: 'lib/webhook/access-log.ts',
      defence: "return parameter.slice(0, parameter.indexOf('=') + 1) + REDACTED;",
      instead: 'return parameter;',
    },
  },
  {
    who: 'the logs',
    cannot: 'find a secret in a stored webhook, or in a dead letter',
    because: 'a job holds what was asked for, not with what',
    test: ['worker/delivery.test.ts', 'what is stored holds what was asked for, and no secret'],
    without: {
      file: 'lib/middleware.ts',
      defence: 'clean: (text) => redact(text, secrets),',
      instead: 'clean: (text) => text,',
    },
  },
  {
    who: 'the logs',
    cannot: 'find a secret in a record of the activity log',
    because: 'values of passwords are never kept, names and codes only',
    test: ['activity/middleware.test.ts', 'no secret is in a record'],
    without: {
      file: 'lib/middleware.ts',
      defence: 'return role === undefined ? webhook : { ...webhook, role: redact(role, secrets) };',
      instead: 'return webhook;',
    },
  },
  {
    who: 'the logs',
    cannot: 'work out a password or its hash from `syncState`',
    because: 'it holds a fingerprint of the hash',
    test: ['security/secrets.test.ts', 'no syncState ever held a secret'],
    without: {
      file: 'lib/users/sync-state.ts',
      defence: "return createHash('sha256').update(passwordHash).digest('base64url').slice(0, 12);",
      instead: 'return passwordHash;',
    },
  },
];
