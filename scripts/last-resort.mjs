// The answer where the Worker's own could not be made: a panic, or a response that the platform refused. Its text goes into
// the shim (scripts/finish-build.mjs), so it refers to nothing outside of itself.

export function lastResort() {
  // `limiter_unavailable` of contract 3: not admitted as far as anybody knows, fail closed, try again; it says nothing of the
  // vendor or of the settings, as the other codes of 503 do.
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  const time = Date.now();
  const digits = Array.from({ length: 10 }, (_, place) => alphabet[Math.floor(time / 32 ** (9 - place)) % 32]);
  const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => alphabet[byte % 32]);
  const id = `req_${[...digits, ...random].join("")}`;
  // Not the error: its text may hold anything.
  console.error(JSON.stringify({ time: new Date(time).toISOString(), level: "error", event: "alert", alert: "no_answer", request_id: id }));
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
