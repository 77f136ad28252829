// The contract of getContacts: which contacts come, what is in them, and that they are as they are now.
import type { Contact } from '../../../crm/client';
import { comparisonKey } from '../../../users/normalize';
import { expectRejection, expectSame, expectTrue, fail, isSame, shown } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { modifiedAt, own, type Stage } from './stage';

const DEFAULT_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;
const NOW = 'A read gives contacts as they are now: no cache, and no answer to a question of before.';

export function reading(suite: Suite<Stage>, settings: Settings): void {
  suite.group('ids', () => {
    suite.test('match contactIdPattern, each time it is asked', async (stage) => {
      const ids = [await stage.add('mary'), stage.scene.missingId];
      const pattern = stage.client.contactIdPattern ?? DEFAULT_PATTERN;
      for (const id of [...ids, ...ids]) {
        expectSame(typeof id, 'string', 'Contact ids are text.');
        expectTrue(
          pattern.test(id),
          `contactIdPattern is ${String(pattern)} and has to match every id of the CRM, and ${shown(id)} too. Without a pattern ` +
            `ids are ${String(DEFAULT_PATTERN)}. With the flag g or y it would match only every other time.`,
        );
      }
    });

    suite.test('that a URL could misread do not match contactIdPattern', async (stage) => {
      const id = await stage.add('mary');
      const pattern = stage.client.contactIdPattern ?? DEFAULT_PATTERN;
      const odd = [
        '',
        ' ',
        '[Contact ID]',
        '..',
        `${id}/..`,
        `../${id}`,
        `${id},${id}`,
        `${id} `,
        `${id}?a=b`,
      ];
      for (const each of [...odd, `${id}&a=b`, `${id}#a`, `${id}%2F`, `${id}\n`]) {
        expectTrue(
          !pattern.test(each),
          `contactIdPattern is ${String(pattern)} and matches ${shown(each)}, which is no id: write it from ^ to $, and allow ` +
            `only what ids are made of.`,
        );
      }
    });

    suite.test('maxBatchSize is a whole number from 1 on, or absent', async (stage) => {
      const { maxBatchSize = 1 } = stage.client;
      expectTrue(
        Number.isInteger(maxBatchSize) && maxBatchSize >= 1,
        `maxBatchSize says how many ids one call of getContacts may have, and is ${shown(maxBatchSize)}.`,
      );
      await Promise.resolve();
    });
  });

  suite.group('getContacts', () => {
    suite.test('gives a contact by its id, with its email', async (stage) => {
      const id = await stage.add('mary');
      await stage.add('john');
      const contacts = await stage.read([id]);
      const contact = stage.oneOf(contacts, id);
      expectSame(
        [...contacts.keys()],
        [id],
        'The map has the ids that were asked for as its keys, and no others.',
      );
      expectSame(contact.id, id, 'The id of a contact is the one that was asked for, as text.');
      const isEmail =
        typeof contact.email === 'string' && comparisonKey(contact.email) === 'mary@example.com';
      expectTrue(
        isEmail,
        `The contact's email is mary@example.com, and was given as ${shown(contact.email)}.`,
      );
    });

    suite.test('gives an empty map where no ids are asked for', async (stage) => {
      await stage.add('mary');
      expectSame((await stage.read([])).size, 0, 'No ids, no contacts: some APIs give all of them then.');
    });

    suite.test('leaves out ids that the CRM does not know, and that is no error', async (stage) => {
      const { missingId } = stage.scene;
      const absent = 'An unknown id is absent from the map: no null, no empty contact, no error.';
      expectSame([...(await stage.read([missingId])).keys()], [], absent);
      const size = Math.max(1, stage.client.maxBatchSize ?? 1);
      if (size === 1) return;
      const id = await stage.add('mary');
      const contacts = await stage.read([missingId, id]);
      expectSame(
        [...contacts.keys()],
        [id],
        `${absent} The other contacts of the call are given all the same.`,
      );
    });

    suite.test('leaves out a contact that was removed', async (stage) => {
      const id = await stage.add('mary');
      expectSame(
        (await stage.read([id])).has(id),
        true,
        'A contact that was made has to be read at once, also where no fields are asked for.',
      );
      await stage.scene.removeContact(id);
      expectSame((await stage.read([id])).has(id), false, `The contact was removed from the CRM. ${NOW}`);
    });

    suite.test('gives maxBatchSize contacts at once, each with what is its own', async (stage) => {
      const size = Math.max(1, stage.client.maxBatchSize ?? 1);
      const ids: string[] = [];
      for (let index = 0; index < size; index += 1) {
        ids.push(await stage.add(`person${index}`, { value: `value ${index}` }));
      }
      // What a client loads once, as names of tags, is no part of what is counted.
      await stage.read(ids.slice(0, 1), { fields: [stage.field] });
      const before = stage.scene.readCalls?.() ?? 0;
      // Not in the order of their making, which many APIs answer in.
      const contacts = await stage.read([...ids].reverse(), { fields: [stage.field] });
      const calls = (stage.scene.readCalls?.() ?? 0) - before;
      expectSame(
        contacts.size,
        size,
        `getContacts has to take maxBatchSize ids at once, and that is ${size}.`,
      );
      for (const [index, id] of ids.entries()) {
        const contact = stage.oneOf(contacts, id);
        expectSame(
          contact.id,
          id,
          'Under each id stands its own contact, in whatever order the CRM answered.',
        );
        expectSame(
          own(contact, stage.field),
          `value ${index}`,
          'Each contact has its own values, and not those of a neighbour in the answer.',
        );
      }
      expectTrue(
        calls <= 2,
        `Reading maxBatchSize contacts (${size}) took ${calls} calls of the CRM: say a maxBatchSize that one call can read, ` +
          `since the core gathers reads up to it to save calls.`,
      );
    });

    suite.test('gives a contact once that is asked for twice', async (stage) => {
      const id = await stage.add('mary');
      if ((stage.client.maxBatchSize ?? 1) < 2) return;
      expectSame(
        [...(await stage.read([id, id])).keys()],
        [id],
        'An id that is given twice is read once: ask the CRM for new Set(ids).',
      );
    });

    suite.test(
      'gives null as the email of a contact without one',
      async (stage) => {
        const id = await stage.scene.addContact({ email: null, tags: [] });
        const { email } = await stage.readOne(id);
        expectSame(email, null, "A contact without an email has email: null, not '' and not undefined.");
      },
      !settings.withoutEmail && 'contacts cannot be without an email here',
    );

    suite.test('gives the tags, each with its id and its name', async (stage) => {
      const [one, two] = settings.tags;
      const id = await stage.add('mary', { tags: [one, two] });
      const otherId = await stage.add('john', { tags: [two] });
      const tags = tagsOf(await stage.readOne(id));
      expectNames(tags, [one, two]);
      const [other] = tagsOf(await stage.readOne(otherId));
      const isShared = tags.some((tag) => tag.id === other?.id);
      expectTrue(
        isShared,
        `A tag has the same id on every contact: ${shown(other)} is none of ${shown(tags)}.`,
      );
    });

    suite.test('gives tags with commas, quotes and other letters', async (stage) => {
      const id = await stage.add('mary', { tags: settings.tags });
      expectNames(tagsOf(await stage.readOne(id)), settings.tags);
    });

    suite.test('gives no tags as an empty list', async (stage) => {
      const id = await stage.add('mary', { tags: [] });
      expectSame(tagsOf(await stage.readOne(id)), [], 'A contact without tags has an empty list of them.');
    });

    suite.test('gives tags whatever fields are asked for', async (stage) => {
      const id = await stage.add('mary');
      for (const options of [undefined, {}, { fields: [] }, { fields: [stage.field] }]) {
        const contact = stage.oneOf(await stage.read([id], options), id);
        expectSame(
          tagsOf(contact).length,
          1,
          'Every read gives all tags and the email: no tags would take the user every right that hangs on them.',
        );
        expectTrue(contact.email !== null, 'Every read gives the email, whatever fields are asked for.');
      }
    });

    suite.test('gives the fields that are asked for', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      expectSame(
        await stage.value(id),
        'Initech',
        'A field that is asked for has to be in `fields`, under the CRM’s key.',
      );
    });

    suite.test('gives null for a field that is not set', async (stage) => {
      const id = await stage.add('mary');
      const contact = await stage.readOne(id);
      expectSame(
        own(contact, stage.field),
        null,
        "A field that was asked for and is not set has the value null, in `fields`: not '', not undefined, not left out.",
      );
    });

    suite.test('leaves out a field that the CRM does not know, and that is no error', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      const contact = await stage.readOne(id, { fields: [stage.field, 'no_such_field'] });
      expectSame(
        own(contact, stage.field),
        'Initech',
        'The fields that the CRM knows are given all the same.',
      );
      const unknown = own(contact, 'no_such_field') ?? null;
      expectSame(unknown, null, 'A field that the CRM does not know has no value.');
    });

    suite.test('gives nothing that objects have of their own for a field', async (stage) => {
      const id = await stage.add('mary');
      const names = ['constructor', 'toString', '__proto__'];
      const contact = await stage.readOne(id, { fields: [stage.field, ...names] });
      for (const name of names) {
        const value = own(contact, name) ?? null;
        expectSame(
          value,
          null,
          `${name} is no field of the contact: look with Object.hasOwn at what the CRM answered.`,
        );
      }
      const prototype: unknown = Object.getPrototypeOf(contact.fields);
      const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
      expectTrue(
        isPlain,
        '`fields` has to be a plain object, by the CRM’s keys: no Map and no instance of a class.',
      );
    });

    suite.test('gives a valid date or null as modifiedAt', async (stage) => {
      modifiedAt(await stage.readOne(await stage.add('mary')));
    });

    suite.test('gives in raw, where it gives that, what the CRM stores', async (stage) => {
      const id = await stage.add('mary', { value: '007' });
      const { raw } = await stage.readOne(id);
      if (raw === undefined) return;
      const stored = await stage.scene.stored(id, stage.field);
      expectSame(
        raw[stage.field],
        stored,
        '`raw` holds the same fields as the CRM stores them, as text or null.',
      );
    });

    suite.test('gives copies, and changes nothing it is given', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      const ids = [id];
      const fields = [stage.field];
      const [one, two] = await Promise.all([stage.read(ids, { fields }), stage.read(ids, { fields })]);
      expectTrue(
        isSame([ids, fields], [[id], [stage.field]]),
        'The lists of ids and fields were changed: copy them.',
      );
      const contact = stage.oneOf(one, id);
      expectSame(own(contact, stage.field), 'Initech', 'Reads at the same time each give the fields.');
      contact.tags.push({ id: 'spoilt', name: 'spoilt' });
      contact.fields[stage.field] = 'spoilt';
      for (const other of [stage.oneOf(two, id), await stage.readOne(id)]) {
        const isOwn = own(other, stage.field) === 'Initech' && other.tags.length === 1;
        expectTrue(
          isOwn,
          'Somebody changed a contact that was given out, and another caller saw it: give copies.',
        );
      }
    });
  });

  suite.group('findContactIds, where there is one', () => {
    suite.test('finds the contacts with an email, whatever its case, and nobody else', async (stage) => {
      const { client } = stage;
      if (client.findContactIds === undefined) return;
      const id = await stage.add('mary');
      await stage.add('mary-ann');
      for (const email of ['mary@example.com', 'MARY@example.com']) {
        const found: unknown = await client.findContactIds(email);
        expectSame(
          found,
          [id],
          `findContactIds(${shown(email)}) gives the ids of the contacts that have it, as a list.`,
        );
      }
      expectSame(
        await client.findContactIds('nobody@example.com'),
        [],
        'An email that nobody has is no error.',
      );
    });
  });

  suite.group('getContacts, as it is now', () => {
    suite.test('a read after a write sees what was written', async (stage) => {
      const id = await stage.add('mary', { value: 'before' });
      await stage.value(id);
      await stage.write(id, 'after');
      expectSame(await stage.value(id), 'after', NOW);
    });

    suite.test(
      'a read that begins after a write sees it, also while an older read is under way',
      async (stage) => {
        const id = await stage.add('mary', { value: 'before' });
        const older = stage.read([id], { fields: [stage.field] });
        older.catch(() => undefined);
        await stage.write(id, 'after');
        const newer = await stage.value(id);
        await older;
        expectSame(newer, 'after', `${NOW} A read must not join one that began before it.`);
      },
    );

    suite.test('reads at the same time give each caller what it asked for', async (stage) => {
      const [mary, john] = [
        await stage.add('mary', { value: 'Initech' }),
        await stage.add('john', { value: 'Acme' }),
      ];
      const [one, two, three] = await Promise.all([
        stage.read([mary], { fields: [stage.field] }),
        stage.read([john], { fields: [stage.field] }),
        stage.read([stage.scene.missingId]),
      ]);
      const values = [own(stage.oneOf(one, mary), stage.field), own(stage.oneOf(two, john), stage.field)];
      expectSame(values, ['Initech', 'Acme'], 'Each caller gets the contact that it asked for.');
      expectSame(
        [one.size, two.size, three.size],
        [1, 1, 0],
        'Each caller gets its own contacts, and no others.',
      );
    });
  });

  suite.group('getContacts, given up', () => {
    suite.test('rejects where the signal is aborted already', async (stage) => {
      const id = await stage.add('mary');
      await expectRejection(
        () => stage.client.getContacts([id], { signal: AbortSignal.abort() }),
        'getContacts with a signal that is aborted already has to reject.',
      );
    });

    suite.test('rejects when the signal is aborted', async (stage) => {
      const id = await stage.add('mary');
      const controller = new AbortController();
      await expectRejection(() => {
        const read = stage.client.getContacts([id], { signal: controller.signal });
        controller.abort();
        return read;
      }, 'getContacts has to give up when its signal is aborted, and reject: nobody waits for the answer any more.');
    });

    suite.test('takes nobody else’s read with it', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      const controller = new AbortController();
      const given = stage.client.getContacts([id], { signal: controller.signal, fields: [stage.field] });
      given.catch(() => undefined);
      const kept = stage.value(id);
      controller.abort();
      expectSame(await kept, 'Initech', 'One caller gave up; the read of another goes on.');
      await given.catch(() => undefined);
    });
  });
}

