// The scan of a relayed stream: no byte of a key goes on, wherever the chunks are cut, and nothing else is lost or held.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyScanner } from "../../src/edge/key_scanner.js";

const KEY = "Zk3_9-Qw7ErT5yUi";
const NEEDLES = [KEY, Buffer.from(KEY).toString("hex"), Buffer.from(KEY).toString("base64"), "nTail-of-a-key-0"];
const bytes = (text) => new TextEncoder().encode(text);
const escaped = (text) => [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

/** What comes out of a scan of `chunks`, and whether the key was found. */
function scan(chunks) {
  const scanner = keyScanner(NEEDLES);
  const out = [];
  for (const step of [...chunks.map((chunk) => () => scanner.push(chunk)), () => scanner.end()]) {
    const safe = step();
    if (safe === undefined) return { found: true, out: Buffer.concat(out).toString() };
    out.push(safe);
  }
  return { found: false, out: Buffer.concat(out).toString() };
}

function cut(whole, at) {
  return [whole.subarray(0, at), whole.subarray(at)];
}

for (const [name, leak] of [
  ["plain", KEY],
  ["hex", NEEDLES[1]],
  ["base64", NEEDLES[2]],
  ["escaped", escaped(KEY)],
  ["half escaped", `${escaped(KEY.slice(0, 5))}${KEY.slice(5)}`],
  ["after a backslash", "\\nTail-of-a-key-0"],
  ["after two backslashes", `\\\\${KEY}`],
  ["escaped, after two backslashes", `\\\\${escaped(KEY)}`],
  ["escaped, after four backslashes", `\\\\\\\\${escaped(KEY)}`],
]) {
  test(`a key that is ${name} is found at every cut, before any of it went on`, () => {
    const whole = bytes(`data: {"a":"${leak}"}\n\n`);
    for (let at = 0; at <= whole.length; at += 1) {
      const second = (at + whole.length) >> 1;
      const { found, out } = scan([whole.subarray(0, at), whole.subarray(at, second), whole.subarray(second)]);
      assert.ok(found, `${name} cut at ${at}`);
      assert.ok(!out.includes(leak.slice(0, 8)), `${name} cut at ${at}: ${out}`);
    }
    const { found } = scan([...whole].map((byte) => Uint8Array.of(byte)));
    assert.ok(found, "byte by byte");
  });
}

test("a key is found behind any number of escaped backslashes, although a cut in a pair of them would hide it", () => {
  for (let pairs = 0; pairs < 24; pairs += 1) {
    for (const half of [0, 1, 9]) {
      const leak = `${"\\\\".repeat(pairs)}${escaped(KEY[0])}${KEY.slice(1, 1 + half)}${escaped(KEY.slice(1 + half))}`;
      const whole = bytes(leak);
      for (let at = 0; at <= whole.length; at += 1) assert.ok(scan(cut(whole, at)).found, `${leak} cut at ${at}`);
    }
  }
});

test("what only reads as a key when an escape is cut passes unchanged", () => {
  for (const text of [`\\u0065${escaped(NEEDLES[1].slice(1))}`, `\\\\u005a${escaped(KEY.slice(1))}`]) {
    const whole = bytes(text);
    for (let at = 0; at <= whole.length; at += 1) assert.deepEqual(scan(cut(whole, at)), { found: false, out: text });
  }
});

test("what is no key passes unchanged, whatever its bytes and cuts", () => {
  const texts = ["", "data: x\n\n", "\u{1f600}\u00e9\\u00e9", KEY.slice(0, 15), `${KEY.slice(0, 15)}!${KEY.slice(1)}`, "\\", "\\u", "\\u00", "a\\u004", NEEDLES[1].slice(2)];
  for (const text of texts) {
    const whole = bytes(text);
    for (let at = 0; at <= whole.length; at += 1) assert.deepEqual(scan(cut(whole, at)), { found: false, out: text });
  }
});

test("bytes that are no text pass unchanged", () => {
  const whole = Uint8Array.from({ length: 50_000 }, (_, index) => (index * 7) % 256);
  const scanner = keyScanner(NEEDLES);
  assert.deepEqual(Buffer.concat([scanner.push(whole), scanner.end()]), Buffer.from(whole));
});

test("the end of an event is not held back", () => {
  const scanner = keyScanner(NEEDLES);
  assert.equal(Buffer.from(scanner.push(bytes('data: {"status":"processing"}\n\n'))).toString(), 'data: {"status":"processing"}\n\n');
});
