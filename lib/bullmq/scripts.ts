// What Redis does in one step, as scripts. docs/scaling.md tells how it is laid out.
//
// A contact's inbox is a list of the ids of its webhooks; its lane is a hash: the lease (`token`, `until`, and `holder`, the wake-up
// that it was taken for), when the first of its webhooks is due (`due`), and the wake-up that is sure to come (`wake`).
//
// What keeps a contact from being forgotten: a lane that has webhooks names, as `wake` or `holder`, a wake-up that exists in BullMQ
// (waiting, delayed or active), or the next wake-up that comes takes that place.

/** Begins every script. `KEYS[1]` is the beginning of the names of all keys, which share a slot in a cluster. */
const COMMON = `
local base = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function inbox(contact) return base .. 'inbox:' .. contact end
local function lane(contact) return base .. 'lane:' .. contact end
-- Puts a webhook at the end of its contact's inbox, due now; received: when it was put first.
local function enter(contact, id, received)
  redis.call('RPUSH', inbox(contact), id)
  redis.call('HSET', base .. 'due', id, now)
  redis.call('ZADD', base .. 'waiting', received, id)
  local held = redis.call('HGET', lane(contact), 'until')
  if not (held and tonumber(held) > now) then
    redis.call('HSET', lane(contact), 'due', now)
    redis.call('ZADD', base .. 'lanes', now, contact)
  end
end
-- Takes a dead letter out; gives its contact, when it was put, and the failed job that shows it where it was the last one there.
local function exhume(id)
  if redis.call('ZREM', base .. 'dead', id) == 0 then return nil end
  local story = {}
  for _, name in ipairs({'contact', 'put', 'shown'}) do
    story[name] = redis.call('HGET', base .. name, id)
    redis.call('HDEL', base .. name, id)
  end
  redis.call('SREM', base .. 'letters:' .. story.shown, id)
  local isLast = redis.call('EXISTS', base .. 'letters:' .. story.shown) == 0
  return story.contact, story.put, isLast and story.shown or ''
end
`;

/** Stores a webhook. ARGV: contact, job, id of its wake-up, name of the key that numbers webhooks. Gives its id. */
const put = `
local contact, job, wake = ARGV[1], ARGV[2], ARGV[3]
local id = redis.call('INCR', ARGV[4])
redis.call('HSET', base .. 'job', id, job)
enter(contact, id, now)
redis.call('HSET', lane(contact), 'wake', wake)
return tostring(id)
`;

/**
 * Takes a contact for a wake-up that has come. ARGV: contact, wake-up, token, lease in ms, beginning of the names of BullMQ's jobs,
 * whether somebody has asked for a failed wake-up to be tried again.
 *
 * Gives `taken` with id, job and whether it is due, of each webhook; `drop` where the wake-up is not needed; `wait` with the
 * milliseconds after which it has to come again; `dead` where it has yet to show dead letters.
 */
const claim = `
local contact, wakeup, token, lease, jobs, again = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local letters = redis.call('SMEMBERS', base .. 'letters:' .. wakeup)
if #letters > 0 then
  if again ~= '1' then return {'dead'} end
  table.sort(letters, function(one, other) return tonumber(one) < tonumber(other) end)
  for _, id in ipairs(letters) do
    local _, received = exhume(id)
    if received then enter(contact, id, received) end
  end
end
local ids = redis.call('LRANGE', inbox(contact), 0, -1)
if #ids == 0 then
  redis.call('DEL', lane(contact))
  redis.call('ZREM', base .. 'lanes', contact)
  redis.call('ZREM', base .. 'leases', contact)
  return {'drop'}
end
local state = redis.call('HMGET', lane(contact), 'until', 'holder', 'due', 'wake')
local held, holder, due, wake = tonumber(state[1] or 0), state[2], tonumber(state[3] or 0), state[4]
local function exists(id) return id and redis.call('EXISTS', jobs .. id) == 1 end
if held > now then
  -- Its worker sees to what is left; if it dies, its own wake-up comes back.
  if holder ~= wakeup and exists(holder) then
    redis.call('HSET', lane(contact), 'wake', holder)
    return {'drop'}
  end
  redis.call('HSET', lane(contact), 'wake', wakeup)
  return {'wait', held - now}
end
if held == 0 and due > now then
  if wake ~= wakeup and exists(wake) then return {'drop'} end
  redis.call('HSET', lane(contact), 'wake', wakeup)
  return {'wait', due - now}
end
redis.call('HSET', lane(contact), 'token', token, 'until', now + lease, 'holder', wakeup, 'wake', wakeup)
redis.call('ZADD', base .. 'lanes', now + lease, contact)
redis.call('ZADD', base .. 'leases', now + lease, contact)
local taken = {'taken'}
for _, id in ipairs(ids) do
  local isDue = tonumber(redis.call('HGET', base .. 'due', id)) <= now
  taken[#taken + 1] = id
  taken[#taken + 1] = redis.call('HGET', base .. 'job', id)
  taken[#taken + 1] = isDue and 1 or 0
end
return taken
`;

