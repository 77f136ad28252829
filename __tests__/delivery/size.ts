// How much the tests of delivery do: enough for every change, or as much as it takes to believe in them.
import { randomInt } from 'node:crypto';

/** `DELIVERY_SIZE=whole` runs them in the size of a release. */
export const isWhole = process.env.DELIVERY_SIZE === 'whole';

export const SIZE = isWhole
  ? {
      kill: { webhooks: 1000, contacts: 600, kills: 10, serverDeaths: 0 },
      killOnRedis: { webhooks: 2500, contacts: 1200, kills: 40, serverDeaths: 30 },
      trouble: { webhooks: 400, contacts: 200 },
      burst: 5000,
      budget: { webhooks: 2000, windowMs: 10_000 },
    }
  : {
      kill: { webhooks: 120, contacts: 70, kills: 3, serverDeaths: 0 },
      killOnRedis: { webhooks: 300, contacts: 150, kills: 3, serverDeaths: 2 },
      trouble: { webhooks: 90, contacts: 40 },
      burst: 500,
      budget: { webhooks: 300, windowMs: 4000 },
    };

/** Every run is another one; `DELIVERY_SEED` repeats one that failed, as far as processes can be repeated. */
export const SEED = Number(process.env.DELIVERY_SEED ?? randomInt(1_000_000));

export const TIMEOUT_MS = isWhole ? 30 * 60_000 : 3 * 60_000;

/** Says something to whoever reads the output of a test, passed or not. */
export const say = (text: string): void => void process.stdout.write(`${text}\n`);
