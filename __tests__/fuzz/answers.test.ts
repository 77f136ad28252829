// Whatever a CRM answers, a webhook ends as documented: no user that no database stores, no markup, no mail to anybody else.
import { availableDatabases } from '../knex/databases';
import { fuzzAnswers } from './answer-loop';
import { databaseStorage } from './database-storage';
import { theLibrary } from './library';
import { IS_LONG, report, runsOf } from './settings';

test('hostile answers of the CRM', async () => {
  report('hostile answers', await fuzzAnswers(theLibrary(), runsOf(60, 0.25)));
}, 3_600_000);

const databases = availableDatabases(...(IS_LONG ? [] : (['SQLite'] as const)));
test.each(databases)(
  'hostile answers of the CRM, users and queue in %s',
  async (name) => {
    const storage = await databaseStorage(name);
    try {
      const fuzzing = runsOf(5, 0.25 / databases.length);
      report(`hostile answers, ${name}`, await fuzzAnswers(theLibrary(), fuzzing, storage));
    } finally {
      await storage.close();
    }
  },
  3_600_000,
);
