// One user: found by issuer and subject, or opened from a list, and what an operator can do about them.
import { element, setFieldError } from "../../demo/src/dom.ts";
import type { Action } from "./actions.ts";
import { asProblem } from "./api.ts";
import { button } from "./elements.ts";
import { problemText } from "./text.ts";
import type { Person } from "./user-actions.ts";

/** An action of the list, and whether it changes something. */
export interface Choice {
  name: string;
  action: Action;
  isWrite: boolean;
}

export interface UserCalls {
  /** Returns the user's key, or `undefined` if nothing is stored of the user. */
  lookUp: (name: { issuer: string; subject: string }) => Promise<string | undefined>;
  choices: (person: Person) => Choice[];
  ask: (action: Action) => void;
}

export class UserView {
  readonly #issuer = element("issuer", HTMLInputElement);
  readonly #subject = element("subject", HTMLInputElement);
  readonly #error = element("lookup-error", HTMLElement);
  readonly #calls: UserCalls;

  constructor(calls: UserCalls) {
    this.#calls = calls;
    element("lookup", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#lookUp({ issuer: this.#issuer.value.trim(), subject: this.#subject.value.trim() });
    });
  }

  /** Opens a user whose key a list has. */
  open(user: string): void {
    this.#show({ user, name: undefined });
    element("user-heading", HTMLElement).focus();
  }

  /** Forgets the user: another operator may sign in. */
  clear(): void {
    element("user", HTMLElement).hidden = true;
    this.#issuer.value = "";
    this.#subject.value = "";
    this.#setError("");
  }

  async #lookUp(name: { issuer: string; subject: string }): Promise<void> {
    element("user", HTMLElement).hidden = true;
    if (name.issuer === "" || name.subject === "") return this.#setError("Both are needed: a user is the subject of an issuer.");
    this.#setError("");
    try {
      const user = await this.#calls.lookUp(name);
      if (user === undefined) this.#setError("Nothing is stored of this user.");
      else this.#show({ user, name });
    } catch (thrown) {
      const problem = asProblem(thrown);
      // The operator has left: the next one may be here.
      if (problem.code !== "session_ended") this.#setError(problemText(problem));
    }
  }

  #show(person: Person): void {
    element("user", HTMLElement).hidden = false;
    element("user-key", HTMLElement).textContent = person.user;
    const buttons = this.#calls.choices(person).map(({ name, action, isWrite }) => {
      const classes = [isWrite ? "write" : "", action.isFinal === true ? "danger" : ""].join(" ").trim();
      return button(name, classes, () => this.#calls.ask(action));
    });
    element("user-actions", HTMLElement).replaceChildren(...buttons);
  }

  #setError(text: string): void {
    setFieldError(this.#subject, this.#error, text);
  }
}
