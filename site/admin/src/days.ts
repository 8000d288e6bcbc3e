// Values by day, for the charts. Pure.
import type { Value } from "./chart.ts";
import { dayText, lastDays } from "./text.ts";

/** The days of the charts. */
export const CHART_DAYS = 30;

/** Returns a value for each of the days: 0 for a day without a row. */
export function byDay(rows: readonly { day: string; value: number }[], today: string): Value[] {
  const sums = new Map<string, number>();
  for (const { day, value } of rows) sums.set(day, (sums.get(day) ?? 0) + value);
  return lastDays(today, CHART_DAYS).map((day) => ({ label: dayText(day), value: round(sums.get(day) ?? 0) }));
}

/** Six decimals, as credits have. A sum of floating-point numbers may have more. */
function round(value: number): number {
  return Number(value.toFixed(6));
}
