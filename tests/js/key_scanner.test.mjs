// The key scan of a relayed stream. Wherever the stream is split into chunks, no byte of a key is passed on, and every
// other stream passes unchanged.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyScanner } from "../../src/cloudflare/runtime/key_scanner.js";
import { formsOf } from "../support/key-forms.mjs";

const KEY = "Zk3_9-Qw7ErT5yUi";
const FORMS = [KEY, "nTail-of-a-key-0", "a1_3456789bcdefg", "Long3-Tail5_of7-a9_Key1"].flatMap(formsOf);
const HEX = Buffer.from(KEY).toString("hex");
const BASE64 = Buffer.from(KEY).toString("base64");
const bytes = (text) => new TextEncoder().encode(text);
const escaped = (text) => [...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

/** Scans `chunks`. Returns `out`, the bytes that were passed on, as text, and whether the key was `found`. */
function scan(chunks) {
  const scanner = keyScanner(FORMS);
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
  ["in hex", HEX],
  ["in hex of both cases", `${HEX.slice(0, 9).toUpperCase()}${HEX.slice(9)}`],
  ["in base64", BASE64],
  ["in base64 after one byte", Buffer.from(`x${KEY}y`).toString("base64url")],
  ["in base64 after two bytes", Buffer.from(`xy${KEY}z`).toString("base64")],
  ["the middle of a longer key", "ng3-Tail5_of7-a9"],
  ["percent-encoded", HEX.replace(/../g, "%$&")],
  ["percent-encoded in part", KEY.replace("_", "%5F").replace("Q", "%51")],
  ["after a stray percent sign", `%%4${KEY.replace("_", "%5f")}`],
  ["percent-encoded and escaped", escaped(KEY.replace("_", "%5F"))],
  ["percent-encoded with escapes", KEY.replace("_", "\\u00255F").replace("-", "%2\\u0064")],
  ["hex that is percent-encoded", HEX.replace("3", "%33")],
  ["escaped", escaped(KEY)],
  ["half escaped", `${escaped(KEY.slice(0, 5))}${KEY.slice(5)}`],
  ["after a backslash", "\\nTail-of-a-key-0"],
  ["after two backslashes", `\\\\${KEY}`],
  ["escaped, after two backslashes", `\\\\${escaped(KEY)}`],
  ["escaped, after four backslashes", `\\\\\\\\${escaped(KEY)}`],
]) {
  test(`a key that is ${name} is found wherever the stream is split, before any of it is passed on`, () => {
    const whole = bytes(`data: {"a":"${leak}"}\n\n`);
    for (let at = 0; at <= whole.length; at += 1) {
      const second = (at + whole.length) >> 1;
      const { found, out } = scan([whole.subarray(0, at), whole.subarray(at, second), whole.subarray(second)]);
      assert.ok(found, `${name} split at ${at}`);
      assert.ok(!out.includes(leak.slice(0, 8)), `${name} split at ${at}: ${out}`);
    }
    const { found } = scan([...whole].map((byte) => Uint8Array.of(byte)));
    assert.ok(found, "byte by byte");
  });
}

test("a key is found after any number of escaped backslashes, although a split inside a pair would hide it", () => {
  for (let pairs = 0; pairs < 24; pairs += 1) {
    for (const half of [0, 1, 9]) {
      const leak = `${"\\\\".repeat(pairs)}${escaped(KEY[0])}${KEY.slice(1, 1 + half)}${escaped(KEY.slice(1 + half))}`;
      const whole = bytes(leak);
      for (let at = 0; at <= whole.length; at += 1) assert.ok(scan(cut(whole, at)).found, `${leak} split at ${at}`);
    }
  }
});

test("text that reads as a key only if an escape is split passes unchanged", () => {
  for (const text of [`\\u0065${escaped(HEX.slice(1))}`, `\\\\u005a${escaped(KEY.slice(1))}`, "%4a1%5F3456789bcdefg", "\\u00254a1\\u00255F3456789bcdefg"]) {
    const whole = bytes(text);
    for (let at = 0; at <= whole.length; at += 1) assert.deepEqual(scan(cut(whole, at)), { found: false, out: text });
  }
});

test("text without a key passes unchanged, wherever the stream is split", () => {
  const texts = ["", "data: x\n\n", "\u{1f600}\u00e9\\u00e9", KEY.slice(0, 15), `${KEY.slice(0, 15)}!${KEY.slice(1)}`, "\\", "\\u", "\\u00", "a\\u004", "%", "%5", "%5F", "%%%41", "\\u0130".repeat(9), HEX.slice(2)];
  for (const text of texts) {
    const whole = bytes(text);
    for (let at = 0; at <= whole.length; at += 1) assert.deepEqual(scan(cut(whole, at)), { found: false, out: text });
  }
});

test("bytes that are not text pass unchanged", () => {
  const whole = Uint8Array.from({ length: 50_000 }, (_, index) => (index * 7) % 256);
  const scanner = keyScanner(FORMS);
  assert.deepEqual(Buffer.concat([scanner.push(whole), scanner.end()]), Buffer.from(whole));
});

test("the forms equal those of the Worker", () => {
  // A unit test in src/vendor/key_scan.rs pins the same line.
  const pinned = '[["Zk3_9-Qw7ErT5yUi1OpA2sDf",16,"exact"],["5a6b335f392d51773745725435795569314f704132734466",32,"hex"],["WmszXzktUXc3RXJUNXlVaTFPcEEyc0Rm",20,"base64"],["prM185LVF3N0VyVDV5VWkxT3BBMnNEZ",20,"base64"],["aazNfOS1RdzdFclQ1eVVpMU9wQTJzRG",20,"base64"]]';
  assert.equal(JSON.stringify(formsOf("Zk3_9-Qw7ErT5yUi1OpA2sDf")), pinned);
});

test("the end of an event is passed on at once", () => {
  const scanner = keyScanner(FORMS);
  assert.equal(Buffer.from(scanner.push(bytes('data: {"status":"processing"}\n\n'))).toString(), 'data: {"status":"processing"}\n\n');
});
