// OpenTelemetry's API, where the site has it: nobody who does not use it has to install it. Without an SDK that the site sets up it
// does nothing.
import type * as openTelemetry from '@opentelemetry/api';

/** What the package `@opentelemetry/api` exports; `undefined` where it is not installed. */
export const api = load();

/** By which the site's SDK knows whose spans and metrics these are. */
export const SCOPE = 'wp-fusion-webhook';

/** The version of this package. */
export const VERSION = version();

function load(): typeof openTelemetry | undefined {
  try {
    // Bundlers know a `require` within `try`: they leave it as it is where the package is not installed.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require('@opentelemetry/api') as typeof openTelemetry;
  } catch {
    return undefined;
  }
}

function version(): string {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('../../package.json') as { version: string }).version;
}
