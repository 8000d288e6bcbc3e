// Shows what does not work now: one line for each part of the page.
import { element } from "../../demo/src/dom.ts";
import { create, setText } from "./elements.ts";

export class ProblemsView {
  readonly #box = element("problems", HTMLElement);
  readonly #lines = new Map<string, HTMLElement>();

  /** Shows the problem of a part, or removes it if the text is empty. */
  set(part: string, text: string): void {
    const line = this.#lines.get(part);
    if (text === "") {
      line?.remove();
      this.#lines.delete(part);
    } else if (line !== undefined) {
      setText(line, text);
    } else {
      const added = create("p", "problem", text);
      this.#lines.set(part, added);
      this.#box.append(added);
    }
  }

  clear(): void {
    this.#lines.clear();
    this.#box.replaceChildren();
  }
}
