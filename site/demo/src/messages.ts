// Every sentence that a person can meet here, by code. Pure: codes in, text out.
import type { Prediction } from "./prediction.ts";
import type { LocalCode, Problem } from "./problem.ts";

/** Refusals of the API (`error.code`). */
const API: Readonly<Record<string, string>> = {
  invalid_json: "The service could not read this request. Reload the page and try again.",
  invalid_parameter: "One of the settings was not accepted. Change it and try again.",
  unsupported_parameter: "This page asked for something that the service does not offer. Reload the page and try again.",
  invalid_idempotency_key: "The service could not read this request. Reload the page and try again.",
  missing_token: "The service did not see who you are. Reload the page to start a new session.",
  invalid_token: "Your session was not accepted. Reload the page to start a new one.",
  insufficient_credits: "Your allowance is used up for now.",
  insufficient_permissions: "Your session does not allow this.",
  model_not_allowed: "Your plan does not include this picture model.",
  origin_not_allowed: "Pages at this address may not use the service.",
  not_found: "This picture is not there any more.",
  method_not_allowed: "This page and the service do not fit together. Reload the page and try again.",
  body_too_large: "Your description is too long. Shorten it and try again.",
  unsupported_media_type: "This page and the service do not fit together. Reload the page and try again.",
  idempotency_in_progress: "The same request is already on its way.",
  idempotency_mismatch: "The description changed while it was being sent. Press Create once more.",
  not_ended: "This picture is still being made. Cancel it first.",
  rate_limited: "That was a little fast.",
  too_many_predictions: "You have as many pictures under way as your plan allows.",
  queue_full: "Every place is taken at the moment.",
  upstream_rejected: "The picture service refused this request.",
  upstream_error: "The picture service failed.",
  upstream_timeout: "The picture service did not answer in time.",
  misconfigured: "This service is not set up correctly. Only its operator can fix that.",
  limiter_unavailable: "The service could not check your limits just now.",
  upstream_unavailable: "The picture service cannot be used for now.",
};

/** Why a prediction failed (`prediction.error.code`), where the API's list has no such word or means another thing. */
const PREDICTION: Readonly<Record<string, string>> = {
  outcome_unknown: "The picture service never said whether it took this request, so it was not sent again.",
  queue_timeout: "No place became free in time. Nothing was spent.",
  upstream_failed: "The picture service could not finish this picture. Try other words.",
  upstream_rejected: "The picture service refused this request. Try other words.",
  upstream_lost: "The picture service lost track of this picture.",
  timed_out: "This picture took too long and was given up.",
};

const LOCAL: Readonly<Record<LocalCode, string>> = {
  empty_prompt: "Describe the picture first.",
  network: "The service cannot be reached. Check your connection and try again.",
  offline: "You are offline. Connect to the internet and try again.",
  no_answer_in_time: "The service took too long to answer. Try again.",
  unreadable_answer: "The service gave an answer that this page does not understand.",
  no_session: "The app’s own server did not hand out a session token. Try again in a moment.",
  picture_unavailable: "The picture was made, but it could not be loaded.",
  page_error: "This page made a mistake. Reload it and try again.",
};

/** What to say about one parameter, by `details.param`. */
const PARAMETERS: Readonly<Record<string, string>> = {
  "input.prompt": "This description was not accepted. Shorten it or put it differently.",
  "input.aspect_ratio": "This shape is not offered. Choose another one.",
};

const ALL: Readonly<Record<string, string>> = { ...PREDICTION, ...API, ...LOCAL };

/** Codes that have a sentence, for the tests. */
export const KNOWN_CODES = { api: Object.keys(API), prediction: Object.keys(PREDICTION), local: Object.keys(LOCAL) };

function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The sentence for a problem, and when to try again where the API says so. */
export function problemText(problem: Problem): string {
  const { param, retryAfterSecs } = problem.details;
  const parameter = problem.code === "invalid_parameter" ? own(PARAMETERS, param ?? "") : undefined;
  const sentence = parameter ?? own(ALL, problem.code) ?? "Something went wrong that this page does not know.";
  return retryAfterSecs === undefined ? sentence : `${sentence} Try again ${duration(retryAfterSecs)}.`;
}

/** The sentence for a prediction that failed. */
export function failureText(code: string): string {
  return own(PREDICTION, code) ?? "The picture could not be made.";
}

/** What a prediction is doing, for the status line. */
export function progressText(prediction: Prediction, canceling: boolean): string {
  if (canceling && (prediction.status === "queued" || prediction.status === "processing")) return "Canceling…";
  switch (prediction.status) {
    case "queued":
      return prediction.queue === undefined ? "Waiting for a free place…" : queueText(prediction.queue);
    case "processing":
      return "Making your picture…";
    case "succeeded":
      return "Your picture is ready.";
    case "failed":
      return "No picture this time.";
    case "canceled":
      return "Canceled.";
  }
}

function queueText(queue: { position: number; etaSeconds: number }): string {
  const place = queue.position <= 1 ? "You are next" : `You are number ${queue.position} in line`;
  return `${place}, ${duration(queue.etaSeconds).replace(/^in /, "")} to go.`;
}

/** `in 1 second`, `in 40 seconds`, `in about 3 minutes`, `in about 2 hours`. */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole === 1) return "in 1 second";
  if (whole < 100) return `in ${whole} seconds`;
  const minutes = Math.round(whole / 60);
  return minutes < 100 ? `in about ${minutes} minutes` : `in about ${Math.round(minutes / 60)} hours`;
}

/** `0:07`, `12:30`. */
export function clock(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
