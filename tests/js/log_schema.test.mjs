// docs/log.schema.json is a JSON schema, and the lines that docs/operate.md shows obey it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import Ajv from "ajv";

const root = resolve(import.meta.dirname, "../..");
const schema = JSON.parse(readFileSync(join(root, "docs/log.schema.json"), "utf8"));
const isLine = new Ajv({ strict: true, strictRequired: true }).compile(schema);

test("the lines that the page about operations shows are lines of the log", () => {
  const page = readFileSync(join(root, "docs/operate.md"), "utf8");
  const [, block] = /```json\n(.*?)```/s.exec(page.split("\n## The log\n")[1]);
  const lines = block.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(new Set(lines.map(({ event }) => event)), new Set(["request", "alert", "warning"]));
  for (const line of lines) assert.ok(isLine(line), `${JSON.stringify(line)}: ${JSON.stringify(isLine.errors)}`);
  for (const line of lines) assert.ok(!isLine({ ...line, prompt: "a garden" }));
});
