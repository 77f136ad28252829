// What is taken out of foreign texts: our secrets, in the forms that logs and drivers write them.
import fc from 'fast-check';
import { describeError, redact } from '../lib/redact';

const SECRET = 'pä$$ "word"/+=&\\';
const HASH = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';

describe('redact', () => {
  test.each([
    ['as it is', SECRET],
    ['URL-encoded', encodeURIComponent(SECRET)],
    ['as a form encodes it', encodeURIComponent(SECRET).replaceAll('%20', '+')],
    ['base64 without its padding', Buffer.from(SECRET).toString('base64').replace(/=+$/, '')],
    ['base64url', Buffer.from(SECRET).toString('base64url')],
    ['in JSON', JSON.stringify(SECRET).slice(1, -1)],
  ])('%s', (_name, form) => {
    expect(redact(`before ${form} between ${form} behind`, [SECRET])).toBe(
      'before [redacted] between [redacted] behind',
    );
  });

  test('any bcrypt hash, also one that nobody named, also cut', () => {
    expect(redact(`(${HASH})`, [])).toBe('([redacted])');
    expect(redact(`(${HASH.slice(0, 40)})`, [])).toBe('([redacted])');
    expect(redact('costs $2 and $10', [])).toBe('costs $2 and $10');
  });

  test('an empty secret takes nothing out, and a lone surrogate does not throw', () => {
    expect(redact('text', [''])).toBe('text');
    expect(redact('x \uD800y x', ['\uD800y'])).toBe('x [redacted] x');
  });

  test('whatever the secret is, no text shows it afterwards', () => {
    const secret = fc.string({ minLength: 8, maxLength: 40 }).filter((text) => !'[redacted]'.includes(text));
    fc.assert(
      fc.property(secret, fc.string(), fc.string(), (hidden, before, after) => {
        const redacted = redact(`${before}${hidden}${after}`, [hidden]);
        // A secret could be put together anew out of what stood around it; nothing hands it out on purpose.
        expect(redacted).toContain('[redacted]');
        expect(redact(redacted, [hidden])).not.toContain(hidden);
      }),
    );
  });

  // Known defect: the shorter of two secrets is taken out of the longer one, whose rest is then known to nobody.
  test('a secret that begins with another one', () => {
    expect(redact('key-2023-extended', ['key-2023', 'key-2023-extended'])).toBe('[redacted]');
  });
});

describe('describeError', () => {
  test('name, message, code, stack and causes, without secrets', () => {
    const cause = Object.assign(new TypeError(`row with ${HASH}`), { code: SECRET });
    const error = Object.assign(new Error(`refused ${SECRET}`, { cause }), { code: '23505', query: SECRET });
    const described = describeError(error, [SECRET]);
    expect(described).toMatchObject({
      name: 'Error',
      message: 'refused [redacted]',
      code: '23505',
      cause: { name: 'TypeError', message: 'row with [redacted]', code: '[redacted]' },
    });
    expect(described.stack).toContain('redact.test');
    expect(JSON.stringify(described)).not.toContain('word');
    expect(Object.keys(described)).not.toContain('query');
  });

  test('causes go three deep, and one that is its own cause ends', () => {
    const error = new Error('round');
    (error as { cause?: unknown }).cause = error;
    let depth = 0;
    for (let at = describeError(error, []).cause; at !== undefined; at = at.cause) depth += 1;
    expect(depth).toBe(3);
  });

  test.each([
    ['a text', `no ${SECRET}`, 'string', 'no [redacted]'],
    ['nothing', undefined, 'undefined', 'undefined'],
    ['null', null, 'object', 'null'],
    ['an object', { password: 'hunter2-hunter2' }, 'object', "{ password: '[redacted]' }"],
  ])('%s that was thrown', (_name, thrown, name, message) => {
    expect(describeError(thrown, [SECRET, 'hunter2-hunter2'])).toEqual({ name, message });
  });

  // Known defect: it throws, in the very place that answers and logs failures.
  test('an error whose message is no text', () => {
    const error = Object.assign(new Error('x'), { message: { reason: 'odd' } });
    expect(describeError(error, [SECRET]).name).toBe('Error');
  });
});
