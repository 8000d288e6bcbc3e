// Compares the names in clients/swift with docs/openapi.json and the TypeScript client. No test compiles clients/swift;
// tests/swift parses it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ValetkeyError } from "../../clients/web/src/index.ts";
import { CODES } from "../support/codes.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SWIFT = join(ROOT, "clients/swift");
const read = (path) => readFileSync(join(SWIFT, path), "utf8");
const { schemas } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8")).components;

test("each code has the same advice as in the TypeScript client", () => {
  const advice = { repeat: "repeat", wait: "wait", askUser: "ask_user", giveUp: "give_up" };
  const rows = [...read("Sources/Valetkey/Code.swift").matchAll(/^ {8}"(\w+)": \.(\w+),$/gm)];
  assert.deepEqual(rows.map(([, code]) => code).sort(), CODES);
  for (const [, code, word] of rows) assert.equal(advice[word], new ValetkeyError(code, "").advice, code);
});

test("every member of a prediction that it reads is in the API", () => {
  const source = read("Sources/Valetkey/Prediction.swift");
  const [, statuses] = /case (queued[\w, ]+)$/m.exec(source);
  assert.deepEqual(statuses.split(", "), schemas.PredictionStatus.enum);
  for (const name of source.matchAll(/= "(\w+)"$/gm)) {
    const isKnown = [schemas.Prediction, schemas.Prediction.properties.queue, schemas.File].some(({ properties }) => name[1] in properties);
    assert.ok(isKnown, name[1]);
  }
});

test("README says that no test compiles the client", () => {
  assert.match(read("README.md"), /\*\*Neither compiled nor run by this project's tests\*\*/);
});
