// Controls the stage, which shows one prediction: a new one from the form, or one selected in the gallery.
import { type Client, hasEnded, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { ComposerView } from "./composer-view.ts";
import { backOnline, type Connection } from "./connection.ts";
import type { Creator, Request } from "./creation.ts";
import { describe } from "./describe.ts";
import { loadPicture } from "./loading.ts";
import type { Order, Person } from "./person.ts";
import type { PictureField } from "./picture-field.ts";
import { failureOf, mayTryAgain, type Problem, problemOf } from "./problem.ts";
import { newRun, type Run } from "./run.ts";
import type { FrameState, StageView } from "./stage-view.ts";
import { NO_PICTURE, predictionText, type Situation, statusText, timeText, type Work } from "./status.ts";

const RATIOS: Readonly<Record<string, number>> = { "1:1": 1, "16:9": 16 / 9, "9:16": 9 / 16 };

const OFFLINE = "You are offline.";
const CANCELED = "Canceled.";
const CANCELED_ON_THE_WAY = "Canceled. If the service already has the request, the picture appears in “Your pictures”.";
const PAGE_ERROR: Problem = { code: "page_error" };
const NOT_WATCHED = "Your picture is still being made. It will appear in “Your pictures”.";

export interface Parts {
  client: Client;
  creator: Creator;
  connection: Connection;
  person: Person;
  view: StageView;
  composer: ComposerView;
  field: PictureField;
}

export class Stage {
  readonly #parts: Parts;
  #run: Run | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #shownId: string | undefined;
  /** Called with each state of the prediction. */
  onSeen: (prediction: Prediction) => void = () => {};
  /** Called with the id of each prediction that was created here. */
  onCreated: (jobId: string) => void = () => {};
  /** Called when a run has ended, in whatever way. */
  onEnded: () => void = () => {};
  /** Called when the user presses "Try again" for a picture that failed and was selected in the gallery. */
  onRetry: (order: Order) => void = () => {};
  /** Called when the user presses "Use this prompt again". */
  onReuse: (order: Order) => void = () => {};
  /** Code of an error for a prediction that is no longer there. */
  goneCode: "not_found" | "guest_ended" = "not_found";
  /** Called when a create failed with the id of a prediction that the gallery does not have yet. */
  onFailed: () => void = () => {};
  /** Called when another prediction is on the stage, or none. */
  onShown: (jobId: string | undefined) => void = () => {};

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.connection.onChange = () => this.#render();
  }

  /** True if the stage shows nothing. */
  get isFree(): boolean {
    return this.#run === undefined && this.#shownId === undefined;
  }

  /** Gives the empty frame the chosen shape. A picture keeps its own shape. */
  preview(aspectRatio: string): void {
    const { field, view } = this.#parts;
    if (view.isEmpty) view.setRatio(RATIOS[aspectRatio] ?? field.ratio);
  }

  /**
   * Creates a picture. Does nothing while a picture that was created here is in progress: the second press is a
   * mistake.
   */
  async create(request: Request): Promise<void> {
    if (this.#run?.request !== undefined) return;
    this.#leave();
    const { client, field } = this.#parts;
    const run = this.#begin({ kind: "sending" }, performance.now(), RATIOS[request.aspectRatio] ?? field.ratio, request);
    await this.#guard(run, async () => {
      const created = await this.#send(run, request);
      if (created === undefined) return;
      this.onCreated(created.job_id);
      this.#remember(run, created.job_id);
      this.#see(run, created);
      if (run.isCanceling && !hasEnded(created)) await this.#sendCancel(run, client, created.job_id);
      await this.#follow(run, created);
    });
  }

  /** Shows a prediction from the gallery and follows it until it has ended. */
  async show(prediction: Prediction): Promise<void> {
    this.#leave();
    const { person } = this.#parts;
    const startedAt = performance.now() - Math.max(0, Date.now() - Date.parse(prediction.created_at));
    const work: Work = hasEnded(prediction) ? { kind: "loading" } : { kind: "making", prediction, toldAt: performance.now() };
    const run = this.#begin(work, startedAt, RATIOS[person.order(prediction.job_id)?.aspectRatio ?? ""] ?? 1);
    this.#mark(run, prediction.job_id);
    await this.#guard(run, () => this.#follow(run, prediction));
  }

  /** Cancels the prediction on the stage. */
  async cancel(): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.isCanceling || run.work.kind === "loading") return;
    run.isCanceling = true;
    this.#render();
    // Without a job id yet: abort the upload. If the create is in flight, `create` sends the cancel when it has the id.
    if (run.jobId === undefined) run.sending.abort();
    else await this.#sendCancel(run, this.#parts.client, run.jobId);
  }

  /** Clears the stage if it shows this deleted picture. */
  clear(jobId: string): void {
    if (this.#shownId !== jobId) return;
    this.#leave();
    this.#mark(undefined, undefined);
    this.#end("empty", "Removed.");
    this.#parts.view.setProblem(undefined);
  }

  #begin(work: Work, startedAt: number, ratio: number, request?: Request): Run {
    const run = newRun(work, startedAt, request);
    const { composer, connection, view } = this.#parts;
    this.#run = run;
    connection.reset();
    this.goneCode = "not_found";
    view.setProblem(undefined);
    view.setRatio(ratio);
    view.setFrame("busy");
    composer.setBusy({ canCreate: request === undefined, canCancel: run.isNews });
    this.#mark(run, undefined);
    this.#ticking = setInterval(() => this.#render(), 1000);
    this.#render();
    return run;
  }

  /** Stops following the current run. A request in flight and the prediction itself continue. */
  #leave(): void {
    this.#run?.watching.abort();
    this.#run = undefined;
    clearInterval(this.#ticking);
  }

  /** Sends the request and returns the new prediction, or `undefined` if the user canceled before it was sent. */
  async #send(run: Run, request: Request): Promise<Prediction | undefined> {
    const { creator } = this.#parts;
    const progress = {
      uploading: (sent: number, total: number) => this.#work(run, { kind: "uploading", sent, total }),
      sending: () => this.#work(run, { kind: "sending" }),
    };
    try {
      return await creator.create(request, progress, run.sending.signal);
    } catch (thrown) {
      if (!run.sending.signal.aborted || thrown instanceof ValetkeyError) throw thrown;
      // Canceling cannot undo an earlier attempt that may have reached the API.
      if (this.#run === run) this.#end("empty", creator.mayHaveArrived(request) ? CANCELED_ON_THE_WAY : CANCELED);
      return undefined;
    }
  }

  async #follow(run: Run, first: Prediction): Promise<void> {
    let prediction = first;
    while (!hasEnded(prediction)) {
      try {
        const { signal } = run.watching;
        signal.throwIfAborted();
        for await (prediction of this.#parts.client.events(first.job_id, { signal })) this.#see(run, prediction);
      } catch (thrown) {
        // Offline for so long that the client gave up: continue when the browser is back online.
        if (!(thrown instanceof ValetkeyError) || navigator.onLine) throw thrown;
        await backOnline(run.watching.signal);
      }
    }
    await this.#finish(run, prediction);
  }

  async #finish(run: Run, prediction: Prediction): Promise<void> {
    if (this.#run !== run) return;
    const { person, view } = this.#parts;
    const { job_id: jobId, status } = prediction;
    if (status === "canceled") return this.#end("empty", predictionText(prediction));
    if (status === "succeeded") this.#work(run, { kind: "loading" });
    const picture = await loadPicture(status === "succeeded" ? prediction.output[0] : undefined);
    if (picture === undefined) {
      const requestId = await this.#requestId(jobId);
      if (this.#run === run) this.#fail(run, status === "failed" ? failureOf(prediction, requestId) : { code: "picture_unavailable", jobId, requestId });
    } else if (this.#run === run) {
      const order = person.order(jobId);
      view.setPicture(picture, describe(prediction, person), order && (() => this.onReuse(order)));
      // A picture from the gallery that had already ended needs no status text.
      this.#end("done", run.isNews ? predictionText(prediction) : "");
    }
  }

  /**
   * Returns the id of the last request about this prediction. If there was none by its id (only a create or a list),
   * sends one.
   */
  async #requestId(jobId: string): Promise<string | undefined> {
    const { client, connection } = this.#parts;
    if (connection.requestId(jobId) === undefined) await client.get(jobId).catch(() => {});
    return connection.requestId(jobId);
  }

  async #sendCancel(run: Run, client: Client, jobId: string): Promise<void> {
    if (this.#run === run) this.#parts.view.setProblem(undefined);
    try {
      this.#see(run, await client.cancel(jobId));
    } catch (thrown) {
      const problem = problemOf(thrown, navigator.onLine);
      if (problem === undefined) throw thrown;
      run.isCanceling = false;
      this.#render();
      this.#parts.view.setProblem(problem);
    }
  }

  #see(run: Run, prediction: Prediction): void {
    run.isCanceling ||= prediction.cancel_requested === true;
    this.#mark(run, prediction.job_id);
    if (!hasEnded(prediction)) this.#work(run, { kind: "making", prediction, toldAt: performance.now() });
    this.onSeen(prediction);
  }

  #mark(run: Run | undefined, jobId: string | undefined): void {
    if (run !== undefined) run.jobId = jobId;
    if (this.#run !== run || this.#shownId === jobId) return;
    this.#shownId = jobId;
    this.onShown(jobId);
  }

  #work(run: Run, work: Work): void {
    run.work = work;
    if (this.#run === run) this.#render();
  }

  #render(): void {
    const { composer, connection, field, view } = this.#parts;
    const { network } = connection;
    if (this.#run === undefined) {
      if (network.kind === "offline") view.setStatus(OFFLINE);
      else if (view.status === OFFLINE) view.setStatus("");
      return;
    }
    const { work, startedAt, isCanceling } = this.#run;
    const situation: Situation = { work, network, isCanceling, startedAt, now: performance.now() };
    view.setStatus(statusText(situation));
    view.setTime(this.#run.isNews ? timeText(situation) : "");
    composer.setCancelable(!isCanceling && work.kind !== "loading");
    field.setProgress(work.kind === "uploading" && !isCanceling ? work.sent / work.total : undefined);
  }

  /** Runs `work` and shows an error that it throws. */
  async #guard(run: Run, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      // The user has moved on, which aborted the run. Errors of the API are shown anyway.
      if (run.watching.signal.aborted && !(thrown instanceof ValetkeyError)) return;
      let problem = problemOf(thrown, navigator.onLine);
      if (problem?.code === "not_found") problem = { ...problem, code: this.goneCode };
      if (run.work.kind === "making" && problem?.code !== this.goneCode) this.#lookAway(run, problem ?? PAGE_ERROR);
      else this.#fail(run, problem ?? PAGE_ERROR);
      // A bug in this page also goes to the console.
      if (problem === undefined) throw thrown;
    }
  }

  /**
   * Shows an error while the prediction may still be in progress. It is not shown as failed, because its outcome is
   * unknown and the user would pay again for a new one. The gallery keeps polling it.
   */
  #lookAway(run: Run, problem: Problem): void {
    this.#parts.view.setProblem(problem);
    if (this.#run !== run) return;
    this.#end("empty", NOT_WATCHED);
    this.#mark(undefined, undefined);
  }

  /** Shows that the run has failed. */
  #fail(run: Run, problem: Problem): void {
    const again = mayTryAgain(problem) ? this.#again(run) : undefined;
    if (this.#run === run) this.#end("failed", NO_PICTURE);
    this.#parts.view.setProblem(problem, again);
    if (run.jobId !== undefined || problem.jobId === undefined) return;
    this.#remember(run, problem.jobId);
    this.onFailed();
  }

  /** Returns what "Try again" does. The form may have changed since, so it sends what failed. */
  #again({ request, jobId }: Run): (() => void) | undefined {
    if (request !== undefined) return () => void this.create(request);
    const order = jobId === undefined ? undefined : this.#parts.person.order(jobId);
    return order && (() => this.onRetry(order));
  }

  #remember({ request }: Run, jobId: string): void {
    if (request !== undefined) this.#parts.person.remember(jobId, { prompt: request.prompt, aspectRatio: request.aspectRatio });
  }

  #end(frame: FrameState, status: string): void {
    const { composer, field, view } = this.#parts;
    clearInterval(this.#ticking);
    this.#run = undefined;
    field.setProgress(undefined);
    if (frame !== "done") {
      view.setTime("");
      view.setFrame(frame);
    }
    view.setStatus(status);
    composer.setBusy({ canCreate: true, canCancel: false });
    this.onEnded();
  }
}
