// What a caller of BcryptHasher sees: hashes, refusals, options. How the threads behave: bcrypt-worker-paths.test.ts.
import { compareSync, hashSync } from 'bcryptjs';
import { ConfigurationError, WpFusionError } from '../../lib/errors';
import { BcryptHasher, type BcryptHasherOptions } from '../../lib/users/password-hasher';

const hasher = new BcryptHasher({ cost: 4 });
const warnings = jest.spyOn(process, 'emitWarning');

afterAll(async () => {
  await hasher.close();
  expect(warnings).not.toHaveBeenCalled();
});

/** What a promise rejects with. */
const rejection = async (promise: Promise<unknown>): Promise<WpFusionError> => {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(WpFusionError);
  return outcome as WpFusionError;
};

describe('hash', () => {
  it('gives a bcrypt hash that other implementations verify, each with a salt of its own', async () => {
    const [first, second] = await Promise.all([hasher.hash('correct horse'), hasher.hash('correct horse')]);
    expect(first).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/);
    expect(second).not.toBe(first);
    expect(compareSync('correct horse', first)).toBe(true);
  });

  it('spends cost 10 on a chosen password and cost 4 on a generated one', async () => {
    const standard = new BcryptHasher();
    const hashes = await Promise.all([
      standard.hash('chosen'),
      standard.hash('chosen', { generated: false }),
      standard.hash('generated', { generated: true }),
    ]);
    expect(hashes.map((hash) => hash.slice(0, 7))).toEqual(['$2b$10$', '$2b$10$', '$2b$04$']);
    await standard.close();
  });

  it('takes both costs from the options', async () => {
    const other = new BcryptHasher({ cost: 5, generatedCost: 6 });
    const hashes = await Promise.all([other.hash('chosen'), other.hash('generated', { generated: true })]);
    expect(hashes.map((hash) => hash.slice(0, 7))).toEqual(['$2b$05$', '$2b$06$']);
    await other.close();
  });

  it.each([
    ['72 ASCII characters', 'a'.repeat(72)],
    ['36 characters of two bytes', 'é'.repeat(36)],
    ['18 characters of four bytes', '😀'.repeat(18)],
    ['no character', ''],
  ])('hashes %s whole', async (_, password) => {
    const hash = await hasher.hash(password);
    expect(await hasher.verify(password, hash)).toBe(true);
    if (password !== '') expect(await hasher.verify(password.slice(0, -1), hash)).toBe(false);
  });

  it.each([
    ['73 ASCII characters', 'x'.repeat(73), 73],
    ['37 characters of two bytes', 'é'.repeat(37), 74],
    ['19 characters of four bytes', '😀'.repeat(19), 76],
  ])('refuses %s and says how many bytes', async (_, password, bytes) => {
    const error = await rejection(hasher.hash(password));
    expect(error).toMatchObject({ code: 'PASSWORD_TOO_LONG', status: 422, retryable: false });
    expect(error.message).toContain(`${bytes} bytes`);
    expect(error.message).toContain('72 bytes');
    expect(error.message).not.toContain(password);
  });

  it('refuses a NUL character, at which other implementations stop reading', async () => {
    const error = await rejection(hasher.hash('secret\0tail'));
    expect(error).toMatchObject({ code: 'PASSWORD_TOO_LONG', retryable: false });
    expect(error.message).toContain('NUL');
    expect(error.message).not.toMatch(/secret|tail/);
  });

  it.each([undefined, null, 123456, Buffer.from('123456')])(
    'refuses %p, without showing it',
    async (password) => {
      const error = await rejection(hasher.hash(password as never));
      expect(error.code).toBe('INTERNAL_ERROR');
      expect(error.message).not.toContain('123456');
    },
  );
});

