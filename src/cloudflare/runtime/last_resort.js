// The response to a request for which the core has none: its wasm instance ended before it left a fallback, or the
// platform refused the response that it made.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * Logs a line of level `error`. Its members are only ids and fixed words, because the text of an error may contain
 * secrets.
 */
export function logError(members) {
  console.error(JSON.stringify({ time: new Date().toISOString(), level: "error", ...members }));
}

/** The alerts of this file that the core has not taken over. */
const alerts = new Set();

/** Logs an alert: a fixed word that an operator must see. */
export function alert(word, members = {}) {
  logError({ event: "alert", alert: word, ...members });
  alerts.add(word);
}

/** Returns the alerts that were raised since the last call, separated by spaces. The core hands them on. */
export function takeAlerts() {
  const words = [...alerts].join(" ");
  alerts.clear();
  return words;
}

/** Returns a new request id: `req_` and a ULID, as in src/types/ids.rs. */
function newRequestId() {
  const time = Date.now();
  const digits = Array.from({ length: 10 }, (_, place) => ALPHABET[Math.floor(time / 32 ** (9 - place)) % 32]);
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => ALPHABET[byte % 32]);
  return `req_${[...digits, ...random].join("")}`;
}

/**
 * Returns 503 `limiter_unavailable` (contract 3): the request is not known to be admitted, so it fails closed and the
 * client may retry. Unlike the other codes of 503, this one says nothing about the vendor or the settings. There are no
 * CORS headers, because the list of allowed origins was lost with the instance.
 */
export function lastResort() {
  const id = newRequestId();
  alert("no_answer", { request_id: id });
  const message = "The request could not be admitted. Try again.";
  const body = { error: { type: "api_error", message, code: "limiter_unavailable", request_id: id } };
  return new Response(JSON.stringify(body), {
    status: 503,
    headers: {
      "X-Request-Id": id,
      Vary: "Origin",
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Strict-Transport-Security": "max-age=31536000",
      "Cache-Control": "no-store",
      "Content-Type": "application/json",
      "Retry-After": "1",
    },
  });
}
