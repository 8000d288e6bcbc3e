// The field into which a visitor pastes a token.
import { claimsOf } from "./claims.ts";
import { element, setFieldError } from "./dom.ts";
import { problemText } from "./messages.ts";
import type { PastedToken } from "./pasted.ts";
import type { PageCode } from "./problem.ts";

export class TokenForm {
  readonly #form = element("token-form", HTMLFormElement);
  readonly #field = element("token", HTMLInputElement);
  readonly #error = element("token-error", HTMLElement);
  readonly #holder = element("token-holder", HTMLElement);
  readonly #user = element("token-user", HTMLElement);
  readonly #change = element("token-change", HTMLButtonElement);

  /** `onTaken` is called when there is a new token. */
  constructor(pasted: PastedToken, onTaken: () => void) {
    this.#form.hidden = false;
    // Without the focus: this may happen in the background, while the visitor types.
    pasted.onNeeded = (code) => this.#ask(code);
    this.#field.addEventListener("input", () => this.#setError(undefined));
    // The client holds the token of the user before, and the page its pictures. A reload forgets both.
    this.#change.addEventListener("click", () => location.reload());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#field.value;
      const code = pasted.take(text, Date.now());
      this.#setError(code);
      if (code === undefined) this.#taken(text, onTaken);
      else this.#field.focus();
    });
  }

  #taken(text: string, onTaken: () => void): void {
    // The token stays in memory. The field is emptied, so that it is not on the screen.
    this.#field.value = "";
    const subject = claimsOf(text.trim().replace(/^Bearer\s+/i, ""))?.["sub"];
    this.#user.textContent = typeof subject === "string" ? subject : "";
    this.#form.hidden = true;
    this.#holder.hidden = false;
    element("prompt", HTMLTextAreaElement).focus();
    onTaken();
  }

  #ask(code: PageCode): void {
    this.#form.hidden = false;
    this.#holder.hidden = true;
    this.#setError(code);
  }

  #setError(code: PageCode | undefined): void {
    setFieldError(this.#field, this.#error, code === undefined ? "" : problemText({ code }));
  }
}
