// Finds, loads and checks the site's configuration file. Whatever is wrong with it is told with its name and the property's.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { WpFusionWebhookOptions } from '../options';
import { suggestion } from '../unknown-options';
import { PROGRAM } from './command';
import { UsageError } from './failures';
import type { WpFusionConfig } from './wp-fusion-config';

const NAMES = ['js', 'mjs', 'cjs'].map((extension) => `${PROGRAM}.config.${extension}`);
const PROPERTIES = ['options', 'url', 'close'];

/** A site's configuration file, loaded. */
export class ConfigurationFile {
  /** How the file is called in messages. */
  readonly name: string;
  readonly #config: WpFusionConfig;

  private constructor(name: string, config: WpFusionConfig) {
    this.name = name;
    this.#config = config;
  }

  /** Loads the file with this name, or the one in this folder. */
  static async load(given: string | undefined, folder: string): Promise<ConfigurationFile> {
    const file = given === undefined ? findIn(folder) : path.resolve(folder, given);
    if (given !== undefined && !existsSync(file)) throw new UsageError(`There is no file ${given}.`);
    const name = path.relative(folder, file);
    let module: unknown;
    try {
      module = await import(pathToFileURL(file).href);
    } catch (error) {
      throw new UsageError(`${name}${placeOf(error, file)}: it could not be loaded: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return new ConfigurationFile(name, checked(name, exportOf(module)));
  }

  /** What the site gives the middleware. */
  async options(): Promise<WpFusionWebhookOptions> {
    const { options } = this.#config;
    let given: unknown = options;
    try {
      if (typeof options === 'function') given = await options();
    } catch (error) {
      throw new UsageError(`${this.name}: options: the function threw: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (isObject(given)) return given as unknown as WpFusionWebhookOptions;
    const what = typeof options === 'function' ? 'the function must give an object' : 'must be an object';
    throw new UsageError(`${this.name}: options: ${what}: what wpFusionWebhook() takes.`);
  }

  /** The address of the site's webhook, where the file has one. */
  get url(): string | undefined {
    return this.#config.url;
  }

  /** Releases what the file has opened. */
  async close(): Promise<void> {
    await this.#config.close?.();
  }
}

function findIn(folder: string): string {
  const found = NAMES.map((name) => path.join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new UsageError(
    `There is no ${NAMES[0] ?? ''} (nor .mjs, .cjs) in this folder. Write one, or name it with --config FILE; docs/command-line.md shows it.`,
  );
}

/** The default export of a module, of whatever kind it is; or all of its exports where it has none. */
function exportOf(module: unknown): unknown {
  const outer = isObject(module) && 'default' in module ? module.default : module;
  // What a compiler has made CommonJS of.
  return isObject(outer) && outer.__esModule === true && 'default' in outer ? outer.default : outer;
}

function checked(name: string, config: unknown): WpFusionConfig {
  const refuse = (message: string): never => {
    throw new UsageError(`${name}: ${message}`);
  };
  if (!isObject(config)) return refuse('it must export an object { options, url, close }.');
  for (const property of Object.keys(config)) {
    if (PROPERTIES.includes(property) || property === '__esModule') continue;
    const meant = suggestion(property, PROPERTIES);
    refuse(
      `${property}: is no property of it${meant === '' ? `. There are: ${PROPERTIES.join(', ')}.` : meant}`,
    );
  }
  const { options, url, close } = config;
  if (options === undefined)
    refuse('options: is missing: what wpFusionWebhook() takes, or a function that gives it.');
  if (url !== undefined && !isWebAddress(url)) {
    refuse('url: must be the address of the site’s webhook: "https://www.example.com/".');
  }
  if (close !== undefined && typeof close !== 'function') refuse('close: must be a function.');
  return config as unknown as WpFusionConfig;
}

/** Whether a value is an address of the web, without a user and a password in it. */
export function isWebAddress(value: unknown): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Where in the file a mistake in its syntax is. Only the line's number: the line itself may hold a key. */
function placeOf(error: unknown, file: string): string {
  const [first = ''] = (error instanceof Error ? (error.stack ?? '') : '').split('\n');
  const [, line] = /:(\d+)$/.exec(first) ?? [];
  return line !== undefined && first.includes(path.basename(file)) ? `:${line}` : '';
}
