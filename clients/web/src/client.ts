// What an app calls. Each method is one route of the API; `run`, `wait` and `events` put them together.
import { randomId } from "./dpop.ts";
import { failureOf, ValetkeyError } from "./errors.ts";
import { hasEnded, watch } from "./events.ts";
import { type Files, files, type ListOptions, query } from "./files.ts";
import type * as schema from "./schema.ts";
import { type Call, type CallOptions, NO_ANSWER, type Options, transport } from "./transport.ts";

/** The Worker waits up to 45 s for the vendor before it answers a create. */
const CREATE_TIMEOUT_MS = 55_000;
const LONGEST_WAIT_SECS = 60;

/** By the model's rules, which `model` gives. */
export type Input = Record<string, unknown>;

export interface CreateOptions {
  /** Makes a repeated create free of risk: the same key, the same prediction, for 24 hours. Default: a new one for each call. */
  idempotencyKey?: string | undefined;
  /** How many images; as many times the price. */
  imageCount?: number | undefined;
  /** Seconds, at most 60, that the answer may wait for the end of the prediction. */
  waitSecs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface WaitOptions extends CallOptions {
  /** Called with each state: the place in the queue, and when it starts. */
  onUpdate?: ((prediction: schema.Prediction) => void) | undefined;
}

export interface BatchItem {
  /** `owner/model`. */
  model: string;
  input: Input;
  imageCount?: number | undefined;
}

export interface Client {
  /**
   * Makes a prediction and waits for its end: `(await run("owner/model", { prompt })).output[0]` is a URL. Rejects with a
   * `ValetkeyError` if it failed or was canceled. An aborted signal ends the waiting; the prediction goes on.
   */
  run(model: string, input: Input, options?: CreateOptions & WaitOptions): Promise<schema.Prediction>;
  /** Makes a prediction: `queued` or `processing`. */
  create(model: string, input: Input, options?: CreateOptions): Promise<schema.Prediction>;
  get(jobId: string, options?: CallOptions): Promise<schema.Prediction>;
  /** The prediction when it has ended, however it ended. */
  wait(jobId: string, options?: WaitOptions): Promise<schema.Prediction>;
  /** The present state, then each change until the end. Lost connections are resumed. */
  events(jobId: string, options?: CallOptions): AsyncGenerator<schema.Prediction, void, undefined>;
  /** Asks for the end and answers at once; `cancel_requested` until the vendor confirmed. An ended one is unchanged. */
  cancel(jobId: string, options?: CallOptions): Promise<schema.Prediction>;
  /** Forgets a prediction that has ended. One that is gone already, after an answer that was lost, is no error. */
  delete(jobId: string, options?: CallOptions): Promise<void>;
  /** The user's own, newest first. */
  list(options?: ListOptions & { status?: schema.PredictionStatus | undefined }): Promise<schema.PredictionList>;
  /** 1 to 20 predictions, admitted together or not at all. */
  batch(items: BatchItem[], options?: Pick<CreateOptions, "idempotencyKey" | "signal">): Promise<schema.Batch>;
  getBatch(batchId: string, options?: CallOptions): Promise<schema.Batch>;
  /** The models of the user's plan, with prices and rules. */
  models(options?: CallOptions): Promise<schema.ModelList>;
  model(model: string, options?: CallOptions): Promise<schema.Model>;
  /** What it would cost. */
  estimate(model: string, input: Input, options?: Pick<CreateOptions, "imageCount" | "signal">): Promise<schema.Estimate>;
  files: Files;
  /** The user's plan, limits and use. */
  account(options?: CallOptions): Promise<schema.Account>;
  usage(options?: CallOptions): Promise<schema.Usage>;
  rateLimits(options?: CallOptions): Promise<schema.RateLimits>;
  balance(options?: CallOptions): Promise<schema.Balance>;
}

/** A client. It keeps the token in memory, so make one and share it. */
export function valetkey(options: Options): Client {
  const connection = transport(options);
  const { call, send } = connection;
  const read = <T>(path: string, options?: CallOptions): Promise<T> => send("GET", path, options);
  const post = <T>(path: string, body: unknown, { headers, ...more }: Partial<Call> = {}): Promise<T> =>
    call({ method: "POST", path, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers }, ...more });

  const get = (jobId: string, options?: CallOptions): Promise<schema.Prediction> => read(predictionPath(jobId), options);

