// userRepositoryContract: what every user repository has to do, as tests that its author runs on the real storage.
import { conditions } from './contracts/users/conditions';
import { creating } from './contracts/users/creating';
import { finding } from './contracts/users/finding';
import { settingsOf } from './contracts/users/settings';
import type { UserRepositoryContractOptions } from './contracts/users/settings';
import { racing } from './contracts/users/racing';
import { rehearsing } from './contracts/users/rehearsing';
import { stageFor } from './contracts/users/stage';
import { updating } from './contracts/users/updating';
import { Suite } from './contracts/runner';

/**
 * Tests a `UserRepository` against everything that the middleware relies on: what is stored, what is found and what is not,
 * unique values, conditions, and writers at the same time. `MemoryUserRepository` is the reference. Every test opens a scene of
 * its own; the storage is read past the adapter, so that one that only says it wrote is found out. It needs no test runner of
 * its own, and no clock.
 *
 * Run it on the database that you use in production, with two repositories over different connections: a race within one process
 * shows little of what two processes do to each other.
 *
 * @example
 * const { describe, it } = require('node:test');
 * const { userRepositoryContract } = require('wp-fusion-webhook/testing');
 *
 * userRepositoryContract({
 *   runner: { describe, it },
 *   name: 'members',
 *   open: async () => {
 *     await pool.query('DELETE FROM members');
 *     return {
 *       users: new MemberRepository(pool),
 *       other: new MemberRepository(otherPool),
 *       stored: async (id) => (await pool.query(ROW_AS_USER, [id])).rows[0] ?? null,
 *       count: async () => Number((await pool.query('SELECT count(*) FROM members')).rows[0].count),
 *     };
 *   },
 *   capabilities: { roles: ['subscriber', 'customer', 'member'] },
 * });
 */
export function userRepositoryContract(options: UserRepositoryContractOptions): void {
  const settings = settingsOf(options);
  const suite = new Suite(options.runner, stageFor(options, settings));
  suite.group(options.name ?? 'UserRepository contract', () => {
    finding(suite, settings);
    creating(suite, settings);
    updating(suite, settings);
    conditions(suite, settings);
    racing(suite, settings);
    rehearsing(suite, settings);
  });
}
