// An Ontraport account: the sandbox, which answers as late as it is told, with contacts that nobody has read yet.
const { OntraportSandbox } = require('../../dist/testing');
const { now, serve } = require('../processes');

/** The account of who does not measure the limit. */
const NO_LIMIT = { limit: 1e9, windowMs: 60_000 };

let sandbox;

serve({
  async begin({ contacts }) {
    sandbox = await OntraportSandbox.start({ rateLimit: NO_LIMIT });
    const passwordField = sandbox.addField({ name: 'Website password', type: 'text' });
    const contactIds = Array.from({ length: contacts }, (_, index) =>
      sandbox.addContact({
        firstname: `First${index}`,
        lastname: `Last${index}`,
        email: `person${index}@example.com`,
        tags: ['Customer', index % 2 === 0 ? 'Even' : 'Odd'],
      }),
    );
    const { appId, apiKey, baseUrl } = sandbox;
    return { appId, apiKey, baseUrl, passwordField, contactIds };
  },
  /** Every contact gets a tag more: the next webhook finds a change. */
  tagAll(name) {
    for (const { id } of sandbox.contacts()) sandbox.tag(String(id), name);
  },
  /** From now on answers take so long, so many calls are let in, and what was called before is forgotten. */
  become({ latencyMs, rateLimit = NO_LIMIT }) {
    sandbox.latency(latencyMs);
    sandbox.setRateLimit(rateLimit);
    sandbox.clearCalls();
  },
  seen() {
    const of = (method, path) => sandbox.callCount({ method, path });
    return {
      contactReads: of('GET', '/Contacts') + of('GET', '/Contact'),
      otherReads: of('GET', '/Tags') + of('GET', '/Contacts/meta'),
      writes: of('PUT', '/Contacts'),
      refused: sandbox.rejectedCalls,
      peakInWindow: sandbox.peakCallsInWindow,
    };
  },
  /** When so many passwords were written. */
  async written(count) {
    await sandbox.waitForCalls({ method: 'PUT', path: '/Contacts' }, count);
    return now();
  },
  end: () => sandbox.close(),
});
