// Whatever a request holds, it is answered as documented, soon, and nothing is left of it.
import { theLibrary } from './library';
import { fuzzRequests } from './request-loop';
import { report, runsOf } from './settings';

test('hostile requests', async () => {
  report('hostile requests', await fuzzRequests(theLibrary(), runsOf(500, 0.4)));
}, 3_600_000);
