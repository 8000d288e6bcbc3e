// The bodies of the vendor's responses, and the room that an isolate has for them. Each body may take its first MiB at any
// time (`smallBytes`), which is all that a create's may have; only one body at a time may be larger. So five connections never
// hold more than 8 MiB (`allBytes`), and one user's large responses cost no other user a response: large ones wait for each other.

/**
 * How often a body that waits for its turn polls, milliseconds. It cannot await a promise of the other body's request: the
 * platform refuses promises that requests share.
 */
const POLL_MS = 50;

/** The bodies that are being read: each `{ bytes, isLarge, until }`. A body whose request was dropped counts until its time-out. */
const bodies = new Set();

function others(body) {
  const now = Date.now();
  for (const other of bodies) if (other.until < now) bodies.delete(other);
  return [...bodies].filter((other) => other !== body);
}

/**
 * Returns the chunks of a body; `undefined` if they exceed `maxBytes`, or if there is no room for them in time. Rejects if
 * the body does.
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
        // Not awaited: a sender that never ends must not hold us.
        reader.cancel().catch(() => {});
        return undefined;
      }
      chunks.push(value);
    }
  } finally {
    bodies.delete(body);
  }
}

/** Returns whether a body may grow to `bytes`. A large one waits for its turn, until its request times out. */
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
