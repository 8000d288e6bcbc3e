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
export type PredictionStatus = "queued" | "processing" | "succeeded" | "failed" | "canceled";
export type PredictionErrorCode =
  "outcome_unknown" | "queue_timeout" | "upstream_failed" | "upstream_rejected" | "upstream_lost" | "timed_out";

export interface Prediction {
  job_id: string;
  status: PredictionStatus;
  /**
   * `owner/model`.
   */
  model: string;
  created_at: string;
  completed_at: string | null;
  output: string[];
  error: null | {
    code: PredictionErrorCode;
    message: string;
  };
  /**
   * Credits, a decimal number.
   */
  credits_used: string | null;
  metrics: {
    /**
     * Seconds.
     */
    predict_time: number | null;
  };
  /**
   * While it is queued.
   */
  queue?: {
    position: number;
    eta_seconds: number;
  };
  /**
   * The vendor has not confirmed the end yet.
   */
  cancel_requested?: true;
  urls: {
    get: string;
    cancel: string;
    events: string;
    stream: string;
  };
}
export interface PredictionList {
  data: Prediction[];
  next_cursor: string | null;
}
export interface NamedCreateRequest {
  /**
   * `owner/model`.
   */
  model: string;
  input: {};
  image_count?: number;
  provider?: string;
}
export interface Batch {
  batch_id: string;
  status: "processing" | "succeeded" | "failed" | "partial";
  predictions: Prediction[];
}
export interface InputRule {
  type: "string" | "integer" | "number" | "boolean" | "array";
  required?: boolean;
  default?: unknown;
  enum?: unknown[];
  min?: number;
  max?: number;
  max_length?: number;
  items?: InputRule;
  max_items?: number;
  format?: "https-url" | "file";
}
export interface Model {
  /**
   * `owner/model`.
   */
  id: string;
  /**
   * Credits, a decimal number.
   */
  credits: string;
  input: {
    [k: string]: InputRule;
  };
}
export interface ModelList {
  data: Model[];
}
export interface Estimate {
  /**
   * Credits, a decimal number.
   */
  credits: string;
}
export interface File {
  file_id: string;
  content_type: "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "video/mp4" | "video/webm" | "audio/wav";
  bytes: number;
  created_at: string;
}
export interface FileList {
  data: File[];
  next_cursor: string | null;
}
export interface UsageDay {
  day: string;
  /**
   * Credits, a decimal number.
   */
  credits_spent: string;
  /**
   * Credits, a decimal number.
   */
  credits_reserved: string;
  predictions: number;
}
export interface Usage {
  data: UsageDay[];
}
export interface Account {
  plan: string;
  limits: {
    requests_per_minute: number;
    predictions_per_minute: number;
    concurrent_predictions: number;
    /**
     * Credits, a decimal number.
     */
    daily_credits: string;
    max_waiting: number;
  };
  usage: {
    day: string;
    /**
     * Credits, a decimal number.
     */
    credits_spent: string;
    /**
     * Credits, a decimal number.
     */
    credits_reserved: string;
    predictions: number;
    running: number;
    waiting: number;
  };
  /**
   * Credits, a decimal number.
   */
  credits_balance: string;
}
export interface MinuteLimit {
  limit: number;
  remaining: number;
  /**
   * Unix second when all of it is back.
   */
  reset: number;
}
export interface RateLimits {
  requests_per_minute: MinuteLimit;
  predictions_per_minute: MinuteLimit;
  concurrent_predictions: {
    limit: number;
    running: number;
    waiting: number;
  };
}
export interface Balance {
  /**
   * Credits, a decimal number.
   */
  credits_balance: string;
  /**
   * Credits, a decimal number.
   */
  daily_credits: string;
  resets_at: string;
}
