// Made from docs/openapi.json by `make client-types`. Do not edit.

/**
 * The error code, by which a program decides what to do. `method_not_allowed` means a known path with another method.
 */
export type ErrorCode =
  | "invalid_json"
  | "invalid_parameter"
  | "unsupported_parameter"
  | "invalid_idempotency_key"
  | "missing_token"
  | "invalid_token"
  | "insufficient_credits"
  | "insufficient_permissions"
  | "model_not_allowed"
  | "file_limit_reached"
  | "origin_not_allowed"
  | "not_found"
  | "method_not_allowed"
  | "not_ended"
  | "idempotency_in_progress"
  | "body_too_large"
  | "unsupported_media_type"
  | "idempotency_mismatch"
  | "rate_limited"
  | "too_many_predictions"
  | "queue_full"
  | "upstream_rejected"
  | "upstream_error"
  | "misconfigured"
  | "limiter_unavailable"
  | "upstream_unavailable"
  | "upstream_timeout";
/**
 * `queued`, then `processing`, then one of the three terminal states.
 */
export type PredictionStatus = "queued" | "processing" | "succeeded" | "failed" | "canceled";
/**
 * The reason why a prediction failed. `outcome_unknown`: the vendor may have accepted the create or not.
 */
export type PredictionErrorCode =
  "outcome_unknown" | "queue_timeout" | "upstream_failed" | "upstream_rejected" | "upstream_lost" | "timed_out";

/**
 * A prediction in its current state.
 */
export interface Prediction {
  /**
   * The id of the prediction.
   */
  job_id: string;
  status: PredictionStatus;
  /**
   * The model: `owner/model`.
   */
  model: string;
  /**
   * Time of the create.
   */
  created_at: string;
  /**
   * Time of the end, or null before it.
   */
  completed_at: string | null;
  /**
   * URLs (https) of the results. Empty until the prediction has succeeded.
   */
  output: string[];
  /**
   * The reason of the failure, or null.
   */
  error: null | {
    code: PredictionErrorCode;
    /**
     * Text for people.
     */
    message: string;
  };
  /**
   * The cost: a decimal number, or null while it is not known.
   */
  credits_used: string | null;
  /**
   * Measurements of the vendor.
   */
  metrics: {
    /**
     * The run time in seconds, or null.
     */
    predict_time: number | null;
  };
  /**
   * Present only while the prediction is queued.
   */
  queue?: {
    /**
     * The queue position. 1 starts next.
     */
    position: number;
    /**
     * The estimated wait. It is estimated anew after a tenth of it, after 2 s at the earliest and 30 s at the latest.
     */
    eta_seconds: number;
  };
  /**
   * Present from a cancel until the vendor confirms it.
   */
  cancel_requested?: true;
  /**
   * The URLs of the prediction.
   */
  urls: {
    /**
     * `GET` returns the prediction.
     */
    get: string;
    /**
     * `POST` cancels the prediction.
     */
    cancel: string;
    /**
     * `GET` returns each change as a server-sent event.
     */
    events: string;
    /**
     * `GET` returns the vendor's own stream.
     */
    stream: string;
  };
}
/**
 * A page of predictions.
 */
export interface PredictionList {
  /**
   * The predictions, newest first.
   */
  data: Prediction[];
  /**
   * `cursor` of the next page, or null on the last page.
   */
  next_cursor: string | null;
}
/**
 * A prediction to create, with its model.
 */
export interface NamedCreateRequest {
  /**
   * The model: `owner/model`.
   */
  model: string;
  /**
   * The model's inputs. `GET /v1/models/{owner}/{model}` has their rules.
   */
  input: {
    [k: string]: unknown;
  };
  /**
   * Number of images, up to the model's limit. The price is multiplied by it.
   */
  image_count?: number;
  /**
   * Optional: the model's owner.
   */
  provider?: string;
}
/**
 * Predictions that were created together.
 */
export interface Batch {
  /**
   * The id of the batch.
   */
  batch_id: string;
  /**
   * `processing` until all predictions have ended; then `succeeded` if all succeeded, `failed` if all failed, else `partial`.
   */
  status: "processing" | "succeeded" | "failed" | "partial";
  /**
   * The predictions, in the order of the request.
   */
  predictions: Prediction[];
}
/**
 * The rule for one input of a model.
 */
