// When a failed request is repeated, and how long is waited before. Pure but for `sleep`.
import type { ValetkeyError } from "./errors.ts";

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;
/** Added to a Retry-After, so that those who were sent away together do not come back together. */
const RETRY_AFTER_SPREAD = 0.2;

/** `delay` of the `tries`-th failure in a row, in ms. `random` is in [0, 1). */
export function backoffMs(tries: number, random: number, retryAfterSecs = 0): number {
  const exponential = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - 1)) * (0.5 + random / 2);
  return Math.max(exponential, retryAfterSecs * 1000 * (1 + RETRY_AFTER_SPREAD * random));
}

/**
 * Whether to send the same request again by ourselves. `isRepeatable`: to send it twice does no harm. A `Retry-After` above
 * `longestWaitSecs` is the app's: a person has to be told.
 */
export function mayRepeat(error: ValetkeyError, isRepeatable: boolean, longestWaitSecs: number): boolean {
  const { advice, code, jobId, retryAfterSecs = 0, status = 0 } = error;
  if (retryAfterSecs > longestWaitSecs) return false;
  if (advice === "wait") return true;
  // A create that failed behind our API has left a prediction, which is followed instead.
  if (advice !== "repeat" || !isRepeatable || jobId !== undefined) return false;
  // An unreadable 404 or 403 is a wrong address, and stays one.
  return code !== "unreadable_answer" || status < 300 || status === 429 || status >= 500;
}

/** What an aborted call rejects with. React Native's signals have no `reason`. */
export function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? Object.assign(new Error("The call was aborted."), { name: "AbortError" });
}

/** Waits; rejects with the signal's reason. With `wakesOnline` it ends early when a browser is back online. */
export function sleep(ms: number, signal: AbortSignal | undefined, wakesOnline = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const page: Partial<EventTarget> | undefined = wakesOnline ? globalThis : undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      page?.removeEventListener?.("online", end);
      if (signal?.aborted) reject(reasonOf(signal));
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    page?.addEventListener?.("online", end);
    if (signal?.aborted) end();
  });
}

export interface Deadline {
  signal: AbortSignal;
  /** Whether the time was over, and not the caller's signal. */
  isOver(): boolean;
  /** Starts the time anew; without a time it stops. */
  restart(ms?: number): void;
  /** What `promise` gives, unless time is over first. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** Lets go of what `signal` holds: a connection that is still read ends. */
  end(): void;
}

/** A signal that fires with the caller's or when time is over. `AbortSignal.any` is missing in React Native and older Safaris. */
export function deadline(ms: number, caller: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => controller.signal.addEventListener("abort", reject));
  // Not everybody races.
  over.catch(() => {});
  const stop = (): void => controller.abort(caller?.reason);
  const restart = (ms?: number): void => {
    clearTimeout(timer);
    if (ms === undefined) return;
    timer = setTimeout(() => {
      isOver = true;
      controller.abort();
    }, ms);
  };
  restart(ms);
  caller?.addEventListener("abort", stop);
  if (caller?.aborted) stop();
  return {
    signal: controller.signal,
    isOver: () => isOver,
    restart,
    race: (promise) => Promise.race([promise, over]),
    end: () => {
      clearTimeout(timer);
      caller?.removeEventListener("abort", stop);
      controller.abort();
    },
  };
}
