// Requests to the vendor. None follows a redirect, which would carry the key elsewhere, and none rejects with an error, which
// may hold the URL.
import { keyScanner } from "./key_scanner.js";
import { inTime, readBody, respond, stopAfterDeath } from "./platform.js";

/**
 * One request to the vendor. Never follows a redirect. Resolves to [status, retryAfter, remaining, reset, bytes],
 * where bytes are undefined above `maxBytes`; or to "timed_out" or "broken". Never rejects: an error may hold the URL.
 */
export async function fetchVendor(method, url, authorization, userAgent, body, firstByteMs, totalMs, maxBytes) {
  const abort = new AbortController();
  let timedOut = false;
  const stop = () => {
    timedOut = true;
    abort.abort();
  };
  const total = setTimeout(stop, totalMs);
  const firstByte = setTimeout(stop, firstByteMs);
  const headers = { Authorization: authorization, Accept: "application/json", "User-Agent": userAgent };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(url, { method, headers, body, redirect: "manual", signal: abort.signal });
    clearTimeout(firstByte);
    const bytes = await readBody(response, maxBytes);
    const header = (name) => response.headers.get(name) ?? undefined;
    return [response.status, header("retry-after"), header("x-ratelimit-remaining"), header("x-ratelimit-reset"), bytes];
  } catch {
    return timedOut ? "timed_out" : "broken";
  } finally {
    clearTimeout(firstByte);
    clearTimeout(total);
  }
}

/**
 * Hands a client's body through to the vendor, untouched and of exactly `length` bytes. Resolves as `fetchVendor` does.
 */
export async function uploadToVendor(request, length, url, authorization, userAgent, contentType, totalMs, maxBytes) {
  const abort = new AbortController();
  const total = setTimeout(() => abort.abort(), totalMs);
  const headers = { Authorization: authorization, Accept: "application/json", "User-Agent": userAgent, "Content-Type": contentType };
  try {
    const exact = new FixedLengthStream(length);
    // A body that is shorter or longer breaks the request; that is told by the fetch.
    request.body.pipeTo(exact.writable).catch(() => {});
    const response = await fetch(url, { method: "POST", headers, body: exact.readable, redirect: "manual", signal: abort.signal });
    const bytes = await readBody(response, maxBytes);
    return [response.status, response.headers.get("retry-after") ?? undefined, undefined, undefined, bytes];
  } catch {
    return abort.signal.aborted ? "timed_out" : "broken";
  } finally {
    clearTimeout(total);
  }
}

/**
 * Whether a body with this `Content-Encoding` is what its bytes say. The platform decodes gzip and br; a deflate or zstd
 * body would pass the key scan compressed, and the client's browser would decode it.
 */
function isPlain(contentEncoding) {
  const codings = (contentEncoding ?? "").split(",").map((coding) => coding.trim().toLowerCase());
  return codings.every((coding) => coding === "" || coding === "identity");
}

/**
 * Opens the vendor's own stream and relays it, scanned for the key. Resolves to "timed_out", "broken", [status] of a
 * refusal, or [200, response, done, stop]: `done` resolves to "ended" or "leaked", `stop()` ends it. A stream in a
 * content coding is "broken", whichever it is: plain bytes were asked for.
 */
export async function relayStream(url, authorization, userAgent, forms, firstByteMs, silenceMs, headerLines) {
  const abort = new AbortController();
  const firstByte = setTimeout(() => abort.abort(), firstByteMs);
  const headers = { Authorization: authorization, Accept: "text/event-stream", "Accept-Encoding": "identity", "User-Agent": userAgent };
  let upstream;
  try {
    upstream = await fetch(url, { headers, redirect: "manual", signal: abort.signal });
  } catch {
    return abort.signal.aborted ? "timed_out" : "broken";
  } finally {
    clearTimeout(firstByte);
  }
  if (upstream.status !== 200 || upstream.body === null) {
    upstream.body?.cancel().catch(() => {});
    return [upstream.status];
  }
  if (!isPlain(upstream.headers.get("content-encoding"))) {
    upstream.body.cancel().catch(() => {});
    return "broken";
  }
  const { readable, writable } = new IdentityTransformStream();
  const done = pump(upstream.body.getReader(), writable.getWriter(), keyScanner(JSON.parse(forms)), silenceMs);
  const stop = () => abort.abort();
  // Nobody would check any more whether the token is revoked.
  stopAfterDeath(done, stop);
  return [200, respond(200, headerLines, readable), done, stop];
}

/** What `done` of a relayed stream resolves to, or `undefined` after `ms`. */
export function endedWithin(done, ms) {
  return inTime(done, ms).catch(() => undefined);
}

/** Chunk by chunk, until either side ends, is silent for too long, or the key appears. */
async function pump(reader, writer, scanner, silenceMs) {
  let leaked = false;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), silenceMs);
      const safe = done ? scanner.end() : scanner.push(value);
      leaked = safe === undefined;
      if (leaked) break;
      if (safe.length > 0) await inTime(writer.write(safe), silenceMs);
      if (done) break;
    }
  } catch {
    // The client has left, the vendor broke off or fell silent: the end is the same.
  }
  reader.cancel().catch(() => {});
  if (leaked) writer.abort(new Error("cut")).catch(() => {});
  else writer.close().catch(() => {});
  return leaked ? "leaked" : "ended";
}
