// What can go wrong, as one value: the API's own refusals and what happens before an answer is there.

/** Codes that this page gives itself. They share one name space with the API's codes and never collide with them. */
export type LocalCode =
  | "empty_prompt"
  | "network"
  | "offline"
  | "no_answer_in_time"
  | "unreadable_answer"
  | "no_session"
  | "picture_unavailable"
  | "page_error";

export interface ProblemDetails {
  /** `X-Request-Id` or `error.request_id`: what a user can quote to the operator. */
  requestId?: string | undefined;
  /** `Retry-After`, seconds. */
  retryAfterSecs?: number | undefined;
  /** `error.details.param`, such as `input.prompt`. */
  param?: string | undefined;
  /** `error.details.job_id`: the prediction exists although its create failed. */
  jobId?: string | undefined;
  /** HTTP status; absent where there was no answer. */
  status?: number | undefined;
}

export class Problem extends Error {
  readonly code: string;
  readonly details: ProblemDetails;

  constructor(code: LocalCode | (string & {}), details: ProblemDetails = {}) {
    super(code);
    this.name = "Problem";
    this.code = code;
    this.details = details;
  }

  /** Whether reading the same thing again later may help. */
  get isPassing(): boolean {
    const status = this.details.status ?? 0;
    return this.gaveNoAnswer || status === 429 || status >= 500;
  }

  /** Whether the request may have been carried out although nobody told us so. */
  get gaveNoAnswer(): boolean {
    return ["network", "offline", "no_answer_in_time", "unreadable_answer"].includes(this.code);
  }
}

/** Turns whatever was thrown into a problem; `fetch` reports every failure of the network as a `TypeError`. */
export function toProblem(thrown: unknown, online: boolean): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof DOMException && (thrown.name === "TimeoutError" || thrown.name === "AbortError")) {
    return new Problem("no_answer_in_time");
  }
  return new Problem(online ? "network" : "offline");
}
