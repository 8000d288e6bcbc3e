// Texts of numbers, times and problems. Pure. All times are UTC, as in the log.
import type { ApiProblem } from "./api.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Returns a time such as "Nov 30, 19:42:10". Another text than an RFC 3339 time is returned as it is. */
export function timeText(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  return `${dayText(at.toISOString().slice(0, 10))}, ${at.toISOString().slice(11, 19)}`;
}

/** Returns a day such as "Nov 30". */
export function dayText(day: string): string {
  const [, month = "", date = ""] = day.split("-");
  return `${MONTHS[Number(month) - 1] ?? month} ${Number(date)}`;
}

/** Returns the days up to `today`, the oldest first. */
export function lastDays(today: string, count: number): string[] {
  const end = Date.parse(`${today}T00:00:00Z`);
  return Array.from({ length: count }, (_, index) => new Date(end - (count - 1 - index) * 86_400_000).toISOString().slice(0, 10));
}

/** Returns the time from `now` to `end`, such as "1 min 35 s". */
export function leftText(end: string, now: string): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(end) - Date.parse(now)) / 1_000));
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** Returns a number with commas between its thousands. Decimals are kept as they are. */
export function numberText(value: number | string): string {
  const [whole = "", decimals] = String(value).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return decimals === undefined ? grouped : `${grouped}.${decimals}`;
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${numberText(count)} ${count === 1 ? one : many}`;
}

/** Returns the first letters of a user key, a fingerprint or a version id. */
export function shortKey(key: string): string {
  return key.length > 14 ? `${key.slice(0, 12)}…` : key;
}

/** Sentences for what an operator can do something about. */
const SENTENCES: Readonly<Record<string, string>> = {
  network: "The service cannot be reached.",
  signed_out: "Cloudflare Access asks you to sign in again: reload the page.",
  session_ended: "You have signed out.",
  unreadable_answer: "The service sent a response that this page cannot read.",
  page_error: "This page could not show the answer: reload it.",
  missing_token: "Paste a token of an issuer with use: admin.",
  invalid_token: "The service refused this token: it has expired, was revoked, or is not of an issuer with use: admin.",
  insufficient_permissions: "The admins of your issuer do not give you the right to do this.",
  origin_not_allowed: "Actions work only at the address that PUBLIC_URL names: open the page there, or set PUBLIC_URL to this address and deploy.",
  rate_limited: "You sent more than 240 requests in a minute. Is the page open in many tabs?",
  limiter_unavailable: "The Dispatcher or a Ledger did not answer.",
  misconfigured: "The settings of this deployment are wrong: /readyz names them.",
  not_found: "It is not there any more.",
  not_ended: "This prediction still waits or runs.",
};

/** Returns what went wrong, as a sentence, with the request id for the log. */
export function problemText({ code, status, requestId, param }: ApiProblem): string {
  const named = param === undefined ? undefined : `The service did not accept this ${param}.`;
  const sentence = named ?? SENTENCES[code] ?? `The service answered ${status ?? "nothing"} (${code}).`;
  return requestId === undefined ? sentence : `${sentence} (${requestId})`;
}
