// The picture to start from: chosen or dropped, checked, shown, and its upload's progress.
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
    // A file that is dropped on the input is chosen by the browser itself.
    this.#input.addEventListener("change", () => this.#choose(this.#input.files?.[0]));
    this.#input.addEventListener("dragenter", () => this.#setDragging(true));
    for (const end of ["dragleave", "drop"]) this.#input.addEventListener(end, () => this.#setDragging(false));
    this.#remove.addEventListener("click", () => {
      this.#choose(undefined);
      this.#input.focus();
    });
  }

  get file(): File | undefined {
    return this.#file;
  }

  /** Width to height of the chosen picture. */
  get ratio(): number {
    return this.#preview.naturalHeight > 0 ? this.#preview.naturalWidth / this.#preview.naturalHeight : 1;
  }

  /** Of the upload that goes on, from 0 to 1. */
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
    // The same file can be chosen again after it was removed.
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

  /** "As the picture" is a shape only while there is one. */
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
