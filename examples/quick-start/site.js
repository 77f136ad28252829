// An Express site that was there before, and the webhooks of Ontraport.
const express = require('express');
const { MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');

const users = new MemoryUserRepository(); // yours: one for your database

const webhook = wpFusionWebhook({
  accessKey: process.env.WPF_ACCESS_KEY,
  crm: new OntraportClient({
    appId: process.env.ONTRAPORT_APP_ID,
    apiKey: process.env.ONTRAPORT_API_KEY,
    baseUrl: process.env.ONTRAPORT_BASE_URL, // only for trying it with a sandbox
  }),
  users,
});

const app = express();
app.use(express.json());
app.use(webhook);
app.get('/', (_request, response) => response.send(`This site has ${users.all().length} users.`));

const server = app.listen(Number(process.env.PORT ?? 3000), (error) => {
  if (error) throw error;
  console.log(`http://localhost:${server.address().port}/`);
});
process.once('SIGTERM', async () => {
  server.close();
  await webhook.close();
});
