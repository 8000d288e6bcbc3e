// The large picture, the status line and the error message. All text is set as text, never as HTML (cross-site
// scripting).
import { element } from "./dom.ts";
import { problemText } from "./messages.ts";
import type { Problem } from "./problem.ts";

export type FrameState = "empty" | "busy" | "done" | "failed";

export class StageView {
  readonly #figure = element("figure", HTMLElement);
  readonly #frame = element("frame", HTMLElement);
  readonly #empty = element("empty", HTMLElement);
  readonly #picture = element("picture", HTMLImageElement);
  readonly #caption = element("caption", HTMLElement);
  readonly #captionText = element("caption-text", HTMLElement);
  readonly #open = element("open", HTMLAnchorElement);
  readonly #status = element("status", HTMLElement);
  readonly #time = element("time", HTMLElement);
  readonly #problem = element("problem", HTMLElement);

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

  /** Shows a picture that has been loaded. */
  setPicture({ src, naturalWidth, naturalHeight }: HTMLImageElement, description: string): void {
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

  setProblem(problem: Problem | undefined): void {
    showProblem(this.#problem, problem);
  }
}

/** Shows an error message with the ids that the user can give to the operator. `undefined` hides the box. */
export function showProblem(box: HTMLElement, problem: Problem | undefined): void {
  box.replaceChildren();
  box.hidden = problem === undefined;
  if (problem === undefined) return;
  const sentence = document.createElement("p");
  sentence.textContent = problemText(problem);
  box.append(sentence);
  for (const [what, id] of [["Request id", problem.requestId], ["Picture id", problem.jobId]] as const) {
    if (id === undefined) continue;
    const line = document.createElement("p");
    line.className = "reference";
    const code = document.createElement("code");
    code.textContent = id;
    line.append(`${what} `, code);
    box.append(line);
  }
}
