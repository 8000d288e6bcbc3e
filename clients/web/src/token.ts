// The access token: fetched from the app and kept only in memory. In storage, an injected script could find it later;
// in a log, a reader of the log.
import { ValetkeyError } from "./errors.ts";

/** A token is renewed this long before it expires, so that it does not expire while a request is in flight. */
const RENEW_BEFORE_END_MS = 30_000;
/** How far in the future the API accepts a proof's `iat`. */
const MAX_AHEAD_SECS = 60;
/**
 * Lifetime assumed for a token whose claims cannot be read. If it expires earlier, the API refuses it and the client
 * renews it.
 */
const ASSUMED_LIFETIME_MS = 60_000;

/** How long concurrent calls share one pending request for a token. Equals the default time limit of an API request. */
const RENEW_TIMEOUT_MS = 20_000;

export interface TokenRequest {
  /**
   * True after the API refused the last token: return a new token, not a cached one. Pass it to
   * `getIdToken(forceRefresh)` and the like.
   */
  forceRefresh: boolean;
  /** With `dpop`: the key's thumbprint (RFC 7638), for the token's `cnf.jkt` claim. */
  thumbprint?: string | undefined;
}

/**
 * Returns a JWT for the signed-in user. Called when the client has no token, shortly before the token expires, and
 * after a refusal.
 */
export type GetToken = (request: TokenRequest) => string | Promise<string>;

export interface TokenSource {
  /** Returns a token that does not expire soon. Concurrent callers share one request. */
  get(): Promise<string>;
  /** Forgets a token that the API refused. Does nothing if it has been replaced already. */
  refuse(token: string): void;
  /**
   * Returns the current time in Unix seconds, corrected where the times of a token show that the local clock is wrong.
   */
  nowSecs(): number;
}

interface Held {
  token: string;
  /** When to renew the token, ms on the monotonic clock (`performance.now`). */
  renewAt: number;
}

/**
 * Creates a source that fetches tokens with `getToken`. `thumbprint` returns the thumbprint of the `dpop` key, if there
 * is one.
 */
export function tokenSource(getToken: GetToken, thumbprint: () => Promise<string | undefined>): TokenSource {
  let held: Held | undefined;
  let pending: Promise<string> | undefined;
  let forceRefresh = false;
  let skewSecs = 0;

  async function renew(isForced: boolean): Promise<Held> {
    const askedAt = performance.now();
    const token = await ask(isForced);
    const times = readTimes(token);
    let left = ASSUMED_LIFETIME_MS;
    skewSecs = 0;
    if (times !== undefined) {
      const { iat, exp } = times;
      const nowSecs = Math.floor(Date.now() / 1000);
      // The token was just issued, but by the local clock it is not yet valid, expired, or (after a refusal) over a
      // minute old: the local clock is wrong. Its `iat` is taken as the current time.
      if (nowSecs < iat || nowSecs >= exp || (isForced && nowSecs > iat + MAX_AHEAD_SECS)) skewSecs = iat - nowSecs;
      // A token from the app's own cache is valid only for the rest of its lifetime.
      left = (exp - nowSecs - skewSecs) * 1000;
    }
    // Measured from before the request, on the monotonic clock, which the user cannot set.
    return { token, renewAt: askedAt + Math.max(left - RENEW_BEFORE_END_MS, left / 2) };
  }

  async function ask(isForced: boolean): Promise<string> {
    try {
      return checkedToken(await getToken({ forceRefresh: isForced, thumbprint: await thumbprint() }));
    } catch (cause) {
      throw noToken(cause);
    }
  }

  return {
    async get() {
      if (held !== undefined && performance.now() < held.renewAt) return held.token;
      if (pending !== undefined) return pending;
      const asked = renew(forceRefresh).then((fresh) => {
        // Keep the result only if `pending` is unchanged. If a token was refused meanwhile, this may be that same
        // token.
        if (pending === asked) {
          held = fresh;
          forceRefresh = false;
        }
        return fresh.token;
      }).finally(() => forget());
      // A request that never settles must not block later calls.
      const timer = setTimeout(() => forget(), RENEW_TIMEOUT_MS);
      const forget = (): void => {
        clearTimeout(timer);
        if (pending === asked) pending = undefined;
      };
      pending = asked;
      return asked;
    },
    refuse(token) {
      if (held?.token !== token) return;
      held = pending = undefined;
      forceRefresh = true;
    },
    nowSecs: () => Math.floor(Date.now() / 1000) + skewSecs,
  };
}

/**
 * Returns the token if it is safe in a header, and throws `no_token` otherwise. `fetch` would refuse a token with a
 * line break and quote it in its error message, which may end up in a log.
 */
export function checkedToken(token: unknown): string {
  if (typeof token === "string" && /^[\w.~+/=-]+$/.test(token)) return token;
  throw new ValetkeyError("no_token", "Could not get a usable token.");
}

/**
 * Converts what the app's own function threw into an error with a code. Libraries report a network failure in different
 * words, which the pattern recognizes.
 */
export function noToken(cause: unknown): ValetkeyError {
  if (cause instanceof ValetkeyError) return cause;
  const passes = /network|failed to fetch|fetch failed|load failed/i.test(`${cause}`);
  return new ValetkeyError(passes ? "network" : "no_token", "Could not get a usable token.", {}, cause);
}

/** Returns `iat` and `exp` of a JWT without verifying it. The API verifies tokens; this only schedules the renewal. */
export function readTimes(token: string): { iat: number; exp: number } | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const { iat, exp }: { iat?: unknown; exp?: unknown } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof iat === "number" && typeof exp === "number" && exp > iat) return { iat, exp };
  } catch {
    // Not a JWT, or a platform without `atob`.
  }
  return undefined;
}
