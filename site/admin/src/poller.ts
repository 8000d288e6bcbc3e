// Runs a task every few seconds while the page is visible, and less often while it fails.
import { type ApiProblem, asProblem, needsSignIn } from "./api.ts";

/** The longest back-off, milliseconds. */
const LONGEST_MS = 60_000;

/** The clock and the visibility of the page, as tests replace them. */
export interface Surroundings {
  setTimer: (run: () => void, ms: number) => number;
  clearTimer: (timer: number) => void;
  isVisible: () => boolean;
}

/** Returns the time until the next run, after so many failures in a row. */
export function delayAfter(failures: number, intervalMs: number, retryAfterSecs = 0): number {
  const backOff = Math.min(LONGEST_MS, intervalMs * 2 ** Math.min(failures, 10));
  return Math.max(backOff, retryAfterSecs * 1_000);
}

export class Poller {
  readonly #task: () => Promise<void>;
  readonly #intervalMs: number;
  readonly #surroundings: Surroundings;
  /** Called after each failure, with the time until the next run. `undefined`: there is none, the operator must act. */
  onFailure: (problem: ApiProblem, nextMs: number | undefined) => void = () => {};
  #timer: number | undefined;
  #failures = 0;
  /** Counts the starts and stops. The result of a run that began before the last one is not used. */
  #turn = 0;
  #isOn = false;

  constructor(task: () => Promise<void>, intervalMs: number, surroundings: Surroundings) {
    this.#task = task;
    this.#intervalMs = intervalMs;
    this.#surroundings = surroundings;
  }

  /** Runs the task now, and then again and again. */
  start(): void {
    this.stop();
    this.#isOn = true;
    void this.#run();
  }

  stop(): void {
    this.#isOn = false;
    this.#turn += 1;
    this.#clear();
  }

  /** Tells that the page was hidden or shown: a page that comes back is up to date at once. */
  visibilityChanged(): void {
    if (!this.#isOn) return;
    if (this.#surroundings.isVisible()) this.start();
    else this.#clear();
  }

  async #run(): Promise<void> {
    const turn = this.#turn;
    let next: number | undefined = this.#intervalMs;
    try {
      await this.#task();
      this.#failures = 0;
    } catch (thrown) {
      if (turn !== this.#turn) return;
      const problem = asProblem(thrown);
      this.#failures += 1;
      // The same request would be refused again.
      const isFinal = needsSignIn(problem) || problem.status === 403;
      next = isFinal ? undefined : delayAfter(this.#failures, this.#intervalMs, problem.retryAfterSecs);
      if (isFinal) this.stop();
      this.onFailure(problem, next);
    }
    if (next === undefined || turn !== this.#turn || !this.#surroundings.isVisible()) return;
    this.#timer = this.#surroundings.setTimer(() => void this.#run(), next);
  }

  #clear(): void {
    if (this.#timer !== undefined) this.#surroundings.clearTimer(this.#timer);
    this.#timer = undefined;
  }
}
