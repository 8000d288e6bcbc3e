// docs/settings.md: its tables are those of the schema that editors use.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PAGE, withTables } from "../../scripts/settings-page.mjs";

test("the settings page has the schema's tables; `make settings-page` writes them", () => {
  const page = readFileSync(PAGE, "utf8");
  assert.equal(withTables(page), page);
  assert.ok(page.includes("| `max_wait_secs`") || page.includes("`queue.max_wait_secs`"));
});
