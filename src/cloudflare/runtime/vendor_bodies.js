// Reads the bodies of the vendor's responses within an isolate's memory limit. Every body may use its first MiB
// (`smallBytes`) at any time; a create's body may have no more. Only one body at a time may be larger; other large
// bodies wait. Therefore five connections never hold more than 8 MiB (`allBytes`), and one user's large responses never
// cause the loss of another user's response.

/**
 * Poll interval of a body that waits for its turn, in milliseconds. It cannot await a promise of the other body's
 * request, because the platform forbids sharing promises between requests.
 */
const POLL_MS = 50;

/**
 * Bodies being read, each as `{ bytes, isLarge, until }`. A body whose request was dropped counts until its time-out.
 */
const bodies = new Set();

function others(body) {
  const now = Date.now();
  for (const other of bodies) if (other.until < now) bodies.delete(other);
  return [...bodies].filter((other) => other !== body);
}

/**
 * Returns the chunks of a body. Returns `undefined` if they exceed `maxBytes` or if no room becomes free before the
 * time-out. Rejects if reading the body fails.
 */
export async function readVendorBody(response, { maxBytes, smallBytes, allBytes, totalMs, signal }) {
  if (response.body === null) return [];
  const body = { bytes: 0, isLarge: false, until: Date.now() + totalMs };
  const reader = response.body.getReader();
  const chunks = [];
  bodies.add(body);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return chunks;
      const bytes = body.bytes + value.byteLength;
      if (bytes > maxBytes || !(await takeRoom(body, bytes, smallBytes, allBytes, signal))) {
        // Not awaited, because a sender that never ends the body would block the request.
        reader.cancel().catch(() => {});
        return undefined;
      }
      chunks.push(value);
    }
  } finally {
    bodies.delete(body);
  }
}

/** Returns whether a body may grow to `bytes`. A large body waits for its turn until its request times out. */
async function takeRoom(body, bytes, smallBytes, allBytes, signal) {
  while (bytes > smallBytes && !body.isLarge) {
    if (others(body).some((other) => other.isLarge)) {
      if (signal.aborted) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } else {
      body.isLarge = true;
    }
  }
  if (others(body).reduce((sum, other) => sum + other.bytes, bytes) > allBytes) return false;
  body.bytes = bytes;
  return true;
}
