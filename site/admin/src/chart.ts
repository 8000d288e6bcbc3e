// The geometry of the charts. Pure. Charts are drawn in a box of 100 by 100, which CSS stretches.

export interface Value {
  label: string;
  value: number;
}

export interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The part of a bar's room that stays empty. */
const GAP = 0.2;

/** Returns the top of the scale: 1, 2 or 5 times a power of ten, and no less than any value. */
export function top(values: readonly number[]): number {
  const highest = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(highest));
  return ([1, 2, 5].find((step) => step * power >= highest) ?? 10) * power;
}

export function bars(values: readonly Value[]): Bar[] {
  const scale = 100 / top(values.map(({ value }) => value));
  const room = 100 / values.length;
  return values.map(({ value }, index) => {
    const height = value * scale;
    return { x: (index + GAP / 2) * room, y: 100 - height, width: room * (1 - GAP), height };
  });
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
