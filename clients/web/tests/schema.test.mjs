// The types match docs/openapi.json, and package.json is true to the sources.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { clientTypes, TYPES_PATH } from "../../../scripts/client-types.mjs";
import { ValetkeyError } from "../src/index.ts";

test("schema.ts equals the output of `make client-types`", async () => {
  assert.equal(readFileSync(TYPES_PATH, "utf8"), await clientTypes());
});

test("the package has no runtime dependencies and no side effects", () => {
  const { dependencies, peerDependencies, peerDependenciesMeta, sideEffects, type } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.deepEqual([dependencies, Object.keys(peerDependencies), peerDependenciesMeta.react.optional, sideEffects, type], [undefined, ["react"], true, false, "module"]);
  for (const name of readdirSync(new URL("../src/", import.meta.url)).filter((file) => file !== "react.ts")) {
    const source = readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8");
    for (const [, from] of source.matchAll(/ from "([^"]+)"/g)) assert.match(from, /^\.\//, name);
  }
});

test("an unknown code has the advice give_up", () => {
  assert.equal(new ValetkeyError("a_code_of_tomorrow", "").advice, "give_up");
});
