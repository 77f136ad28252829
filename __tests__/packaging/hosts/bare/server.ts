// A TypeScript site without the types of Express: the package's own types need nothing but those of Node.
import { createServer, type ServerResponse } from 'node:http';
import {
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type WebhookRequest,
  type WpFusionWebhook,
} from 'wp-fusion-webhook';
import { OntraportSandbox } from 'wp-fusion-webhook/testing';

const webhook: WpFusionWebhook = wpFusionWebhook({
  accessKey: process.env.WPF_ACCESS_KEY,
  crm: new OntraportClient({
    appId: process.env.ONTRAPORT_APP_ID,
    apiKey: process.env.ONTRAPORT_API_KEY,
    baseUrl: process.env.ONTRAPORT_BASE_URL,
  }),
  users: new MemoryUserRepository(),
});

/** Any framework whose requests are Node's. */
export function serve(request: WebhookRequest, response: ServerResponse): void {
  webhook(request, response, (error) => {
    response.statusCode = error === undefined ? 404 : 500;
    response.end();
  });
}

export const server = createServer(serve);
export const startAccount = (): Promise<OntraportSandbox> => OntraportSandbox.start({ seed: true });
