// One picture, from the press of the button to its end. Knows no page: news go out by callbacks, time comes in.
import type { Order, PredictionApi } from "./api.ts";
import { MAX_FAILED_LOOKS, nextDelayMs } from "./polling.ts";
import { isTerminal, type Prediction } from "./prediction.ts";
import { Problem } from "./problem.ts";

/** A repeated create is told so while the first is on its way; it is asked again this often. */
const MAX_IN_PROGRESS = 5;

export type Outcome =
  | { kind: "ended"; prediction: Prediction }
  /** The create failed, or nobody can say how the prediction goes on. */
  | { kind: "problem"; problem: Problem };

export interface News {
  /** The prediction as it is now. */
  seen(prediction: Prediction): void;
  /** A look failed and will be repeated. */
  lookFailed(problem: Problem): void;
  /** The request to cancel failed; the prediction goes on. */
  cancelFailed(problem: Problem): void;
}

export interface Clock {
  now(): number;
  /** Ends early when something happens that makes waiting pointless. */
  sleep(ms: number): Promise<void>;
}

export class Creation {
  readonly #api: PredictionApi;
  readonly #order: Order;
  readonly #idempotencyKey: string;
  readonly #news: News;
  readonly #clock: Clock;
  #jobId: string | undefined;
  #cancelWanted = false;

  constructor(api: PredictionApi, order: Order, idempotencyKey: string, news: News, clock: Clock) {
    this.#api = api;
    this.#order = order;
    this.#idempotencyKey = idempotencyKey;
    this.#news = news;
    this.#clock = clock;
  }

  /** Creates, and looks until the end. Never rejects with a `Problem`: it is an outcome. */
  async run(): Promise<Outcome> {
    let refusal: Problem | undefined;
    try {
      let prediction: Prediction;
      try {
        prediction = await this.#create();
      } catch (thrown) {
        if (!(thrown instanceof Problem) || thrown.details.jobId === undefined) throw thrown;
        // 502 and 504 name the prediction: it exists, and may yet go on.
        refusal = thrown;
        prediction = await this.#api.get(thrown.details.jobId);
      }
      prediction = await this.#follow(prediction);
      // The refusal of the create says more than the failed row that it left.
      if (prediction.status === "failed" && refusal !== undefined) return { kind: "problem", problem: refusal };
      return { kind: "ended", prediction };
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      return { kind: "problem", problem: refusal ?? thrown };
    }
  }

  /** Asks for its end. Before the prediction has a name, the wish is remembered: to hang up would not stop the vendor. */
  async cancel(): Promise<void> {
    this.#cancelWanted = true;
    if (this.#jobId === undefined) return;
    try {
      this.#news.seen(await this.#api.cancel(this.#jobId));
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      this.#cancelWanted = false;
      this.#news.cancelFailed(thrown);
    }
  }

  async #create(): Promise<Prediction> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#api.create(this.#order, this.#idempotencyKey);
      } catch (thrown) {
        const again = thrown instanceof Problem && thrown.code === "idempotency_in_progress" && tries < MAX_IN_PROGRESS;
        if (!again) throw thrown;
        await this.#clock.sleep(nextDelayMs(0, 0, thrown.details.retryAfterSecs));
      }
    }
  }

  async #follow(first: Prediction): Promise<Prediction> {
    this.#jobId = first.jobId;
    this.#news.seen(first);
    if (this.#cancelWanted && !isTerminal(first.status)) await this.cancel();
    const startedAt = this.#clock.now();
    let prediction = first;
    let failures = 0;
    let retryAfterSecs: number | undefined;
    while (!isTerminal(prediction.status)) {
      await this.#clock.sleep(nextDelayMs(this.#clock.now() - startedAt, failures, retryAfterSecs));
      try {
        prediction = await this.#api.get(first.jobId);
        failures = 0;
        retryAfterSecs = undefined;
        this.#news.seen(prediction);
      } catch (thrown) {
        failures += 1;
        if (!(thrown instanceof Problem) || !thrown.isPassing || failures >= MAX_FAILED_LOOKS) throw thrown;
        retryAfterSecs = thrown.details.retryAfterSecs;
        this.#news.lookFailed(thrown);
      }
    }
    return prediction;
  }
}
