// The contract of updateContact: what it writes and how exactly, and what it leaves alone.
import { expectError, expectRejection, expectSame, expectTrue, isSame, shown } from '../expectations';
import type { Suite } from '../runner';
import type { Stage } from './stage';

/** What passwords and names are made of. A returned password has to log in, to the letter. */
const VALUES: readonly (readonly [what: string, values: readonly string[]])[] = [
  ['letters and digits', ['Initech', 'aB3xY9-_']],
  [
    'characters with a meaning in HTML, URLs and JSON',
    [`p&s<w>"d'`, 'a=b&c=d', '100%41', 'a+b c', '{"a":1}', 'x\\y/z'],
  ],
  ['letters of other scripts', ['Zoë Größe', '日本', '🎉 ünï']],
  ['text that looks like something else', ['007', '1e3', 'true', 'null', '-', '12.50']],
];

export function writing(suite: Suite<Stage>): void {
  suite.group('updateContact', () => {
    for (const [what, values] of VALUES) {
      suite.test(`writes ${what}, readable at once`, async (stage) => {
        const id = await stage.add('mary');
        for (const value of values) {
          await stage.write(id, value);
          await stage.expectStored(id, value, `updateContact wrote ${shown(value)}.`);
          expectSame(
            await stage.value(id),
            value,
            'What was written has to be readable at once, to the letter: this is how a returned password is verified.',
          );
        }
      });
    }

    suite.test('empties a field with empty text', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      await stage.write(id, '');
      const stored = await stage.scene.stored(id, stage.field);
      expectSame(
        stored ?? '',
        '',
        'Empty text empties the field in the CRM: it is a value, and not "no change".',
      );
      const value = await stage.value(id);
      expectSame(value === '' ? null : value, null, 'An emptied field reads as null (or as empty text).');
    });

    suite.test('leaves tags, email, other fields and other contacts alone', async (stage) => {
      const { otherField } = stage.scene;
      const fields = {
        [stage.field]: 'before',
        ...(otherField === undefined ? {} : { [otherField]: 'other' }),
      };
      const id = await stage.scene.addContact({ email: 'mary@example.com', tags: ['Member'], fields });
      const otherId = await stage.add('john', { value: 'of john' });
      const before = await stage.readOne(id);
      await stage.write(id, 'after');
      const after = await stage.readOne(id);
      const rest = (contact: typeof before): unknown[] => [contact.email, contact.tags.map((tag) => tag.id)];
      expectSame(rest(after), rest(before), 'Writing a field changes neither the email nor the tags.');
      await stage.expectStored(otherId, 'of john', 'Writing to a contact leaves other contacts as they are.');
      if (otherField === undefined) return;
      const other = await stage.scene.stored(id, otherField);
      expectSame(other, 'other', 'Only the fields that are given are written; the others stay.');
    });

    suite.test('writes several fields in one call', async (stage) => {
      const { otherField } = stage.scene;
      if (otherField === undefined) return;
      const id = await stage.add('mary');
      await stage.writeFields(id, { [stage.field]: 'one', [otherField]: 'two' });
      await stage.expectStored(id, 'one', 'updateContact has to write all the fields that it is given.');
      expectSame(
        await stage.scene.stored(id, otherField),
        'two',
        'updateContact has to write all the fields that it is given.',
      );
    });

    suite.test('does no harm when it writes the same twice', async (stage) => {
      const id = await stage.add('mary', { tags: ['Member'] });
      await stage.write(id, 'same');
      await stage.write(id, 'same');
      await stage.expectStored(id, 'same', 'Writing the same value twice has to be as writing it once.');
      const { tags } = await stage.readOne(id);
      expectSame(tags.length, 1, 'Writing the same value twice has to be as writing it once.');
    });

    suite.test('writes to several contacts at the same time, to each its own', async (stage) => {
      const ids = [await stage.add('mary'), await stage.add('john'), await stage.add('ann')];
      await Promise.all(ids.map((id, index) => stage.write(id, `value ${index}`)));
      for (const [index, id] of ids.entries()) {
        await stage.expectStored(id, `value ${index}`, 'Writes at the same time do not mix.');
      }
    });

    suite.test('changes nothing it is given', async (stage) => {
      const id = await stage.add('mary');
      const fields = { [stage.field]: 'value' };
      await stage.writeFields(id, fields);
      expectTrue(
        isSame(fields, { [stage.field]: 'value' }),
        'updateContact changed the object it was given: copy it.',
      );
    });

    suite.test('throws CONTACT_NOT_FOUND for an id that the CRM does not know', async (stage) => {
      const otherId = await stage.add('john', { value: 'of john' });
      await expectError(
        () => stage.client.updateContact(stage.scene.missingId, { [stage.field]: 'lost' }),
        'CONTACT_NOT_FOUND',
        `updateContact of an unknown contact has to throw new WpFusionError('CONTACT_NOT_FOUND', …): a silent success would count ` +
          `as a returned password, and some APIs create a contact then.`,
      );
      expectSame(
        (await stage.read([stage.scene.missingId])).size,
        0,
        'updateContact of an unknown contact must not make one.',
      );
      await stage.expectStored(otherId, 'of john', 'Writing to nobody writes to nobody.');
    });

    suite.test('throws CONTACT_NOT_FOUND for a contact that was removed', async (stage) => {
      const id = await stage.add('mary');
      await stage.write(id, 'value');
      await stage.scene.removeContact(id);
      await expectError(
        () => stage.client.updateContact(id, { [stage.field]: 'lost' }),
        'CONTACT_NOT_FOUND',
        `updateContact of a removed contact has to throw new WpFusionError('CONTACT_NOT_FOUND', …).`,
      );
    });

    suite.test('rejects where the signal is aborted already, and writes nothing', async (stage) => {
      const id = await stage.add('mary', { value: 'before' });
      await expectRejection(
        () => stage.client.updateContact(id, { [stage.field]: 'after' }, { signal: AbortSignal.abort() }),
        'updateContact with a signal that is aborted already has to reject.',
      );
      await stage.expectStored(id, 'before', 'A write that was given up before it began writes nothing.');
    });

    suite.test('rejects when the signal is aborted', async (stage) => {
      const id = await stage.add('mary');
      const controller = new AbortController();
      await expectRejection(() => {
        const write = stage.client.updateContact(id, { [stage.field]: 'x' }, { signal: controller.signal });
        controller.abort();
        return write;
      }, 'updateContact has to give up when its signal is aborted, and reject.');
    });
  });
}
