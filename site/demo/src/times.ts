// Durations and dates in words. Pure.

/** `in 1 second`, `in 40 seconds`, `in about 3 minutes`, `in about 2 hours`. */
export function inTime(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole === 1) return "in 1 second";
  if (whole < 100) return `in ${whole} seconds`;
  const minutes = Math.round(whole / 60);
  return minutes < 100 ? `in about ${minutes} minutes` : `in about ${Math.round(minutes / 60)} hours`;
}

/** `about 40 s`, `about 3 min`: in steps of five seconds far away, so that it counts down calmly. */
export function about(seconds: number): string {
  if (seconds >= 100) return `about ${Math.round(seconds / 60)} min`;
  const whole = Math.ceil(seconds);
  return `about ${whole > 15 ? Math.ceil(whole / 5) * 5 : Math.max(1, whole)} s`;
}

/** `0:07`, `12:30`. */
export function clock(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
