// Sends one API request: adds the token and the proof, applies the time limit, retries, and converts errors.
import { check, checkFunction, checkNumber, checkObject, checkType } from "./arguments.ts";
import { checkKey, type ProofKey } from "./dpop.ts";
import { errorOf, ValetkeyError } from "./errors.ts";
import { backoffMs, type Deadline, deadline, mayRepeat, reasonOf, sleep } from "./retry.ts";
import { checkedToken, type GetToken, noToken, tokenSource } from "./token.ts";

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_TRIES = 4;
/** The per-minute limits send a `Retry-After` of at most 65 s. */
const DEFAULT_LONGEST_WAIT_SECS = 70;
/**
 * How long to retry while the response is `idempotency_in_progress`. The request that is in progress takes less time
 * than this.
 */
const IN_PROGRESS_MS = 60_000;
/**
 * Options of every `fetch`: responses are not cached, no cookies or referrer are sent, and no redirect can carry the
 * token to another host. XMLHttpRequest, which sends an upload with progress, has no such options: it sends cookies to
 * the page's own origin.
 */
export const FETCH_RULES: RequestInit = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };

/** Message of errors without a usable response, for the developer. The error's `code` says what happened. */
export const NO_ANSWER = "No valid response from Valetkey.";

export interface Options {
  /** Valetkey's URL, such as `https://valetkey.example.workers.dev`. Empty on a page that Valetkey itself serves. */
  baseUrl: string;
  /** Returns an access token, usually from the app's own backend. */
  getToken: GetToken;
  /**
   * Key from `proofKey()`. Each request then carries a proof that this browser has the key that the token is bound to
   * (RFC 9449).
   */
  dpop?: ProofKey | Promise<ProofKey> | undefined;
  /**
   * Allows http to other machines, for a phone that uses `valetkey dev --lan`. Everyone on the network can read the token:
   * never set it in a release.
   */
  allowHttp?: boolean | undefined;
  /** Returns a Firebase App Check token. Needed if the deployment requires one. */
  appCheck?: (() => string | Promise<string>) | undefined;
  /** How many times to send a request at most, the first time included. Default 4. */
  maxTries?: number | undefined;
  /** The client does not wait for a `Retry-After` above this many seconds, but throws the error. Default 70. */
  longestWaitSecs?: number | undefined;
  /** Replaces the platform's `fetch`, for example with React Native's `expo/fetch`, which can read streams. */
  fetch?: Fetch | undefined;
}

/**
 * A result of the API. Its `requestId`, by which the operator finds the request in the log, is not enumerable: copies, JSON
 * and comparisons have what the API sent and nothing else.
 */
export type Result<T> = T & { readonly requestId?: string | undefined };

