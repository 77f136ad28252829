// Loaded into a host's program before all else: writes down what Node warns of, and from where.
const { appendFileSync } = require('node:fs');

process.on('warning', ({ name, code, stack }) => {
  appendFileSync(process.env.WARNINGS, `${JSON.stringify({ name, code, stack })}\n`);
});
