// The dialog before an action. It names what happens, and the action is done only by its button.
import { element, setEnabled, setFieldError } from "../../demo/src/dom.ts";
import type { Action, Field } from "./actions.ts";
import { type ApiProblem, asProblem } from "./api.ts";
import { create } from "./elements.ts";
import { problemText } from "./text.ts";

interface Input {
  field: Field;
  input: HTMLInputElement;
  error: HTMLElement;
}

export class DialogView {
  readonly #dialog = element("dialog", HTMLDialogElement);
  readonly #error = element("dialog-error", HTMLElement);
  readonly #confirm = element("dialog-confirm", HTMLButtonElement);
  readonly #cancel = element("dialog-cancel", HTMLButtonElement);
  #action: Action | undefined;
  #inputs: Input[] = [];
  #isBusy = false;
  /** Called after an action, with the sentence to announce. */
  onDone: (sentence: string) => void = () => {};
  onProblem: (problem: ApiProblem) => void = () => {};

  constructor() {
    element("dialog-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run();
    });
    this.#cancel.addEventListener("click", () => this.close());
    // Escape closes it too, but not while the action runs: its end would go unseen.
    this.#dialog.addEventListener("cancel", (event) => {
      if (this.#isBusy) event.preventDefault();
    });
  }

  ask(action: Action): void {
    this.#action = action;
    element("dialog-title", HTMLElement).textContent = action.title;
    element("dialog-says", HTMLElement).replaceChildren(...action.says.map((text) => create("p", "", text)));
    this.#inputs = (action.fields ?? []).map(makeInput);
    element("dialog-fields", HTMLElement).replaceChildren(...this.#inputs.map(({ field, input, error }) => {
      const row = create("div", "field");
      const label = create("label", "", field.label);
      label.htmlFor = input.id;
      row.append(label, input, error);
      return row;
    }));
    this.#confirm.textContent = action.confirm;
    this.#confirm.classList.toggle("danger", action.isFinal === true);
    this.#setError("");
    this.#setBusy(false);
    this.#dialog.showModal();
    // Not on the button that does it: Enter must not be enough.
    (this.#inputs[0]?.input ?? this.#cancel).focus();
  }

  close(): void {
    if (!this.#isBusy && this.#dialog.open) this.#dialog.close();
  }

  async #run(): Promise<void> {
    const action = this.#action;
    if (action === undefined || this.#isBusy || !this.#check()) return;
    const values = Object.fromEntries(this.#inputs.map(({ field, input }) => [field.name, input.value]));
    this.#setError("");
    this.#setBusy(true);
    try {
      const sentence = await action.run(values);
      this.#setBusy(false);
      this.close();
      this.onDone(sentence);
    } catch (thrown) {
      this.#setBusy(false);
      const problem = asProblem(thrown);
      this.#setError(problemText(problem));
      this.onProblem(problem);
    }
  }

  /** Checks the fields. The first one that is wrong gets the focus. */
  #check(): boolean {
    const wrong = this.#inputs.filter(({ field, input, error }) => {
      const text = fieldError(field, input.value);
      setFieldError(input, error, text);
      return text !== "";
    });
    wrong[0]?.input.focus();
    return wrong.length === 0;
  }

  #setBusy(isBusy: boolean): void {
    this.#isBusy = isBusy;
    setEnabled(this.#confirm, !isBusy);
    setEnabled(this.#cancel, !isBusy);
  }

  #setError(text: string): void {
    this.#error.textContent = text;
    this.#error.hidden = text === "";
  }
}

function makeInput(field: Field): Input {
  const input = create("input");
  input.id = `dialog-${field.name}`;
  input.type = "text";
  input.autocomplete = "off";
  input.spellcheck = false;
  if (field.bounds !== undefined) input.inputMode = "numeric";
  input.value = field.initial;
  const error = create("p", "field-error");
  error.id = `${input.id}-error`;
  error.hidden = true;
  input.setAttribute("aria-describedby", error.id);
  return { field, input, error };
}

/** Returns what is wrong with a value, or an empty text. */
function fieldError({ bounds }: Field, value: string): string {
  if (bounds === undefined) return "";
  const number = Number(value);
  const fits = /^\d+$/.test(value.trim()) && number >= bounds.min && number <= bounds.max;
  return fits ? "" : `A whole number from ${bounds.min} to ${bounds.max}.`;
}
