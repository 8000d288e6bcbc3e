// The client that an app uses. Each method calls one route of the API, except `run`, `wait` and `events`, which combine
// routes.
import { check, checkFunction, checkNumber, checkObject, checkType, isBlob, jsonOf, segment } from "./arguments.ts";
import { failureOf, part, ValetkeyError } from "./errors.ts";
import { hasEnded, watch } from "./events.ts";
import { type Files, files, type ListOptions, paged, type Pages, query } from "./files.ts";
import type { BatchItem, Input, InputOf, ModelName } from "./models.ts";
import { randomId } from "./random.ts";
import type * as schema from "./schema.ts";
import { type Call, type CallOptions, NO_ANSWER, type Options, type Result, transport } from "./transport.ts";
import type { Uploader } from "./uploads.ts";

/** The Worker waits up to 35 s for the vendor's outcome before it responds to a create (docs/architecture.md). */
const CREATE_TIMEOUT_MS = 55_000;
/** The longest wait that the API accepts in `Prefer: wait=N`. */
const LONGEST_WAIT_SECS = 60;

export interface CreateOptions {
  /**
   * Makes it safe to repeat a create: for 24 hours, a create with the same key returns the same prediction.
   * 1 to 255 printable ASCII characters. Default: a new random key for each call.
   */
  idempotencyKey?: string | undefined;
  /** Number of images. The price is multiplied by it. */
  imageCount?: number | undefined;
  /** Seconds that the API may hold its response until the prediction ends. At most 60; default 0. */
  waitSecs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface WaitOptions extends CallOptions {
  /** Called with each new state of the prediction, such as a changed queue position or the start of processing. */
  onUpdate?: ((prediction: Result<schema.Prediction>) => void) | undefined;
}

export interface Client {
  /**
   * Creates a prediction and waits for it to end: `(await run("owner/model", { prompt })).output[0]` is a URL. Rejects
   * with a `ValetkeyError` if the prediction fails or is canceled. Aborting `signal` only stops waiting: the prediction
   * continues and is billed. Call `cancel` to stop it.
   */
  run<M extends ModelName>(model: M, input: InputOf<M>, options?: CreateOptions & WaitOptions): Promise<Result<schema.Prediction>>;
  /** Creates a prediction and returns its first state, usually `queued` or `processing`. */
  create<M extends ModelName>(model: M, input: InputOf<M>, options?: CreateOptions): Promise<Result<schema.Prediction>>;
  /** Returns the current state of a prediction. */
  get(jobId: string, options?: CallOptions): Promise<Result<schema.Prediction>>;
  /** Waits until the prediction has ended, and returns it even if it failed or was canceled. */
  wait(jobId: string, options?: WaitOptions): Promise<Result<schema.Prediction>>;
  /** Yields the current state, then each change until the prediction ends. Resumes after a lost connection. */
  events(jobId: string, options?: CallOptions): AsyncGenerator<Result<schema.Prediction>, void, undefined>;
  /**
   * Requests cancellation and returns without waiting for it. `cancel_requested` is true until the vendor confirms. A
   * prediction that has ended is returned unchanged.
   */
  cancel(jobId: string, options?: CallOptions): Promise<Result<schema.Prediction>>;
  /**
   * Deletes a prediction that has ended. If the first response is lost and a retry gets `not_found`, the delete
   * succeeded and this resolves.
   */
  delete(jobId: string, options?: CallOptions): Promise<void>;
  /** Lists the user's predictions, newest first: `await` gives a page, `for await` all predictions from there on. */
  list(options?: ListOptions & { status?: schema.PredictionStatus | undefined }): Pages<schema.PredictionList>;
  /** Creates 1 to 20 predictions. The API accepts all of them or none. */
  batch(items: BatchItem[], options?: Pick<CreateOptions, "idempotencyKey" | "signal">): Promise<Result<schema.Batch>>;
  /** Returns a batch with the current states of its predictions. */
  getBatch(batchId: string, options?: CallOptions): Promise<Result<schema.Batch>>;
  /** Lists the models of the user's plan, with their prices and input rules. */
  models(options?: CallOptions): Promise<Result<schema.ModelList>>;
  /** Returns one model, with its price and input rules. */
  model(model: string, options?: CallOptions): Promise<Result<schema.Model>>;
  /** Returns the most that a prediction would cost, without creating it. */
  estimate<M extends ModelName>(model: M, input: InputOf<M>, options?: Pick<CreateOptions, "imageCount" | "signal">): Promise<Result<schema.Estimate>>;
  files: Files;
  /** Returns the user's plan, limits and usage. */
  account(options?: CallOptions): Promise<Result<schema.Account>>;
  /** Returns the user's usage of the last 30 days, day by day. */
  usage(options?: CallOptions): Promise<Result<schema.Usage>>;
  /** Returns the user's limits and what is left of them in the current minute. */
  rateLimits(options?: CallOptions): Promise<Result<schema.RateLimits>>;
  /** Returns the user's credits for today: what is left, and when they reset. */
  balance(options?: CallOptions): Promise<Result<schema.Balance>>;
}

/** Creates a client. It keeps the access token in memory, so create one client for the app and share it. */
export function valetkey(options: Options): Client {
  const connection = transport(options);
  const { call, send } = connection;
  const read = <T>(path: string, options?: CallOptions): Promise<T> => send("GET", path, options);
  const post = async <T>(path: string, body: object, { headers, ...more }: Partial<Call> = {}): Promise<T> =>
    call({ method: "POST", path, body: jsonOf(body), headers: { "content-type": "application/json", ...headers }, ...more });

  const stored = files(connection);
  const model = async (model: string, options?: CallOptions): Promise<Result<schema.Model>> => read(`/v1/models/${modelPath(model)}`, options);
  let upload: Uploader | undefined;

  /** Returns an input whose files are uploaded. `path` is its name in errors. */
  async function uploaded(name: string, input: Input, path: string, signal: AbortSignal | undefined): Promise<Input> {
    if (!Object.values(Object(input)).flat().some(isBlob)) return input;
    const { uploader } = await part(import("./uploads.ts"));
    return (upload ??= uploader(stored, model))(name, input, path, signal);
  }

  const get = async (jobId: string, options?: CallOptions): Promise<Result<schema.Prediction>> => read(predictionPath(jobId), options);

  async function create<M extends ModelName>(model: M, input: InputOf<M>, options: CreateOptions = {}): Promise<Result<schema.Prediction>> {
    const path = `/v1/${modelPath(model)}/predictions`;
    checkObject("input", input);
    checkObject("options", options);
    const { idempotencyKey = randomId(), imageCount, waitSecs = 0, signal } = options;
    checkNumber("waitSecs", waitSecs, 0);
    // The API reads whole seconds.
    const waits = Math.ceil(Math.min(LONGEST_WAIT_SECS, waitSecs));
    const more = {
      headers: { "idempotency-key": idempotencyKey, prefer: waits > 0 ? `wait=${waits}` : undefined },
      signal,
      timeoutMs: CREATE_TIMEOUT_MS + waits * 1000,
    };
    return keyed(idempotencyKey, async () => {
      try {
        return await post(path, { input: await uploaded(model, input, "input", signal), image_count: imageCount }, more);
      } catch (error) {
        // An error that names a job id, such as a 502 or 504: the prediction exists and may continue, so return its
        // state. If it has failed, throw the original error, which has the HTTP status and the request id.
        if (!(error instanceof ValetkeyError) || error.jobId === undefined) throw error;
        const { jobId } = error;
        const prediction = await keyed(idempotencyKey, () => get(jobId, { signal }), jobId);
        if (prediction.status === "failed") throw Object.assign(error, { prediction });
        return prediction;
      }
    });
  }

  async function wait(jobId: string, options?: WaitOptions): Promise<Result<schema.Prediction>> {
    const { onUpdate } = options ?? {};
    checkFunction("onUpdate", onUpdate);
    for await (const prediction of events(jobId, options)) {
      onUpdate?.(prediction);
      if (hasEnded(prediction)) return prediction;
    }
    throw new ValetkeyError("unreadable_answer", NO_ANSWER, { jobId });
  }

  async function* events(jobId: string, options?: CallOptions): AsyncGenerator<Result<schema.Prediction>, void, undefined> {
    yield* watch(connection, predictionPath(jobId), options?.signal);
  }

  return {
    async run(model, input, options = {}) {
      checkObject("options", options);
      checkFunction("onUpdate", options.onUpdate);
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
    cancel: async (jobId, options) => send("POST", `${predictionPath(jobId)}/cancel`, options),
    delete: async (jobId, options) => send("DELETE", predictionPath(jobId), options),
    list: (options) => paged(async (options) => read(`/v1/predictions${query(options, "limit", "cursor", "status")}`, options), options),
    async batch(items, options = {}) {
      checkObject("options", options);
      check(Array.isArray(items), "items", "an array", items);
      const { idempotencyKey = randomId(), signal } = options;
      const predictions = items.map((item, index) => {
        checkObject(`items[${index}]`, item);
        const { imageCount, ...more } = item;
        return { ...more, image_count: imageCount };
      });
      const more = { headers: { "idempotency-key": idempotencyKey }, signal, timeoutMs: CREATE_TIMEOUT_MS };
      return keyed(idempotencyKey, async () => {
        for (const [index, item] of predictions.entries()) {
          item.input = await uploaded(item.model, item.input, `predictions[${index}].input`, signal);
        }
        return post("/v1/predictions/batch", { predictions }, more);
      });
    },
    getBatch: async (batchId, options) => read(`/v1/predictions/batch/${segment("batchId", batchId)}`, options),
    models: (options) => read("/v1/models", options),
    model,
    async estimate(model, input, options = {}) {
      checkObject("input", input);
      checkObject("options", options);
      const { imageCount, signal } = options;
      return post("/v1/estimate", { model, input: await uploaded(model, input, "input", signal), image_count: imageCount }, { signal });
    },
    files: stored,
    account: (options) => read("/v1/account", options),
    usage: (options) => read("/v1/account/usage", options),
    rateLimits: (options) => read("/v1/account/rate-limits", options),
    balance: (options) => read("/v1/account/balance", options),
  };
}

/**
 * Runs `work` and adds the idempotency key (and the job id, if known) to any error that it throws. The app needs the
 * key to repeat the create safely, even if the create succeeded and a later request failed.
 */
async function keyed<T>(idempotencyKey: string, work: () => Promise<T>, jobId?: string): Promise<T> {
  try {
    // `fetch` rejects a header value like this with a TypeError, which would be reported as a network failure.
    if (typeof idempotencyKey !== "string" || !/^[ -~]{1,255}$/.test(idempotencyKey)) {
      throw new ValetkeyError("invalid_idempotency_key", "An idempotency key is a string of 1 to 255 printable ASCII characters.");
    }
    return await work();
  } catch (error) {
    if (!(error instanceof ValetkeyError)) throw error;
    // A new error, not a changed one: calls that share a request for a token are rejected with the same error object.
    throw new ValetkeyError(error.code, error.message, { ...error, idempotencyKey, jobId: error.jobId ?? jobId }, error.cause);
  }
}

function predictionPath(jobId: string): string {
  return `/v1/predictions/${segment("jobId", jobId)}`;
}

/**
 * Returns `owner/model` as a URL path. Rejects names such as `..`, which URL normalization would turn into another
 * route.
 */
function modelPath(model: string): string {
  checkType("model", "string", model);
  if (/^(?!\.+\/)[\w.-]+\/(?!\.+$)[\w.-]+$/.test(model)) return model;
  throw new ValetkeyError("model_not_allowed", "A model's name is `owner/model`.");
}
