// Another process over the same Redis: a queue whose methods are called from outside.
const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');

const queue = new BullMqWebhookQueue(JSON.parse(process.env.WPF_TEST_CHILD));

process.on('message', async ({ id, method, parameters }) => {
  try {
    process.send({ id, value: await queue[method](...parameters) });
  } catch (error) {
    process.send({ id, error: { ...error, message: error.message, code: error.code } });
  }
});