describe('verify', () => {
  const known = hashSync('correct horse', 4);

  it.each(['$2a$', '$2b$', '$2y$'])('knows the version %s', async (version) => {
    const hash = version + known.slice(4);
    expect(await hasher.verify('correct horse', hash)).toBe(true);
    expect(await hasher.verify('wrong horse', hash)).toBe(false);
  });

  it.each([
    [
      "the example of PHP's manual",
      'rasmuslerdorf',
      '$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq',
    ],
    ["libxcrypt's hash", 'correct horse é', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.TY7y0.yO6whg9Y0nBpXam0iQ.VrqZqi'],
  ])('verifies %s', async (_, password, hash) => {
    expect(await hasher.verify(password, hash)).toBe(true);
    expect(await hasher.verify(password.toUpperCase(), hash)).toBe(false);
  });

  it.each([
    ['nothing', ''],
    ['a plain password', 'correct horse'],
    ['a version it does not know', `$2x$${known.slice(4)}`],
    ['a hash cut short', known.slice(0, -1)],
    ['a hash with something behind', `${known}a`],
    ['a hash with a line end behind', `${known}\n`],
    ['a cost below 4', `$2b$03$${known.slice(7)}`],
    ['a cost above 31', `$2b$32$${known.slice(7)}`],
    ['a foreign character in the salt', `$2b$04$!${known.slice(8)}`],
    ['an argon2 hash', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b7dWRWJTmaaJObG'],
    ['null', null],
    ['undefined', undefined],
  ])('says false to %s', async (_, hash) => {
    expect(await hasher.verify('correct horse', hash!)).toBe(false);
  });

  it('says false to a password over 72 bytes, though bcrypt would ignore its end', async () => {
    const password = 'a'.repeat(72);
    const hash = hashSync(password, 4);
    expect(compareSync(`${password}b`, hash)).toBe(true);
    expect(await hasher.verify(`${password}b`, hash)).toBe(false);
  });

  it('says false to a password with a NUL, though bcryptjs takes it for another one', async () => {
    const hash = hashSync('a', 4);
    expect(compareSync('a\0a', hash)).toBe(true);
    expect(await hasher.verify('a\0a', hash)).toBe(false);
  });

  it.each([undefined, null, 5, ['correct horse'], {}])('says false to the password %p', async (password) => {
    expect(await hasher.verify(password as never, known)).toBe(false);
  });
});

describe('options', () => {
  const construct = (options: unknown) => (): BcryptHasher =>
    new BcryptHasher(options as BcryptHasherOptions);
  const thrown = (options: unknown): ConfigurationError => {
    try {
      construct(options)();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError);
      return error as ConfigurationError;
    }
    throw new Error('Nothing was thrown.');
  };

  it.each([
    ['cost', 3],
    ['cost', 32],
    ['cost', 10.5],
    ['cost', Number.NaN],
    ['cost', '10'],
    ['cost', null],
    ['generatedCost', 3],
    ['generatedCost', 32],
    ['maxThreads', 0],
    ['maxThreads', 1.5],
  ])('refuses %s: %p', (option, value) => {
    const error = thrown({ [option]: value });
    expect(error.option).toBe(option);
    expect(error.message).toContain('whole number from');
  });

  it.each([
    ['costs', 'cost'],
    ['COST', 'cost'],
    ['generatedcost', 'generatedCost'],
    ['maxThread', 'maxThreads'],
  ])('refuses %s and asks whether %s was meant', (option, meant) => {
    const error = thrown({ [option]: 10 });
    expect(error.option).toBe(option);
    expect(error.message).toContain(`did you mean "${meant}"?`);
  });

  it('names what there is where nothing is near', () => {
    expect(thrown({ pepper: 'x' }).message).toContain('There are: cost, generatedCost, maxThreads.');
  });

  it.each([12, null, 'cost'])('refuses %p for an object', (options) => {
    expect(thrown(options).option).toBe('options');
  });

  it.each([
    [undefined],
    [{}],
    [{ cost: undefined, generatedCost: undefined, maxThreads: undefined }],
    [{ cost: 4, generatedCost: 31, maxThreads: 1 }],
  ])('takes %p', (options) => {
    expect(construct(options)).not.toThrow();
  });
});
