// The field into which an operator pastes a token.
import { element, setFieldError } from "../../demo/src/dom.ts";

/** A JWT: three parts. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export class SignInView {
  readonly #form = element("sign-in", HTMLFormElement);
  readonly #field = element("token", HTMLInputElement);
  readonly #error = element("token-error", HTMLElement);

  constructor(onToken: (token: string) => void) {
    this.#field.addEventListener("input", () => this.#setError(""));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.#field.value.trim().replace(/^Bearer\s+/i, "");
      if (!TOKEN.test(token)) {
        this.#setError(token === "" ? "Paste a token first." : "This is not a token. Paste the whole of it.");
        this.#field.focus();
        return;
      }
      // It is on the screen no longer than it has to be.
      this.#field.value = "";
      onToken(token);
    });
  }

  /** Asks for a token. `problem` says why the one before cannot be used. */
  ask(problem: string): void {
    const wasHidden = this.#form.hidden;
    this.#form.hidden = false;
    this.#setError(problem);
    if (wasHidden) this.#field.focus();
  }

  hide(): void {
    this.#form.hidden = true;
  }

  #setError(text: string): void {
    setFieldError(this.#field, this.#error, text);
  }
}
