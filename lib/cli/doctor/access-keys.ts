// Whether the access keys can be guessed.
import type { Site } from '../site';
import { inWords, ok, warning, type Check } from './check';

const LEAST_LENGTH = 16;
/** 16 random hex digits rarely have fewer. */
const LEAST_DIFFERENT = 8;

export function checkAccessKeys({ configuration }: Site): readonly Check[] {
  const weak = configuration.accessKeys.flatMap(({ key, name }): Check[] => {
    const isRepetitive = new Set(key).size < LEAST_DIFFERENT;
    if (key.length >= LEAST_LENGTH && !isRepetitive) return [];
    const why = key.length < LEAST_LENGTH ? `has ${key.length} characters` : 'has few different characters';
    return [
      warning(
        'access keys',
        `${JSON.stringify(name)} ${why} and could be guessed; keygen makes a better one`,
      ),
    ];
  });
  if (weak.length > 0) return weak;
  return [ok('access keys', inWords(configuration.accessKeys.length, 'key'))];
}
