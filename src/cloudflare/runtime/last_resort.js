// The response where the core made none: its instance ended before it left one, or the platform refused what it made.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Logs a fixed word that an operator must see. Never an error, whose text may hold anything. */
export function alert(word, members = {}) {
  console.error(JSON.stringify({ time: new Date().toISOString(), level: "error", event: "alert", alert: word, ...members }));
}

/** A new request id: `req_` and a ULID, as src/types/ids.rs makes it. */
function newRequestId() {
  const time = Date.now();
  const digits = Array.from({ length: 10 }, (_, place) => ALPHABET[Math.floor(time / 32 ** (9 - place)) % 32]);
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => ALPHABET[byte % 32]);
  return `req_${[...digits, ...random].join("")}`;
}

/**
 * 503 `limiter_unavailable` (contract 3): not admitted as far as anybody knows, so fail closed; try again. It says
 * nothing of the vendor or of the settings, as the other codes of 503 do. Without CORS headers: the list of allowed
 * origins went with the instance.
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
