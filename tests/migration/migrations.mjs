// Runs a program against the vendor and through the Worker, and compares the two runs.
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scan } from "../support/key-scan.mjs";
import { run } from "../support/program.mjs";
import { Recorder } from "../support/recorder.mjs";
import { CASES } from "./cases.mjs";
import { differingLines, programText, withValues } from "./programs.mjs";

/** The environment is the same for every run. Only the program's two lines tell it which API it calls. */
const ENVIRONMENT = Object.freeze({ PATH: process.env.PATH, NO_PROXY: "127.0.0.1" });

/** Runs the program `name` against `target` with `bearer`, and records what it sends and receives. */
async function runAgainst(target, bearer, name, runners) {
  const recorder = await Recorder.start(target);
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-migration-")));
  try {
    const text = withValues(programText(name), { baseUrl: `${recorder.origin}/v1`, bearer });
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    const result = await run(runners[name.split(".").at(-1)], [name], { cwd: directory, env: ENVIRONMENT });
    return { text, ...result, paths: recorder.exchanges.map(({ path }) => path), records: recorder.records() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
    await recorder.stop();
  }
}

/** Asserts that the program exited with 0 and printed what it should, and that each URL it printed is a picture. */
async function assertOutcome({ code, stdout, stderr }, prints) {
  assert.equal(code, 0, stderr + stdout);
  assert.match(stdout, prints, stderr);
  for (const url of prints.exec(stdout).slice(1)) {
    const picture = await fetch(url);
    assert.equal(picture.status, 200, url);
    assert.equal(picture.headers.get("content-type"), "image/png", url);
  }
}

function assertKeyWasNeverVisible(vendorKey, { text, stdout, stderr, records }) {
  const all = [...records, { what: "the program", content: text }, { what: "its output", content: stdout + stderr }];
  assert.deepEqual(scan(vendorKey, all), []);
}

async function atTheVendor(name, { simulator, vendorKey }, runners) {
  const { vendor, straight, prints } = CASES[name];
  await prepare(simulator, { ...vendor, ...straight });
  const result = await runAgainst(simulator.origin, vendorKey, name, runners);
  await assertOutcome(result, prints);
  // In this run the program has the key, which proves that the scan of the other run is not vacuous.
  assert.notDeepEqual(scan(vendorKey, result.records), [], "the recorder saw no key");
  return result;
}

async function throughTheWorker(name, { simulator, origin, vendorKey }, runners) {
  const { vendor, plan, prints } = CASES[name];
  await prepare(simulator, vendor);
  const { next } = await simulator.requests();
  const token = await simulator.token(`user-of-${name}`, plan);
  const result = await runAgainst(origin, token, name, runners);
  await assertOutcome(result, prints);
  assertKeyWasNeverVisible(vendorKey, result);
  assert.ok(result.records.some(({ content }) => content.includes(token)), "the recorder saw no token");
  // No request to the vendor holds the user's token.
  for (const { headers } of await simulator.vendorRequests(next)) {
    assert.ok(!JSON.stringify(headers).includes(token), "the user's token went to the vendor");
  }
  return result;
}

async function prepare(simulator, settings) {
  await simulator.reset();
  await simulator.settings({ requests_per_minute: null, concurrent_limit: null, ...settings });
}

async function migrate(name, { stack, runners }) {
  const before = await atTheVendor(name, stack, runners);
  const after = await throughTheWorker(name, stack, runners);
  const changed = differingLines(before.text, after.text);
  assert.equal(changed.length, 2, changed.join("\n"));
  assert.match(changed[0], /BASE_URL/);
  assert.match(changed[1], /BEARER/);
  // The first path is the same, so the program sent the request that it was written to send.
  assert.equal(after.paths[0], before.paths[0]);
}

/** Returns one test for each program. */
export default (names) =>
  names.map((name) => [`${name} works when two lines change`, (world) => migrate(name, world)]);

/** A create that the vendor refuses with 429 waits in Valetkey's queue. The vendor has no such status as `queued`. */
export const waiting = [
  "picture.mjs works when Valetkey queues its create",
  async ({ stack, runners }) => {
    const { simulator, origin } = stack;
    await prepare(simulator, CASES["picture.mjs"].vendor);
    await simulator.failOnce("create", { status: 429, headers: { "retry-after": "2" } });
    const result = await runAgainst(origin, await simulator.token("patient"), "picture.mjs", runners);
    await assertOutcome(result, CASES["picture.mjs"].prints);
    assert.ok(result.records.some(({ content }) => content.includes('"status":"queued"')), "nothing waited");
  },
];

/** The features that docs/migrate.md lists as not supported are refused with errors in the vendor's format. */
export const absent = [
  "routes and webhooks that Valetkey does not support are refused in the vendor's error format",
  async ({ stack: { simulator, origin } }) => {
    await prepare(simulator);
    const { next } = await simulator.requests();
    const token = await simulator.token("curious");
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const refusal = async (path, body) => {
      const response = await fetch(`${origin}/v1${path}`, { method: body ? "POST" : "GET", headers, body });
      const { error } = await response.json();
      return `${response.status} ${error.type} ${error.code} ${error.details?.param ?? ""}`.trim();
    };
    for (const path of ["/api-keys", "/webhooks", "/search?q=garden", "/health"]) {
      assert.equal(await refusal(path), "404 not_found_error not_found", path);
    }
    const create = JSON.stringify({ input: { prompt: "A garden" }, webhook: "https://app.example.com/hook" });
    const answer = await refusal("/black-forest-labs/flux-kontext-max/predictions", create);
    assert.equal(answer, "400 invalid_request_error unsupported_parameter webhook");
    assert.deepEqual(await simulator.vendorRequests(next), [], "a request reached the vendor");
  },
];