export interface CallOptions {
  /** Stops waiting for the response. It never stops a prediction; call `cancel` for that. */
  signal?: AbortSignal | undefined;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Call {
  method: "GET" | "POST" | "DELETE";
  /** Path and query, starting with `/v1`. */
  path: string;
  body?: BodyInit | undefined;
  headers?: Record<string, string | undefined>;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
  /** True if sending the request twice does no harm. Default: true. */
  isRepeatable?: boolean;
  /** Sends this request instead of `fetch`. */
  via?: Fetch;
}

/** A response whose body is still to be read. The caller of `open` must call `limit.end()` when done. */
export interface Opened {
  answer: Response;
  limit: Deadline;
}

export interface Transport {
  /**
   * Sends a request, with retries, and returns the parsed JSON body; `undefined` for a 204. Rejects with a
   * `ValetkeyError`, or with the signal's reason.
   */
  call<T>(call: Call): Promise<T>;
  /** Does the same for a request without a body. */
  send<T>(method: Call["method"], path: string, options?: CallOptions): Promise<T>;
  /**
   * Sends a request without retries, except once with a new token after a 401. Resolves with a successful response,
   * body unread.
   */
  open(call: Call): Promise<Opened>;
  /** Value of the option `longestWaitSecs`. */
  longestWaitSecs: number;
  /** False if `fetch` returns a response only when its body is complete. */
  canStream: boolean;
  /** The `watch` loops that are polling at the moment, one element each. Their number sets the poll interval. */
  lookers: Set<object>;
}

/** Creates the transport that all methods of one client share. Throws if an option cannot be used. */
export function transport(options: Options): Transport {
  checkObject("options", options);
  const { maxTries = DEFAULT_TRIES, longestWaitSecs = DEFAULT_LONGEST_WAIT_SECS, dpop, getToken, appCheck } = options;
  const base = checkedBase(options.baseUrl, options.allowHttp);
  checkNumber("maxTries", maxTries, 1);
  checkNumber("longestWaitSecs", longestWaitSecs, 0);
  checkType("getToken", "function", getToken);
  checkFunction("appCheck", appCheck);
  checkFunction("fetch", options.fetch);
  checkKey(dpop);
  const fetcher: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const thumbprint = async (): Promise<string | undefined> => (await dpop)?.thumbprint;
  const tokens = tokenSource(getToken, thumbprint);
  /** True once the deployment has sent a response. */
  let isReached = false;

  async function authorization(method: string, url: string, token: string): Promise<Record<string, string>> {
    try {
      const [key, attestation] = await Promise.all([dpop, appCheck?.()]);
      return {
        authorization: `${key ? "DPoP" : "Bearer"} ${token}`,
        ...(key && { dpop: await key.prove({ method, url, token, nowSecs: tokens.nowSecs() }) }),
        ...(attestation && { "x-firebase-appcheck": checkedToken(attestation) }),
      };
    } catch (cause) {
      throw noToken(cause);
    }
  }

  async function open(call: Call): Promise<Opened> {
    const { method, path, signal } = call;
    check(signal == null || typeof signal.addEventListener === "function", "signal", "an AbortSignal", signal);
    const limit = deadline(call.timeoutMs ?? DEFAULT_TIMEOUT_MS, signal);
    const url = base + path;
    try {
      for (let isRefused = false; ; isRefused = true) {
        if (signal?.aborted) throw reasonOf(signal);
        const token = await limit.race(tokens.get());
        const headers = await limit.race(authorization(method, url, token));
        for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers[name] = value;
        const answer = await (call.via ?? fetcher)(url, { ...FETCH_RULES, method, headers, body: call.body ?? null, signal: limit.signal });
        isReached = true;
        if (answer.ok) return { answer, limit };
        const error = errorOf(answer.status, answer.headers, await answer.json().catch(() => undefined));
        if (error.status !== 401 || isRefused) throw error;
        // The token is revoked, or it expired earlier than expected: try once more with a new one.
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
      if (answer.status === 204) return undefined as T;
      return identified(await answer.json(), answer.headers.get("x-request-id"));
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
        // The first delete succeeded, but its response was lost.
        if (tries > 1 && call.method === "DELETE" && code === "not_found") return undefined as T;
        let isEnd = !mayRepeat(error, call.isRepeatable ?? true, longestWaitSecs);
        // An earlier attempt with the same key is still in progress. The API sends `Retry-After: 1`, so such a retry
        // does not count as a try; a time limit applies instead.
        const isSecond = code === "idempotency_in_progress";
        isEnd ||= isSecond ? performance.now() - startedAt > IN_PROGRESS_MS : tries >= maxTries;
        // A page sees the same for a refused preflight, a wrong address and a lost connection.
        const isUnclear = code === "network" && !isReached;
        if (isEnd) throw isUnclear ? await import("./diagnosis.ts").then((part) => part.diagnosed(error, base, fetcher), () => error) : error;
        await sleep(backoffMs(tries, Math.random(), retryAfterSecs), call.signal, retryAfterSecs === undefined);
        if (!isSecond) tries += 1;
      }
    }
  }

  // React Native's own `fetch` resolves only when the body is complete: for an event stream, when the stream has ended.
  return {
    call,
    send: (method, path, options) => call({ method, path, signal: options?.signal }),
    open,
    longestWaitSecs,
    canStream: options.fetch !== undefined || globalThis.navigator?.product !== "ReactNative",
    lookers: new Set(),
  };
}

/** Adds `requestId` to what the API sent. Throws what `explain` takes for an unreadable answer if that is no object. */
export function identified<T>(body: T, requestId: string | null | undefined): Result<T> {
  if (Object(body) !== body) throw new SyntaxError();
  return Object.defineProperty(body as object, "requestId", { value: requestId ?? undefined }) as Result<T>;
}

/**
 * Converts what a request threw into what the call rejects with: the reason of the caller's signal, or an error with a
 * code.
 */
export function explain(thrown: unknown, limit: Deadline, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return reasonOf(signal);
  if (thrown instanceof ValetkeyError) return thrown;
  // `fetch` reports every network failure as a TypeError. A SyntaxError means that the body is not JSON, so it is not
  // from Valetkey.
  const code = limit.isOver() ? "timeout" : thrown instanceof SyntaxError ? "unreadable_answer" : "network";
  return new ValetkeyError(code, NO_ANSWER, {}, thrown);
}

/**
 * Returns `baseUrl` without trailing slashes. Throws unless it is empty or an origin, https or on this machine: without
 * TLS, anyone on the network could read the token. (An Android emulator reaches its host machine as 10.0.2.2.) Valetkey's
 * routes have no prefix, so a path is always a mistake, such as the `/v1` of the vendor's base URL.
 */
export function checkedBase(baseUrl: string, allowHttp = false): string {
  checkType("baseUrl", "string", baseUrl);
  const base = baseUrl.replace(/\/+$/, "");
  const isSafe = /^((https:\/\/([^\s/?#@:[\]\\]+|\[[\da-f:.]+])|http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1]|10\.0\.2\.2))(:\d{1,5})?)?$/i;
  const allowed = "an https URL without a path, or http on this machine (with `allowHttp: true` on any)";
  check(isSafe.test(allowHttp === true ? base.replace(/^http:/i, "https:") : base), "baseUrl", allowed, baseUrl, true);
  return base;
}
