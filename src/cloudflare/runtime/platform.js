// Calls of the platform's APIs, bundled so that wasm needs one call to JavaScript instead of about ten
// (docs/decisions/0002-one-javascript-module.md). Nothing here decides anything: no policy, no limits, no parsing of
// what a client or the vendor sent.

import { DeathWatch } from "./death.js";

const ABSENT = "\0";

/** Returns the head of a request as lines: method, URL, then the headers that the core reads. */
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
    header("accept"),
    header("cf-access-jwt-assertion"),
    header("x-valetkey-admin"),
  ].join("\n");
}

/**
 * Returns a response with this status, these "name: value" lines as headers, and this body. `undefined` means no body.
 */
export function respond(status, headerLines, body) {
  const headers = headerLines.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
  return new Response(body, { status, headers });
}

/** Returns a response with the status and the body of `source`, and these header lines instead of its headers. */
export function respondWithBodyOf(source, headerLines) {
  return new Response(source.body, respond(source.status, headerLines, undefined));
}

/** Reads a body of at most `limit` bytes. Returns `undefined` if it is longer; the rest is not read. */
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
      // Not awaited, so that a sender that never stops cannot block the request.
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
 * Sends a request. Returns the body of a 200 response of at most `maxBytes`, and `undefined` for any other response or
 * if none arrives in time. Never follows a redirect, which would send the request's content to another host. Never
 * rejects, because an error may contain the URL.
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

/** Sends a form. Resolves like `fetchBytes`. */
export function postForm(url, form, userAgent, timeoutMs, maxBytes) {
  const headers = { Accept: "application/json", "User-Agent": userAgent, "Content-Type": "application/x-www-form-urlencoded" };
  return fetchBytes(url, { method: "POST", headers, body: form }, timeoutMs, maxBytes);
}

/**
 * Counts a request with the platform's rate-limit binding. Resolves to whether `key` is within the limit, also if there is
 * no such binding or it fails: it is a second line of defense, which must not keep out those whom it should protect.
 */
export async function isWithinRate(limiter, key) {
  try {
    return (await limiter.limit({ key })).success !== false;
  } catch {
    return true;
  }
}

/** The settings that are JSON. They may also be JSON bindings, such as `[vars.POLICY.plans.default]` in wrangler.toml. */
const JSON_SETTINGS = ["ISSUERS", "POLICY"];

/** Returns every text binding, and the settings that are JSON bindings as text. The result is JSON. */
export function textBindings(env) {
  const texts = Object.entries(env).filter(([, value]) => typeof value === "string");
  const written = JSON_SETTINGS.filter((name) => typeof env[name] === "object").map((name) => [name, JSON.stringify(env[name])]);
  return JSON.stringify(Object.fromEntries([...texts, ...written]));
}

/** Returns a response whose body is written later, and its writer. */
export function openStream(headerLines) {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  stopAfterDeath(writer.closed, () => closeStream(writer));
  return [respond(200, headerLines, readable), writer];
}

const encoder = new TextEncoder();

/** Writes a text. Rejects as `writeInTime` does. */
export function writeStream(writer, text, timeoutMs) {
  return writeInTime(writer, encoder.encode(text), timeoutMs);
}

/**
 * Writes a chunk. Rejects if the client has disconnected, or has read nothing for `timeoutMs`. Then the stream is aborted: to close
 * it would wait for the client to read the chunk, and would look like a complete response once it does.
 */
export async function writeInTime(writer, chunk, timeoutMs) {
  try {
    await inTime(writer.write(chunk), timeoutMs);
  } catch (error) {
    ignoreErrors(() => writer.abort(error));
    throw error;
  }
}

/** Closes a stream, even if the client has disconnected. */
export function closeStream(writer) {
  ignoreErrors(() => writer.close());
}

export function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Calls `stop` if the core's wasm instance ends before `ended` settles. workerd lets only the request that owns a
 * stream stop it, so `stop` runs as a reaction of a promise that this request made, no matter which request resolves
 * it.
 */
export function stopAfterDeath(ended, stop) {
  const { promise, resolve } = Promise.withResolvers();
  promise.then(stop);
  const watch = new DeathWatch(resolve);
  ended.catch(() => {}).finally(() => watch.forget());
}

/** Settles like `promise`, or rejects after `ms`. */
export async function inTime(promise, ms) {
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

/** Runs a statement. Parameters and rows are JSON arrays. */
export function sqlRows(sql, statement, parameters) {
  return JSON.stringify(sql.exec(statement, ...JSON.parse(parameters)).toArray());
}

/** Runs `statements`, a JSON list of [statement, …parameters], in one transaction: all or none. */
export function sqlTransaction(storage, statements) {
  storage.transactionSync(() => {
    for (const [statement, ...parameters] of JSON.parse(statements)) storage.sql.exec(statement, ...parameters);
  });
}

/**
 * Arms the object's alarm. Not awaited: the write belongs to this turn, and the output gate holds back responses until
 * it is durable.
 */
export function setAlarm(storage, atMs) {
  ignoreErrors(() => storage.setAlarm(atMs));
}

/** Waits until everything that was written to an object's storage is durable. Rejects if it could not be stored. */
export async function flush(storage) {
  await storage.sync();
}

/** Calls `call` and drops its error, because an exception thrown into the core would end the wasm instance. */
async function ignoreErrors(call) {
  try {
    await call();
  } catch {
    // Both errors are harmless: a lost alarm is armed again (objects/alarm.rs), and a stream that cannot be closed has
    // ended.
  }
}
