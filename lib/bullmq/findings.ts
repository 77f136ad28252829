// What keeps a Redis from keeping webhooks safely, in words: one that forgets, one that may evict, one that is too old.
import type { IRedisClient } from 'bullmq';
import type { QueueFinding } from '../queue/queue';

const error = (message: string): QueueFinding => ({ severity: 'error', message });
const warning = (message: string): QueueFinding => ({ severity: 'warning', message });

/** The oldest Redis with all that the scripts use. */
const MIN_VERSION = [6, 2] as const;

/** Everything there is to say. Empty: all is well. */
export async function findingsOf(client: IRedisClient): Promise<QueueFinding[]> {
  const facts = factsOf(await client.info());
  return [...ofServer(facts), ...ofMemory(facts), ...(await ofDisk(client, facts))];
}

function ofServer(facts: ReadonlyMap<string, string>): QueueFinding[] {
  const findings: QueueFinding[] = [];
  const version = facts.get('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version !== '' && (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1]))) {
    findings.push(error(`This is Redis ${version}; ${MIN_VERSION.join('.')} is needed.`));
  }
  if (facts.get('role') === 'slave') {
    findings.push(error('This Redis is a replica, which takes no writes. Connect to its master.'));
  }
  return findings;
}

function ofMemory(facts: ReadonlyMap<string, string>): QueueFinding[] {
  const policy = facts.get('maxmemory_policy');
  if (policy === undefined || policy === 'noeviction') return [];
  return [
    warning(
      `Redis may throw webhooks away when its memory is full: maxmemory-policy is ${policy}. Set it to noeviction; then webhooks are refused instead, and sent again.`,
    ),
  ];
}

async function ofDisk(client: IRedisClient, facts: ReadonlyMap<string, string>): Promise<QueueFinding[]> {
  const appendOnly = facts.get('aof_enabled');
  if (appendOnly === undefined) return [];
  if (appendOnly === '1') {
    const when = await settingOf(client, 'appendfsync');
    if (when !== 'no') return [];
    return [
      warning(
        'Redis leaves it to the system when webhooks reach the disk (appendfsync is no): a power cut loses the last half minute. Set it to everysec or always.',
      ),
    ];
  }
  const save = await settingOf(client, 'save');
  const losing =
    save === ''
      ? 'writes nothing to a disk (appendonly is no, save is empty): all webhooks are lost when it ends'
      : 'writes to the disk only now and then (appendonly is no): the webhooks of the last minutes are lost when it ends without warning';
  return [warning(`Redis ${losing}. Set appendonly to yes.`)];
}

/** A setting, where it may be asked for: managed servers often refuse. */
async function settingOf(client: IRedisClient, name: string): Promise<string | undefined> {
  const { config } = client as unknown as { config?: (...words: string[]) => Promise<unknown> };
  try {
    const reply = await config?.('GET', name);
    return Array.isArray(reply) ? String(reply[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** What INFO says, by name. */
function factsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
}
