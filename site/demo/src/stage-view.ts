// The large picture, the status line and the error message. All text is set as text, never as HTML (cross-site
// scripting).
import { announce, copies } from "./copy.ts";
import { element } from "./dom.ts";
import { download, fileName } from "./download.ts";
import { problemText } from "./messages.ts";
import type { Problem } from "./problem.ts";

const NOT_SAVED = "The picture’s server lets no page save it. Open it in full size, and save it from there.";

export type FrameState = "empty" | "busy" | "done" | "failed";

export class StageView {
  readonly #figure = element("figure", HTMLElement);
  readonly #frame = element("frame", HTMLElement);
  readonly #empty = element("empty", HTMLElement);
  readonly #picture = element("picture", HTMLImageElement);
  readonly #caption = element("caption", HTMLElement);
  readonly #captionText = element("caption-text", HTMLElement);
  readonly #open = element("open", HTMLAnchorElement);
  readonly #reuse = element("reuse", HTMLButtonElement);
  #onReuse: (() => void) | undefined;
  readonly #status = element("status", HTMLElement);
  readonly #time = element("time", HTMLElement);
  readonly #problem = element("problem", HTMLElement);

  constructor() {
    this.#reuse.addEventListener("click", () => this.#onReuse?.());
    element("download", HTMLButtonElement).addEventListener("click", () => void this.#download());
  }

  /** Sets width divided by height of the frame. */
  setRatio(ratio: number): void {
    this.#figure.style.setProperty("--ratio", String(ratio));
  }

  get isEmpty(): boolean {
    return this.#frame.dataset["state"] === "empty";
  }

  setFrame(state: FrameState): void {
    this.#frame.dataset["state"] = state;
    this.#frame.setAttribute("aria-busy", String(state === "busy"));
    this.#empty.hidden = state !== "empty" && state !== "failed";
    this.#picture.hidden = state !== "done";
    this.#caption.hidden = state !== "done";
    // On a phone the picture can be outside of the viewport. `nearest` does not scroll if it is in view.
    if (state === "done") this.#frame.scrollIntoView({ block: "nearest" });
  }

  /** Shows a picture that has been loaded. `onReuse` puts its prompt into the form; absent if it is not known. */
  setPicture({ src, naturalWidth, naturalHeight }: HTMLImageElement, description: string, onReuse: (() => void) | undefined): void {
    this.#onReuse = onReuse;
    this.#reuse.hidden = onReuse === undefined;
    this.#picture.src = src;
    this.#picture.alt = description;
    this.#captionText.textContent = description;
    this.#open.href = src;
    this.setRatio(naturalWidth / naturalHeight);
    this.setFrame("done");
  }

  get status(): string {
    return this.#status.textContent ?? "";
  }

  /** Sets the status text. Screen readers announce it, so it is only set when it changes. */
  setStatus(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  /** Sets the time beside the status. Screen readers do not announce it, because it changes every second. */
  setTime(text: string): void {
    this.#time.textContent = text;
  }

  /** Shows an error; `again` is what "Try again" does, if that makes sense. `undefined` hides it. */
  setProblem(problem: Problem | undefined, again?: () => void): void {
    showProblem(this.#problem, problem, again);
  }

  async #download(): Promise<void> {
    const isSaved = await download(this.#picture.src, fileName(this.#captionText.textContent ?? ""));
    announce(isSaved ? "Downloaded" : NOT_SAVED);
    if (!isSaved) this.setStatus(NOT_SAVED);
  }
}

/**
 * Shows an error message with the ids that the user can give to the operator. `undefined` hides the box. `again` gets a
 * button.
 */
export function showProblem(box: HTMLElement, problem: Problem | undefined, again?: () => void): void {
  // The focus must not vanish with the button that had it.
  if (box.contains(document.activeElement)) element("create", HTMLElement).focus();
  box.replaceChildren();
  box.hidden = problem === undefined;
  if (problem === undefined) return;
  const sentence = document.createElement("p");
  sentence.textContent = problemText(problem);
  const buttons = document.createElement("p");
  buttons.className = "buttons";
  if (again !== undefined) buttons.append(button("Try again", again));
  box.append(sentence, ...references(problem, buttons), ...(buttons.childElementCount > 0 ? [buttons] : []));
}

/** Returns a line for each id, and adds the button that copies the request id. */
function references(problem: Problem, buttons: HTMLElement): HTMLElement[] {
  const lines: HTMLElement[] = [];
  for (const [what, id] of [["Request id", problem.requestId], ["Picture id", problem.jobId]] as const) {
    if (id === undefined) continue;
    const line = document.createElement("p");
    line.className = "reference";
    const code = document.createElement("code");
    code.textContent = id;
    line.append(`${what} `, code);
    lines.push(line);
    if (id !== problem.requestId) continue;
    const copying = button("Copy the request id");
    copies(copying, code);
    buttons.append(copying);
  }
  return lines;
}

function button(label: string, onClick?: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  if (onClick !== undefined) made.addEventListener("click", onClick);
  return made;
}
