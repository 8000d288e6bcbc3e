// A token that the visitor pastes. It is kept in this object, and nowhere else.
import { type GetToken, ValetkeyError } from "../../../clients/web/src/index.ts";
import { claimsOf, secondsLeft } from "./claims.ts";
import { type PageCode, TokenProblem } from "./problem.ts";

export class PastedToken {
  #token: string | undefined;
  /** Why there is no token. */
  #reason: PageCode = "token_needed";
  /** Called when a request needs a token and there is no usable one. */
  onNeeded: (code: PageCode) => void = () => {};

  get isThere(): boolean {
    return this.#token !== undefined;
  }

  /** Takes what the visitor pasted. Returns the code of what is wrong with it, or `undefined`. */
  take(text: string, nowMs: number): PageCode | undefined {
    const token = text.trim().replace(/^Bearer\s+/i, "");
    if (token === "") return "token_needed";
    const claims = claimsOf(token);
    if (claims === undefined) return "token_malformed";
    if (secondsLeft(claims, nowMs) === 0) return "token_expired";
    this.#token = token;
    return undefined;
  }

  readonly getToken: GetToken = ({ forceRefresh }) => {
    const token = this.#token;
    const claims = token === undefined ? undefined : claimsOf(token);
    if (token !== undefined && !forceRefresh && claims !== undefined && secondsLeft(claims, Date.now()) !== 0) return token;
    // Several requests may ask at a time. All of them fail for the same reason.
    if (token !== undefined) this.#reason = forceRefresh ? "token_refused" : "token_expired";
    this.#token = undefined;
    this.onNeeded(this.#reason);
    throw new ValetkeyError("no_token", "There is no token that can be used.", {}, new TokenProblem(this.#reason));
  };
}
