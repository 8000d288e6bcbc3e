// The types are those of docs/openapi.json, and what package.json promises is so.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { clientTypes, TYPES_PATH } from "../../../scripts/client-types.mjs";
import { ValetkeyError } from "../src/index.ts";

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

test("a code that is new has an advice too", () => {
  assert.equal(new ValetkeyError("a_code_of_tomorrow", "").advice, "give_up");
});
