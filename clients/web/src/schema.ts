// Made from docs/openapi.json by `make client-types`. Do not edit.

/**
 * What a program goes by. `method_not_allowed` is that of a known path with another method.
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
 * `queued`, then `processing`, then one of the three ends.
 */
export type PredictionStatus = "queued" | "processing" | "succeeded" | "failed" | "canceled";
/**
 * Why a prediction failed. `outcome_unknown`: the vendor may have made it.
 */
export type PredictionErrorCode =
  "outcome_unknown" | "queue_timeout" | "upstream_failed" | "upstream_rejected" | "upstream_lost" | "timed_out";

/**
 * One prediction, as far as it has come.
 */
export interface Prediction {
  /**
   * The prediction's id.
   */
  job_id: string;
  status: PredictionStatus;
  /**
   * The model: `owner/model`.
   */
  model: string;
  /**
   * When it was created.
   */
  created_at: string;
  /**
   * When it ended, or null.
   */
  completed_at: string | null;
  /**
   * The results: https URLs, empty until it succeeded.
   */
  output: string[];
  /**
   * Why it failed, or null.
   */
  error: null | {
    code: PredictionErrorCode;
    /**
     * For people.
     */
    message: string;
  };
  /**
   * What it cost: a decimal number, or null while that is open.
   */
  credits_used: string | null;
  /**
   * What the vendor measured.
   */
  metrics: {
    /**
     * Seconds, or null.
     */
    predict_time: number | null;
  };
  /**
   * Only while it is queued.
   */
  queue?: {
    /**
     * Its place, from 1.
     */
    position: number;
    /**
     * An estimate of the wait.
     */
    eta_seconds: number;
  };
  /**
   * Only while the vendor has not confirmed the end yet.
   */
  cancel_requested?: true;
  /**
   * Where it is read and ended.
   */
  urls: {
    /**
     * `GET`: the prediction.
     */
    get: string;
    /**
     * `POST`: asks for an end.
     */
    cancel: string;
    /**
     * `GET`: its changes as server-sent events.
     */
    events: string;
    /**
     * `GET`: the vendor's own stream.
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
   * `cursor` of the next page, or null where this is the last.
   */
  next_cursor: string | null;
}
/**
 * What to create, and with which model.
 */
export interface NamedCreateRequest {
  /**
   * The model: `owner/model`.
   */
  model: string;
  /**
   * By the model's rules: `GET /v1/models/{owner}/{model}`.
   */
  input: {
    [k: string]: unknown;
  };
  /**
   * Images, up to what the model allows; multiplies the price.
   */
  image_count?: number;
  /**
   * The model's owner, again. Never needed.
   */
  provider?: string;
}
/**
 * Predictions that were created together.
 */
export interface Batch {
  /**
   * The batch's id.
   */
  batch_id: string;
  /**
   * `processing` until all have ended; `partial` where some succeeded.
   */
  status: "processing" | "succeeded" | "failed" | "partial";
  /**
   * In the order of the request.
   */
  predictions: Prediction[];
}
/**
 * What one input of a model may be.
 */
export interface InputRule {
  /**
   * The JSON type.
   */
  type: "string" | "integer" | "number" | "boolean" | "array";
  /**
   * Whether it must be there; false where this is absent.
   */
  required?: boolean;
  /**
   * What is sent where it is absent.
   */
  default?: unknown;
  /**
   * The only values.
   */
  enum?: unknown[];
  /**
   * The least number.
   */
  min?: number;
  /**
   * The greatest number.
   */
  max?: number;
  /**
   * The most characters; 4,000 for what a client sends where this is absent.
   */
  max_length?: number;
  items?: InputRule;
  /**
   * The most elements; 16 for what a client sends where this is absent.
   */
  max_items?: number;
  /**
   * `https-url`, or `file`: the id of a file of yours.
   */
  format?: "https-url" | "file";
}
/**
 * A model that you may use.
 */
export interface Model {
  /**
   * Its name: `owner/model`.
   */
  id: string;
  /**
   * The most that one image costs. A decimal number.
   */
  credits: string;
  /**
   * The rule of each input, by name.
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
 * A price.
 */
export interface Estimate {
  /**
   * The most that it costs. A decimal number.
   */
  credits: string;
}
/**
 * What is known of a file; never its bytes.
 */
export interface File {
  /**
   * The file's id, for inputs of the format `file`.
   */
  file_id: string;
  /**
   * Its media type.
   */
  content_type: "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "video/mp4" | "video/webm" | "audio/wav";
  /**
   * Its size.
   */
  bytes: number;
  /**
   * When it was uploaded.
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
   * `cursor` of the next page, or null where this is the last.
   */
  next_cursor: string | null;
}
/**
 * The use of one day.
 */
export interface UsageDay {
  /**
   * The day, in UTC.
   */
  day: string;
  /**
   * Spent by predictions that ended. A decimal number.
   */
  credits_spent: string;
  /**
   * Held for predictions that have not ended. A decimal number.
   */
  credits_reserved: string;
  /**
   * How many were created.
   */
  predictions: number;
}
/**
 * Your use, day by day.
 */
export interface Usage {
  /**
   * Days with any use, of the last 30.
   */
  data: UsageDay[];
}
/**
 * Your plan, limits and use.
 */
export interface Account {
  /**
   * The plan's name.
   */
  plan: string;
  /**
   * What the plan allows.
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
     * Predictions at a time.
     */
    concurrent_predictions: number;
    /**
     * Credits of a UTC day. A decimal number.
     */
    daily_credits: string;
    /**
     * Predictions that may wait.
     */
    max_waiting: number;
  };
  /**
   * Today's use.
   */
  usage: {
    /**
     * The day, in UTC.
     */
    day: string;
    /**
     * Spent by predictions that ended. A decimal number.
     */
    credits_spent: string;
    /**
     * Held for predictions that have not ended. A decimal number.
     */
    credits_reserved: string;
    /**
     * How many were created.
     */
    predictions: number;
    /**
     * Predictions that run.
     */
    running: number;
    /**
     * Predictions that wait.
     */
    waiting: number;
  };
  /**
   * What is left of today's credits. A decimal number.
   */
  credits_balance: string;
}
/**
 * A limit of any minute, and what is left of it.
 */
export interface MinuteLimit {
  /**
   * In any minute.
   */
  limit: number;
  /**
   * Would pass now.
   */
  remaining: number;
  /**
   * Unix second when all of it is back.
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
   * Predictions at a time.
   */
  concurrent_predictions: {
    /**
     * At a time.
     */
    limit: number;
    /**
     * Predictions that run.
     */
    running: number;
    /**
     * Predictions that wait.
     */
    waiting: number;
  };
}
/**
 * Today's credits.
 */
export interface Balance {
  /**
   * What is left of today's credits. A decimal number.
   */
  credits_balance: string;
  /**
   * Credits of a UTC day. A decimal number.
   */
  daily_credits: string;
  /**
   * When the next day begins.
   */
  resets_at: string;
}
