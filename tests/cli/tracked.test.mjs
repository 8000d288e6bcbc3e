// The tracked wrangler.toml of this repository: it is checked like a user's folder, and a folder's Worker equals it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse } from "jsonc-parser";
import { unstable_readConfig as readConfig } from "wrangler";
import { workerConfiguration } from "../../cli/src/create/files.ts";
import { ROOT } from "./machine.mjs";

const folder = mkdtempSync(join(tmpdir(), "valetkey-tracked-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Checks a wrangler.toml with these variables. */
function check(vars) {
  const path = join(folder, "wrangler.toml");
  writeFileSync(path, `name = "x"\nmain = "x.js"\ncompatibility_date = "2026-10-01"\n${vars}\n`);
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, "scripts/check-settings.mjs"), path], { encoding: "utf8" }, (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr }));
  });
}

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const VARS = /```toml\n([^]*?)```/.exec(README)[1].replaceAll(/^ {3}/gm, "");

test("the settings that README shows may be deployed", async () => {
  const { code, stderr } = await check(VARS);
  assert.equal(code, 0, stderr);
});

test("POLICY may be a table of TOML, and its problems have their place", async () => {
  const table = `[vars]
ALLOWED_ORIGINS = "none"
ISSUERS = '[{"issuer":"a","audience":["b"],"keys":{"secret":"S"},"algorithms":["HS256"]}]'
[vars.POLICY.plans.default]
requests_per_minute = 60
predictions_per_minute = 10
concurrent_predictions = 2
daily_credits = "50"
[vars.POLICY.models."acme/x"]
credits = "1"
input = {}`;
  assert.deepEqual(await check(table), { code: 0, stderr: "" });
  const { code, stderr } = await check(table.replace('"50"', "50"));
  assert.equal(code, 1);
  assert.match(stderr, /wrangler\.toml: POLICY: plans\.default\.daily_credits is not a decimal string/);
});

test("placeholders and variables over 5 KB are not deployed", async () => {
  const placeholders = await check(/\[vars\][^]*/.exec(readFileSync(join(ROOT, "wrangler.toml"), "utf8"))[0]);
  assert.equal(placeholders.code, 1);
  for (const name of ["ALLOWED_ORIGINS", "ISSUERS", "POLICY"]) assert.match(placeholders.stderr, new RegExp(`${name}: `));
  const long = await check(`${VARS}\nLONG = "${"x".repeat(5_121)}"`);
  assert.equal(long.code, 1);
  assert.match(long.stderr, /LONG is longer than 5120 bytes/);
});

test("a folder's Worker has what the tracked one has", () => {
  const path = join(folder, "wrangler.jsonc");
  writeFileSync(path, workerConfiguration("my-gateway"));
  const [tracked, written] = [join(ROOT, "wrangler.toml"), path].map((config) => JSON.parse(JSON.stringify(readConfig({ config }, { hideWarnings: true }))));
  for (const member of ["compatibility_date", "compatibility_flags", "durable_objects", "migrations", "ratelimits", "triggers", "observability", "preview_urls"]) {
    assert.deepEqual(written[member], tracked[member], member);
  }
  for (const member of ["binding", "run_worker_first", "html_handling", "not_found_handling"]) assert.deepEqual(written.assets[member], tracked.assets[member], member);
  assert.deepEqual(written.vars, {});
  assert.equal(parse(readFileSync(path, "utf8")).no_bundle, true);
});
