// What would take ten crossings between wasm and JavaScript each, done in one (docs/decisions/0002-one-javascript-module.md).
// Nothing here decides anything: no policy, no limits, no parsing of what a client or the vendor sent.

import { keyScanner } from "./key_scanner.js";

const ABSENT = "\0";

/** The head of a request as lines: method, URL, then the headers that the core reads. */
export function requestHead(request) {
  const { headers } = request;
  const header = (name) => headers.get(name) ?? ABSENT;
  return [
    request.method,
    request.url,
    header("authorization"),
    header("origin"),
    header("content-type"),
    header("content-encoding"),
    header("content-length"),
    header("x-request-id"),
    header("idempotency-key"),
    header("prefer"),
    header("last-event-id"),
    header("dpop"),
    header("x-firebase-appcheck"),
  ].join("\n");
}

/** A response from a status, "name: value" lines and a text; `undefined` is no body. */
export function respond(status, headerLines, body) {
  const headers = headerLines.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
  return new Response(body, { status, headers });
}

/** The same for a body that is a stream of ours or of an asset. */
export function respondWithBodyOf(source, headerLines) {
  return new Response(source.body, respond(source.status, headerLines, undefined));
}

/** At most `limit` bytes of a body; `undefined` if there are more. The rest is not read. */
export async function readBody(source, limit) {
  if (source.body === null) return new Uint8Array(0);
  const reader = source.body.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > limit) {
      // Not awaited: a sender that never ends must not hold us.
      reader.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * The bytes of a 200 to a request, up to `maxBytes`; `undefined` where none comes in time. Never follows a redirect, which
 * would carry what was sent elsewhere; never rejects: an error may hold the URL.
 */
export async function fetchBytes(url, init, timeoutMs, maxBytes) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeoutMs);
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal: abort.signal });
    if (response.status === 200) return await readBody(response, maxBytes);
    response.body?.cancel().catch(() => {});
    return undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Sends a form; resolves as `fetchBytes` does. */
export function postForm(url, form, userAgent, timeoutMs, maxBytes) {
  const headers = { Accept: "application/json", "User-Agent": userAgent, "Content-Type": "application/x-www-form-urlencoded" };
  return fetchBytes(url, { method: "POST", headers, body: form }, timeoutMs, maxBytes);
}

/** Every text binding, as JSON. */
export function textBindings(env) {
  return JSON.stringify(Object.fromEntries(Object.entries(env).filter(([, value]) => typeof value === "string")));
}

// A short message travels in the URL: a body makes streams on both sides and costs a fifth of a read. The other end is in
// scripts/finish-build.mjs. Not one that starts with a space: it holds what users wrote, and a URL may be logged.
const IN_URL_MAX = 1_500;

const LATE = new Error("no answer in time");

/**
 * Sends a message to a Durable Object and reads its answer; rejects after `timeoutMs` (the object still runs). Every
 * message names what it is about and may arrive twice, so one that failed on its way is sent once more, to a new stub;
 * never to an object that is overloaded.
 */
export function callObject(namespace, name, message, timeoutMs) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, timeoutMs, LATE);
    const end = (settle) => (value) => {
      clearTimeout(timer);
      settle(value);
    };
    const fail = end(reject);
    const send = () => {
      const object = namespace.getByName(name);
      return message.length <= IN_URL_MAX && message.startsWith("{")
        ? object.fetch(`https://object/?${encodeURIComponent(message)}`)
        : object.fetch("https://object/", { method: "POST", body: message });
    };
    const read = (response) => {
      // A short reply is a header: a body makes a stream on both sides.
      const reply = response.headers.get("reply");
      if (reply === null) response.text().then(end(resolve), fail);
      else end(resolve)(reply);
    };
    send().then(read, (error) => {
      if (error?.retryable === true && error.overloaded !== true) send().then(read, fail);
      else fail(error);
    });
  });
}

/**
 * One request to the vendor. Never follows a redirect. Resolves to [status, retryAfter, remaining, reset, bytes],
 * where bytes are undefined above `maxBytes`; or to "timed_out" or "broken". Never rejects: an error may hold the URL.
 */
export async function fetchUpstream(method, url, authorization, userAgent, body, firstByteMs, totalMs, maxBytes) {
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
 * Hands a client's body through to the vendor, untouched and of exactly `length` bytes. Resolves as `fetchUpstream` does.
 */
export async function uploadUpstream(request, length, url, authorization, userAgent, contentType, totalMs, maxBytes) {
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

/** A response whose body is written later, and its writer. */
export function openStream(headerLines) {
  const { readable, writable } = new IdentityTransformStream();
  return [respond(200, headerLines, readable), writable.getWriter()];
}

const encoder = new TextEncoder();

/** Writes a text; rejects when the client has gone, or has not read for `timeoutMs`. */
export async function writeStream(writer, text, timeoutMs) {
  await inTime(writer.write(encoder.encode(text)), timeoutMs);
}

/** Ends a stream, whether anybody still reads it or not. */
export function closeStream(writer) {
  writer.close().catch(() => {});
}

export function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function inTime(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, ms, new Error("late"));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Opens the vendor's own stream and relays it, scanned for the key. Resolves to "timed_out", "broken", [status] of a
 * refusal, or [200, response, done, stop]: `done` resolves to "ended" or "leaked", `stop()` ends it.
 */
export async function relayStream(url, authorization, userAgent, forms, firstByteMs, silenceMs, headerLines) {
  const abort = new AbortController();
  const firstByte = setTimeout(() => abort.abort(), firstByteMs);
  const headers = { Authorization: authorization, Accept: "text/event-stream", "User-Agent": userAgent };
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
  const { readable, writable } = new IdentityTransformStream();
  const done = pump(upstream.body.getReader(), writable.getWriter(), keyScanner(JSON.parse(forms)), silenceMs);
  return [200, respond(200, headerLines, readable), done, () => abort.abort()];
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

/** Runs a statement; parameters and rows are JSON arrays. */
export function sqlRows(sql, statement, parameters) {
  return JSON.stringify(sql.exec(statement, ...JSON.parse(parameters)).toArray());
}

/** Runs `statements`, a JSON list of [statement, …parameters], in one transaction: all or none. */
export function sqlTransaction(storage, statements) {
  storage.transactionSync(() => {
    for (const [statement, ...parameters] of JSON.parse(statements)) storage.sql.exec(statement, ...parameters);
  });
}

/** Arms the object's alarm. Not awaited: the write is part of this turn, and the output gate holds answers for it. */
export function setAlarm(storage, atMs) {
  storage.setAlarm(atMs).catch(() => {});
}
