// The error message for each error code. Pure.
import type { Code } from "../../../clients/web/src/index.ts";
import type { PageCode, Problem } from "./problem.ts";
import { inTime } from "./times.ts";

const SENTENCES: Readonly<Record<Code | PageCode, string>> = {
  // Error codes of the API.
  invalid_json: "The service could not read this request. Reload the page and try again.",
  invalid_parameter: "One of the settings was not accepted. Change it and try again.",
  unsupported_parameter: "This page sent a setting that the service does not support. Reload the page and try again.",
  invalid_idempotency_key: "The service could not read this request. Reload the page and try again.",
  missing_token: "Your session is missing. Reload the page to start a new one.",
  invalid_token: "Your session was not accepted. Reload the page to start a new one.",
  insufficient_credits: "You have used up your credits for now.",
  insufficient_permissions: "Your session does not allow this.",
  model_not_allowed: "Your plan has no model that makes a picture from a description.",
  file_limit_reached: "You have as many files as your plan allows. Delete one first.",
  origin_not_allowed: "The service does not accept requests from a page at this address.",
  not_found: "This picture no longer exists.",
  method_not_allowed: "This page does not match the service’s version. Reload the page and try again.",
  body_too_large: "The request is too large. Choose a smaller picture or shorten the description.",
  unsupported_media_type: "The service does not support this kind of picture. Choose a PNG, JPEG, WebP or GIF.",
  idempotency_in_progress: "The same request is already being processed.",
  idempotency_mismatch: "The description changed while it was being sent. Press Create once more.",
  not_ended: "This picture is still being made. Cancel it first.",
  rate_limited: "You sent too many requests.",
  too_many_predictions: "You already have as many pictures in progress as your plan allows.",
  queue_full: "The queue is full.",
  upstream_rejected: "The picture service refused this request.",
  upstream_error: "The picture service failed.",
  upstream_timeout: "The picture service did not answer in time.",
  misconfigured: "This service is not set up correctly. Only its operator can fix that.",
  limiter_unavailable: "The service could not check your limits.",
  upstream_unavailable: "The picture service is unavailable for now.",
  // Failure codes of a prediction.
  outcome_unknown: "The picture service did not confirm this request. It may have made a picture, so the request was not sent again.",
  queue_timeout: "This picture waited too long in the queue and was not made. It cost no credits.",
  upstream_failed: "The picture service could not finish this picture. Try other words.",
  upstream_lost: "The picture service lost track of this picture.",
  timed_out: "This picture took too long and was abandoned.",
  // Codes of the client.
  network: "The service cannot be reached. Check your connection and try again.",
  unreachable: "The service cannot be reached. Check your connection.",
  timeout: "The service took too long to answer. Try again.",
  unreadable_answer: "The service sent a response that this page cannot read.",
  no_token: "The app’s own server did not hand out a session token. Try again in a moment.",
  canceled: "This picture was canceled.",
  // Codes of this page.
  empty_prompt: "Describe the picture first.",
  offline: "You are offline. Connect to the internet and try again.",
  no_session: "The app’s own server did not hand out a session token. Try again in a moment.",
  no_guest: "Cloudflare’s Turnstile did not confirm that you are a person. Reload the page and try again.",
  guest_ended: "Your guest session ended while this picture was made, so this page can no longer read it.",
  token_needed: "Paste a token first.",
  token_malformed: "This is not a token. Paste the whole line that the command printed.",
  token_expired: "This token has expired. Paste a new one.",
  token_refused: "The service refused this token. Paste a new one.",
  picture_type: "This file is not a supported picture. Choose a PNG, JPEG, WebP or GIF.",
  picture_empty: "This file is empty. Choose another one.",
  picture_size: "This picture is larger than 90 MB. Choose a smaller one.",
  picture_unavailable: "The picture was made, but it could not be loaded.",
  page_error: "Something in this page failed. Reload it and try again.",
};

/** Error messages of `invalid_parameter`, by `details.param`. */
const PARAMETERS: Readonly<Record<string, string>> = {
  // The vendor refused the input and named no member of it.
  input: "The picture service did not accept this description or picture. Try others.",
  "input.prompt": "This description was not accepted. Shorten or change it.",
  "input.aspect_ratio": "This shape is not supported. Choose another one.",
  "input.input_image": "The uploaded picture no longer exists. Press Create to upload it again.",
};

/** The end of a message that already asks for another try, with its vague time if it has one. */
const TRY_AGAIN = /(try again)( in a moment)?\.$/i;

/** Codes that have a message, for the tests. */
export const KNOWN_CODES = Object.keys(SENTENCES) as (Code | PageCode)[];

/**
 * Returns the error message, with the time of the next try if the API gave one. A newer API may send codes that are
 * unknown here.
 */
export function problemText({ code, param, retryAfterSecs }: Problem): string {
  const parameter = code === "invalid_parameter" ? own(PARAMETERS, param ?? "") : undefined;
  const sentence = parameter ?? own(SENTENCES, code) ?? "Something went wrong, and this page does not know the reason.";
  if (retryAfterSecs === undefined) return sentence;
  const when = inTime(retryAfterSecs);
  return TRY_AGAIN.test(sentence) ? sentence.replace(TRY_AGAIN, `$1 ${when}.`) : `${sentence} Try again ${when}.`;
}

/** Returns an own member of the table. Inherited names such as `constructor` have no message. */
function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