/** Makes a lease last. ARGV: lease in ms, then contact and token of each. Gives the wake-up that each was taken for, or ''. */
const renew = `
local lease = tonumber(ARGV[1])
local holders = {}
for index = 2, #ARGV, 2 do
  local contact, token = ARGV[index], ARGV[index + 1]
  local state = redis.call('HMGET', lane(contact), 'token', 'holder')
  if state[1] == token then
    redis.call('HSET', lane(contact), 'until', now + lease)
    redis.call('ZADD', base .. 'lanes', now + lease, contact)
    redis.call('ZADD', base .. 'leases', now + lease, contact)
    holders[#holders + 1] = state[2]
  else
    holders[#holders + 1] = ''
  end
end
return holders
`;

/**
 * Ends the work on a contact. ARGV: contact, token, how long results are kept in ms, id of a wake-up to come where the present one will
 * show dead letters; then id, kind, delay in ms, job and result of each verdict.
 *
 * Gives nothing where the lease is not held any more; else the wake-up that the contact was taken for, how many webhooks died, and the
 * milliseconds until the next is due, or -1 where none is left.
 */
const finish = `
local contact, token, kept, other = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HMGET', lane(contact), 'token', 'holder')
if state[1] ~= token then return {} end
local holder, died = state[2], 0
redis.call('ZREM', base .. 'leases', contact)
for index = 5, #ARGV, 5 do
  local id, kind, delay, job, result = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4]
  if kind == 'later' then
    if redis.call('LPOS', inbox(contact), id) then
      redis.call('HSET', base .. 'due', id, now + delay)
      redis.call('HSET', base .. 'job', id, job)
    end
  elseif redis.call('LREM', inbox(contact), 1, id) > 0 then
    local received = redis.call('ZSCORE', base .. 'waiting', id)
    redis.call('HDEL', base .. 'due', id)
    redis.call('ZREM', base .. 'waiting', id)
    if kind == 'dead' then
      redis.call('HSET', base .. 'put', id, received)
      redis.call('HSET', base .. 'job', id, job)
      redis.call('HSET', base .. 'contact', id, contact)
      redis.call('HSET', base .. 'shown', id, holder)
      redis.call('SADD', base .. 'letters:' .. holder, id)
      redis.call('ZADD', base .. 'dead', id, id)
      died = died + 1
    else
      redis.call('HDEL', base .. 'job', id)
      if result ~= '' then redis.call('SET', base .. 'result:' .. id, result, 'PX', kept) end
    end
  end
end
local first
for _, id in ipairs(redis.call('LRANGE', inbox(contact), 0, -1)) do
  local due = tonumber(redis.call('HGET', base .. 'due', id))
  if not first or due < first then first = due end
end
if not first then
  redis.call('DEL', lane(contact))
  redis.call('ZREM', base .. 'lanes', contact)
  return {holder, died, -1}
end
redis.call('HDEL', lane(contact), 'token', 'until', 'holder')
redis.call('HSET', lane(contact), 'due', first, 'wake', died > 0 and other or holder)
redis.call('ZADD', base .. 'lanes', first, contact)
return {holder, died, math.max(0, first - now)}
`;

/** Dead letters. ARGV: how many, the id behind which to begin. Gives id, contact and job of each. */
const letters = `
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'dead', '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[1])) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', base .. 'contact', id)
  found[#found + 1] = redis.call('HGET', base .. 'job', id)
end
return found
`;

/** The dead letters that a wake-up has to show. ARGV: wake-up. Gives the same. */
const shown = `
local found = {}
for _, id in ipairs(redis.call('SMEMBERS', base .. 'letters:' .. ARGV[1])) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', base .. 'contact', id)
  found[#found + 1] = redis.call('HGET', base .. 'job', id)
end
return found
`;

