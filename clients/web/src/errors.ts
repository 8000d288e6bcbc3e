// Everything that can go wrong, as one type with a code.
import type { ErrorCode, Prediction, PredictionErrorCode } from "./schema.ts";

/** What this client adds to the codes of the API: it has no answer, or none that it understands. */
export type ClientErrorCode =
  /** No answer: no connection, or a preflight was refused (a page cannot tell the two apart). */
  | "network"
  /** No answer in time. */
  | "timeout"
  /** An answer that is not Valetkey's: a proxy, a captive portal. */
  | "unreadable_answer"
  /** `getToken`, `appCheck` or the key of `dpop` failed; `cause` has the reason. */
  | "no_token"
  /** The prediction that was waited for was canceled. */
  | "canceled";

/** `error.code` of an answer, why a prediction failed, or what this client met itself. */
export type Code = ErrorCode | PredictionErrorCode | ClientErrorCode;

/**
 * What a program does about an error:
 * - `repeat`: nobody knows whether it arrived: the same request with the same `Idempotency-Key`, and nothing is made twice;
 * - `wait`: it was refused, and may pass later, after `retryAfterSecs`;
 * - `ask_user`: somebody must sign in, choose other input, or decide to pay again;
 * - `give_up`: the program or the settings are wrong.
 */
export type Advice = "repeat" | "wait" | "ask_user" | "give_up";

/** What `ADVICE` leaves out, to be small: the program or the settings are wrong. So it is with a code of a newer API. */
type GiveUpCode =
  | "canceled"
  | "misconfigured"
  | "not_ended"
  | "invalid_json"
  | "unsupported_parameter"
  | "invalid_idempotency_key"
  | "insufficient_permissions"
  | "model_not_allowed"
  | "origin_not_allowed"
  | "not_found"
  | "method_not_allowed"
  | "idempotency_mismatch";

const ADVICE: Record<Exclude<Code, GiveUpCode>, Advice> = {
  network: "repeat",
  timeout: "repeat",
  unreadable_answer: "repeat",
  idempotency_in_progress: "repeat",
  upstream_error: "repeat",
  upstream_timeout: "repeat",
  rate_limited: "wait",
  too_many_predictions: "wait",
  queue_full: "wait",
  limiter_unavailable: "wait",
  upstream_unavailable: "wait",
  missing_token: "ask_user",
  invalid_token: "ask_user",
  no_token: "ask_user",
  insufficient_credits: "ask_user",
  invalid_parameter: "ask_user",
  body_too_large: "ask_user",
  unsupported_media_type: "ask_user",
  upstream_rejected: "ask_user",
  upstream_failed: "ask_user",
  upstream_lost: "ask_user",
  outcome_unknown: "ask_user",
  queue_timeout: "ask_user",
  timed_out: "ask_user",
};

/** What is known beside the code; absent where nobody said. */
export interface ErrorDetails {
  /** HTTP status. */
  status?: number | undefined;
  /** What a user can quote to the operator. */
  requestId?: string | undefined;
  /** `Retry-After`, seconds. */
  retryAfterSecs?: number | undefined;
  /** The parameter that is wrong, such as `input.prompt`. */
  param?: string | undefined;
  /** The prediction that it is about: it exists, although something failed. */
  jobId?: string | undefined;
  /** Repeat the create with this key, and nothing is made twice. */
  idempotencyKey?: string | undefined;
  /** The prediction that did not succeed. */
  prediction?: Prediction | undefined;
}

/** Every rejection of this client but that of an aborted signal, which rejects with the signal's reason. */
export class ValetkeyError extends Error implements ErrorDetails {
  override name = "ValetkeyError";
  /** A newer API may have codes that these types do not know. */
  declare readonly code: Code;
  declare readonly status?: number | undefined;
  declare readonly requestId?: string | undefined;
  declare readonly retryAfterSecs?: number | undefined;
  declare readonly param?: string | undefined;
  declare readonly jobId?: string | undefined;
  declare readonly idempotencyKey?: string | undefined;
  declare readonly prediction?: Prediction | undefined;

  constructor(code: Code, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, { cause });
    Object.assign(this, details, { code });
  }

  get advice(): Advice {
    const advice = (ADVICE as Partial<Record<Code, Advice>>)[this.code] ?? "give_up";
    // The same key would only give the prediction that has failed.
    return advice === "repeat" && this.prediction !== undefined ? "ask_user" : advice;
  }
}

type Loose = { [name: string]: Loose | undefined } | undefined;

/** Reads an answer that is no success. `body` is what it carried, parsed, or `undefined`. */
export function errorOf(status: number, headers: Headers, body: unknown): ValetkeyError {
  const error = (body as Loose)?.["error"];
  const code = text(error?.["code"]);
  const details = error?.["details"];
  const head = detailsOf(status, headers);
  return new ValetkeyError((code ?? "unreadable_answer") as Code, text(error?.["message"]) ?? `HTTP ${status}`, {
    ...head,
    requestId: text(error?.["request_id"]) ?? head.requestId,
    param: text(details?.["param"]),
    jobId: text(details?.["job_id"]),
  });
}

/** What the head of an answer says of an error. */
export function detailsOf(status: number, headers: Headers): ErrorDetails {
  const requestId = headers.get("x-request-id") ?? undefined;
  // The API sends seconds; whatever else stands between may send a date, which is as good as nothing.
  return { status, requestId, retryAfterSecs: Number(headers.get("retry-after")) || undefined };
}

/** A prediction that ended without success, as the error that `run` rejects with. */
export function failureOf(prediction: Prediction): ValetkeyError {
  const { error, job_id: jobId } = prediction;
  return new ValetkeyError(error?.code ?? "canceled", error?.message ?? "The prediction was canceled.", { jobId, prediction });
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
