// clients/web in Deno, against the built Worker on real workerd.
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../support/program.mjs";
import { MODEL, startClientStack } from "./stack.mjs";

const DENO = resolve(import.meta.dirname, "../../node_modules/.bin/deno");
const PATIENT = { timeout: 60_000 };
let stack;

before(async () => {
  stack = await startClientStack();
}, PATIENT);

after(() => stack?.stop());

test("Deno makes a picture with a DPoP-bound token, and needs only the network permission", PATIENT, async () => {
  const told = { baseUrl: stack.origin, sessionUrl: `${stack.simulator.origin}/session`, subject: "deno", model: MODEL };
  const args = ["run", "--no-prompt", "--no-remote", "--allow-net=127.0.0.1", join(import.meta.dirname, "deno.mjs"), JSON.stringify(told)];
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, DENO_NO_UPDATE_CHECK: "1" };
  const { code, stdout, stderr } = await run(DENO, args, { cwd: import.meta.dirname, env });
  assert.equal(code, 0, stderr);
  const { status, states, bytes, refused } = JSON.parse(stdout);
  assert.deepEqual([status, [...new Set(states)], bytes, refused.code], ["succeeded", ["processing", "succeeded"], 1, "invalid_parameter"]);
  assert.match(refused.requestId, /^req_/);
});
