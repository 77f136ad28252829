// The site of a configuration file, for as long as a command lasts: its middleware, without any server.
import { INSIDE, type Inside } from '../inside';
import { codeOf, ConfigurationError } from '../errors';
import type { Logger } from '../logger';
import { wpFusionWebhook, type WpFusionWebhook } from '../middleware';
import type { Configuration, WpFusionWebhookOptions } from '../options';
import { describeError, redact, type Secrets } from '../redact';
import type { Call } from './command';
import { ConfigurationFile } from './configuration-file';
import { CommandError, UsageError } from './failures';
import type { Terminal } from './terminal';

/** A site as commands see it. */
export interface Site {
  readonly file: ConfigurationFile;
  readonly webhook: WpFusionWebhook;
  readonly configuration: Configuration;
  /** What was thrown, in words without secrets. */
  readonly describe: (error: unknown) => string;
}

/**
 * Opens the site, does the work and closes it again, whatever comes of it. `worker` says whether this process works the queue off
 * meanwhile, where there is one.
 */
export async function withSite(
  call: Call,
  { worker }: { readonly worker: boolean },
  work: (site: Site) => Promise<number>,
): Promise<number> {
  const { terminal } = call;
  const file = await ConfigurationFile.load(call.text('config'), process.cwd());
  let site: Site | undefined;
  try {
    const options = await file.options();
    site = open(file, {
      ...options,
      worker,
      logger: call.has('verbose') ? loggerOn(terminal) : false,
    });
    return await work(site);
  } catch (error) {
    if (site === undefined || error instanceof UsageError || error instanceof CommandError) throw error;
    // What the site does not have, a queue for instance, or what it was not allowed to be asked for.
    const isWrongUsage = ['INVALID_OPTION', 'INVALID_REQUEST'].includes(codeOf(error) ?? '');
    throw new (isWrongUsage ? UsageError : CommandError)(site.describe(error), { cause: error });
  } finally {
    await site?.webhook.close();
    await file.close().catch((error: unknown) => {
      terminal.tell(`${file.name}: close() failed: ${site?.describe(error) ?? 'it threw.'}`);
    });
  }
}

function open(file: ConfigurationFile, options: WpFusionWebhookOptions): Site {
  let webhook;
  try {
    webhook = wpFusionWebhook(options);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const path = error.option === 'options' ? '' : 'options.';
    throw new UsageError(`${file.name}: ${path}${error.message}`, { cause: error });
  }
  const { configuration, secrets } = (webhook as unknown as Readonly<Record<typeof INSIDE, Inside>>)[INSIDE];
  return { file, webhook, configuration, describe: (error) => described(error, secrets) };
}

/** An error and what is behind it, in one line. */
function described(error: unknown, secrets: Secrets): string {
  const { message, code, cause } = describeError(error, secrets);
  // Node's own for several addresses that nobody listens at has no message.
  const told = message === '' ? (code ?? 'It failed without saying why.') : message;
  return redact(cause === undefined || cause.message === '' ? told : `${told} (${cause.message})`, secrets);
}

/** A log on stderr, whatever the site logs to: stdout is for data. */
function loggerOn(terminal: Terminal): Logger {
  const line =
    (level: keyof Logger): Logger['error'] =>
    (details, message) =>
      terminal.tell(`${level}: ${message} ${JSON.stringify(details)}`);
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}
