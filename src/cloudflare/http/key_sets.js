// What Rust needs of the platform for key sets at a URL.

import { fetchBytes, readBody } from "../runtime/platform.js";

/** Under this name a copy says when it was fresh. */
const FRESH_AT = "fresh-at";

/** The Cache API, where there is one: not in every deployment. */
function sharedCache() {
  return globalThis.caches?.default;
}

/** [bytes, freshAtMs as text] of the copy that this data center keeps; `undefined` if there is none. Never rejects. */
export async function keptKeySet(url, maxBytes) {
  try {
    const copy = await sharedCache()?.match(url);
    return copy && [await readBody(copy, maxBytes), copy.headers.get(FRESH_AT) ?? ""];
  } catch {
    return undefined;
  }
}

/** Keeps a copy for the other isolates of this data center. Resolves when it is kept, or could not be. */
export async function keepKeySet(url, bytes, freshAtMs, seconds) {
  const headers = { "Content-Type": "application/json", "Cache-Control": `max-age=${seconds}`, [FRESH_AT]: freshAtMs };
  try {
    await sharedCache()?.put(url, new Response(bytes, { headers }));
  } catch {
    // A copy less.
  }
}

/** The bytes of a provider's key set; `undefined` where it does not send any, in time and in size. */
export function fetchKeySet(url, userAgent, timeoutMs, maxBytes) {
  return fetchBytes(url, { headers: { Accept: "application/json", "User-Agent": userAgent } }, timeoutMs, maxBytes);
}
