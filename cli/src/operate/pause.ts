// Work on a deployment while no create is sent to the vendor: the reset of an object then loses nothing.
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, messageOf } from "../failure.ts";
import { printable, Progress } from "../terminal.ts";
import { type AdminApi, Refusal } from "./admin.ts";
import { LIMITS, type Limits } from "./limits.ts";

/**
 * Runs `work` in a pause of all creates, once nothing is being sent. Ends the pause afterwards, also after a failure and
 * after Ctrl+C. If this process dies, the pause ends by itself.
 *
 * An interrupt waits for `work`: an update of the objects must not come after the pause. A terminal interrupts wrangler
 * too, so it ends at once. A second interrupt ends this process.
 */
export async function whilePaused<T>(admin: AdminApi, work: (signal: AbortSignal) => Promise<T>, limits: Limits = LIMITS): Promise<T> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new Failure("Interrupted. What was done is not undone: `valetkey status` says what is deployed, and the command may be repeated."));
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, onInterrupt);
  try {
    const lease = await Pause.start(admin, limits);
    try {
      await untilNothingIsSent(admin, interrupt.signal, limits);
      return await work(interrupt.signal);
    } catch (thrown) {
      // The interrupt is the cause, and the failures after it say less.
      throw interrupt.signal.aborted ? interrupt.signal.reason : thrown;
    } finally {
      await lease.end();
    }
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, onInterrupt);
  }
}

/** A pause that is renewed until it is ended. */
class Pause {
  readonly #admin: AdminApi;
  readonly #limits: Limits;
  #id: string;
  #timer: NodeJS.Timeout;
  /** The renewal that is on its way. */
  #renewal: Promise<void> = Promise.resolve();

  static async start(admin: AdminApi, limits: Limits): Promise<Pause> {
    return new Pause(admin, limits, (await admin.pause(limits.pauseSecs)).id);
  }

  private constructor(admin: AdminApi, limits: Limits, id: string) {
    this.#admin = admin;
    this.#limits = limits;
    this.#id = id;
    this.#timer = setInterval(() => (this.#renewal = this.#renew()), limits.renewEveryMs);
  }

  /** A renewal that fails is tried again with the next one, several times before the pause would end. */
  async #renew(): Promise<void> {
    try {
      await this.#admin.pause(this.#limits.pauseSecs, this.#id);
    } catch (thrown) {
      if (!(thrown instanceof Refusal && thrown.status === 404)) return;
      // It has ended, so creates are sent again: a new one keeps it short.
      this.#id = await this.#admin.pause(this.#limits.pauseSecs).then(({ id }) => id, () => this.#id);
    }
  }

  /** Ends the pause. Never throws: it ends by itself too. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewal;
    for (let left = this.#limits.resumeTries; left > 0; left -= 1) {
      try {
        return await this.#admin.resume(this.#id);
      } catch (thrown) {
        // The Dispatcher may be starting.
        if (left === 1) console.error(printable(`The pause ${this.#id} could not be ended: it ends by itself within ${this.#limits.pauseSecs} s (${messageOf(thrown)})`));
        else await sleep(this.#limits.pollEveryMs);
      }
    }
  }
}

async function untilNothingIsSent(admin: AdminApi, signal: AbortSignal, limits: Limits): Promise<void> {
  const progress = new Progress("Paused; waiting until nothing is being sent");
  const until = Date.now() + limits.idleWaitMs;
  try {
    for (;;) {
      const { submitting } = await admin.state();
      signal.throwIfAborted();
      if (submitting === 0) return;
      if (Date.now() >= until) {
        throw new Failure(`After ${limits.idleWaitMs / 1_000} s ${submitting} creates are still being sent: nothing was changed. Look for an alert, and repeat the command.`);
      }
      await sleep(limits.pollEveryMs, undefined, { signal });
    }
  } finally {
    progress.end();
  }
}
