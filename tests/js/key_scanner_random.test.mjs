// The scan of a relayed stream against a plain search of the whole, on random streams cut at random: the finding is the
// same however a stream is cut, what goes on is its untouched beginning, before the first byte of a key, and without a
// key all of it goes on. FUZZ_SEED and FUZZ_CASES choose other streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyScanner } from "../../src/edge/key_scanner.js";

const SEED = Number(process.env.FUZZ_SEED ?? 0);
const CASES = Number(process.env.FUZZ_CASES ?? 2000);

const PIECES = ["Zk3_9-Qw7ErT5yUi", "7ErT5yUi1OpA2sDf"];
const hex = (text) => Buffer.from(text).toString("hex");
const percent = (text) => hex(text).replace(/../g, "%$&");
// Those of `KeyScan::needles`: plain, hexadecimal, percent-encoded, base64 in three alignments and two alphabets.
const NEEDLES = PIECES.flatMap((piece) => [
  piece,
  hex(piece),
  hex(piece).toUpperCase(),
  percent(piece),
  percent(piece).toUpperCase(),
  ...[0, 1, 2].flatMap((skip) => {
    const aligned = Buffer.from(piece.slice(skip, skip + Math.floor((piece.length - skip) / 3) * 3));
    return [aligned.toString("base64"), aligned.toString("base64url")];
  }),
]);

/** Numbers that are the same for the same seed (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const escaped = (text, choose) =>
  [...text].map((character) => (choose(2) === 0 ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)).join("");

/** A piece of a stream: text, bytes, escapes, keys, parts of keys. */
function part(choose) {
  const needle = NEEDLES[choose(NEEDLES.length)];
  switch (choose(12)) {
    case 0:
      return needle;
    case 1:
      return escaped(needle, choose);
    case 2:
      return needle.slice(0, choose(needle.length));
    case 3:
      return needle.slice(1 + choose(needle.length - 1));
    case 4:
      return escaped(needle, choose).slice(0, choose(needle.length * 3));
    case 5:
      return "\\".repeat(choose(5));
    case 6:
      return ["\\u", "\\u0", "\\u00e9", "\\ud83d\\ude00", "\\n", '\\"', "\\x", "\\/"][choose(8)];
    case 7:
      return Buffer.from(Array.from({ length: choose(40) }, () => choose(256))).toString("latin1");
    case 8:
      return "data: {\"status\":\"processing\"}\n\n";
    default:
      return "abcdefghij:, {}\"".slice(choose(8), 8 + choose(9));
  }
}

/** A stream as text of one character a byte. A key is in every second one at most, so that both findings come often. */
function stream(choose) {
  let text = "";
  for (let count = 1 + choose(6); count > 0; count -= 1) {
    const next = part(choose);
    if (choose(2) === 0 || !holdsKey(next)) text += next;
  }
  return text;
}

const holds = (text) => NEEDLES.some((needle) => text.includes(needle));

// As JSON reads escapes, from left to right: another way to the same text than the scanner's.
function decoded(text) {
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const code = /^\\u([0-9a-fA-F]{4})/.exec(text.slice(at, at + 6));
    if (code !== null) {
      plain += String.fromCharCode(Number.parseInt(code[1], 16));
      at += 6;
    } else if (/^\\["\\/bfnrt]/.test(text.slice(at, at + 2))) {
      plain += text[at + 1] === "/" ? "/" : " ";
      at += 2;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  return plain;
}

const holdsKey = (text) => holds(text) || holds(decoded(text));

/** The stream in chunks, sometimes empty, sometimes of one byte. */
function cut(whole, choose) {
  const chunks = [];
  const longest = [1, 2, 7, 40, whole.length + 1][choose(5)];
  for (let at = 0; at < whole.length; ) {
    const end = at + choose(longest + 1);
    chunks.push(whole.subarray(at, end));
    at = end;
  }
  return chunks;
}

/** What goes on, step by step, and whether the key was found. */
function scan(chunks) {
  const scanner = keyScanner(NEEDLES);
  const out = [];
  for (const chunk of [...chunks, undefined]) {
    const safe = chunk === undefined ? scanner.end() : scanner.push(chunk);
    if (safe === undefined) return { found: true, out: Buffer.concat(out).toString("latin1") };
    out.push(safe);
  }
  return { found: false, out: Buffer.concat(out).toString("latin1") };
}

test(`random streams, cut at random, are scanned as if they were whole (FUZZ_SEED=${SEED})`, () => {
  const choose = random(SEED);
  let leaks = 0;
  for (let index = 0; index < CASES; index += 1) {
    const text = stream(choose);
    const whole = Buffer.from(text, "latin1");
    const expected = holdsKey(text);
    leaks += expected ? 1 : 0;
    for (let again = 0; again < 4; again += 1) {
      const chunks = again === 0 ? [whole] : cut(whole, choose);
      const { found, out } = scan(chunks);
      const what = () => JSON.stringify({ index, chunks: chunks.map((chunk) => chunk.toString("latin1")) });
      assert.equal(found, expected, what());
      assert.ok(text.startsWith(out), what());
      if (found) assert.ok(holdsKey(text.slice(out.length)), `a part of the key went on: ${what()}`);
      if (!expected) assert.equal(out, text, what());
    }
  }
  assert.ok(leaks > CASES / 10 && leaks < CASES - CASES / 10, `${leaks} of ${CASES} streams hold a key`);
});
