// Durations in words. Pure.

/** Formats the time until a retry: `in 1 second`, `in 40 seconds`, `in about 3 minutes`, `in about 2 hours`. */
export function inTime(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole === 1) return "in 1 second";
  if (whole < 100) return `in ${whole} seconds`;
  const minutes = Math.round(whole / 60);
  return minutes < 100 ? `in about ${minutes} minutes` : `in about ${Math.round(minutes / 60)} hours`;
}

/**
 * Formats an ETA: `about 40 s`, `about 3 min`. Above 15 s it counts in steps of five seconds, so that it changes less
 * often.
 */
export function about(seconds: number): string {
  if (seconds >= 100) return `about ${Math.round(seconds / 60)} min`;
  const whole = Math.ceil(seconds);
  return `about ${whole > 15 ? Math.ceil(whole / 5) * 5 : Math.max(1, whole)} s`;
}

/** Formats an elapsed time: `0:07`, `12:30`. */
export function clock(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
