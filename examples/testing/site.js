// A site with a rule of its own: whoever has the tag "Member" takes part in the courses.
const express = require('express');
const { wpFusionWebhook } = require('wp-fusion-webhook');

/** Makes the site. What it depends on is handed in, so that a test can hand in something else. */
function createSite({ crm, users, accessKey, logger }) {
  const courses = new Set();

  const webhook = wpFusionWebhook({
    accessKey,
    crm,
    users,
    fields: { company: 'company' },
    returnPassword: { field: 'f1556' },
    logger,
    hooks: {
      afterCreate({ user }) {
        if (user.tags.includes('Member')) courses.add(user.id);
      },
      beforeTagsChange({ user, added, removed }) {
        if (added.includes('Member')) courses.add(user.id);
        if (removed.includes('Member')) courses.delete(user.id);
      },
    },
  });

  const app = express();
  app.use(webhook);
  app.get('/courses/members', (_request, response) => {
    response.json([...courses]);
  });
  return { app, webhook };
}

module.exports = { createSite };
