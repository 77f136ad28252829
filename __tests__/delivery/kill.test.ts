// A site is killed at every named step of the code and at other moments, on every database: no accepted webhook is lost, doubled
// or overtaken.
import { availableDatabases } from '../knex/databases';
import { killTest, tableOf } from './kill-test';
import { say, SEED, SIZE, TIMEOUT_MS } from './size';

test.each(availableDatabases())(
  '%s: every accepted webhook has its effect once, wherever the site dies',
  async (database) => {
    const result = await killTest({ database, seed: SEED, ...SIZE.kill });
    say(`${database}, DELIVERY_SEED=${SEED}\n${tableOf(result)}`);
    expect(result.wrong).toBe('');
    expect(result.missedSteps).toEqual([]);
    expect(result.accepted).toBe(SIZE.kill.webhooks);
    expect(result.deaths.filter(({ at }) => at === undefined)).toEqual([]);
  },
  TIMEOUT_MS,
);
