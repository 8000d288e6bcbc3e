// The gallery: the user's pictures as a list of thumbnails.
import { hasEnded, type Prediction } from "../../../clients/web/src/index.ts";
import { element } from "./dom.ts";
import type { Problem } from "./problem.ts";
import { showProblem } from "./stage-view.ts";

/** Text of a thumbnail without a picture. `succeeded` is shown when the picture cannot be loaded. */
const STATES: Readonly<Record<Prediction["status"], string>> = {
  queued: "Waiting",
  processing: "Making",
  succeeded: "Not available",
  failed: "Failed",
  canceled: "Canceled",
};

export interface Entry {
  prediction: Prediction;
  description: string;
}

interface Item {
  row: HTMLLIElement;
  show: HTMLButtonElement;
  picture: HTMLImageElement;
  /** Shown instead of a picture: the state and the description. */
  state: HTMLElement;
  words: HTMLElement;
  remove: HTMLButtonElement;
}

export class GalleryView {
  readonly #section = element("gallery", HTMLElement);
  readonly #heading = element("gallery-heading", HTMLElement);
  readonly #list = element("gallery-list", HTMLUListElement);
  readonly #empty = element("gallery-empty", HTMLElement);
  readonly #more = element("more", HTMLButtonElement);
  readonly #problem = element("gallery-problem", HTMLElement);
  readonly #template = element("gallery-item", HTMLTemplateElement);
  readonly #items = new Map<string, Item>();
  #onShow: (jobId: string) => void = () => {};
  #onRemove: (jobId: string) => void = () => {};

  onShow(handler: (jobId: string) => void): void {
    this.#onShow = handler;
  }

  onRemove(handler: (jobId: string) => void): void {
    this.#onRemove = handler;
  }

  onMore(handler: () => void): void {
    this.#more.addEventListener("click", handler);
  }

  setLoading(isLoading: boolean): void {
    this.#section.setAttribute("aria-busy", String(isLoading));
  }

  setProblem(problem: Problem | undefined): void {
    showProblem(this.#problem, problem);
  }

  /**
   * Shows these entries, newest first. Known entries keep their elements, and with them the focus and the loaded
   * picture.
   */
  show(entries: readonly Entry[], shownId: string | undefined, hasMore: boolean): void {
    const gone = new Set(this.#items.keys());
    let before: Element | null = null;
    for (const { prediction, description } of entries) {
      gone.delete(prediction.job_id);
      const item = this.#items.get(prediction.job_id) ?? this.#add(prediction.job_id);
      fill(item, prediction, description, prediction.job_id === shownId);
      const place: Element | null = before === null ? this.#list.firstElementChild : before.nextElementSibling;
      if (place !== item.row) this.#list.insertBefore(item.row, place);
      before = item.row;
    }
    for (const jobId of gone) this.#drop(jobId);
    this.#empty.hidden = entries.length > 0;
    // "Show more" disappears with the last page. If it had the focus, move the focus to the last thumbnail.
    if (!hasMore && document.activeElement === this.#more) this.#list.querySelector<HTMLElement>("li:last-child .thumb")?.focus();
    this.#more.hidden = !hasMore;
  }

  #add(jobId: string): Item {
    const row = this.#template.content.firstElementChild?.cloneNode(true) as HTMLLIElement;
    const find = <T extends Element>(selector: string): T => row.querySelector<T>(selector) as T;
    const item: Item = { row, show: find(".thumb"), picture: find("img"), state: find(".state"), words: find(".words"), remove: find(".remove") };
    item.show.addEventListener("click", () => this.#onShow(jobId));
    item.remove.addEventListener("click", () => this.#onRemove(jobId));
    // The picture cannot be loaded, for example because the vendor has deleted it.
    item.picture.addEventListener("error", () => choose(item, true));
    this.#items.set(jobId, item);
    return item;
  }

  /**
   * Removes an entry. If it had the focus, moves the focus to a neighbor, so that a keyboard user does not start at the
   * top again.
   */
  #drop(jobId: string): void {
    const row = this.#items.get(jobId)?.row;
    if (row?.contains(document.activeElement)) {
      const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector<HTMLElement>(".thumb");
      (next ?? this.#heading).focus();
    }
    row?.remove();
    this.#items.delete(jobId);
  }
}

function fill(item: Item, prediction: Prediction, description: string, isShown: boolean): void {
  const { row, show, picture, state, words, remove } = item;
  const [url] = prediction.output;
  row.dataset["status"] = prediction.status;
  state.textContent = STATES[prediction.status];
  words.textContent = description;
  picture.alt = description;
  show.title = description;
  if (isShown) show.setAttribute("aria-current", "true");
  else show.removeAttribute("aria-current");
  remove.setAttribute("aria-label", `Remove: ${description}`);
  remove.hidden = !hasEnded(prediction);
  const isNew = url !== undefined && picture.getAttribute("src") !== url;
  if (isNew) picture.src = url;
  choose(item, url === undefined || (picture.hidden && !isNew));
}

/** Shows either the picture or the text. The one that is shown gives the button its accessible name. */
function choose({ picture, state, words }: Item, isMissing: boolean): void {
  picture.hidden = isMissing;
  state.hidden = !isMissing;
  words.hidden = !isMissing;
}
