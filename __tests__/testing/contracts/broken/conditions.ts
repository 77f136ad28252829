// Repositories that write although another was first: conditions and races.
import { StaleUserError, UserNotFoundError, type User, type UserChanges } from '../../../../lib';
import { type BrokenRepositories, TableRepository, type Condition } from '../table';

export const conditions: BrokenRepositories = {
  // The condition
  'ifSyncState ignored': {
    Repository: class extends TableRepository {
      override holds = () => true;
    },
    caughtBy: [
      'update, condition › another state is STALE_USER',
      'races › updates with the same condition: one wins, wholly',
    ],
    elsewhere: true,
  },
  'a condition of null ignored': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) => asked === null || stored === asked;
    },
    caughtBy: [
      'update, condition › null against text is STALE_USER',
      'races › updates with the same condition: one wins, wholly',
    ],
  },
  'a condition compared by = NULL': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) => stored === asked && asked !== null;
    },
    caughtBy: [
      'update, condition › null against null is written',
      'update, condition › a state that came back holds again',
      'races › updates with the same condition: one wins, wholly',
    ],
  },
  'null states hold for every condition': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) => stored === null || stored === asked;
    },
    caughtBy: [
      'update, condition › text against null is STALE_USER',
      'update, condition › the text null is not null',
    ],
  },
  'null compared as text': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) => String(stored) === String(asked);
    },
    caughtBy: ['update, condition › the text null is not null'],
  },
  'no look at the condition where nothing changes': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        return super.update(id, changes, Object.keys(changes).length === 0 ? undefined : condition);
      }
    },
    caughtBy: ['update, condition › is held also where there is nothing to change'],
  },
  'the case of syncState ignored': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored?.toLowerCase() === asked?.toLowerCase();
    },
    caughtBy: ['update, condition › the case of a state counts'],
  },
  'accents of syncState ignored': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored?.normalize('NFD').replace(/\p{M}/gu, '') === asked?.normalize('NFD').replace(/\p{M}/gu, '');
    },
    caughtBy: ['update, condition › accents of a state count'],
  },
  'spaces after syncState ignored': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored?.trimEnd() === asked?.trimEnd();
    },
    caughtBy: [
      'update, condition › a space after the condition counts',
      'update, condition › a space after the state counts',
    ],
  },
  'syncState compared with LIKE': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored === asked ||
        (stored !== null && asked !== null && new RegExp(`^${asked.replaceAll('_', '.')}$`).test(stored));
    },
    caughtBy: ['update, condition › a state is no pattern'],
  },
  'syncState compared as numbers': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored === asked || (stored !== null && asked !== null && Number(stored) === Number(asked));
    },
    caughtBy: ['update, condition › a state is no number'],
  },
  'syncState compared by its first 200 characters': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored?.slice(0, 200) === asked?.slice(0, 200);
    },
    caughtBy: ['update, condition › the last of 255 characters counts'],
  },
  'syncState compared by how it begins': {
    Repository: class extends TableRepository {
      override holds = (stored: string | null, asked: string | null) =>
        stored === asked || (stored !== null && asked !== null && stored.startsWith(asked));
    },
    caughtBy: [
      'update, condition › a space after the state counts',
      'update, condition › a state that the other begins with is STALE_USER',
    ],
  },
  'a generic error instead of StaleUserError': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        try {
          return await super.update(id, changes, condition);
        } catch (error) {
          throw error instanceof StaleUserError ? new Error('conflict') : error;
        }
      }
    },
    caughtBy: [
      'update, condition › another state is STALE_USER',
      'races › updates with the same condition: one wins, wholly',
    ],
    elsewhere: true,
  },
  'USER_NOT_FOUND where the condition fails': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        try {
          return await super.update(id, changes, condition);
        } catch (error) {
          throw error instanceof StaleUserError ? new UserNotFoundError({ id }) : error;
        }
      }
    },
    caughtBy: ['update, condition › another state is STALE_USER'],
    elsewhere: true,
  },
  'the present user where the condition fails': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        try {
          return await super.update(id, changes, condition);
        } catch (error) {
          if (error instanceof StaleUserError) return this.read(this.rowOf(id));
          throw error;
        }
      }
    },
    caughtBy: ['update, condition › another state is STALE_USER'],
    elsewhere: true,
  },
  'tags written although the condition fails': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const row = this.table.rows.get(id);
        if (row !== undefined && changes.tags !== undefined) row.tags = [...changes.tags];
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, condition › another state is STALE_USER',
      'update, refused › a taken email changes nothing at all',
    ],
    elsewhere: true,
  },
  'a condition held against a copy': {
    Repository: class extends TableRepository {
      readonly #states = new Map<string, string | null>();
      override read(user: User) {
        this.#states.set(user.id, user.syncState);
        return super.read(user);
      }
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        this.rowOf(id);
        if (condition !== undefined && this.#states.get(id) !== condition.ifSyncState)
          throw new StaleUserError({ id });
        return super.update(id, changes);
      }
    },
    caughtBy: [
      'update, condition › is held against what is stored now, by whichever process',
      'races › links of several users to one contact: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  // Several at once
  'a condition checked before writing': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const user = this.rowOf(id);
        if (condition !== undefined && !this.holds(user.syncState, condition.ifSyncState))
          throw new StaleUserError({ id });
        await this.moment();
        return super.update(id, changes);
      }
    },
    caughtBy: ['races › updates with the same condition: one wins, wholly'],
  },
  'meta loaded, merged and saved': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (changes.meta === undefined) return super.update(id, changes, condition);
        const before = this.rowOf(id).meta;
        await this.moment();
        const meta = this.merge(before, changes.meta);
        await super.update(id, { ...changes, meta: {} }, condition);
        const row = { ...this.rowOf(id), meta };
        this.table.rows.set(id, row);
        return this.read(row);
      }
    },
    caughtBy: ['races › updates of different keys of meta: all are kept'],
  },
  'the whole user loaded, changed and saved': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const user = this.rowOf(id);
        await this.moment();
        const now = this.rowOf(id);
        if (condition !== undefined && !this.holds(now.syncState, condition.ifSyncState))
          throw new StaleUserError({ id });
        return this.read(this.save(this.changed(user, changes)));
      }
    },
    caughtBy: [
      'races › updates of different keys of meta: all are kept',
      'races › updates of different properties: all are kept',
    ],
  },
  'tags deleted and added without a transaction': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const { tags, ...rest } = changes;
        const updated = await super.update(id, rest, condition);
        if (tags === undefined) return updated;
        this.rowOf(id).tags = [];
        for (const tag of tags) {
          await this.moment();
          const row = this.rowOf(id);
          if (!row.tags.includes(tag)) row.tags.push(tag);
        }
        return this.read(this.rowOf(id));
      }
    },
    caughtBy: ['races › updates of the same tags: those of one writer come out'],
  },
  'tags written after the condition was checked': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const { tags, ...rest } = changes;
        if (tags !== undefined && this.table.rows.has(id)) {
          const row = this.rowOf(id);
          if (condition !== undefined && !this.holds(row.syncState, condition.ifSyncState))
            throw new StaleUserError({ id });
          this.refuseDuplicates(this.changed(row, rest));
          await this.moment();
          this.table.rows.set(id, { ...this.rowOf(id), tags: [...tags] });
        }
        return super.update(id, rest, condition);
      }
    },
    caughtBy: [
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
      'races › updates with the same condition: one wins, wholly',
    ],
  },
  'retries without the condition': {
    Repository: class extends TableRepository {
      #underWay = 0;
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        this.#underWay += 1;
        try {
          await this.moment();
          return await super.update(id, changes, this.#underWay > 3 ? undefined : condition);
        } finally {
          this.#underWay -= 1;
        }
      }
    },
    caughtBy: ['races › updates with the same condition: one wins, wholly'],
  },
};
