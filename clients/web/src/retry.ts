// Decides whether and when a failed request is retried. Pure except for `sleep` and `deadline`.
import type { ValetkeyError } from "./errors.ts";

/** Exponential back-off: delay after the first failure, and the longest delay. */
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;
/**
 * Random share added to a `Retry-After`, so that clients refused at the same time do not all return at the same time.
 */
const RETRY_AFTER_SPREAD = 0.2;

/** Returns the delay after the `tries`-th failure in a row, in ms. `tries` starts at 1; `random` is in [0, 1). */
export function backoffMs(tries: number, random: number, retryAfterSecs = 0): number {
  const exponential = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - 1)) * (0.5 + random / 2);
  return Math.max(exponential, retryAfterSecs * 1000 * (1 + RETRY_AFTER_SPREAD * random));
}

/**
 * Returns true if the client should retry the request without asking the app. `isRepeatable` means that sending the
 * request twice does no harm. A `Retry-After` above `longestWaitSecs` is left to the app, which should tell the user.
 */
export function mayRepeat(error: ValetkeyError, isRepeatable: boolean, longestWaitSecs: number): boolean {
  const { advice, code, jobId, retryAfterSecs = 0, status = 0 } = error;
  if (retryAfterSecs > longestWaitSecs) return false;
  if (advice === "wait") return true;
  // The failed create has left a prediction. `create` reads that prediction instead of retrying.
  if (advice !== "repeat" || !isRepeatable || jobId !== undefined) return false;
  // An unreadable 4xx such as a 403 or 404 means a wrong base URL. A retry would not help.
  return code !== "unreadable_answer" || status < 300 || status === 429 || status >= 500;
}

/**
 * Returns the error that an aborted call rejects with. React Native's signals have no `reason`, so it gets an
 * AbortError.
 */
export function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? Object.assign(new Error("The call was aborted."), { name: "AbortError" });
}

/**
 * Resolves after `ms`. Rejects with the signal's reason if the signal aborts. With `wakesOnline` it resolves early when
 * the browser comes back online.
 */
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

/** A time limit combined with the caller's abort signal. */
export interface Deadline {
  /** Aborts when the time limit expires or the caller's signal aborts. */
  signal: AbortSignal;
  /** Returns true if the time limit expired. False if the caller's signal aborted first. */
  isOver(): boolean;
  /** Restarts the timer with `ms`. Without `ms` it stops the timer. */
  restart(ms?: number): void;
  /** Settles as `promise` does, or rejects when `signal` aborts first. */
  race<T>(promise: Promise<T>): Promise<T>;
  /**
   * Stops the timer, removes the listener from the caller's signal, and aborts `signal`, which closes a connection
   * still open.
   */
  end(): void;
}

/**
 * Starts a deadline of `ms`. Written by hand because React Native and older versions of Safari lack `AbortSignal.any`.
 */
export function deadline(ms: number, caller: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => controller.signal.addEventListener("abort", reject));
  // Without this, a deadline that nobody races would cause an unhandled rejection.
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
