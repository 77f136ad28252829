// The contract of the optional listContacts: each contact once, by tag and by time, also while they change.
import type { Contact, ContactFilter, ReadOptions } from '../../../crm/client';
import { expectRejection, expectSame, expectSuccess, expectTrue, fail, shown } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { modifiedAt, own, type Stage } from './stage';

export function listing(suite: Suite<Stage>, settings: Settings): void {
  const missing = !settings.listContacts && 'the client has no listContacts';
  const test = (name: string, body: (stage: Stage) => Promise<void>): void => suite.test(name, body, missing);

  suite.group('listContacts', () => {
    test('walks every contact once, over several pages', async (stage) => {
      // More than one call can give, where that is known.
      const count = Math.min(Math.max(3, (stage.client.maxBatchSize ?? 1) + 2), 102);
      const ids: string[] = [];
      for (let index = 0; index < count; index += 1) ids.push(await stage.add(`person${index}`));
      expectAllOnce(await walk(stage, {}), ids);
    });

    test('gives whole contacts, with the fields that are asked for', async (stage) => {
      const id = await stage.add('mary', { value: 'Initech' });
      const contacts = await walk(stage, {}, { fields: [stage.field] });
      const contact = contacts.find((each) => each.id === id);
      if (contact === undefined)
        return fail(`listContacts without a filter has to visit every contact, and did not visit ${id}.`);
      expectSame(
        own(contact, stage.field),
        'Initech',
        'A contact of a walk has the fields that were asked for.',
      );
      expectSame(contact.tags.length, 1, 'A contact of a walk has its tags, as one that is read by its id.');
      expectTrue(contact.email !== null, 'A contact of a walk has its email, as one that is read by its id.');
    });

    test('by tag: only those that have it', async (stage) => {
      const [tag, otherTag] = settings.tags;
      const mary = await stage.add('mary', { tags: [tag, otherTag] });
      const john = await stage.add('john', { tags: [otherTag] });
      const ann = await stage.add('ann', { tags: [] });
      const ids = (await walk(stage, { tag: otherTag })).map((contact) => contact.id);
      expectAllOnce(await walk(stage, { tag: otherTag }), [mary, john]);
      expectTrue(
        !ids.includes(ann),
        `The filter { tag: ${shown(otherTag)} } leaves out contacts without the tag.`,
      );
      const ofOne = (await walk(stage, { tag })).map((contact) => contact.id);
      expectTrue(
        ofOne.includes(mary) && !ofOne.includes(john) && !ofOne.includes(ann),
        `The filter { tag: ${shown(tag)} } gives the contacts with the tag and no others.`,
      );
    });

    test('modifiedSince: from that moment on, the moment included', async (stage) => {
      const id = await stage.add('mary');
      const moment = modifiedAt(await stage.readOne(id));
      if (moment === null) return;
      const since = async (modifiedSince: Date): Promise<boolean> =>
        (await walk(stage, { modifiedSince })).some((contact) => contact.id === id);
      const day = 86_400_000;
      expectTrue(
        await since(new Date(moment.getTime() - day)),
        'A contact that was modified later is visited.',
      );
      expectTrue(await since(moment), 'A contact that was modified at the very moment is visited.');
      const isVisited = await since(new Date(moment.getTime() + day));
      expectTrue(!isVisited, 'A contact that was last modified before modifiedSince is left out.');
    });

    test('tag and modifiedSince: both', async (stage) => {
      const [tag, otherTag] = settings.tags;
      const mary = await stage.add('mary', { tags: [tag] });
      const john = await stage.add('john', { tags: [otherTag] });
      const moment = modifiedAt(await stage.readOne(mary));
      if (moment === null) return;
      const now = (await walk(stage, { tag, modifiedSince: moment })).map((contact) => contact.id);
      expectTrue(
        now.includes(mary) && !now.includes(john),
        'Of two filters both have to hold: a contact is visited that has the tag and was modified since.',
      );
      const later = await walk(stage, { tag, modifiedSince: new Date(moment.getTime() + 86_400_000) });
      expectTrue(
        !later.some((contact) => contact.id === mary),
        'Of two filters both have to hold: a contact is visited that has the tag and was modified since.',
      );
    });

    test('visits each contact once also while they change', async (stage) => {
      const ids = [await stage.add('mary'), await stage.add('john'), await stage.add('ann')];
      const visited: Contact[] = [];
      for await (const contact of stage.walk({})) {
        visited.push(contact);
        // What changes goes to the end of a list that is sorted by time.
        if (ids.includes(contact.id)) await stage.write(contact.id, `visited ${visited.length}`);
        expectTrue(
          visited.length < 1000 + ids.length,
          'A walk must not go on for ever while contacts change.',
        );
      }
      expectAllOnce(visited, ids);
    });

    test('goes on behind the contact where it was left', async (stage) => {
      const ids: string[] = [];
      for (const name of ['mary', 'john', 'ann', 'bob']) ids.push(await stage.add(name));
      const whole = (await walk(stage, {})).map((contact) => contact.id);
      for (const [index, id] of whole.entries()) {
        if (!ids.includes(id)) continue;
        const rest = await walk(stage, { afterId: id });
        const seen = new Set([...whole.slice(0, index + 1), ...rest.map((contact) => contact.id)]);
        expectSame(
          ids.filter((each) => !seen.has(each)),
          [],
          `A walk that was left at ${shown(id)} goes on with afterId: ${shown(id)}, and has to visit everybody whom the first part ` +
            `did not: give contacts in the order that afterId goes by, whatever order the CRM answers in, or begin at the beginning.`,
        );
      }
    });

    test('can be left before its end', async (stage) => {
      for (const name of ['mary', 'john']) await stage.add(name);
      let count = 0;
      for await (const _contact of stage.walk({})) {
        count += 1;
        break;
      }
      expectSame(count, 1, 'A walk gives contacts one by one.');
      await stage.readOne(await stage.add('ann'));
    });

    test('rejects where the signal is aborted already', async (stage) => {
      await stage.add('mary');
      await walk(stage, {});
      await expectRejection(
        () => walk(stage, {}, { signal: AbortSignal.abort() }),
        'listContacts with a signal that is aborted already has to reject.',
      );
    });
  });
}

/** Everything that a walk gives. An abort is no failure of the client. */
async function walk(stage: Stage, filter: ContactFilter, options?: ReadOptions): Promise<Contact[]> {
  const all = async (): Promise<Contact[]> => {
    const contacts: Contact[] = [];
    for await (const contact of stage.walk(filter, options)) contacts.push(contact);
    return contacts;
  };
  if (options?.signal !== undefined) return all();
  return expectSuccess(all, `listContacts(${shown(filter)})`);
}

function expectAllOnce(contacts: readonly Contact[], ids: readonly string[]): void {
  const visited = contacts.map((contact) => contact.id);
  const missed = ids.filter((id) => !visited.includes(id));
  expectSame(missed, [], 'A walk has to visit every contact, on every page: some were missed.');
  const twice = visited.filter((id, index) => visited.indexOf(id) !== index);
  expectSame(
    twice,
    [],
    'A walk visits each contact once: page by ascending id, not by an offset into a list that changes.',
  );
}
