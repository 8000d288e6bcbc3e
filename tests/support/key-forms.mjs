// Computes what `KeyScan::forms` passes to the key scan of a relayed stream, for the tail of a test key. A unit test in
// src/vendor/key_scan.rs pins the same list.

/** Returns the base64 of the tail after `before` other bytes, without characters that also encode a neighbor's bits. */
function base64(tail, before) {
  const text = Buffer.from("\0".repeat(before) + tail).toString("base64url");
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + tail.length) * 8) / 6));
}

export const formsOf = (tail) => [
  [tail, 16, "exact"],
  [Buffer.from(tail).toString("hex"), 32, "hex"],
  ...[0, 1, 2].map((before) => [base64(tail, before), 20, "base64"]),
];
