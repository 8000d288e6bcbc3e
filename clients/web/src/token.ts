// The token: asked from the app, kept in memory and nowhere else, where an injected script or a log could find it later.
import { ValetkeyError } from "./errors.ts";

/** A token this close to its end is replaced first, so that it does not expire on its way. */
const RENEW_BEFORE_END_MS = 30_000;
/** How far the API lets a proof be ahead. */
const MAX_AHEAD_SECS = 60;
/** Assumed for a token that cannot be read: the API has the last word. */
const ASSUMED_LIFETIME_MS = 60_000;

/** As long as a request waits for its answer. */
const RENEW_TIMEOUT_MS = 20_000;

export interface TokenRequest {
  /** The API refused the last one: do not answer from a cache. Pass it to `getIdToken(forceRefresh)` and the like. */
  forceRefresh: boolean;
  /** With `dpop`: the key's thumbprint (RFC 7638) for the token's `cnf.jkt`. */
  thumbprint?: string | undefined;
}

/** Answers with a JWT for the signed-in user. Called when there is none, shortly before its end, and after a refusal. */
export type GetToken = (request: TokenRequest) => string | Promise<string>;

export interface TokenSource {
  /** A token that is good for a while. Callers at the same time share one request. */
  get(): Promise<string>;
  /** Forgets a token that the API refused; another one that came meanwhile stays. */
  refuse(token: string): void;
  /** Unix seconds by the clock of whoever makes the tokens, as far as a token shows that ours is wrong. */
  nowSecs(): number;
}

interface Held {
  token: string;
  /** On the monotonic clock, ms. */
  renewAt: number;
}

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
      // By its own times the token is not good now, or not new after a refusal, and yet it was just handed out: our clock is wrong.
      if (nowSecs < iat || nowSecs >= exp || (isForced && nowSecs > iat + MAX_AHEAD_SECS)) skewSecs = iat - nowSecs;
      // A token out of a cache of the app's has only what is left of it.
      left = (exp - nowSecs - skewSecs) * 1000;
    }
    // Counted from before the request on a clock that nobody sets.
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
        // One that was asked for before a refusal may be the one that was refused.
        if (pending === asked) {
          held = fresh;
          forceRefresh = false;
        }
        return fresh.token;
      }).finally(() => forget());
      // One that is never answered does not hold up those who come later.
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

/** A line break here would end up in a header, and the token in the words of who refuses to send it. */
export function checkedToken(token: unknown): string {
  if (typeof token === "string" && /^[\w.~+/=-]+$/.test(token)) return token;
  throw new ValetkeyError("no_token", "There is no token.");
}

/** What an app's own function failed with, as an error with a code. Libraries say in their words that there is no network. */
export function noToken(cause: unknown): ValetkeyError {
  if (cause instanceof ValetkeyError) return cause;
  const passes = /network|failed to fetch|fetch failed|load failed/i.test(`${cause}`);
  return new ValetkeyError(passes ? "network" : "no_token", "There is no token.", {}, cause);
}

/** `iat` and `exp` of a JWT. Nothing is verified: that is the API's work, and this only plans the next request. */
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