  async function create(model: string, input: Input, options: CreateOptions = {}): Promise<schema.Prediction> {
    const { idempotencyKey = randomId(), imageCount, waitSecs, signal } = options;
    const waits = Math.min(LONGEST_WAIT_SECS, waitSecs ?? 0);
    const more = {
      headers: { "idempotency-key": idempotencyKey, prefer: waits > 0 ? `wait=${waits}` : undefined },
      signal,
      timeoutMs: CREATE_TIMEOUT_MS + waits * 1000,
    };
    return keyed(idempotencyKey, async () => {
      try {
        return await post(`/v1/${modelPath(model)}/predictions`, { input, image_count: imageCount }, more);
      } catch (error) {
        // 502 and 504 name the prediction: it exists, and may go on. If it failed, the refusal says more.
        if (!(error instanceof ValetkeyError) || error.jobId === undefined) throw error;
        const { jobId } = error;
        const prediction = await keyed(idempotencyKey, () => get(jobId, { signal }), jobId);
        if (prediction.status === "failed") throw Object.assign(error, { prediction });
        return prediction;
      }
    });
  }

  async function wait(jobId: string, { onUpdate, signal }: WaitOptions = {}): Promise<schema.Prediction> {
    for await (const prediction of events(jobId, { signal })) {
      onUpdate?.(prediction);
      if (hasEnded(prediction)) return prediction;
    }
    throw new ValetkeyError("unreadable_answer", NO_ANSWER, { jobId });
  }

  function events(jobId: string, options: CallOptions = {}): AsyncGenerator<schema.Prediction, void, undefined> {
    return watch(connection, predictionPath(jobId), options);
  }

  return {
    async run(model, input, options = {}) {
      const { idempotencyKey = randomId(), onUpdate } = options;
      const created = await create(model, input, { ...options, idempotencyKey });
      onUpdate?.(created);
      const ended = hasEnded(created) ? created : await keyed(idempotencyKey, () => wait(created.job_id, options), created.job_id);
      if (ended.status !== "succeeded") throw failureOf(ended);
      return ended;
    },
    create,
    get,
    wait,
    events,
    cancel: (jobId, options) => send("POST", `${predictionPath(jobId)}/cancel`, options),
    delete: (jobId, options) => send("DELETE", predictionPath(jobId), options),
    list: ({ limit, cursor, status, signal } = {}) => read(`/v1/predictions${query({ limit, cursor, status })}`, { signal }),
    batch: (items, { idempotencyKey = randomId(), signal } = {}) => {
      const predictions = items.map(({ imageCount, ...item }) => ({ ...item, image_count: imageCount }));
      const more = { headers: { "idempotency-key": idempotencyKey }, signal, timeoutMs: CREATE_TIMEOUT_MS };
      return keyed(idempotencyKey, () => post("/v1/predictions/batch", { predictions }, more));
    },
    getBatch: (batchId, options) => read(`/v1/predictions/batch/${encodeURIComponent(batchId)}`, options),
    models: (options) => read("/v1/models", options),
    model: async (model, options) => read(`/v1/models/${modelPath(model)}`, options),
    estimate: (model, input, { imageCount, signal } = {}) => post("/v1/estimate", { model, input, image_count: imageCount }, { signal }),
    files: files(connection),
    account: (options) => read("/v1/account", options),
    usage: (options) => read("/v1/account/usage", options),
    rateLimits: (options) => read("/v1/account/rate-limits", options),
    balance: (options) => read("/v1/account/balance", options),
  };
}

/** Whoever repeats what failed needs its key, also when the create was answered and what came after it failed. */
async function keyed<T>(idempotencyKey: string, work: () => Promise<T>, jobId?: string): Promise<T> {
  try {
    // `fetch` would call it a failure of the network.
    if (!/^[ -~]{1,255}$/.test(idempotencyKey)) throw new ValetkeyError("invalid_idempotency_key", "1 to 255 printable characters.");
    return await work();
  } catch (error) {
    if (!(error instanceof ValetkeyError)) throw error;
    // A copy: calls that waited for one token have one error between them.
    throw new ValetkeyError(error.code, error.message, { ...error, idempotencyKey, jobId: error.jobId ?? jobId }, error.cause);
  }
}

function predictionPath(jobId: string): string {
  return `/v1/predictions/${encodeURIComponent(jobId)}`;
}

/** `owner/model` as a path. A name of dots would lead to another route. */
function modelPath(model: string): string {
  if (/^(?!\.+\/)[\w.-]+\/(?!\.+$)[\w.-]+$/.test(model)) return model;
  throw new ValetkeyError("model_not_allowed", "A model is `owner/model`.");
}
