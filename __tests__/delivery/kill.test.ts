// A site is killed at every named step of the code and at other moments, on every store: no accepted webhook is lost, doubled
// or overtaken.
import { killTest, tableOf } from './kill-test';
import { say, SEED, SIZE, TIMEOUT_MS } from './size';
import { storesOfEveryChange } from './stores';

test.each(storesOfEveryChange())(
  '%s: every accepted webhook has its effect once, wherever the site dies',
  async (database) => {
    const size = database === 'Redis' ? SIZE.killOnRedis : SIZE.kill;
    const result = await killTest({ database, seed: SEED, ...size });
    say(`${database}, DELIVERY_SEED=${SEED}\n${tableOf(result)}`);
    expect(result.wrong).toBe('');
    expect(result.missedSteps).toEqual([]);
    expect(result.accepted).toBe(size.webhooks);
    expect(result.serverDeaths).toHaveLength(size.serverDeaths);
    expect(result.deaths.filter(({ at }) => at === undefined)).toEqual([]);
  },
  TIMEOUT_MS,
);
