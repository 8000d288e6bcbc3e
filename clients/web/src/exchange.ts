// `valetkey/exchange`: exchanges an identity provider's token, or a guest's Turnstile token, for a short-lived access
// token of Valetkey (OAuth 2.0 Token Exchange, RFC 8693).
import { check, checkFunction, checkObject, checkType } from "./arguments.ts";
import { checkKey, type ProofKey } from "./dpop.ts";
import { detailsOf, ValetkeyError } from "./errors.ts";
import { checkedBase, FETCH_RULES, type Fetch } from "./transport.ts";
import { checkedToken, type GetToken, noToken, type TokenRequest } from "./token.ts";

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPES = { jwt: "urn:ietf:params:oauth:token-type:jwt", turnstile: "urn:valetkey:token-type:turnstile" };

export interface Exchange {
  /** Valetkey's origin, as in `Options.baseUrl`. */
  baseUrl: string;
  /**
   * Returns the token of the identity provider where the user signed in, or the Turnstile widget's token for a guest.
   */
  subjectToken: (request: TokenRequest) => string | Promise<string>;
  /** Type of the token that `subjectToken` returns. Default: `jwt`. */
  type?: keyof typeof TYPES;
  /** Scopes to request, out of `create read cancel files`. Default: all that the subject token allows. */
  scope?: string;
  /** Allows http to other machines, as in `Options.allowHttp`. */
  allowHttp?: boolean;
  /** Binds the new token to this key (RFC 9449). */
  dpop?: ProofKey | Promise<ProofKey>;
  /** Returns a Firebase App Check token. Needed if the deployment requires one. */
  appCheck?: () => string | Promise<string>;
  /** Replaces the platform's `fetch`. */
  fetch?: Fetch;
}

/**
 * Returns a `getToken` that exchanges tokens. Temporary failures have the code `network`, `unreadable_answer` or
 * `limiter_unavailable`; all others have `no_token`. Throws if a member of `exchange` cannot be used.
 */
export function tokenExchange(exchange: Exchange): GetToken {
  checkObject("exchange", exchange);
  const { subjectToken, type = "jwt", scope, dpop, appCheck } = exchange;
  const base = checkedBase(exchange.baseUrl, exchange.allowHttp);
  checkType("subjectToken", "function", subjectToken);
  check(Object.hasOwn(TYPES, type), "type", "jwt or turnstile", type);
  checkType("scope", "string", scope ?? "");
  checkKey(dpop);
  checkFunction("appCheck", appCheck);
  checkFunction("fetch", exchange.fetch);
  const fetcher: Fetch = exchange.fetch ?? ((url, init) => fetch(url, init));

  async function ask(request: TokenRequest): Promise<Response> {
    const url = `${base}/auth/token`;
    const [token, key, attestation] = await Promise.all([subjectToken(request), dpop, appCheck?.()]);
    const form = new URLSearchParams({ grant_type: GRANT, subject_token: checkedToken(token), subject_token_type: TYPES[type] });
    if (scope !== undefined) form.append("scope", scope);
    return fetcher(url, {
      ...FETCH_RULES,
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        ...(key && { dpop: await key.prove({ method: "POST", url, nowSecs: Math.floor(Date.now() / 1000) }) }),
        ...(attestation && { "x-firebase-appcheck": checkedToken(attestation) }),
      },
      body: form.toString(),
    });
  }

  return async (request) => {
    const answer = await ask(request).catch((cause: unknown) => {
      throw noToken(cause);
    });
    const body: { access_token?: string; error?: string; error_description?: string } = (await answer.json().catch(() => {})) ?? {};
    if (answer.ok && body.access_token) return body.access_token;
    const passes = answer.status === 429 || answer.status >= 500;
    const message = body.error_description ?? body.error ?? `HTTP ${answer.status}`;
    const code = answer.ok ? "unreadable_answer" : passes ? "limiter_unavailable" : "no_token";
    throw new ValetkeyError(code, message, detailsOf(answer.status, answer.headers));
  };
}
