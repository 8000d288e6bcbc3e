// What `KeyScan::forms` hands to the scan of a relayed stream, for a tail of the tests' own; src/upstream/key_scan.rs pins
// the same list.

/** base64 of the tail with `before` bytes before it, without the characters that a neighbor has a share in. */
function base64(tail, before) {
  const text = Buffer.from("\0".repeat(before) + tail).toString("base64url");
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + tail.length) * 8) / 6));
}

export const formsOf = (tail) => [
  [tail, 16, "exact"],
  [Buffer.from(tail).toString("hex"), 32, "hex"],
  ...[0, 1, 2].map((before) => [base64(tail, before), 20, "base64"]),
];
