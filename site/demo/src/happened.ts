// "What just happened": the token's claims, the last create as a curl command, and the events as they came.
import type { Prediction } from "../../../clients/web/src/index.ts";
import { type Claims, claimsOf } from "./claims.ts";
import type { SentRequest } from "./curl.ts";

export interface HappenedView {
  setToken(token: string, claims: Claims): void;
  setRequest(request: SentRequest): void;
  /** Shows the events of the last create. `afterMs` counts from its request. */
  setEvents(events: readonly SeenEvent[]): void;
}

export interface SeenEvent {
  afterMs: number;
  prediction: Prediction;
}

export class Happened {
  readonly #view: HappenedView;
  readonly #now: () => number;
  #sentAt = 0;
  #idempotencyKey: string | undefined;
  #jobId: string | undefined;
  #events: SeenEvent[] = [];

  /** `now` is a monotonic clock, ms. */
  constructor(view: HappenedView, now: () => number) {
    this.#view = view;
    this.#now = now;
  }

  /** Notes a token that the page got. */
  token(token: string): void {
    const claims = claimsOf(token);
    if (claims !== undefined) this.#view.setToken(token, claims);
  }

  /** Notes a create that is being sent. A repeat with the same idempotency key is the same create. */
  sent(request: SentRequest): void {
    const key = request.headers["idempotency-key"];
    if (key === undefined || key !== this.#idempotencyKey) {
      this.#sentAt = this.#now();
      this.#jobId = undefined;
      this.#events = [];
      this.#view.setEvents([]);
    }
    this.#idempotencyKey = key;
    this.#view.setRequest(request);
  }

  /** Notes the prediction that the last create made. */
  created(jobId: string): void {
    this.#jobId = jobId;
  }

  /** Notes a state of a prediction. States of others than the last create's are not shown, nor is a repeated one. */
  seen(prediction: Prediction): void {
    if (prediction.job_id !== this.#jobId) return;
    const last = this.#events.at(-1);
    if (last !== undefined && JSON.stringify(last.prediction) === JSON.stringify(prediction)) return;
    this.#events.push({ afterMs: this.#now() - this.#sentAt, prediction });
    this.#view.setEvents(this.#events);
  }
}

/** Returns a state in words, for the line of its event. */
export function eventText({ status, queue, credits_used: credits, error, cancel_requested: isCanceling }: Prediction): string {
  if (isCanceling && (status === "queued" || status === "processing")) return "cancel requested";
  switch (status) {
    case "queued":
      return queue === undefined ? "waiting" : `position ${queue.position}, about ${Math.ceil(queue.eta_seconds)} s`;
    case "processing":
      return "the vendor has it";
    case "succeeded":
      return credits === null ? "the picture is ready" : `${credits} credits used`;
    case "failed":
      return error?.code ?? "";
    case "canceled":
      return "nothing more is done";
  }
}
