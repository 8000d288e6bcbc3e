// What a person can be told about: what the client met, and what this page meets itself.
import { type Code, type Prediction, ValetkeyError } from "../../../clients/web/src/index.ts";

/** Codes that this page gives itself. */
export type PageCode =
  | "empty_prompt"
  | "offline"
  | "no_session"
  | "picture_type"
  | "picture_empty"
  | "picture_size"
  | "picture_unavailable"
  | "page_error";

export interface Problem {
  code: Code | PageCode;
  /** What a person can quote to the operator. */
  requestId?: string | undefined;
  /** The prediction that it is about. */
  jobId?: string | undefined;
  /** Seconds. */
  retryAfterSecs?: number | undefined;
  /** The parameter that is wrong, such as `input.prompt`. */
  param?: string | undefined;
}

/** The app's own backend cannot be reached: another server than the API, with a sentence of its own. */
export class BackendUnreachable extends Error {}

/** Puts whatever was thrown into a problem; `undefined` for a mistake of this page's own. */
export function problemOf(thrown: unknown, isOnline: boolean): Problem | undefined {
  if (!(thrown instanceof ValetkeyError)) return undefined;
  const { requestId, jobId, retryAfterSecs, param } = thrown;
  return { code: codeOf(thrown, isOnline), requestId, jobId, retryAfterSecs, param };
}

function codeOf(error: ValetkeyError, isOnline: boolean): Problem["code"] {
  if (error.code === "network" && !isOnline) return "offline";
  return error.code === "no_token" || error.cause instanceof BackendUnreachable ? "no_session" : error.code;
}

/** Why a prediction ended without a picture, as the sentence's code. */
export function failureOf({ error, job_id: jobId }: Prediction, requestId: string | undefined): Problem {
  return { code: error?.code ?? "upstream_failed", jobId, requestId };
}
