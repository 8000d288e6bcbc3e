// The types are those of docs/openapi.json, and every code that it knows has an advice.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { clientTypes, TYPES_PATH } from "../../../scripts/client-types.mjs";
import { ValetkeyError } from "../src/index.ts";

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));

test("schema.ts is what `make client-types` writes", async () => {
  assert.equal(readFileSync(TYPES_PATH, "utf8"), await clientTypes());
});

test("it needs nothing at runtime, and a bundler may leave out what is not used", () => {
  const { dependencies, peerDependencies, peerDependenciesMeta, sideEffects, type } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.deepEqual([dependencies, Object.keys(peerDependencies), peerDependenciesMeta.react.optional, sideEffects, type], [undefined, ["react"], true, false, "module"]);
  for (const name of readdirSync(new URL("../src/", import.meta.url)).filter((file) => file !== "react.ts")) {
    const source = readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8");
    for (const [, from] of source.matchAll(/ from "([^"]+)"/g)) assert.match(from, /^\.\//, name);
  }
});

test("each code of the API has an advice of its own", () => {
  const { ErrorCode, PredictionErrorCode } = document.components.schemas;
  const source = readFileSync(new URL("../src/errors.ts", import.meta.url), "utf8");
  for (const code of [...ErrorCode.enum, ...PredictionErrorCode.enum]) {
    assert.match(source, new RegExp(`^  ${code}: "`, "m"), code);
    assert.ok(["repeat", "wait", "ask_user", "give_up"].includes(new ValetkeyError(code, "").advice));
  }
  assert.equal(new ValetkeyError("a_code_of_tomorrow", "").advice, "give_up");
});
