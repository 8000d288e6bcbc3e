// One request with everything that goes with it: token, proof, time limit, repetition, errors.
import type { ProofKey } from "./dpop.ts";
import { errorOf, ValetkeyError } from "./errors.ts";
import { backoffMs, type Deadline, deadline, mayRepeat, reasonOf, sleep } from "./retry.ts";
import { checkedToken, type GetToken, noToken, tokenSource } from "./token.ts";

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_TRIES = 4;
/** The limits of a minute say 65 at most. */
const DEFAULT_LONGEST_WAIT_SECS = 70;
/** As long as the Worker may wait for the vendor, and a little. */
const IN_PROGRESS_MS = 60_000;
/**
 * Nothing is stored, no cookie goes along, and no redirect carries the token away. XMLHttpRequest, which sends an upload whose progress is
 * told, knows no such rules: to the page's own origin cookies go along.
 */
export const FETCH_RULES: RequestInit = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };

/** In words for a developer; what is missing is in the code. */
export const NO_ANSWER = "No answer of Valetkey's.";

export interface Options {
  /** Where Valetkey answers, such as `https://valetkey.example.workers.dev`; empty on a page that it serves itself. */
  baseUrl: string;
  getToken: GetToken;
  /** From `proofKey()`: sends each token with a proof that this browser has the key that it is bound to (RFC 9449). */
  dpop?: ProofKey | Promise<ProofKey> | undefined;
  /** The token of Firebase App Check, where the deployment asks for one. */
  appCheck?: (() => string | Promise<string>) | undefined;
  /** How often a request is sent at most; 4. */
  maxTries?: number | undefined;
  /** A `Retry-After` above this many seconds is not waited for but thrown; 70. */
  longestWaitSecs?: number | undefined;
  /** In place of the platform's, as React Native's `expo/fetch`, which can read streams. */
  fetch?: Fetch | undefined;
}

export interface CallOptions {
  /** Ends the waiting for an answer, never a prediction: that is `cancel`. */
  signal?: AbortSignal | undefined;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Call {
  method: "GET" | "POST" | "DELETE";
  /** From `/v1` on. */
  path: string;
  body?: BodyInit | undefined;
  headers?: Record<string, string | undefined>;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
  /** Whether to send it twice does no harm. Default: yes. */
  isRepeatable?: boolean;
  /** Sends it another way than by `fetch`. */
  via?: Fetch;
}

/** An answer that is being read. Whoever has it calls `limit.end()`. */
export interface Opened {
  answer: Response;
  limit: Deadline;
}

export interface Transport {
  /** The parsed answer; `undefined` where it has no body. Rejects with a `ValetkeyError`, or the signal's reason. */
  call<T>(call: Call): Promise<T>;
  /** The same for a request without a body. */
  send<T>(method: Call["method"], path: string, options?: CallOptions): Promise<T>;
  /** Sends it once; the answer is a success, and not read yet. */
  open(call: Call): Promise<Opened>;
  /** Of the options. */
  longestWaitSecs: number;
  /** Whether `fetch` gives answers before they are complete. */
  canStream: boolean;
  /** Whoever looks at a prediction again and again, since no stream can be had. */
  lookers: Set<object>;
}

export function transport(options: Options): Transport {
  const { maxTries = DEFAULT_TRIES, longestWaitSecs = DEFAULT_LONGEST_WAIT_SECS } = options;
  const base = checkedBase(options.baseUrl);
  const fetcher: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const thumbprint = async (): Promise<string | undefined> => (await options.dpop)?.thumbprint;
  const tokens = tokenSource(options.getToken, thumbprint);

  async function authorization(method: string, url: string, token: string): Promise<Record<string, string>> {
    try {
      const [key, appCheck] = await Promise.all([options.dpop, options.appCheck?.()]);
      return {
        authorization: `${key ? "DPoP" : "Bearer"} ${token}`,
        ...(key && { dpop: await key.prove({ method, url, token, nowSecs: tokens.nowSecs() }) }),
        ...(appCheck && { "x-firebase-appcheck": checkedToken(appCheck) }),
      };
    } catch (cause) {
      throw noToken(cause);
    }
  }

  async function open(call: Call): Promise<Opened> {
    const { method, path, signal } = call;
    const limit = deadline(call.timeoutMs ?? DEFAULT_TIMEOUT_MS, signal);
    const url = base + path;
    try {
      for (let isRefused = false; ; isRefused = true) {
        if (signal?.aborted) throw reasonOf(signal);
        const token = await limit.race(tokens.get());
        const headers = await limit.race(authorization(method, url, token));
        for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers[name] = value;
        const answer = await (call.via ?? fetcher)(url, { ...FETCH_RULES, method, headers, body: call.body ?? null, signal: limit.signal });
        if (answer.ok) return { answer, limit };
        const error = errorOf(answer.status, answer.headers, await answer.json().catch(() => undefined));
        if (error.status !== 401 || isRefused) throw error;
        // Revoked, or older than we thought: once more with a new token.
        tokens.refuse(token);
      }
    } catch (thrown) {
      limit.end();
      throw explain(thrown, limit, signal);
    }
  }

  async function once<T>(call: Call): Promise<T> {
    const { answer, limit } = await open(call);
    try {
      return answer.status === 204 ? (undefined as T) : await answer.json();
    } catch (thrown) {
      throw explain(thrown, limit, call.signal);
    } finally {
      limit.end();
    }
  }

  async function call<T>(call: Call): Promise<T> {
    const startedAt = performance.now();
    for (let tries = 1; ; ) {
      try {
        return await once<T>(call);
      } catch (error) {
        if (!(error instanceof ValetkeyError)) throw error;
        const { code, retryAfterSecs } = error;
        // The answer to the first one was lost.
        if (tries > 1 && call.method === "DELETE" && code === "not_found") return undefined as T;
        if (!mayRepeat(error, call.isRepeatable ?? true, longestWaitSecs)) throw error;
        // While the first of two is on its way the second is told so each second.
        const isSecond = code === "idempotency_in_progress";
        if (isSecond ? performance.now() - startedAt > IN_PROGRESS_MS : tries >= maxTries) throw error;
        await sleep(backoffMs(tries, Math.random(), retryAfterSecs), call.signal, retryAfterSecs === undefined);
        if (!isSecond) tries += 1;
      }
    }
  }

  // React Native's own `fetch` answers when all is there: an event stream only after its end.
  return {
    call,
    send: (method, path, options) => call({ method, path, signal: options?.signal }),
    open,
    longestWaitSecs,
    canStream: options.fetch !== undefined || globalThis.navigator?.product !== "ReactNative",
    lookers: new Set(),
  };
}

/** What to reject with: the reason of the caller's own signal, or an error with a code. */
export function explain(thrown: unknown, limit: Deadline, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return reasonOf(signal);
  if (thrown instanceof ValetkeyError) return thrown;
  // `fetch` reports every failure of the network as a TypeError; what cannot be parsed is not Valetkey's.
  const code = limit.isOver() ? "timeout" : thrown instanceof SyntaxError ? "unreadable_answer" : "network";
  return new ValetkeyError(code, NO_ANSWER, {}, thrown);
}

/** A token that is sent without encryption is given away: https, or this machine (10.0.2.2 is how an Android emulator calls it). */
export function checkedBase(baseUrl: string): string {
  const base = baseUrl.replace(/\/+$/, "");
  const isSafe = /^(https:\/\/[^/?#@]+(\/[^?#]*)?|http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1]|10\.0\.2\.2)(:\d+)?)?$/i.test(base);
  if (!isSafe) throw new TypeError("baseUrl must be https, or on this machine");
  return base;
}
