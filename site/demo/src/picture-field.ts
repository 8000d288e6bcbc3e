// The field for the picture to start from: checks and shows the chosen file, and shows the progress of its upload.
import { element, setFieldError } from "./dom.ts";
import { problemText } from "./messages.ts";
import { pictureProblem, size } from "./picture-rules.ts";

export class PictureField {
  readonly #input = element("picture-file", HTMLInputElement);
  readonly #field = element("picture-field", HTMLElement);
  readonly #preview = element("preview", HTMLImageElement);
  readonly #name = element("picture-name", HTMLElement);
  readonly #hint = element("picture-hint", HTMLElement);
  readonly #remove = element("picture-remove", HTMLButtonElement);
  readonly #error = element("picture-error", HTMLElement);
  readonly #shape = element("shape-of-picture", HTMLElement);
  readonly #upload = element("upload", HTMLElement);
  readonly #progress = element("upload-progress", HTMLProgressElement);
  readonly #percent = element("upload-percent", HTMLElement);
  readonly #empty = { name: this.#name.textContent ?? "", hint: this.#hint.textContent ?? "" };
  #file: File | undefined;

  constructor() {
    // The browser itself selects a file that is dropped on the input, and fires `change`.
    this.#input.addEventListener("change", () => this.#choose(this.#input.files?.[0]));
    this.#input.addEventListener("dragenter", () => this.#setDragging(true));
    for (const end of ["dragleave", "drop"]) this.#input.addEventListener(end, () => this.#setDragging(false));
    this.#remove.addEventListener("click", () => {
      this.#choose(undefined);
      this.#input.focus();
    });
  }

  /** The chosen file, if it passed the checks. */
  get file(): File | undefined {
    return this.#file;
  }

  /** Width divided by height of the chosen picture; 1 without one. */
  get ratio(): number {
    return this.#preview.naturalHeight > 0 ? this.#preview.naturalWidth / this.#preview.naturalHeight : 1;
  }

  /** Shows the progress of the upload, from 0 to 1. `undefined` hides it. */
  setProgress(part: number | undefined): void {
    this.#upload.hidden = part === undefined;
    this.#progress.value = part ?? 0;
    this.#percent.textContent = `${Math.floor((part ?? 0) * 100)} %`;
  }

  #setDragging(isOver: boolean): void {
    this.#field.classList.toggle("dragging", isOver);
  }

  #choose(file: File | undefined): void {
    const code = file === undefined ? undefined : pictureProblem(file);
    setFieldError(this.#input, this.#error, code === undefined ? "" : problemText({ code }));
    this.#file = code === undefined ? file : undefined;
    // Clear the input: otherwise choosing the same file again would not fire `change`.
    if (this.#file === undefined) this.#input.value = "";
    this.#show(this.#file);
  }

  #show(file: File | undefined): void {
    URL.revokeObjectURL(this.#preview.src);
    if (file === undefined) this.#preview.removeAttribute("src");
    else this.#preview.src = URL.createObjectURL(file);
    this.#field.classList.toggle("chosen", file !== undefined);
    this.#preview.hidden = file === undefined;
    this.#remove.hidden = file === undefined;
    this.#name.textContent = file?.name ?? this.#empty.name;
    this.#hint.textContent = file === undefined ? this.#empty.hint : size(file.size);
    this.#offerShape(file !== undefined);
  }

  /** Offers the shape "Same as the picture" only while a picture is chosen. */
  #offerShape(isOffered: boolean): void {
    const radios = this.#shape.parentElement?.querySelectorAll("input") ?? [];
    const [first] = radios;
    const own = this.#shape.querySelector("input");
    this.#shape.hidden = !isOffered;
    if (!isOffered && own?.checked && first) {
      first.checked = true;
      first.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }
}
