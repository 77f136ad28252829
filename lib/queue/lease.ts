// How long a worker may be silent: one option, the same for every queue of ours.
import { ConfigurationError } from '../errors';

const DEFAULT_LEASE_MS = 30_000;
const MIN_LEASE_MS = 100;
const MAX_LEASE_MS = 3_600_000;

/** The option `leaseMs`, or its default. Throws ConfigurationError for what cannot be one. */
export function leaseOf(leaseMs: unknown = DEFAULT_LEASE_MS): number {
  if (Number.isInteger(leaseMs) && Number(leaseMs) >= MIN_LEASE_MS && Number(leaseMs) <= MAX_LEASE_MS) {
    return Number(leaseMs);
  }
  throw new ConfigurationError(
    'leaseMs',
    `must be a whole number of milliseconds from ${MIN_LEASE_MS} to ${MAX_LEASE_MS}, not ${String(leaseMs)}.`,
  );
}
