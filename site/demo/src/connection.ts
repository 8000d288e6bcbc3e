// Observes the client's requests: the state of the network, and the request ids of responses about predictions.
import type { Fetch } from "../../../clients/web/src/index.ts";
import type { SentRequest } from "./curl.ts";

export type Network =
  | { kind: "fine" }
  | { kind: "offline" }
  /** The browser reports that it is online, but there is no response. The client retries. */
  | { kind: "unreachable" }
  /** The API refused a request for now. The client retries after this many seconds. */
  | { kind: "busy"; retryAfterSecs: number };

const CREATE_PATH = /\/v1\/[^/]+\/[^/]+\/predictions$/;
const JOB_PATH = /\/v1\/predictions\/(pred_[0-9a-z]+)/;

export class Connection {
  #network: Network = { kind: navigator.onLine ? "fine" : "offline" };
  #requestIds = new Map<string, string>();
  /** Called when `network` has changed. */
  onChange: () => void = () => {};
  /** Called with each create before it is sent. */
  onCreate: (request: SentRequest) => void = () => {};

  constructor() {
    addEventListener("offline", () => this.#set({ kind: "offline" }));
    addEventListener("online", () => this.#set({ kind: "fine" }));
  }

  get network(): Network {
    return this.#network;
  }

  /** Returns the id of the last request about this prediction. */
  requestId(jobId: string): string | undefined {
    return this.#requestIds.get(jobId);
  }

  /** Resets the state before a new prediction, so that failures of earlier requests are not shown for it. */
  reset(): void {
    this.#network = { kind: navigator.onLine ? "fine" : "offline" };
  }

  /** `fetch` for the client. It records the network state and request ids. */
  readonly fetch: Fetch = async (url, init) => {
    // The gallery's list requests do not change the network state: it polls in the background and shows its own errors.
    const isWork = init.method === "POST" || JOB_PATH.test(url);
    if (init.method === "POST" && CREATE_PATH.test(url)) this.onCreate(sentRequest(url, init));
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

function sentRequest(url: string, { method = "GET", headers, body }: RequestInit): SentRequest {
  return { method, url: new URL(url, location.href).href, headers: Object.fromEntries(new Headers(headers)), body: typeof body === "string" ? body : "" };
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
