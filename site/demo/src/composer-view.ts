// The form: description, shape and buttons. Only this file reads what the user typed.
import { element, setEnabled, setFieldError } from "./dom.ts";

export class ComposerView {
  readonly #form = element("form", HTMLFormElement);
  readonly #prompt = element("prompt", HTMLTextAreaElement);
  readonly #promptError = element("prompt-error", HTMLElement);
  readonly #create = element("create", HTMLButtonElement);
  readonly #cancel = element("cancel", HTMLButtonElement);

  constructor() {
    element("modifier", HTMLElement).textContent = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";
    this.#prompt.addEventListener("keydown", (event) => {
      // `isComposing`: in an input method for Chinese, Japanese or Korean, Enter confirms a word.
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#prompt.addEventListener("input", () => this.setPromptError(""));
  }

  onCreate(handler: () => void): void {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      handler();
    });
  }

  onCancel(handler: () => void): void {
    this.#cancel.addEventListener("click", handler);
  }

  onShape(handler: () => void): void {
    this.#form.addEventListener("change", handler);
  }

  get prompt(): string {
    return this.#prompt.value.trim();
  }

  get aspectRatio(): string {
    const chosen = this.#form.elements.namedItem("aspect_ratio");
    return chosen instanceof RadioNodeList ? chosen.value : "1:1";
  }

  /** Shows an error next to the description and moves the focus there. An empty text clears the error. */
  setPromptError(text: string): void {
    setFieldError(this.#prompt, this.#promptError, text);
    if (text !== "") this.#prompt.focus();
  }

  /** Enables Create and shows Cancel. Moves the focus from Cancel to Create before Cancel disappears. */
  setBusy({ canCreate, canCancel }: { canCreate: boolean; canCancel: boolean }): void {
    const focusWasOnCancel = document.activeElement === this.#cancel;
    setEnabled(this.#create, canCreate);
    this.#cancel.hidden = !canCancel;
    if (!canCancel && focusWasOnCancel) this.#create.focus();
  }

  /** Enables or disables Cancel. */
  setCancelable(isCancelable: boolean): void {
    setEnabled(this.#cancel, isCancelable);
  }
}
