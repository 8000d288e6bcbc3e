// The types match docs/openapi.json.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { clientTypes, TYPES_PATH } from "../../../scripts/client-types.mjs";
import { ValetkeyError } from "../src/index.ts";

test("schema.ts equals the output of `make client-types`", async () => {
  assert.equal(readFileSync(TYPES_PATH, "utf8"), await clientTypes());
});

test("an unknown code has the advice give_up", () => {
  assert.equal(new ValetkeyError("a_code_of_tomorrow", "").advice, "give_up");
});
