// BullMQ itself, loaded when the first queue is made: nobody who does not use it has to have it.
import type * as bullMq from 'bullmq';
import { ConfigurationError } from '../errors';

/** What the package `bullmq` exports. */
export type BullMq = typeof bullMq;

/** Loads BullMQ. Throws ConfigurationError where it is not installed, or is too old. */
export function loadBullMq(): BullMq {
  let loaded: BullMq;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loaded = require('bullmq') as BullMq;
  } catch (error) {
    const isMissing = (error as { code?: unknown } | null)?.code === 'MODULE_NOT_FOUND';
    throw new ConfigurationError(
      'connection',
      isMissing
        ? 'needs the package bullmq, which is not installed: npm install bullmq ioredis.'
        : 'needs the package bullmq, which cannot be loaded.',
    );
  }
  if (typeof (loaded as Partial<BullMq>).createRedisBackend !== 'function') {
    throw new ConfigurationError(
      'connection',
      'needs BullMQ 6: the one that is installed is older. npm install bullmq@6 ioredis.',
    );
  }
  return loaded;
}
