// keygen: a new access key.
import { randomBytes } from 'node:crypto';
import type { Command } from '../command';
import { EXIT } from '../failures';

const KEY_BYTES = 32;

export const keygen: Command = {
  name: 'keygen',
  synopsis: '',
  summary: 'Prints a new access key: 32 random bytes, as 43 characters that can stand in a URL.',
  options: {},
  run: ({ terminal }) => {
    terminal.print(randomBytes(KEY_BYTES).toString('base64url'));
    terminal.tell(
      'Keep it where the site keeps its secrets, for instance as WPF_ACCESS_KEY in its environment:',
    );
    terminal.tell('  accessKey: process.env.WPF_ACCESS_KEY');
    terminal.tell('To change a key, let the site know both until no rule in the CRM has the old one:');
    terminal.tell('  accessKey: [process.env.WPF_ACCESS_KEY, process.env.WPF_OLD_KEY]');
    return Promise.resolve(EXIT.done);
  },
};
