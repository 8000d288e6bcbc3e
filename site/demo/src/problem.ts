// Errors that the page shows: those of the client, and those of the page itself.
import { type Code, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";

/** Error codes of this page. */
export type PageCode =
  | "empty_prompt"
  | "offline"
  | "no_session"
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

/**
 * Cause of an error: the app's own backend, a different server than the API, did not respond. It has its own error
 * message.
 */
export class BackendUnreachable extends Error {}

/** Converts a thrown value into a problem. Returns `undefined` for a bug in this page. */
export function problemOf(thrown: unknown, isOnline: boolean): Problem | undefined {
  if (!(thrown instanceof ValetkeyError)) return undefined;
  const { requestId, jobId, retryAfterSecs, param } = thrown;
  return { code: codeOf(thrown, isOnline), requestId, jobId, retryAfterSecs, param };
}

function codeOf(error: ValetkeyError, isOnline: boolean): Problem["code"] {
  if (error.code === "network" && !isOnline) return "offline";
  return error.code === "no_token" || error.cause instanceof BackendUnreachable ? "no_session" : error.code;
}

/** Returns the problem of a prediction that failed. */
export function failureOf({ error, job_id: jobId }: Prediction, requestId: string | undefined): Problem {
  return { code: error?.code ?? "upstream_failed", jobId, requestId };
}
