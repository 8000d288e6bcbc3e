// The gallery's life: loads pages, keeps those that go on up to date, removes.
import { type Client, hasEnded, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { GalleryView } from "./gallery-view.ts";
import type { Person } from "./person.ts";
import { extended, NONE, type Pictures, refreshed, running, updated, without } from "./pictures.ts";
import { problemOf } from "./problem.ts";
import { describe } from "./describe.ts";
import type { Tabs } from "./tabs.ts";

const PAGE = 12;
/** How often to look while something goes on that is not followed by its events. */
const LOOK_MS = 5_000;

export class Gallery {
  readonly #client: Client;
  readonly #person: Person;
  readonly #view: GalleryView;
  readonly #tabs: Tabs;
  #pictures: Pictures = NONE;
  /** The one on the stage, which is followed by its events. */
  #shownId: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  onSelect: (prediction: Prediction) => void = () => {};
  onRemoved: (jobId: string) => void = () => {};

  constructor(client: Client, person: Person, view: GalleryView, tabs: Tabs) {
    this.#client = client;
    this.#person = person;
    this.#view = view;
    this.#tabs = tabs;
    view.onShow((jobId) => {
      const prediction = this.#pictures.shown.find(({ job_id: id }) => id === jobId);
      if (prediction !== undefined) this.onSelect(prediction);
    });
    view.onRemove((jobId) => void this.#remove(jobId));
    view.onMore(() => void this.#more());
    tabs.onChange(() => void this.refresh());
  }

  /** Loads what is there, and gives the newest that goes on. */
  async start(): Promise<Prediction | undefined> {
    this.#render();
    // Somebody new has nothing, and needs no token yet.
    if (!this.#person.isKnown) return undefined;
    await this.#try(async () => {
      this.#pictures = refreshed(this.#pictures, await this.#client.list({ limit: PAGE }));
    });
    return running(this.#pictures);
  }

  /** Looks again, unasked: what fails is not told, and the next look comes. */
  async refresh(): Promise<void> {
    if (document.hidden || !this.#person.isKnown) return;
    try {
      this.#pictures = refreshed(this.#pictures, await this.#client.list({ limit: PAGE }));
      this.#view.setProblem(undefined);
    } catch (thrown) {
      if (!(thrown instanceof ValetkeyError)) throw thrown;
    }
    this.#render();
  }

  /** A prediction has a state that the other tabs want to know too. */
  see(prediction: Prediction): void {
    const known = this.#pictures.shown.find(({ job_id: id }) => id === prediction.job_id);
    this.#pictures = updated(this.#pictures, prediction);
    if (known?.status !== prediction.status) this.#tabs.tell();
    this.#render();
  }

  mark(jobId: string | undefined): void {
    this.#shownId = jobId;
    this.#render();
  }

  async #more(): Promise<void> {
    const { nextCursor } = this.#pictures;
    if (nextCursor === null) return;
    await this.#try(async () => {
      this.#pictures = extended(this.#pictures, await this.#client.list({ limit: PAGE, cursor: nextCursor }));
    });
  }

  async #remove(jobId: string): Promise<void> {
    await this.#try(async () => {
      try {
        await this.#client.delete(jobId);
      } catch (thrown) {
        // Another tab was first.
        if (!(thrown instanceof ValetkeyError && thrown.code === "not_found")) throw thrown;
      }
      this.#pictures = without(this.#pictures, jobId);
      this.#person.forget(jobId);
      this.onRemoved(jobId);
      this.#tabs.tell();
    });
  }

  /** Does what the person asked for, and tells them when it fails. */
  async #try(work: () => Promise<void>): Promise<void> {
    this.#view.setLoading(true);
    this.#view.setProblem(undefined);
    try {
      await work();
    } catch (thrown) {
      const problem = problemOf(thrown, navigator.onLine);
      this.#view.setProblem(problem ?? { code: "page_error" });
      if (problem === undefined) throw thrown;
    } finally {
      this.#view.setLoading(false);
      this.#render();
    }
  }

  #render(): void {
    const entries = this.#pictures.shown.map((prediction) => ({ prediction, description: describe(prediction, this.#person) }));
    this.#view.show(entries, this.#shownId, this.#pictures.nextCursor !== null);
    const others = this.#pictures.shown.some((prediction) => !hasEnded(prediction) && prediction.job_id !== this.#shownId);
    clearTimeout(this.#timer);
    if (others) this.#timer = setTimeout(() => void this.refresh(), LOOK_MS);
  }
}
