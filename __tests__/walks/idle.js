// A process that does nothing but reconcile every hour: it ends by itself once the first walk has ended.
const { MemoryUserRepository, wpFusionWebhook } = require('wp-fusion-webhook');

const crm = {
  getContacts: async () => new Map(),
  updateContact: async () => undefined,
  async *listContacts() {},
};
const webhook = wpFusionWebhook({
  accessKey: 'a key for this process alone',
  crm,
  users: new MemoryUserRepository(),
  logger: false,
});

(async () => {
  for await (const { finished } of webhook.reconcile({ all: true, everyMs: 3_600_000 })) {
    if (finished) process.stdout.write('walked');
  }
})();
