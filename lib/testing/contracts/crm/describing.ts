// The contract of describeFields, which is optional: the fields that contacts have, by the keys that read and write them.
import { expectSame, expectSuccess, expectTrue, fail, shown } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import type { Stage } from './stage';

const TYPES: readonly unknown[] = ['text', 'number', 'boolean', 'date', 'choice', 'list', 'other'];

export function describing(suite: Suite<Stage>, settings: Settings): void {
  // Optional, and not said to be there: no test that is skipped either.
  if (!settings.describeFields) return;
  suite.group('describeFields', () => {
    suite.test('names each field once, with a label and a type', async ({ client, field }) => {
      const fields = await expectSuccess(async () => client.describeFields?.(), 'describeFields()');
      if (fields === undefined) {
        fail('The client has no describeFields, which is optional: leave capabilities.describeFields out.');
      }
      const keys = fields.map(({ key }) => key);
      expectSame(keys.length, new Set(keys).size, `Each key stands there once. They are ${shown(keys)}.`);
      const described = fields.find(({ key }) => key === field);
      expectSame(
        described?.type,
        'text',
        `${shown(field)} is said to be a text field that can be written (writableField), and has to be among the fields.`,
      );
      for (const each of fields) {
        const isWhole = typeof each.key === 'string' && typeof each.label === 'string';
        expectTrue(
          isWhole && TYPES.includes(each.type),
          `A field has a key and a label, both text, and one of the types ${TYPES.join(', ')}; this one is ${shown(each)}.`,
        );
      }
    });
  });
}
