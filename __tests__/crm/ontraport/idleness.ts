// How long budget lay there before it was used, from the times at which calls arrived at the CRM.

/**
 * For each call the milliseconds for which it could have come earlier: from when fewer calls than the share were in the last
 * window, but not before the call before it.
 */
export function idleness({
  arrivals,
  windowMs,
  share,
}: {
  readonly arrivals: readonly number[];
  readonly windowMs: number;
  readonly share: number;
}): number[] {
  const sorted = [...arrivals].sort((one, other) => one - other);
  return sorted.slice(1).map((at, index) => {
    const before = sorted.slice(0, index + 1);
    // There is room when the share-th call before this one has left the window.
    const leaving = before.at(-share);
    const last = before.at(-1)!;
    const roomSince = leaving === undefined ? last : Math.max(last, leaving + windowMs);
    return Math.max(0, at - roomSince);
  });
}