/** The tags of a contact, each of them sound. */
function tagsOf(contact: Contact): Contact['tags'] {
  const tags: unknown = contact.tags;
  if (!Array.isArray(tags))
    return fail(`A contact's tags are a list, [] where it has none, and were ${shown(tags)}.`, {
      actual: tags,
    });
  for (const tag of tags as unknown[]) {
    const { id, name } = (tag ?? {}) as { id?: unknown; name?: unknown };
    const isSound = typeof id === 'string' && id !== '' && typeof name === 'string';
    expectTrue(isSound, `A tag is { id, name }, both text, and was ${shown(tag)}. Without a name it has ''.`);
  }
  return contact.tags;
}

function expectNames(tags: Contact['tags'], names: readonly string[]): void {
  const ids = new Set(tags.map(({ id }) => id));
  expectSame(
    [tags.length, ids.size],
    [names.length, names.length],
    `The contact has the tags ${shown(names)}; what was given is ${shown(tags)}. A name may hold a comma.`,
  );
  // Where the CRM gives no names there are only ids to go by.
  if (tags.every(({ id, name }) => name === '' || name === `#${id}`)) return;
  expectSame(
    tags.map(({ name }) => name).sort(),
    [...names].sort(),
    'The tags have the names that they have in the CRM, to the letter.',
  );
}
