// The form: description, shape and buttons. Only this file reads what the user typed.
import type { Balance } from "../../../clients/web/src/index.ts";
import { element, setEnabled, setFieldError } from "./dom.ts";
import { type Offer, priceText } from "./offer.ts";
import type { Order } from "./person.ts";

export class ComposerView {
  readonly #form = element("form", HTMLFormElement);
  readonly #prompt = element("prompt", HTMLTextAreaElement);
  readonly #promptError = element("prompt-error", HTMLElement);
  readonly #create = element("create", HTMLButtonElement);
  readonly #cancel = element("cancel", HTMLButtonElement);
  readonly #credits = element("credits", HTMLElement);
  readonly #shapes = element("shapes", HTMLFieldSetElement);
  readonly #pictureField = element("picture-field", HTMLElement);
  #onCreate: (() => void) | undefined;
  /** True if Create was pressed before the page was ready for it. */
  #isPressed = false;

  constructor() {
    element("modifier", HTMLElement).textContent = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";
    this.#prompt.addEventListener("keydown", (event) => {
      // `isComposing`: in an input method for Chinese, Japanese or Korean, Enter confirms a word.
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#onCreate === undefined) this.#isPressed = true;
      else this.#onCreate();
    });
    this.#prompt.addEventListener("input", () => this.setPromptError(""));
    for (const example of document.querySelectorAll<HTMLButtonElement>("#examples button")) {
      example.addEventListener("click", () => this.#setPrompt(example.textContent ?? ""));
    }
  }

  onCreate(handler: () => void): void {
    this.#onCreate = handler;
    this.#form.removeAttribute("aria-busy");
    if (this.#isPressed) handler();
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

  /** The chosen shape; empty if the model has none to choose. */
  get aspectRatio(): string {
    return this.#radios.find(({ checked, disabled }) => checked && !disabled)?.value ?? "";
  }

  /** Every shape that the form can offer. */
  get knownShapes(): readonly string[] {
    return this.#radios.map(({ value }) => value);
  }

  get #radios(): HTMLInputElement[] {
    return [...this.#shapes.querySelectorAll<HTMLInputElement>("input")];
  }

  /** Offers what the model takes, and shows its price. `undefined`: not known, so everything is offered. */
  setOffer(offer: Offer | undefined, balance: Balance | undefined): void {
    this.#credits.textContent = offer === undefined ? "" : priceText(offer, balance);
    this.#pictureField.hidden = offer !== undefined && !offer.takesPicture;
    this.#shapes.hidden = offer !== undefined && offer.shapes.length === 0;
    for (const radio of this.#radios) radio.disabled = offer !== undefined && !offer.shapes.includes(radio.value);
    if (this.aspectRatio === "") this.#choose(this.#radios.find(({ disabled }) => !disabled)?.value ?? "");
  }

  /** Puts an earlier order into the form. */
  fill({ prompt, aspectRatio }: Order): void {
    this.#choose(aspectRatio);
    this.#setPrompt(prompt);
  }

  #choose(aspectRatio: string): void {
    // "Same as the picture" can only be chosen while there is a picture.
    const radio = this.#radios.find(({ value, disabled, offsetParent }) => value === aspectRatio && !disabled && offsetParent !== null);
    if (radio === undefined) return;
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #setPrompt(text: string): void {
    this.#prompt.value = text;
    this.setPromptError("");
    this.#prompt.focus();
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
