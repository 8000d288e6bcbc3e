// The page: the only module that touches elements. Text goes in as text, never as markup.
import { clock } from "./messages.ts";

export type FrameState = "empty" | "busy" | "done" | "failed";

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`#${id} is missing`);
  return found;
}

export class View {
  readonly #form = element("form", HTMLFormElement);
  readonly #prompt = element("prompt", HTMLTextAreaElement);
  readonly #promptError = element("prompt-error", HTMLElement);
  readonly #create = element("create", HTMLButtonElement);
  readonly #cancel = element("cancel", HTMLButtonElement);
  readonly #frame = element("frame", HTMLElement);
  readonly #empty = element("empty", HTMLElement);
  readonly #picture = element("picture", HTMLImageElement);
  readonly #caption = element("caption", HTMLElement);
  readonly #captionText = element("caption-text", HTMLElement);
  readonly #open = element("open", HTMLAnchorElement);
  readonly #status = element("status", HTMLElement);
  readonly #elapsed = element("elapsed", HTMLElement);
  readonly #problem = element("problem", HTMLElement);

  constructor() {
    element("modifier", HTMLElement).textContent = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";
    this.#prompt.addEventListener("keydown", (event) => {
      // `isComposing`: Enter also ends the input of a Chinese, Japanese or Korean word.
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#prompt.addEventListener("input", () => this.setPromptError(""));
    this.#form.addEventListener("change", () => {
      // The empty frame shows what the choice means; a picture keeps its own shape.
      if (this.#empty.hidden) return;
      this.#frame.dataset["ratio"] = this.aspectRatio;
    });
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

  get prompt(): string {
    return this.#prompt.value.trim();
  }

  get aspectRatio(): string {
    const chosen = this.#form.elements.namedItem("aspect_ratio");
    return chosen instanceof RadioNodeList ? chosen.value : "1:1";
  }

  /** Says what is wrong with the prompt and puts the cursor there; an empty text takes it back. */
  setPromptError(text: string): void {
    this.#promptError.textContent = text;
    this.#promptError.hidden = text === "";
    if (text === "") {
      this.#prompt.removeAttribute("aria-invalid");
    } else {
      this.#prompt.setAttribute("aria-invalid", "true");
      this.#prompt.focus();
    }
  }

  start(aspectRatio: string): void {
    this.setProblem("");
    this.#frame.dataset["ratio"] = aspectRatio;
    this.#setFrame("busy");
    // Not `disabled`: that would drop the focus of somebody who works by keyboard.
    this.#create.setAttribute("aria-disabled", "true");
    this.setCancelable(true);
    this.#cancel.hidden = false;
  }

  end(state: FrameState): void {
    const focusWasOnCancel = document.activeElement === this.#cancel;
    this.#create.removeAttribute("aria-disabled");
    this.#cancel.hidden = true;
    this.#setFrame(state);
    if (focusWasOnCancel) this.#create.focus();
    // On a phone the picture can lie below the fold; where it is in view nothing moves.
    if (state === "done") this.#frame.scrollIntoView({ block: "nearest" });
  }

  setCancelable(cancelable: boolean): void {
    if (cancelable) this.#cancel.removeAttribute("aria-disabled");
    else this.#cancel.setAttribute("aria-disabled", "true");
  }

  /** Announced by screen readers, so only set when it says something new. */
  setStatus(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  /** Not announced: it changes every second. */
  setElapsed(elapsedMs: number | undefined): void {
    this.#elapsed.textContent = elapsedMs === undefined ? "" : clock(elapsedMs);
  }

  /** Takes a picture that is loaded already; `end("done")` shows it. */
  setPicture(url: string, prompt: string): void {
    this.#picture.src = url;
    this.#picture.alt = prompt;
    this.#captionText.textContent = prompt;
    this.#open.href = url;
  }

  setProblem(sentence: string, requestId?: string): void {
    this.#problem.replaceChildren();
    this.#problem.hidden = sentence === "";
    if (sentence === "") return;
    const text = document.createElement("p");
    text.textContent = sentence;
    this.#problem.append(text);
    if (requestId === undefined) return;
    const line = document.createElement("p");
    line.className = "request-id";
    const code = document.createElement("code");
    code.textContent = requestId;
    line.append("Request id ", code);
    this.#problem.append(line);
  }

  #setFrame(state: FrameState): void {
    this.#frame.dataset["state"] = state;
    this.#frame.setAttribute("aria-busy", String(state === "busy"));
    this.#empty.hidden = state !== "empty" && state !== "failed";
    this.#picture.hidden = state !== "done";
    this.#caption.hidden = state !== "done";
  }
}
