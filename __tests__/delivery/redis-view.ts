// A look into Redis, past the queue that is kept there.
import { Redis } from 'ioredis';
import { seenJob, type SeenJob, type StoreView } from './stores';

/** What each look begins with: every queue is found by its keys, whatever the host has named it. */
const COMMON = `
local function bases()
  local found, seen = {}, {}
  for _, key in ipairs(redis.call('KEYS', '*.inboxes:*')) do
    local base = string.match(key, '^.-%.inboxes:')
    if not seen[base] then found[#found + 1] = base end
    seen[base] = true
  end
  return found
end
local function named(base, kind)
  local found = {}
  local start = #base + #kind + 1
  for _, key in ipairs(redis.call('KEYS', base .. kind .. '*')) do found[#found + 1] = string.sub(key, start) end
  return found
end
`;

/** Gives contact, job and state of every webhook. */
const JOBS = `${COMMON}
local found = {}
local function add(contact, job, state)
  found[#found + 1] = contact
  found[#found + 1] = job
  found[#found + 1] = state
end
for _, base in ipairs(bases()) do
  for _, contact in ipairs(named(base, 'inbox:')) do
    for _, id in ipairs(redis.call('LRANGE', base .. 'inbox:' .. contact, 0, -1)) do
      add(contact, redis.call('HGET', base .. 'job', id), 'waiting')
    end
  end
  for _, id in ipairs(redis.call('ZRANGE', base .. 'dead', 0, -1)) do
    add(redis.call('HGET', base .. 'contact', id), redis.call('HGET', base .. 'job', id), 'dead')
  end
end
return found
`;

const WAITING = `${COMMON}
local count = 0
for _, base in ipairs(bases()) do count = count + redis.call('ZCARD', base .. 'waiting') end
return count
`;

/** Gives the contacts of which anything is kept; one may be named more than once. */
const LANES = `${COMMON}
local found = {}
for _, base in ipairs(bases()) do
  for _, kind in ipairs({'inbox:', 'lane:'}) do
    for _, contact in ipairs(named(base, kind)) do found[#found + 1] = contact end
  end
  for _, kind in ipairs({'lanes', 'leases'}) do
    for _, contact in ipairs(redis.call('ZRANGE', base .. kind, 0, -1)) do found[#found + 1] = contact end
  end
end
return found
`;

/**
 * ARGV: how much earlier, in ms, then contacts. Their webhooks are due earlier, and so are the wake-ups that BullMQ holds back: it
 * orders them by time and a running number of 12 bits.
 */
const MAKE_DUE = `${COMMON}
local earlier = tonumber(ARGV[1])
for _, base in ipairs(bases()) do
  local isMeant = {}
  for index = 2, #ARGV do
    local contact = ARGV[index]
    local lane = base .. 'lane:' .. contact
    isMeant[contact] = true
    for _, id in ipairs(redis.call('LRANGE', base .. 'inbox:' .. contact, 0, -1)) do
      redis.call('HINCRBY', base .. 'due', id, -earlier)
    end
    if redis.call('EXISTS', lane) == 1 and redis.call('HEXISTS', lane, 'token') == 0 then
      redis.call('HINCRBY', lane, 'due', -earlier)
      redis.call('ZADD', base .. 'lanes', redis.call('HGET', lane, 'due'), contact)
    end
  end
  local queue = string.gsub(base, '%.inboxes:$', ':')
  for _, wake in ipairs(redis.call('ZRANGE', queue .. 'delayed', 0, -1)) do
    if isMeant[cjson.decode(redis.call('HGET', queue .. wake, 'data')).contactId] then
      redis.call('ZINCRBY', queue .. 'delayed', -earlier * 4096, wake)
    end
  end
end
return 1
`;

/** Keys that stay: counters, what BullMQ keeps for a queue, results for whoever waits for one, what has nothing to do with webhooks. */
const STAYS = /(\.ids|:(id|meta|events|marker|stalled|stalled-check)|\.inboxes:(position|shared|result:.*))$/;

const DAY_MS = 24 * 60 * 60_000;

/** The keys of `BullMqWebhookQueue`, on a server that has nothing else. A server that is away is waited for. */
export class RedisView implements StoreView {
  readonly #redis: Redis;

  constructor(address: { readonly host: string; readonly port: number }) {
    this.#redis = new Redis({ ...address, maxRetriesPerRequest: null, retryStrategy: () => 50 });
    this.#redis.on('error', () => undefined);
  }

  async jobs(): Promise<SeenJob[]> {
    const found = (await this.#redis.eval(JOBS, 0)) as string[];
    const jobs: SeenJob[] = [];
    for (let index = 0; index < found.length; index += 3) {
      jobs.push(seenJob(found[index]!, found[index + 1]!, found[index + 2] === 'dead'));
    }
    return jobs;
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#redis.eval(WAITING, 0)) === 0;
  }

  async lanes(): Promise<string[]> {
    return [...new Set((await this.#redis.eval(LANES, 0)) as string[])];
  }

  async leftovers(): Promise<string[]> {
    return (await this.#redis.keys('*')).filter((key) => !STAYS.test(key));
  }

  async makeDue(contactIds: readonly string[]): Promise<void> {
    await this.#redis.eval(MAKE_DUE, 0, DAY_MS, ...contactIds);
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}
