/**
 * Waiting webhooks in Redis, on BullMQ.
 *
 * @module wp-fusion-webhook/bullmq
 */
// What the subpath `wp-fusion-webhook/bullmq` exports, nothing else.
export { BullMqWebhookQueue } from './webhook-queue';
export type { BullMqTelemetry, BullMqWebhookQueueOptions, RedisClient, RedisOptions } from './options';
