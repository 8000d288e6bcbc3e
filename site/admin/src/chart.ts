// The geometry of the charts. Pure. Charts are drawn in a box of 100 by 100, which CSS stretches.

/** Returns the top of the scale: 1, 2 or 5 times a power of ten, and no less than any value. */
export function top(values: readonly number[]): number {
  const highest = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(highest));
  return ([1, 2, 5].find((step) => step * power >= highest) ?? 10) * power;
}

export interface Sample {
  /** Milliseconds. */
  at: number;
  value: number;
}

/** Returns the points of a line in the time from `from` to `to`, for `<polyline>`. The value holds until the next sample. */
export function steps(samples: readonly Sample[], from: number, to: number, highest: number): string {
  const x = (at: number): string => ((100 * (at - from)) / Math.max(1, to - from)).toFixed(2);
  const y = ({ value }: Sample): string => (100 - (100 * value) / highest).toFixed(2);
  return samples
    .flatMap((sample, index) => {
      const before = samples[index - 1];
      const point = `${x(sample.at)},${y(sample)}`;
      return before === undefined ? [point] : [`${x(sample.at)},${y(before)}`, point];
    })
    .join(" ");
}
