// Queues that share a text among processes so that some of what was written is lost, or by clocks that differ.
import { MemoryWebhookQueue, type BrokenQueues, type MemoryWebhookQueueOptions } from '../memory-queue';

const CLOCK = 'shared texts › one clock for all, in milliseconds, that goes on';
const RACE = 'shared texts › changed by many at once: no change is lost';
const FIRST_RACE = 'shared texts › written for the first time by many at once: one of them is';
const REFUSAL = 'shared texts › nothing changes where something else is there by then';
const SAME = 'shared texts › the same text once more is written too';
const OWN = 'shared texts › each key and each name has its own';
const LETTERS = 'shared texts › up to 60,000 characters of every kind, to the letter';

/** A queue whose clock says something else. */
const withClock = (clockOf: (now: number, made: number) => number) => {
  let made = 0;
  return class extends MemoryWebhookQueue {
    readonly #made: number;
    constructor(options: MemoryWebhookQueueOptions) {
      super(options);
      this.#made = made++;
    }
    override async readShared(queue: string, key: string) {
      const { text, now } = await super.readShared(queue, key);
      return { text, now: clockOf(now, this.#made) };
    }
  };
};

export const sharing: BrokenQueues = {
  'shared texts that are undefined': {
    Queue: class extends MemoryWebhookQueue {
      override async readShared(queue: string, key: string) {
        const { text, now } = await super.readShared(queue, key);
        return { text: text ?? (undefined as unknown as null), now };
      }
    },
    caughtBy: ['shared texts › null where nothing was written'],
    elsewhere: true,
  },
  'a text without the time': {
    Queue: class extends MemoryWebhookQueue {
      override async readShared(queue: string, key: string) {
        return { text: (await super.readShared(queue, key)).text } as never;
      }
    },
    caughtBy: [CLOCK],
    elsewhere: true,
  },
  'written whatever is there': {
    Queue: class extends MemoryWebhookQueue {
      override isThere() {
        return true;
      }
    },
    caughtBy: [REFUSAL, SAME, FIRST_RACE],
    elsewhere: true,
  },
  'written where anything is there': {
    Queue: class extends MemoryWebhookQueue {
      override isThere(queue: string, key: string, expected: string | null) {
        return super.isThere(queue, key, null) === (expected === null);
      }
    },
    caughtBy: [REFUSAL, SAME, RACE],
  },
  'nothing expected means whatever is there': {
    Queue: class extends MemoryWebhookQueue {
      override isThere(queue: string, key: string, expected: string | null) {
        return expected === null || super.isThere(queue, key, expected);
      }
    },
    caughtBy: [REFUSAL, FIRST_RACE],
  },
  'never written for the first time': {
    Queue: class extends MemoryWebhookQueue {
      override isThere(queue: string, key: string, expected: string | null) {
        return expected !== null && super.isThere(queue, key, expected);
      }
    },
    caughtBy: ['shared texts › what was written is there for every process', FIRST_RACE],
    elsewhere: true,
  },
  'a shared text that is looked at and then written': {
    Queue: class extends MemoryWebhookQueue {
      override async writeShared(queue: string, key: string, expected: string | null, text: string) {
        if (!this.isThere(queue, key, expected)) return false;
        await this.moment();
        this.sharedTexts().set(this.sharedKey(queue, key), text);
        return true;
      }
    },
    caughtBy: [RACE, FIRST_RACE],
  },
  'only rows that become other ones are counted': {
    Queue: class extends MemoryWebhookQueue {
      override async writeShared(queue: string, key: string, expected: string | null, text: string) {
        return (await super.writeShared(queue, key, expected, text)) && text !== expected;
      }
    },
    caughtBy: [SAME],
  },
  'nobody is told whether it was written': {
    Queue: class extends MemoryWebhookQueue {
      override async writeShared(queue: string, key: string, expected: string | null, text: string) {
        await super.writeShared(queue, key, expected, text);
        return undefined as unknown as boolean;
      }
    },
    caughtBy: ['shared texts › what was written is there for every process', REFUSAL],
    elsewhere: true,
  },
  'texts compared without the case': {
    Queue: class extends MemoryWebhookQueue {
      override isThere(queue: string, key: string, expected: string | null) {
        const there = this.sharedTexts().get(this.sharedKey(queue, key)) ?? null;
        return there?.toLowerCase() === expected?.toLowerCase();
      }
    },
    caughtBy: [REFUSAL],
  },
  'texts compared without spaces at the end': {
    Queue: class extends MemoryWebhookQueue {
      override isThere(queue: string, key: string, expected: string | null) {
        const there = this.sharedTexts().get(this.sharedKey(queue, key)) ?? null;
        return there?.trimEnd() === expected?.trimEnd();
      }
    },
    caughtBy: [REFUSAL],
  },
  'shared texts in the memory of the process': {
    Queue: class extends MemoryWebhookQueue {
      readonly #texts = new Map<string, string>();
      override sharedTexts() {
        return this.#texts;
      }
    },
    caughtBy: ['shared texts › what was written is there for every process', FIRST_RACE],
    elsewhere: true,
  },
  'shared texts cut at 1,000 characters': {
    Queue: class extends MemoryWebhookQueue {
      override writeShared(queue: string, key: string, expected: string | null, text: string) {
        return super.writeShared(queue, key, expected, text.slice(0, 1000));
      }
    },
    caughtBy: [LETTERS],
  },
  'shared texts and positions in one place': {
    Queue: class extends MemoryWebhookQueue {
      override sharedTexts() {
        return this.store.positions;
      }
    },
    caughtBy: ['shared texts › positions under the same key are others'],
  },
  'one shared text for all keys': {
    Queue: class extends MemoryWebhookQueue {
      override sharedKey(queue: string) {
        return queue;
      }
    },
    caughtBy: [OWN],
    elsewhere: true,
  },
  'one shared text for all names': {
    Queue: class extends MemoryWebhookQueue {
      override sharedKey(_queue: string, key: string) {
        return key;
      }
    },
    caughtBy: [OWN],
    elsewhere: true,
  },
  'the case of keys of shared texts ignored': {
    Queue: class extends MemoryWebhookQueue {
      override sharedKey(queue: string, key: string) {
        return super.sharedKey(queue, key.toLowerCase());
      }
    },
    caughtBy: [OWN],
  },
  'the time in seconds': { Queue: withClock((now) => Math.floor(now / 1000)), caughtBy: [CLOCK] },
  'a clock in another time zone': { Queue: withClock((now) => now + 3_600_000), caughtBy: [CLOCK] },
  'each process by its own clock': { Queue: withClock((now, made) => now + made * 5000), caughtBy: [CLOCK] },
  'a clock that stands still': {
    Queue: withClock(() => Date.now() - (Date.now() % 300_000)),
    caughtBy: [CLOCK],
  },
};
