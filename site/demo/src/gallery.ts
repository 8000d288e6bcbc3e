// The gallery's life: loads pages, keeps those that go on up to date, removes.
import { type Client, hasEnded, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { GalleryView } from "./gallery-view.ts";
import type { Person } from "./person.ts";
import { extended, NONE, type Pictures, refreshed, running, withChanges } from "./pictures.ts";
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
  /** What changed since a list was asked for, which may not know it yet; `undefined` for one that was removed. */
  readonly #changes = new Map<string, Prediction | undefined>();
  /** One list after the other, so that none overtakes a newer one. */
  #looked: Promise<void> = Promise.resolve();
  /** Whether what is told is that pictures could not be loaded, and is over once they are. */
  #failedToLoad = false;
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
    this.#failedToLoad = !(await this.#try(() => this.#look()));
    return running(this.#pictures);
  }

  /** Looks again, unasked: what fails is not told, and the next look comes. */
  async refresh(): Promise<void> {
    if (document.hidden || !this.#person.isKnown) return;
    try {
      await this.#look();
      if (this.#failedToLoad) this.#view.setProblem(undefined);
      this.#failedToLoad = false;
    } catch (thrown) {
      if (!(thrown instanceof ValetkeyError)) throw thrown;
    }
    this.#render();
  }

  /** A prediction has a state that the other tabs want to know too. */
  see(prediction: Prediction): void {
    const known = this.#pictures.shown.find(({ job_id: id }) => id === prediction.job_id);
    this.#change(prediction.job_id, prediction);
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
      const page = await this.#client.list({ limit: PAGE, cursor: nextCursor });
      // Unless it was pressed twice, or so much is new that the pages do not meet any more.
      if (this.#pictures.nextCursor === nextCursor) this.#pictures = extended(this.#pictures, page);
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
      this.#change(jobId, undefined);
      this.#person.forget(jobId);
      this.onRemoved(jobId);
      this.#tabs.tell();
    });
  }

  /** Loads the newest, once an earlier look has ended. */
  #look(): Promise<void> {
    const look = async (): Promise<void> => {
      this.#changes.clear();
      const page = await this.#client.list({ limit: PAGE });
      this.#pictures = withChanges(refreshed(this.#pictures, page), this.#changes);
    };
    this.#looked = this.#looked.then(look, look);
    return this.#looked;
  }

  #change(jobId: string, prediction: Prediction | undefined): void {
    this.#changes.set(jobId, prediction);
    this.#pictures = withChanges(this.#pictures, [[jobId, prediction]]);
  }

  /** Does what the person asked for, and tells them when it fails. Gives whether it was done. */
  async #try(work: () => Promise<void>): Promise<boolean> {
    this.#view.setLoading(true);
    this.#view.setProblem(undefined);
    this.#failedToLoad = false;
    try {
      await work();
      return true;
    } catch (thrown) {
      const problem = problemOf(thrown, navigator.onLine);
      this.#view.setProblem(problem ?? { code: "page_error" });
      if (problem === undefined) throw thrown;
      return false;
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