/** The contacts of dead letters, or '' where there is none. ARGV: ids. */
const contacts = `
local found = {}
for _, id in ipairs(ARGV) do found[#found + 1] = redis.call('HGET', base .. 'contact', id) or '' end
return found
`;

/** Makes dead letters webhooks again. ARGV: ids. Gives how many there were, then the failed jobs that have none to show any more. */
const replay = `
local result = {0}
for _, id in ipairs(ARGV) do
  local contact, received, shown = exhume(id)
  if contact then
    enter(contact, id, received)
    result[1] = result[1] + 1
    if shown ~= '' then result[#result + 1] = shown end
  end
end
return result
`;

/** Deletes dead letters. ARGV: ids. Gives the same. */
const purge = `
local result = {0}
for _, id in ipairs(ARGV) do
  local contact, _, shown = exhume(id)
  if contact then
    redis.call('HDEL', base .. 'job', id)
    result[1] = result[1] + 1
    if shown ~= '' then result[#result + 1] = shown end
  end
end
return result
`;

/** Gives how many webhooks wait, how many are dead, and when the oldest waiting one was put, or ''. */
const counts = `
local oldest = redis.call('ZRANGE', base .. 'waiting', 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', base .. 'waiting'), redis.call('ZCARD', base .. 'dead'), oldest[2] or ''}
`;

/** What became of webhooks. ARGV: ids. Gives kind (`done`, `dead` or '') and its text for each. */
const settled = `
local found = {}
for _, id in ipairs(ARGV) do
  local result = redis.call('GET', base .. 'result:' .. id)
  local isDead = not result and redis.call('ZSCORE', base .. 'dead', id)
  found[#found + 1] = result and 'done' or isDead and 'dead' or ''
  found[#found + 1] = result or isDead and redis.call('HGET', base .. 'job', id) or ''
end
return found
`;

/** Contacts whose leases have run out. */
const expired = `
return redis.call('ZRANGEBYSCORE', base .. 'leases', '-inf', now, 'LIMIT', 0, 500)
`;

/**
 * Contacts whose time came long ago and whose wake-up is gone: somebody has emptied BullMQ's queue. ARGV: how long ago in ms, beginning
 * of the names of BullMQ's jobs.
 */
const forgotten = `
local found = {}
for _, contact in ipairs(redis.call('ZRANGEBYSCORE', base .. 'lanes', '-inf', now - ARGV[1], 'LIMIT', 0, 500)) do
  local state = redis.call('HMGET', lane(contact), 'wake', 'holder')
  local isSure = false
  for index = 1, 2 do
    if state[index] and redis.call('EXISTS', ARGV[2] .. state[index]) == 1 then isSure = true end
  end
  if not isSure then found[#found + 1] = contact end
end
return found
`;

/** Says which wake-up will come for a contact. ARGV: contact, wake-up. */
const wake = `
if redis.call('EXISTS', lane(ARGV[1])) == 1 then redis.call('HSET', lane(ARGV[1]), 'wake', ARGV[2]) end
local lease = redis.call('ZSCORE', base .. 'leases', ARGV[1])
if lease and tonumber(lease) <= now then redis.call('ZREM', base .. 'leases', ARGV[1]) end
return 1
`;

/** A text under a key. ARGV: hash, key. Gives the text or nothing, and the time. */
const read = `
return {redis.call('HGET', base .. ARGV[1], ARGV[2]), now}
`;

/** Changes a text under a key. ARGV: hash, key, kind (`set`, `delete`, `expect`, `expect none`), the text, the one expected. Gives whether it did. */
const write = `
local hash, key, kind, text, expected = base .. ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if kind == 'delete' then
  redis.call('HDEL', hash, key)
  return 1
end
local present = redis.call('HGET', hash, key)
if kind == 'expect' and present ~= expected then return 0 end
if kind == 'expect none' and present then return 0 end
redis.call('HSET', hash, key, text)
return 1
`;

const BODIES = {
  put,
  claim,
  renew,
  finish,
  letters,
  shown,
  contacts,
  replay,
  purge,
  counts,
  settled,
  expired,
  forgotten,
  wake,
  read,
  write,
};

/** The name of a script. */
export type ScriptName = keyof typeof BODIES;

/** Every script, whole, by its name. */
export const SCRIPTS: ReadonlyMap<string, string> = new Map(
  Object.entries(BODIES).map(([name, body]) => [name, `${COMMON}${body}`]),
);
