// Compares the key scan of a relayed stream with a plain search of the whole stream, on random streams that are split
// at random:
//
// - both find a key, or neither does
// - the bytes that are passed on are an unchanged prefix of the stream, which ends before the first byte of a key
// - a stream without a key is passed on whole
//
// FUZZ_SEED and FUZZ_CASES choose other streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyScanner } from "../../src/cloudflare/runtime/key_scanner.js";
import { formsOf } from "../support/key-forms.mjs";

const SEED = Number(process.env.FUZZ_SEED ?? 0);
const CASES = Number(process.env.FUZZ_CASES ?? 2000);

const TAIL = "Zk3_9-Qw7ErT5yUi1OpA2sDf";
const FORMS = formsOf(TAIL);
const windows = ([text, length]) => Array.from({ length: text.length - length + 1 }, (_, at) => text.slice(at, at + length));
const [PLAIN, HEX, ...BASE64] = FORMS.map(windows);
const hex = (text) => Buffer.from(text).toString("hex");
const percent = (text) => hex(text).replace(/../g, "%$&");
// Pieces of the key's tail in the encodings that an echo could have.
const NEEDLES = [PLAIN[0], PLAIN[3], PLAIN[8]].flatMap((piece) => [
  piece,
  hex(piece),
  hex(piece).toUpperCase(),
  percent(piece),
  percent(piece).toUpperCase(),
  piece.replace("Q", "%51").replace("T", "%54"),
  ...[0, 1, 2].flatMap((before) => {
    const bytes = Buffer.from(`${"x".repeat(before)}${piece}yz`);
    return [bytes.toString("base64"), bytes.toString("base64url")];
  }),
]);

/** Returns a function that returns random numbers below its argument, the same ones for the same seed (mulberry32). */
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

/** Returns a random piece of a stream: text, bytes, escapes, a key or a part of a key. */
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
      return ["\\u", "\\u0", "\\u00e9", "\\ud83d\\ude00", "\\n", '\\"', "\\x", "\\/", "%", "%4", "%4a", "\\u0025"][choose(12)];
    case 7:
      return Buffer.from(Array.from({ length: choose(40) }, () => choose(256))).toString("latin1");
    case 8:
      return "data: {\"status\":\"processing\"}\n\n";
    default:
      return "abcdefghij:, {}\"".slice(choose(8), 8 + choose(9));
  }
}

/**
 * Returns a random stream as text, one character for each byte. Half of the pieces that hold a key are dropped, so that
 * streams with a key and streams without one are both frequent.
 */
function stream(choose) {
  let text = "";
  for (let count = 1 + choose(6); count > 0; count -= 1) {
    const next = part(choose);
    if (choose(2) === 0 || !holdsKey(next)) text += next;
  }
  return text;
}

function holds(text) {
  const [lower, urlSafe] = [text.toLowerCase(), text.replaceAll("+", "-").replaceAll("/", "_")];
  const has = (pieces, where) => pieces.some((piece) => where.includes(piece));
  return has(PLAIN, text) || has(HEX, lower) || BASE64.some((pieces) => has(pieces, urlSafe));
}

const unpercent = (text) => text.replace(/%([0-9a-fA-F]{2})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));

// Decodes JSON escapes from left to right, and not by the scanner's algorithm, so that a mistake in that one shows.
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

const holdsKey = (text) => [text, decoded(text)].some((view) => holds(view) || holds(unpercent(view)));

/** Splits a stream into chunks of random length. Some are empty, some have one byte. */
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

/** Scans `chunks`. Returns `out`, the bytes that were passed on, as Latin-1, and whether the key was `found`. */
function scan(chunks) {
  const scanner = keyScanner(FORMS);
  const out = [];
  for (const chunk of [...chunks, undefined]) {
    const safe = chunk === undefined ? scanner.end() : scanner.push(chunk);
    if (safe === undefined) return { found: true, out: Buffer.concat(out).toString("latin1") };
    out.push(safe);
  }
  return { found: false, out: Buffer.concat(out).toString("latin1") };
}

test(`random streams, split at random, are scanned as if they were whole (FUZZ_SEED=${SEED})`, () => {
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
      if (found) assert.ok(holdsKey(text.slice(out.length)), `a part of the key was passed on: ${what()}`);
      if (!expected) assert.equal(out, text, what());
    }
  }
  assert.ok(leaks > CASES / 10 && leaks < CASES - CASES / 10, `${leaks} of ${CASES} streams hold a key`);
});
