// What the client's requests tell beside their answers: how the network is, and the request ids of good answers.
import type { Fetch } from "../../../clients/web/src/index.ts";

export type Network =
  | { kind: "fine" }
  | { kind: "offline" }
  /** Online by the browser's word, and yet no answer: the client tries again. */
  | { kind: "unreachable" }
  /** Refused for now: the client tries again after so long. */
  | { kind: "busy"; retryAfterSecs: number };

const JOB_PATH = /\/v1\/predictions\/(pred_[0-9a-z]+)/;

export class Connection {
  #network: Network = { kind: navigator.onLine ? "fine" : "offline" };
  #requestIds = new Map<string, string>();
  /** Called when `network` is another one. */
  onChange: () => void = () => {};

  constructor() {
    addEventListener("offline", () => this.#set({ kind: "offline" }));
    addEventListener("online", () => this.#set({ kind: "fine" }));
  }

  get network(): Network {
    return this.#network;
  }

  /** The last request that told about this prediction. */
  requestId(jobId: string): string | undefined {
    return this.#requestIds.get(jobId);
  }

  /** For new work: what earlier requests met is no news. */
  reset(): void {
    this.#network = { kind: navigator.onLine ? "fine" : "offline" };
  }

  readonly fetch: Fetch = async (url, init) => {
    // The gallery looks by itself, and has its own line for errors.
    const isWork = init.method === "POST" || JOB_PATH.test(url);
    let answer: Response;
    try {
      answer = await fetch(url, init);
    } catch (thrown) {
      if (isWork && !init.signal?.aborted) this.#set({ kind: navigator.onLine ? "unreachable" : "offline" });
      throw thrown;
    }
    const retryAfterSecs = Number(answer.headers.get("retry-after"));
    if (isWork) this.#set(!answer.ok && retryAfterSecs > 0 ? { kind: "busy", retryAfterSecs } : { kind: "fine" });
    const jobId = JOB_PATH.exec(url)?.[1];
    const requestId = answer.headers.get("x-request-id");
    if (jobId !== undefined && requestId !== null) this.#requestIds.set(jobId, requestId);
    return answer;
  };

  #set(network: Network): void {
    const isSame = network.kind === this.#network.kind && network.kind !== "busy";
    this.#network = network;
    if (!isSame) this.onChange();
  }
}

/** Resolves when the browser is online; rejects with the signal's reason. */
export function backOnline(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted || navigator.onLine) {
      if (signal.aborted) reject(signal.reason);
      else resolve();
      return;
    }
    addEventListener("online", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
