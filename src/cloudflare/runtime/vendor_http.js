// Sends requests to the vendor. None of them follows a redirect, which would send the vendor key to another host. None
// rejects with an error, whose text may contain the URL.
import { keyScanner } from "./key_scanner.js";
import { readVendorBody } from "./vendor_bodies.js";
import { inTime, respond, stopAfterDeath, writeInTime } from "./platform.js";

/**
 * One request to the vendor. Never follows a redirect. Resolves to [status, retryAfter, limit, remaining, reset, chunks], where the
 * chunks are undefined if there are more than `maxBytes` or no room beside other bodies (`smallBytes`, `allBytes`); or to "timed_out" or
 * "broken". Never rejects: an error may hold the URL.
 */
export async function fetchVendor(
  method, url, authorization, userAgent, body, firstByteMs, totalMs, maxBytes, smallBytes, allBytes,
) {
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
    return reply(response, await readVendorBody(response, { maxBytes, smallBytes, allBytes, totalMs, signal: abort.signal }));
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
export async function uploadToVendor(
  request, length, url, authorization, userAgent, contentType, totalMs, maxBytes, smallBytes, allBytes,
) {
  const abort = new AbortController();
  const total = setTimeout(() => abort.abort(), totalMs);
  const headers = { Authorization: authorization, Accept: "application/json", "User-Agent": userAgent, "Content-Type": contentType };
  try {
    const exact = new FixedLengthStream(length);
    // A shorter or longer body breaks the stream. Then the fetch fails, and its error is handled below.
    request.body.pipeTo(exact.writable).catch(() => {});
    const response = await fetch(url, { method: "POST", headers, body: exact.readable, redirect: "manual", signal: abort.signal });
    return reply(response, await readVendorBody(response, { maxBytes, smallBytes, allBytes, totalMs, signal: abort.signal }));
  } catch {
    return abort.signal.aborted ? "timed_out" : "broken";
  } finally {
    clearTimeout(total);
  }
}

function reply(response, chunks) {
  const header = (name) => response.headers.get(name) ?? undefined;
  const [limit, remaining, reset] = ["limit", "remaining", "reset"].map((name) => header(`x-ratelimit-${name}`));
  return [response.status, header("retry-after"), limit, remaining, reset, chunks];
}

/**
 * Returns whether a body with this `Content-Encoding` is plain. The platform decodes gzip and br. A deflate or zstd body would pass
 * the key scan compressed, and the client's browser would decode it.
 */
function isPlain(contentEncoding) {
  const codings = (contentEncoding ?? "").split(",").map((coding) => coding.trim().toLowerCase());
  return codings.every((coding) => coding === "" || coding === "identity");
}

/**
 * Opens the vendor's own stream and relays it, scanned for the key. Resolves to "timed_out", to "broken", to [status]
 * if the vendor refused, or to [200, response, done, stop]: `done` resolves to "ended" or "leaked", and `stop()` ends
 * the stream. A stream in any content coding is "broken": plain bytes were requested.
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
  // Without the core, no code would check whether the token is revoked.
  stopAfterDeath(done, stop);
  return [200, respond(200, headerLines, readable), done, stop];
}

/** Relays a stream chunk by chunk, until either side ends or is silent for too long, or until the key appears. */
async function pump(reader, writer, scanner, silenceMs) {
  let leaked = false;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), silenceMs);
      const safe = done ? scanner.end() : scanner.push(value);
      leaked = safe === undefined;
      if (leaked) break;
      if (safe.length > 0) await writeInTime(writer, safe, silenceMs);
      if (done) break;
    }
  } catch {
    // The vendor's stream broke or was silent for too long: the stream is closed. Or the client disconnected or read nothing
    // for too long: it is aborted.
  }
  reader.cancel().catch(() => {});
  if (leaked) writer.abort(new Error("cut")).catch(() => {});
  else writer.close().catch(() => {});
  return leaked ? "leaked" : "ended";
}
