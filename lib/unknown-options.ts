// Finds misspelt options, and says which name was meant.
import { closest, distance } from 'fastest-levenshtein';
import { ConfigurationError } from './errors';

/** Throws for the first name that is none of the known ones. `prefix` is the path to the options, with its dot. */
export function refuseUnknownOptions(given: object, known: readonly string[], prefix = ''): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const meant = suggestion(name, known);
    throw new ConfigurationError(
      `${prefix}${name}`,
      meant === '' ? `is no option. There are: ${known.join(', ')}.` : `is no option${meant}`,
    );
  }
}

/** `; did you mean "update"?`, where a known name is near, else nothing. */
export function suggestion(name: string, known: readonly string[]): string {
  const nearest = closest(name.toLowerCase(), [...known]);
  const isNear = distance(name.toLowerCase(), nearest.toLowerCase()) <= Math.max(2, name.length / 3);
  return isNear ? `; did you mean ${JSON.stringify(nearest)}?` : '';
}
