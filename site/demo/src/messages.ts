// Every sentence about something that went wrong, by code. Pure: codes in, text out.
import type { Code } from "../../../clients/web/src/index.ts";
import type { PageCode, Problem } from "./problem.ts";
import { inTime } from "./times.ts";

const SENTENCES: Readonly<Record<Code | PageCode, string>> = {
  // Refusals of the API.
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
  body_too_large: "That is more than the service takes. Choose a smaller picture or shorten the description.",
  unsupported_media_type: "The service does not take this kind of picture. Choose a PNG, JPEG, WebP or GIF.",
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
  // Why a prediction failed.
  outcome_unknown: "The picture service never said whether it took this request, so it was not sent again.",
  queue_timeout: "No place became free in time. Nothing was spent.",
  upstream_failed: "The picture service could not finish this picture. Try other words.",
  upstream_lost: "The picture service lost track of this picture.",
  timed_out: "This picture took too long and was given up.",
  // What the client met.
  network: "The service cannot be reached. Check your connection and try again.",
  timeout: "The service took too long to answer. Try again.",
  unreadable_answer: "The service gave an answer that this page does not understand.",
  no_token: "The app’s own server did not hand out a session token. Try again in a moment.",
  canceled: "This picture was canceled.",
  // What this page met.
  empty_prompt: "Describe the picture first.",
  offline: "You are offline. Connect to the internet and try again.",
  no_session: "The app’s own server did not hand out a session token. Try again in a moment.",
  picture_type: "This is not a picture that the service takes. Choose a PNG, JPEG, WebP or GIF.",
  picture_empty: "This file is empty. Choose another one.",
  picture_size: "This picture has more than 90 MB. Choose a smaller one.",
  picture_unavailable: "The picture was made, but it could not be loaded.",
  page_error: "This page made a mistake. Reload it and try again.",
};

/** What to say about one parameter, by `details.param`. */
const PARAMETERS: Readonly<Record<string, string>> = {
  // The vendor's own judgment, which names no member.
  input: "The picture service did not accept this description or picture. Try others.",
  "input.prompt": "This description was not accepted. Shorten it or put it differently.",
  "input.aspect_ratio": "This shape is not offered. Choose another one.",
  "input.input_image": "The picture to start from is not there any more. Press Create to upload it again.",
};

/** Codes that have a sentence, for the tests. */
export const KNOWN_CODES = Object.keys(SENTENCES) as (Code | PageCode)[];

/** The sentence for a problem, and when to try again where the API says so. A newer API may have codes that are not known here. */
export function problemText({ code, param, retryAfterSecs }: Problem): string {
  const parameter = code === "invalid_parameter" ? own(PARAMETERS, param ?? "") : undefined;
  const sentence = parameter ?? own(SENTENCES, code) ?? "Something went wrong that this page does not know.";
  return retryAfterSecs === undefined ? sentence : `${sentence} Try again ${inTime(retryAfterSecs)}.`;
}

function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
