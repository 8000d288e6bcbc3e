// The API's answers, read strictly: what has another form is an answer that this page does not understand.
import { Problem } from "./problem.ts";

export type Status = "queued" | "processing" | "succeeded" | "failed" | "canceled";

export interface Prediction {
  jobId: string;
  status: Status;
  /** Picture URLs; empty until it succeeded. */
  output: readonly string[];
  /** Why it failed. */
  errorCode: string | undefined;
  /** Its place in the line while it is queued. */
  queue: { position: number; etaSeconds: number } | undefined;
  /** Somebody asked for its end, and the vendor has not confirmed it. */
  cancelRequested: boolean;
  /** `X-Request-Id` of the answer that said all this. */
  requestId: string | undefined;
}

const STATUSES: readonly string[] = ["queued", "processing", "succeeded", "failed", "canceled"];
/** Ours are `pred_` and a ULID. Anything else must not become part of a path. */
const JOB_ID = /^pred_[0-9a-z]{26}$/;

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function isTerminal(status: Status): boolean {
  return status === "succeeded" || status === "failed" || status === "canceled";
}

/** Reads a prediction; `undefined` for anything else. */
export function parsePrediction(value: unknown, requestId?: string): Prediction | undefined {
  if (!isObject(value)) return undefined;
  const { job_id: jobId, status, output, error, queue, cancel_requested: cancelRequested } = value;
  if (typeof jobId !== "string" || !JOB_ID.test(jobId)) return undefined;
  if (typeof status !== "string" || !STATUSES.includes(status)) return undefined;
  return {
    jobId,
    status: status as Status,
    output: Array.isArray(output) ? output.filter((url): url is string => typeof url === "string") : [],
    errorCode: isObject(error) ? text(error["code"]) : undefined,
    queue: parseQueue(queue),
    cancelRequested: cancelRequested === true,
    requestId,
  };
}

function parseQueue(value: unknown): Prediction["queue"] {
  if (!isObject(value)) return undefined;
  const { position, eta_seconds: etaSeconds } = value;
  return typeof position === "number" && typeof etaSeconds === "number" ? { position, etaSeconds } : undefined;
}

/** Reads the error envelope of an answer that is not a success. */
export function parseProblem(status: number, headers: Headers, body: unknown): Problem {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const details = isObject(error["details"]) ? error["details"] : {};
  const jobId = text(details["job_id"]);
  return new Problem(text(error["code"]) ?? "unknown", {
    status,
    requestId: text(error["request_id"]) ?? text(headers.get("x-request-id")),
    retryAfterSecs: parseRetryAfter(headers.get("retry-after")),
    param: text(details["param"]),
    jobId: jobId !== undefined && JOB_ID.test(jobId) ? jobId : undefined,
  });
}

/** Our API sends seconds, never a date (RFC 9110 section 10.2.3 allows both). */
export function parseRetryAfter(value: string | null): number | undefined {
  return value !== null && /^[0-9]{1,6}$/.test(value) ? Number(value) : undefined;
}
