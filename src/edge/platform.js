// What would take ten crossings between wasm and JavaScript each, done in one (docs/decisions/0002-one-javascript-module.md).
// Nothing here decides anything: no policy, no limits, no parsing of what a client or the vendor sent.

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

/** Every text binding, as JSON. */
export function textBindings(env) {
  return JSON.stringify(Object.fromEntries(Object.entries(env).filter(([, value]) => typeof value === "string")));
}

// A short message travels in the URL: a body makes streams on both sides and costs a fifth of a read. The other end is in
// scripts/finish-build.mjs.
const IN_URL_MAX = 1_500;

/** Sends a message to a Durable Object and reads its answer; rejects after `timeoutMs` (the object still runs). */
export async function callObject(namespace, name, message, timeoutMs) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(reject, timeoutMs, new Error("no answer in time"));
  });
  const object = namespace.getByName(name);
  const answer = message.length <= IN_URL_MAX
    ? object.fetch(`https://object/?${encodeURIComponent(message)}`)
    : object.fetch("https://object/", { method: "POST", body: message });
  try {
    return await Promise.race([answer.then((response) => response.text()), deadline]);
  } finally {
    clearTimeout(timer);
  }
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
