// The tracked wrangler.toml of this repository: it is checked like a user's folder, and a folder's Worker equals it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Ajv } from "ajv";
import { parse } from "jsonc-parser";
import { unstable_readConfig as readConfig } from "wrangler";
import { workerConfiguration } from "../../cli/src/create/files.ts";
import { addVendorKey, ROOT, runTool, unpack } from "./machine.mjs";
import { StandInGateway } from "./stand_in_gateway.mjs";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-tracked-")));
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
  for (const member of ["compatibility_date", "compatibility_flags", "durable_objects", "migrations", "ratelimits", "triggers", "observability"]) {
    assert.deepEqual(written[member], tracked[member], member);
  }
  for (const member of ["binding", "run_worker_first", "html_handling", "not_found_handling"]) assert.deepEqual(written.assets[member], tracked.assets[member], member);
  assert.deepEqual(written.vars, {});
  assert.equal(parse(readFileSync(path, "utf8")).no_bundle, true);
});

/** What keeps a deployment's addresses, logs and secrets where they belong. */
const PINNED = {
  preview_urls: false,
  version_metadata: { binding: "CF_VERSION_METADATA" },
  dependencies_instrumentation: { enabled: false },
  durable_objects: { code_update_strategy: { mode: "deferred", max_delay: 300 } },
  observability: { redact_query_string: true, logs: { invocation_logs: false }, traces: { enabled: false } },
};

test("the tracked, the written and the generated configuration pin the same", async () => {
  const tool = unpack(join(folder, "tool"));
  const gateway = join(folder, "my-gateway");
  assert.equal((await runTool(tool, ["create", "my-gateway", "--yes", "--no-install"], { cwd: folder })).code, 0);
  addVendorKey(gateway);
  // As in a folder of an earlier version of the tool, whose wrangler.jsonc has none of them.
  const generated = join(gateway, ".valetkey/wrangler.json");
  for (const isEarlier of [false, true]) {
    if (isEarlier) writeFileSync(join(gateway, "wrangler.jsonc"), withoutPins(readFileSync(join(gateway, "wrangler.jsonc"), "utf8")));
    const { code, all } = await runTool(tool, ["check"], { cwd: gateway });
    assert.equal(code, 0, all);
    assertPinned(generated);
  }
  assertPinned(join(ROOT, "wrangler.toml"));
  writeFileSync(join(folder, "written.jsonc"), workerConfiguration("my-gateway"));
  assertPinned(join(folder, "written.jsonc"));
});

test("wrangler knows each member of a folder's Worker", () => {
  const schema = JSON.parse(readFileSync(join(ROOT, "node_modules/wrangler/config-schema.json"), "utf8"));
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(validate(parse(workerConfiguration("my-gateway"))), JSON.stringify(validate.errors));
  assert.ok(!validate({ ...parse(workerConfiguration("my-gateway")), preview_url: false }));
});

function withoutPins(text) {
  const { durable_objects: { bindings }, observability: { enabled }, ...worker } = parse(text);
  for (const name of Object.keys(PINNED)) delete worker[name];
  return JSON.stringify({ ...worker, durable_objects: { bindings }, observability: { enabled } });
}

/** As wrangler reads it. */
function assertPinned(path) {
  const config = readConfig({ config: path }, { hideWarnings: true });
  assert.partialDeepStrictEqual(JSON.parse(JSON.stringify(config)), PINNED, path);
}

test("`make status` and `make rotate` are the tool's commands, with the settings of wrangler.toml", async () => {
  const gateway = await new StandInGateway().start();
  const operate = (args, env = { VALETKEY_OPERATOR_TOKEN: "eyJ" }) =>
    new Promise((resolve) => {
      const script = [join(ROOT, "scripts/operate.mjs"), ...args, "--url", gateway.url];
      execFile(process.execPath, script, { encoding: "utf8", env: { PATH: process.env.PATH, ...env } }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
    });
  try {
    assert.match((await operate(["status"])).stdout, /^Vendor key 0000000000000000: ok\. The vendor key is not being rotated\.$/m);
    const refused = await operate(["rotate", "begin"], { VALETKEY_OPERATOR_TOKEN: "eyJ", DEEPCREATIVE_API_KEY_NEXT: "sk_test_0123456789abcdef" });
    assert.deepEqual([refused.code, /The new key /.test(refused.stderr)], [1, true]);
    const nobody = await operate(["status"], {});
    assert.deepEqual([nobody.code, /This needs an operator's token/.test(nobody.stderr)], [1, true]);
  } finally {
    gateway.stop();
  }
});
