// What the subpath `wp-fusion-webhook/bullmq` exports, nothing else.
export { BullMqWebhookQueue, type BullMqWebhookQueueOptions } from './webhook-queue';
