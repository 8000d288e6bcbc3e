// The three calls that this page makes, each with a token and each ending in a value or a `Problem`.
import { parsePrediction, parseProblem, type Prediction } from "./prediction.ts";
import { Problem, toProblem } from "./problem.ts";
import type { Session } from "./session.ts";

const MODEL = "black-forest-labs/flux-kontext-max";
/** The Worker waits up to 35 s for the vendor before it answers a create. */
const CREATE_TIMEOUT_MS = 45_000;
const READ_TIMEOUT_MS = 15_000;

export interface Order {
  prompt: string;
  aspectRatio: string;
}

/** What `Creation` needs; the tests have one of their own. */
export interface PredictionApi {
  create(order: Order, idempotencyKey: string): Promise<Prediction>;
  get(jobId: string): Promise<Prediction>;
  cancel(jobId: string): Promise<Prediction>;
}

export class Api implements PredictionApi {
  readonly #session: Session;
  readonly #fetch: typeof fetch;

  constructor(session: Session, fetcher: typeof fetch) {
    this.#session = session;
    this.#fetch = fetcher;
  }

  create(order: Order, idempotencyKey: string): Promise<Prediction> {
    const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
    const body = JSON.stringify({ input: { prompt: order.prompt, aspect_ratio: order.aspectRatio } });
    return this.#call(`/v1/${MODEL}/predictions`, { method: "POST", headers, body }, CREATE_TIMEOUT_MS);
  }

  get(jobId: string): Promise<Prediction> {
    return this.#call(`/v1/predictions/${jobId}`, { method: "GET" }, READ_TIMEOUT_MS);
  }

  cancel(jobId: string): Promise<Prediction> {
    return this.#call(`/v1/predictions/${jobId}/cancel`, { method: "POST" }, READ_TIMEOUT_MS);
  }

  /** Calls with a token, and once more with a new one if the API refuses it: it may have been revoked early. */
  async #call(path: string, init: RequestInit, timeoutMs: number): Promise<Prediction> {
    const token = await this.#session.token();
    let answer = await this.#send(path, init, timeoutMs, token);
    if (answer.status === 401) {
      this.#session.discard(token);
      answer = await this.#send(path, init, timeoutMs, await this.#session.token());
    }
    const body: unknown = await answer.json().catch(() => undefined);
    if (!answer.ok) throw parseProblem(answer.status, answer.headers, body);
    const requestId = answer.headers.get("x-request-id") ?? undefined;
    const prediction = parsePrediction(body, requestId);
    if (prediction === undefined) throw new Problem("unreadable_answer", { requestId });
    return prediction;
  }

  async #send(path: string, init: RequestInit, timeoutMs: number, token: string): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    try {
      return await this.#fetch(path, {
        ...init,
        headers,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (thrown) {
      throw toProblem(thrown, navigator.onLine);
    }
  }
}
