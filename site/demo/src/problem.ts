// Errors that the page shows: those of the client, and those of the page itself.
import { type Code, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";

/** Error codes of this page. */
export type PageCode =
  | "empty_prompt"
  | "offline"
  | "no_session"
  | "no_guest"
  | "guest_ended"
  | "token_needed"
  | "token_malformed"
  | "token_expired"
  | "token_refused"
  | "picture_type"
  | "picture_empty"
  | "picture_size"
  | "picture_unavailable"
  | "page_error";

/** An error to show to the user. */
export interface Problem {
  code: Code | PageCode;
  /** Request id that the user can give to the operator. */
  requestId?: string | undefined;
  /** Id of the prediction that the error is about. */
  jobId?: string | undefined;
  /** Seconds until the next try. */
  retryAfterSecs?: number | undefined;
  /** Name of the invalid parameter, such as `input.prompt`. */
  param?: string | undefined;
}

/** Cause of an error: there is no token. `code` says why, in the words of the page's way to get one. */
export class TokenProblem extends Error {
  readonly code: PageCode;

  constructor(code: PageCode, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
  }
}

/** Codes after which the same request would fail again, or after which it might be paid for a second time. */
const NOT_TO_REPEAT: readonly Problem["code"][] = [
  "invalid_parameter", "unsupported_parameter", "insufficient_credits", "insufficient_permissions", "model_not_allowed", "origin_not_allowed",
  "misconfigured", "not_found", "outcome_unknown", "picture_unavailable", "guest_ended",
];

/** Returns true if a button to try again makes sense. */
export function mayTryAgain({ code }: Problem): boolean {
  return !NOT_TO_REPEAT.includes(code);
}

/** Converts a thrown value into a problem. Returns `undefined` for a bug in this page. */
export function problemOf(thrown: unknown, isOnline: boolean): Problem | undefined {
  if (!(thrown instanceof ValetkeyError)) return undefined;
  const { requestId, jobId, retryAfterSecs, param } = thrown;
  return { code: codeOf(thrown, isOnline), requestId, jobId, retryAfterSecs, param };
}

function codeOf(error: ValetkeyError, isOnline: boolean): Problem["code"] {
  if (error.code === "network" && !isOnline) return "offline";
  return error.cause instanceof TokenProblem ? error.cause.code : error.code;
}

/** Returns the problem of a prediction that failed. */
export function failureOf({ error, job_id: jobId }: Prediction, requestId: string | undefined): Problem {
  return { code: error?.code ?? "upstream_failed", jobId, requestId };
}
