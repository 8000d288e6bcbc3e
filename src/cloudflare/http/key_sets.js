// Fetches identity providers' key sets, and caches them in the data center. key_sets.rs calls this.

import { fetchBytes, readBody } from "../runtime/platform.js";

/** The header of a cached key set that holds the time of its fetch. */
const FRESH_AT = "fresh-at";

/** Returns the platform's default cache, or `undefined`: not every deployment has one. */
function sharedCache() {
  return globalThis.caches?.default;
}

/** Returns this data center's copy as [bytes, freshAtMs as text], or `undefined` if there is none. Never rejects. */
export async function keptKeySet(url, maxBytes) {
  try {
    const copy = await sharedCache()?.match(url);
    return copy && [await readBody(copy, maxBytes), copy.headers.get(FRESH_AT) ?? ""];
  } catch {
    return undefined;
  }
}

/** Caches a key set for the other isolates of this data center. Never rejects. */
export async function keepKeySet(url, bytes, freshAtMs, seconds) {
  const headers = { "Content-Type": "application/json", "Cache-Control": `max-age=${seconds}`, [FRESH_AT]: freshAtMs };
  try {
    await sharedCache()?.put(url, new Response(bytes, { headers }));
  } catch {
    // Without a copy, other isolates fetch the key set themselves.
  }
}

/**
 * Fetches an identity provider's key set. Returns its bytes, or `undefined` if it is too large or does not arrive in
 * time.
 */
export function fetchKeySet(url, userAgent, timeoutMs, maxBytes) {
  return fetchBytes(url, { headers: { Accept: "application/json", "User-Agent": userAgent } }, timeoutMs, maxBytes);
}
