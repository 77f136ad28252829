// sandbox: an Ontraport account on this machine, to try a site with.
import { JSON_OPTION, type Command } from '../command';
import { CommandError, EXIT } from '../failures';
import { Interruption } from '../interruption';

export const sandbox: Command = {
  name: 'sandbox',
  synopsis: '[--port N]',
  summary:
    'Starts a make-believe Ontraport account on this machine, with a few contacts and tags, until Ctrl-C.',
  options: {
    port: { argument: 'N', description: 'default: a free one' },
    ...JSON_OPTION,
  },
  run: async (call) => {
    const { terminal } = call;
    const port = call.wholeNumber('port', { least: 0, most: 65_535 }) ?? 0;
    const interruption = new Interruption(() => undefined);
    const interrupted = new Promise<void>((resolve) =>
      interruption.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    // Only whoever wants a sandbox loads it.
    const { OntraportSandbox } = await import('../../testing/ontraport-sandbox.js');
    const account = await OntraportSandbox.start({ port }).catch((error: unknown) => {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      throw isTaken ? new CommandError(`The port ${port} is taken; give another one.`) : error;
    });
    try {
      account.addField({ key: 'f1555', alias: 'Username' });
      account.addField({ key: 'f1556', alias: 'Password' });
      const people = [
        { firstname: 'Mary', lastname: 'Smith', email: 'mary@example.com', tags: ['Customer', 'Newsletter'] },
        { firstname: 'John', lastname: 'Jones', email: 'john@example.com', tags: ['Customer'] },
        { firstname: 'Ann', lastname: 'Brown', email: 'ann@example.com', tags: ['Newsletter'] },
      ];
      const contacts = people.map((person) => ({ id: account.addContact(person), ...person }));
      const { baseUrl, appId, apiKey } = account;
      if (call.has('json')) terminal.printJson({ baseUrl, appId, apiKey, contacts });
      else
        for (const [name, value] of Object.entries({ baseUrl, appId, apiKey }))
          terminal.print(`${name}=${value}`);
      terminal.tell('Point the site at it:');
      terminal.tell(
        `  new OntraportClient({ appId: '${appId}', apiKey: '${apiKey}', baseUrl: '${baseUrl}' })`,
      );
      terminal.tell(`Fields f1555 (Username) and f1556 (Password); contacts:`);
      for (const { id, email, tags } of contacts) terminal.tell(`  ${id}  ${email}  ${tags.join(', ')}`);
      terminal.tell('Ctrl-C ends it; nothing of it is kept.');
      await interrupted;
      return interruption.exitCode ?? EXIT.done;
    } finally {
      await account.close();
    }
  },
};
