// When to look again: pure arithmetic.

/** Failed looks in a row after which this page gives up; with the delays below, about a minute and a half. */
export const MAX_FAILED_LOOKS = 10;

const LONGEST_DELAY_MS = 15_000;
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Age of the prediction, and the delay from then on. A plan allows 60 requests a minute, which a look a second would use up. */
const STEPS: readonly (readonly [ageMs: number, delayMs: number])[] = [
  [60_000, 4_000],
  [15_000, 2_000],
  [0, 1_000],
];

/**
 * The delay before the next look, milliseconds: a second at first, less often with age, doubled with every failed look
 * in a row, and never before the API's own `Retry-After`.
 */
export function nextDelayMs(ageMs: number, failures: number, retryAfterSecs?: number): number {
  const byAge = STEPS.find(([from]) => ageMs >= from)?.[1] ?? 1_000;
  const backedOff = Math.min(byAge * 2 ** failures, LONGEST_DELAY_MS);
  const asked = Math.min((retryAfterSecs ?? 0) * 1_000, LONGEST_RETRY_AFTER_MS);
  return Math.max(backedOff, asked);
}
