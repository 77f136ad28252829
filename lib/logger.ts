// What the package logs to, and the two loggers it brings.

/**
 * A logger as pino and console have it: an object with the details first, the message second. The details of an error log hold
 * `code` and, for an error that is not ours, `cause`: its name, message and stack with our own secrets taken out.
 *
 * @example
 * const logger: Logger = {
 *   debug: () => undefined,
 *   info: (details, message) => console.info(message, details),
 *   warn: (details, message) => console.warn(message, details),
 *   error: (details, message) => console.error(message, details),
 * };
 */
export interface Logger {
  /** What goes on, for whoever looks for a fault. */
  debug(details: object, message: string): void;
  /** What was done. */
  info(details: object, message: string): void;
  /** What works, but not as it should. */
  warn(details: object, message: string): void;
  /** What failed. */
  error(details: object, message: string): void;
}

const ignore = (): void => undefined;

/** Logs nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A logger of the host that throws loses a line, and nothing else. */
export function guardLogger(logger: Logger): Logger {
  const guarded =
    (level: keyof Logger): Logger['error'] =>
    (details, message) => {
      try {
        logger[level](details, message);
      } catch {
        // There is nobody left to tell.
      }
    };
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') };
}

/* eslint-disable no-console -- this is the one place that writes to it */
/** Warnings and errors to the console, message first. */
export const consoleLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: (details, message) => console.warn(`wp-fusion-webhook: ${message}`, details),
  error: (details, message) => console.error(`wp-fusion-webhook: ${message}`, details),
};
