// The one error type of the client, and what a program should do for each error code.
import type { ErrorCode, Prediction, PredictionErrorCode } from "./schema.ts";

/** Error codes of this client itself, in addition to the API's. */
export type ClientErrorCode =
  /** No response. The request may have arrived. */
  | "network"
  /** A page never got a response from the deployment, not even to a plain request: nothing has arrived there. */
  | "unreachable"
  /** No response in time. */
  | "timeout"
  /** A response that is not from Valetkey, for example from a proxy or a captive portal. */
  | "unreadable_answer"
  /** `getToken`, `appCheck` or the `dpop` key failed. `cause` has the reason. */
  | "no_token"
  /** The prediction that `run` waited for was canceled. */
  | "canceled";

/** `error.code` of an API response, the failure code of a prediction, or a code of this client. */
export type Code = ErrorCode | PredictionErrorCode | ClientErrorCode;

/**
 * The action that a program should take after an error:
 * - `repeat`: it is unknown whether the request arrived. Send it again with the same `Idempotency-Key`; nothing is
 * created twice.
 * - `wait`: the request was refused for now. Send it again after `retryAfterSecs`.
 * - `ask_user`: the user must sign in, change the input, or decide whether to pay again.
 * - `give_up`: the program or its configuration is wrong.
 */
export type Advice = "repeat" | "wait" | "ask_user" | "give_up";

/** Codes that are not in `ADVICE`, to keep the bundle small: they default to `give_up`, as do codes of a newer API. */
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
  unreachable: "ask_user",
  missing_token: "ask_user",
  invalid_token: "ask_user",
  no_token: "ask_user",
  insufficient_credits: "ask_user",
  file_limit_reached: "ask_user",
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

/**
 * Further details of an error. A member is absent if its value is unknown. Names that the client gives are camelCase
 * (`jobId`, `requestId`); in what the API sent, such as `prediction`, they are as on the wire (`job_id`).
 */
export interface ErrorDetails {
  /** HTTP status of the response. */
  status?: number | undefined;
  /** Request id that a user can give to the operator, who finds the request in the log by it. */
  requestId?: string | undefined;
  /** Value of `Retry-After`, seconds. */
  retryAfterSecs?: number | undefined;
  /** Name of the invalid parameter, such as `input.prompt`. */
  param?: string | undefined;
  /** Id of the prediction that the error is about. The prediction exists although a request failed. */
  jobId?: string | undefined;
  /** Key of the create. Repeat the create with this key, and nothing is created twice. */
  idempotencyKey?: string | undefined;
  /** Final state of the prediction that failed or was canceled. */
  prediction?: Prediction | undefined;
}

/**
 * The error that every call of this client rejects with, except an aborted call: it rejects with the signal's reason.
 */
export class ValetkeyError extends Error implements ErrorDetails {
  override name = "ValetkeyError";
  /** A newer API may send codes that are not in this type. */
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

  /** What to do about the error. */
  get advice(): Advice {
    const advice = (ADVICE as Partial<Record<Code, Advice>>)[this.code] ?? "give_up";
    // Repeating with the same key would only return the prediction that has failed.
    return advice === "repeat" && this.prediction !== undefined ? "ask_user" : advice;
  }
}

/** Awaits a part of the client that few apps need, and that is loaded when it is used. */
export async function part<T>(loading: Promise<T>): Promise<T> {
  return loading.catch((cause: unknown) => {
    throw new ValetkeyError("network", "Could not load all of the client.", {}, cause);
  });
}

/** A parsed JSON body of unknown shape. */
type Loose = { [name: string]: Loose | undefined } | undefined;

/** Converts an unsuccessful response into an error. `body` is the parsed JSON body, or `undefined` if it has none. */
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

/** Reads the error details that a response's status and headers carry. */
export function detailsOf(status: number, headers: Headers): ErrorDetails {
  const requestId = headers.get("x-request-id") ?? undefined;
  // The API sends `Retry-After` in seconds. An intermediary may send a date (RFC 9110, section 10.2.3), which is
  // ignored.
  return { status, requestId, retryAfterSecs: Number(headers.get("retry-after")) || undefined };
}

/** Converts a prediction that failed or was canceled into the error that `run` rejects with. */
export function failureOf(prediction: Prediction): ValetkeyError {
  const { error, job_id: jobId } = prediction;
  return new ValetkeyError(error?.code ?? "canceled", error?.message ?? "The prediction was canceled.", { jobId, prediction });
}

/** Returns a non-empty string, and `undefined` for anything else. */
function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