export interface InputRule {
  /**
   * The JSON type.
   */
  type: "string" | "integer" | "number" | "boolean" | "array";
  /**
   * True if the input must be present. False by default.
   */
  required?: boolean;
  /**
   * The value that is sent if the input is absent.
   */
  default?: unknown;
  /**
   * The allowed values.
   */
  enum?: unknown[];
  /**
   * The smallest allowed number.
   */
  min?: number;
  /**
   * The largest allowed number.
   */
  max?: number;
  /**
   * The maximum number of characters. If absent: 4,000 for what a client sends.
   */
  max_length?: number;
  items?: InputRule;
  /**
   * The maximum number of elements. If absent: 16 for what a client sends.
   */
  max_items?: number;
  /**
   * `https-url`, or `file`: the id of one of your files.
   */
  format?: "https-url" | "file";
}
/**
 * A model that you may use.
 */
export interface Model {
  /**
   * The name of the model: `owner/model`.
   */
  id: string;
  /**
   * The maximum price of one image: a decimal number.
   */
  credits: string;
  /**
   * The rules of the inputs, by name.
   */
  input: {
    [k: string]: InputRule;
  };
}
/**
 * The models that your plan and token include.
 */
export interface ModelList {
  /**
   * The models.
   */
  data: Model[];
}
/**
 * An estimated price.
 */
export interface Estimate {
  /**
   * The maximum cost: a decimal number.
   */
  credits: string;
}
/**
 * The metadata of a file, never its bytes.
 */
export interface File {
  /**
   * The id of the file, for inputs with the format `file`.
   */
  file_id: string;
  /**
   * The media type.
   */
  content_type: "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "video/mp4" | "video/webm" | "audio/wav";
  /**
   * The size.
   */
  bytes: number;
  /**
   * Time of the upload.
   */
  created_at: string;
}
/**
 * A page of files.
 */
export interface FileList {
  /**
   * The files, newest first.
   */
  data: File[];
  /**
   * `cursor` of the next page, or null on the last page.
   */
  next_cursor: string | null;
}
/**
 * The usage of one day.
 */
export interface UsageDay {
  /**
   * The day, in UTC.
   */
  day: string;
  /**
   * Credits spent by predictions that have ended: a decimal number.
   */
  credits_spent: string;
  /**
   * Credits reserved for predictions that have not ended: a decimal number.
   */
  credits_reserved: string;
  /**
   * Number of predictions created.
   */
  predictions: number;
}
/**
 * Your usage, day by day.
 */
export interface Usage {
  /**
   * The days with any usage, of the last 30.
   */
  data: UsageDay[];
}
/**
 * Your plan, limits and usage.
 */
export interface Account {
  /**
   * The plan's name.
   */
  plan: string;
  /**
   * The limits of the plan.
   */
  limits: {
    /**
     * Requests in any minute.
     */
    requests_per_minute: number;
    /**
     * Creates in any minute.
     */
    predictions_per_minute: number;
    /**
     * Predictions that may run at the same time.
     */
    concurrent_predictions: number;
    /**
     * Credits for each UTC day: a decimal number.
     */
    daily_credits: string;
    /**
     * Predictions that may wait in the queue.
     */
    max_waiting: number;
    /**
     * Files that the user may have at the same time.
     */
    max_files: number;
    /**
     * Bytes of all of the user's files together.
     */
    max_file_bytes: number;
  };
  /**
   * The usage of today.
   */
  usage: {
    /**
     * The day, in UTC.
     */
    day: string;
    /**
     * Credits spent by predictions that have ended: a decimal number.
     */
    credits_spent: string;
    /**
     * Credits reserved for predictions that have not ended: a decimal number.
     */
    credits_reserved: string;
    /**
     * Number of predictions created.
     */
    predictions: number;
    /**
     * Number of running predictions.
     */
    running: number;
    /**
     * Number of waiting predictions.
     */
    waiting: number;
  };
  /**
   * Credits that are left today: a decimal number.
   */
  credits_balance: string;
}
/**
 * A limit per minute, and what is left of it.
 */
export interface MinuteLimit {
  /**
   * The limit in any minute.
   */
  limit: number;
  /**
   * Requests or creates that would be admitted now.
   */
  remaining: number;
  /**
   * Unix second at which the whole limit is available again.
   */
  reset: number;
}
/**
 * Your limits, and what is left of them.
 */
export interface RateLimits {
  requests_per_minute: MinuteLimit;
  predictions_per_minute: MinuteLimit;
  /**
   * Predictions that run at the same time.
   */
  concurrent_predictions: {
    /**
     * The maximum number of running predictions.
     */
    limit: number;
    /**
     * Number of running predictions.
     */
    running: number;
    /**
     * Number of waiting predictions.
     */
    waiting: number;
  };
}
/**
 * Your credits of today.
 */
export interface Balance {
  /**
   * Credits that are left today: a decimal number.
   */
  credits_balance: string;
  /**
   * Credits for each UTC day: a decimal number.
   */
  daily_credits: string;
  /**
   * Start of the next UTC day.
   */
  resets_at: string;
}
