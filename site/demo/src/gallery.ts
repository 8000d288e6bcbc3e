// Controls the gallery: loads pages of pictures, polls those in progress, and deletes pictures.
import { type Client, hasEnded, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { GalleryView } from "./gallery-view.ts";
import type { Person } from "./person.ts";
import { extended, NONE, type Pictures, refreshed, running, withChanges } from "./pictures.ts";
import { problemOf } from "./problem.ts";
import { describe } from "./describe.ts";
import type { Tabs } from "./tabs.ts";

/** Pictures on a page. */
const PAGE = 12;
/** Poll interval while a prediction is in progress that is not on the stage, whose event stream is not read. */
const LOOK_MS = 5_000;

export class Gallery {
  readonly #client: Client;
  readonly #person: Person;
  readonly #view: GalleryView;
  readonly #tabs: Tabs;
  readonly #mayHavePictures: () => boolean;
  #pictures: Pictures = NONE;
  /** Changes since the pending list was requested, which may lack them. `undefined` marks a deleted picture. */
  readonly #changes = new Map<string, Prediction | undefined>();
  /** Counts the users of this page. A response that was asked for as the user before is not shown to the next one. */
  #user = 0;
  /** End of the last poll. Polls run one after the other, so that no response overwrites a newer one. */
  #looked: Promise<void> = Promise.resolve();
  /** True while the error shown is that pictures could not be loaded. The next successful poll removes that error. */
  #failedToLoad = false;
  /** The prediction on the stage, which follows it by its event stream. */
  #shownId: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  onSelect: (prediction: Prediction) => void = () => {};
  onRemoved: (jobId: string) => void = () => {};

  /** `mayHavePictures` returns false while no token is needed, because a new user has no pictures. */
  constructor(client: Client, person: Person, view: GalleryView, tabs: Tabs, mayHavePictures: () => boolean) {
    this.#client = client;
    this.#person = person;
    this.#view = view;
    this.#tabs = tabs;
    this.#mayHavePictures = mayHavePictures;
    view.onShow((jobId) => {
      const prediction = this.#pictures.shown.find(({ job_id: id }) => id === jobId);
      if (prediction !== undefined) this.onSelect(prediction);
    });
    view.onRemove((jobId) => void this.#remove(jobId));
    view.onMore(() => void this.#more());
    tabs.onChange(() => void this.refresh());
  }

  /** Loads the first page and returns the newest prediction that is in progress. */
  async start(): Promise<Prediction | undefined> {
    this.#render();
    if (!this.#mayHavePictures()) return undefined;
    this.#failedToLoad = !(await this.#try(() => this.#look()));
    return running(this.#pictures);
  }

  /** Starts again for another user. Pictures of the user before cannot be read any more. */
  async restart(): Promise<Prediction | undefined> {
    this.#user += 1;
    this.#pictures = NONE;
    return this.start();
  }

  /** Polls in the background. Errors are not shown; the next poll tries again. */
  async refresh(): Promise<void> {
    if (document.hidden || !this.#mayHavePictures()) return;
    try {
      await this.#look();
      if (this.#failedToLoad) this.#view.setProblem(undefined);
      this.#failedToLoad = false;
    } catch (thrown) {
      if (!(thrown instanceof ValetkeyError)) throw thrown;
    }
    this.#render();
  }

  /** Records a new state of a prediction, and tells the other tabs if its status has changed. */
  see(prediction: Prediction): void {
    const known = this.#pictures.shown.find(({ job_id: id }) => id === prediction.job_id);
    this.#change(prediction.job_id, prediction);
    if (known?.status !== prediction.status) this.#tabs.tell();
    this.#render();
  }

  /** Marks the picture that is on the stage. */
  mark(jobId: string | undefined): void {
    this.#shownId = jobId;
    this.#render();
  }

  async #more(): Promise<void> {
    const { nextCursor } = this.#pictures;
    if (nextCursor === null) return;
    await this.#try(async () => {
      const page = await this.#client.list({ limit: PAGE, cursor: nextCursor });
      // Skipped if the button was pressed twice, or if a poll found so many new pictures that the pages no longer
      // connect.
      if (this.#pictures.nextCursor === nextCursor) this.#pictures = extended(this.#pictures, page);
    });
  }

  async #remove(jobId: string): Promise<void> {
    await this.#try(async () => {
      try {
        await this.#client.delete(jobId);
      } catch (thrown) {
        // Another tab has already deleted it.
        if (!(thrown instanceof ValetkeyError && thrown.code === "not_found")) throw thrown;
      }
      this.#change(jobId, undefined);
      this.#person.forget(jobId);
      this.onRemoved(jobId);
      this.#tabs.tell();
    });
  }

  /** Loads the newest page after the previous poll has ended. */
  #look(): Promise<void> {
    const look = async (): Promise<void> => {
      this.#changes.clear();
      const user = this.#user;
      const page = await this.#client.list({ limit: PAGE });
      if (user !== this.#user) return;
      this.#pictures = withChanges(refreshed(this.#pictures, page), this.#changes);
    };
    this.#looked = this.#looked.then(look, look);
    return this.#looked;
  }

  #change(jobId: string, prediction: Prediction | undefined): void {
    this.#changes.set(jobId, prediction);
    this.#pictures = withChanges(this.#pictures, [[jobId, prediction]]);
  }

  /** Does what the user requested and shows an error if it fails. Returns true on success. */
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
