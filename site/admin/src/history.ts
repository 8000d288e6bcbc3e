// The numbers of the last minutes, for the live chart. Pure.
import type { Sample } from "./chart.ts";

/** How far back the chart goes, milliseconds. */
const WINDOW_MS = 600_000;

export class History {
  #samples: Sample[] = [];

  /** Adds a sample. Those before the window go, but for the last of them: its value holds at the window's start. */
  add(sample: Sample): Sample[] {
    const start = sample.at - WINDOW_MS;
    const inside = this.#samples.filter(({ at }) => at > start && at < sample.at);
    const before = this.#samples.findLast(({ at }) => at <= start);
    this.#samples = [...(before === undefined ? [] : [{ at: start, value: before.value }]), ...inside, sample];
    return this.#samples;
  }

  clear(): void {
    this.#samples = [];
  }
}
