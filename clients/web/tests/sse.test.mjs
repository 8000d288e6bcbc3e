// The event parser, with a stream split into chunks in every way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventParser } from "../src/sse.ts";

const parsed = (...pieces) => {
  const parse = eventParser();
  return pieces.flatMap((piece) => parse(piece));
};
const event = (data, { id = "", type = "" } = {}) => ({ type, data, id });

test("a stream parses the same however it is split, with each kind of line break", () => {
  const lines = ["event: status", "id: 7", 'data: {"a":"ä"}', "", ": heartbeat", "", "data: one", "data:two", "data:  three", "", ""];
  const wanted = [event('{"a":"ä"}', { id: "7", type: "status" }), event("one\ntwo\n three", { id: "7" })];
  for (const end of ["\n", "\r\n", "\r"]) {
    // A line that ends with a lone CR is complete only when another character follows.
    const text = lines.join(end) + (end === "\r" ? ":" : "");
    assert.deepEqual(parsed(text), wanted, JSON.stringify(end));
    assert.deepEqual(parsed(...text), wanted, `${JSON.stringify(end)}, character by character`);
    for (let at = 1; at < text.length; at += 1) {
      assert.deepEqual(parsed(text.slice(0, at), text.slice(at)), wanted, `${JSON.stringify(end)} split at ${at}`);
    }
  }
});

test("unknown fields, comments and events without data are skipped; an id persists", () => {
  assert.deepEqual(parsed("retry: 10\nfoo: bar\n:x\nid: 1\n\n", "event: status\n\n", "data\n\n"), [event("", { id: "1" })]);
  assert.deepEqual(parsed("id: 1\0\ndata: x\n\n"), [event("x")], "an id with a NUL is ignored");
});

test("an unfinished event is not returned", () => {
  assert.deepEqual(parsed("data: x\n"), []);
  assert.deepEqual(parsed("data: x"), []);
});

test("an event that never ends is an error", () => {
  const parse = eventParser();
  const piece = "data: ".padEnd(1 << 16, "x");
  assert.throws(() => {
    for (let pieces = 0; pieces < 40; pieces += 1) parse(piece);
  }, SyntaxError);
  const many = eventParser();
  assert.throws(() => {
    for (let pieces = 0; pieces < 40; pieces += 1) many(`${piece}\n`);
  }, SyntaxError);
});
