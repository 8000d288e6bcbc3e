// One user, by issuer and subject, and what an operator can do about them.
import { element, setFieldError } from "../../demo/src/dom.ts";
import type { Person } from "./user-actions.ts";

export class UserView {
  readonly #issuer = element("issuer", HTMLInputElement);
  readonly #subject = element("subject", HTMLInputElement);
  readonly #error = element("user-error", HTMLElement);

  constructor(onRevoke: (person: Person) => void) {
    element("user", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const [issuer, subject] = [this.#issuer.value.trim(), this.#subject.value.trim()];
      const isWhole = issuer !== "" && subject !== "";
      this.#setError(isWhole ? "" : "Both are needed: a user is the subject of an issuer.");
      if (isWhole) onRevoke({ issuer, subject });
    });
  }

  /** Forgets the user: another operator may sign in. */
  clear(): void {
    this.#issuer.value = "";
    this.#subject.value = "";
    this.#setError("");
  }

  #setError(text: string): void {
    setFieldError(this.#subject, this.#error, text);
  }
}
