// The token: fetched from the app's own backend, kept in this object and nowhere else.
//
// A token is a password for a few minutes. It is never put into localStorage, sessionStorage, a cookie or a URL, where
// an injected script, an extension or a log could find it later.
import { Problem, toProblem } from "./problem.ts";

/** A token this close to its end is replaced first, so that it does not expire on its way. */
const RENEW_BEFORE_END_MS = 30_000;
/** Assumed for a token whose times cannot be read: the API has the last word anyway. */
const ASSUMED_LIFETIME_MS = 60_000;
const SESSION_TIMEOUT_MS = 15_000;

interface Held {
  token: string;
  renewAt: number;
}

export interface SessionSettings {
  /** Where the app's own backend answers `POST {"sub":"…"}` with `{"token":"<JWT>"}`. */
  sessionUrl: string;
  /** The `sub` to ask for. */
  subject: string;
}

export class Session {
  readonly #settings: () => Promise<SessionSettings>;
  readonly #fetch: typeof fetch;
  readonly #now: () => number;
  #held: Held | undefined;
  #fetching: Promise<string> | undefined;

  constructor(settings: () => Promise<SessionSettings>, fetcher: typeof fetch, now: () => number) {
    this.#settings = settings;
    this.#fetch = fetcher;
    this.#now = now;
  }

  /** A token that is good for a while. Callers at the same time share one request. */
  async token(): Promise<string> {
    if (this.#held !== undefined && this.#now() < this.#held.renewAt) return this.#held.token;
    this.#fetching ??= this.#renew().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** Forgets a token that the API refused; another one that came meanwhile stays. */
  discard(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  async #renew(): Promise<string> {
    const askedAt = this.#now();
    const token = await this.#request();
    const lifetime = readLifetimeMs(token) ?? ASSUMED_LIFETIME_MS;
    // Counted from before the request on this page's own clock, which may differ from the backend's.
    this.#held = { token, renewAt: askedAt + Math.max(lifetime - RENEW_BEFORE_END_MS, lifetime / 2) };
    return token;
  }

  async #request(): Promise<string> {
    const { sessionUrl, subject } = await this.#settings();
    let answer: Response;
    try {
      answer = await this.#fetch(sessionUrl, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sub: subject }),
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(SESSION_TIMEOUT_MS),
      });
    } catch (thrown) {
      // The backend is another server than the API, so its absence has a sentence of its own.
      const problem = toProblem(thrown, navigator.onLine);
      throw problem.code === "offline" ? problem : new Problem("no_session");
    }
    const body: unknown = await answer.json().catch(() => undefined);
    const token = typeof body === "object" && body !== null && "token" in body ? body.token : undefined;
    if (!answer.ok || typeof token !== "string" || token === "") throw new Problem("no_session", { status: answer.status });
    return token;
  }
}

/** `exp - iat` of a JWT. Nothing is verified here: that is the API's work, and this only plans the next request. */
export function readLifetimeMs(token: string): number | undefined {
  const payload = token.split(".")[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof claims !== "object" || claims === null || !("exp" in claims) || !("iat" in claims)) return undefined;
    const { exp, iat } = claims;
    if (typeof exp !== "number" || typeof iat !== "number" || !(exp > iat)) return undefined;
    return (exp - iat) * 1000;
  } catch {
    return undefined;
  }
}
