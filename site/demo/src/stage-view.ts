// The large picture, the line that says what goes on, and what went wrong. Text goes in as text, never as markup.
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

  /** Width to height. */
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
    // On a phone the picture can lie out of sight; where it is in view nothing moves.
    if (state === "done") this.#frame.scrollIntoView({ block: "nearest" });
  }

  /** Takes a picture that is loaded already. */
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

  /** Announced by screen readers, so only set when it says something new. */
  setStatus(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  /** Not announced: it changes every second. */
  setTime(text: string): void {
    this.#time.textContent = text;
  }

  setProblem(problem: Problem | undefined): void {
    showProblem(this.#problem, problem);
  }
}

/** A sentence, and what a person can quote to the operator. */
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
