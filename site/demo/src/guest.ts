// Tokens for guests: Cloudflare's Turnstile confirms that the visitor is a person, and Valetkey exchanges the widget's
// token for an access token. Each exchange makes a new guest.
import { tokenExchange } from "../../../clients/web/src/exchange.ts";
import { type GetToken, type TokenRequest, ValetkeyError } from "../../../clients/web/src/index.ts";
import { TokenProblem } from "./problem.ts";

/** `explicit`: the script draws nothing until this page calls `render`. */
const SCRIPT_URL = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";
/** The Worker accepts only widgets with this action (docs/identity.md, "Guests"). */
const ACTION = "guest";

/** The part of Turnstile's API that this page uses. */
export interface Turnstile {
  render(box: HTMLElement, options: Record<string, unknown>): string;
  reset(widget: string): void;
}

/** Loads Turnstile's script once. After a failure the next call loads it again. */
export function loadTurnstile(): Promise<Turnstile> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SCRIPT_URL;
    script.onload = () => resolve((globalThis as unknown as { turnstile: Turnstile }).turnstile);
    script.onerror = () => {
      script.remove();
      reject(new TokenProblem("no_guest"));
    };
    document.head.append(script);
  });
}

/** The widget, drawn into `box` at the first need. */
class Widget {
  readonly #siteKey: string;
  readonly #box: HTMLElement;
  readonly #load: () => Promise<Turnstile>;
  #drawn: { turnstile: Turnstile; id: string } | undefined;
  #settle: { resolve: (token: string) => void; reject: (problem: unknown) => void } | undefined;

  constructor(siteKey: string, box: HTMLElement, load: () => Promise<Turnstile>) {
    this.#siteKey = siteKey;
    this.#box = box;
    this.#load = load;
  }

  /** Returns a new token of the widget, which is valid once. Only one call at a time. */
  async confirm(): Promise<string> {
    const token = new Promise<string>((resolve, reject) => (this.#settle = { resolve, reject }));
    if (this.#drawn !== undefined) this.#drawn.turnstile.reset(this.#drawn.id);
    else await this.#draw();
    return token;
  }

  async #draw(): Promise<void> {
    const turnstile = await this.#load();
    const fail = (): boolean => {
      this.#settle?.reject(new TokenProblem("no_guest"));
      // True: the page reports the error, so the script need not.
      return true;
    };
    const id = turnstile.render(this.#box, {
      sitekey: this.#siteKey,
      action: ACTION,
      size: "flexible",
      // The page asks for the next token when it needs one.
      "refresh-expired": "manual",
      callback: (token: string) => this.#settle?.resolve(token),
      "error-callback": fail,
      "timeout-callback": fail,
      "unsupported-callback": fail,
    });
    this.#drawn = { turnstile, id };
  }
}

/** Returns a `getToken` for guests. Each token makes a new guest, and `onGuest` is called. */
export function guestTokens(siteKey: string, box: HTMLElement, onGuest: () => void, load = loadTurnstile): GetToken {
  const widget = new Widget(siteKey, box, load);
  const exchange = tokenExchange({ baseUrl: "", type: "turnstile", subjectToken: () => widget.confirm() });
  // Two calls at a time would exchange one widget's token twice.
  let pending: Promise<string> | undefined;
  const ask = async (request: TokenRequest): Promise<string> => {
    try {
      const token = await exchange(request);
      onGuest();
      return token;
    } catch (thrown) {
      if (!(thrown instanceof ValetkeyError) || thrown.code !== "no_token") throw thrown;
      throw new ValetkeyError("no_token", thrown.message, { ...thrown }, new TokenProblem("no_guest", { cause: thrown }));
    }
  };
  return (request) => (pending ??= ask(request).finally(() => (pending = undefined)));
}
