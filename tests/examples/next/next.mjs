// examples/next: builds it without any secret, as a host does, and then runs the build. In a folder of its own, since Next
// alone has as many bytes as all other examples: `make test-next`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { findChromium } from "../../support/browser.mjs";
import { Service } from "../../support/processes.mjs";
import { run } from "../../support/program.mjs";
import { backendEnvironment, signedInJourneys } from "../signed_in.mjs";

const EXAMPLE = resolve(import.meta.dirname, "../../../examples/next");
const NEXT = join(EXAMPLE, "node_modules/next/dist/bin/next");
const START = [NEXT, "start", "--hostname", "127.0.0.1", "--port", "0"];
/** No request to anybody but this machine. */
const QUIET = { PATH: process.env.PATH, NEXT_TELEMETRY_DISABLED: "1" };

export function missing() {
  if (!existsSync(NEXT)) return "examples/next is not installed: `make test-next` does that";
  return findChromium() === undefined ? "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" : undefined;
}

let started;

function open({ stack, services }) {
  started ??= (async () => {
    const { code, stdout, stderr } = await run(process.execPath, [NEXT, "build"], { cwd: EXAMPLE, env: QUIET });
    assert.equal(code, 0, stdout + stderr);
    const secrets = { SESSION_SECRET: randomBytes(48).toString("base64url"), INSECURE_COOKIES: "1" };
    return serve(services, "next", { ...backendEnvironment(stack), ...secrets });
  })();
  return started;
}

async function serve(services, name, env) {
  const service = new Service(name, process.execPath, START, { ...QUIET, ...env }, EXAMPLE);
  services.push(service);
  return (await service.line(/Local:\s+(http:\S+)/))[1];
}

export default [
  ...signedInJourneys("next", open),
  [
    "next: without the secret of its tokens the endpoint says so in the log, and gives nobody a token",
    async (world) => {
      await open(world);
      const env = { ...backendEnvironment(world.stack), APP_TOKEN_SECRET: "" };
      const origin = await serve(world.services, "next without a secret", env);
      const answer = await fetch(`${origin}/valetkey-token`, { method: "POST" });
      assert.deepEqual([answer.status, answer.headers.get("cache-control"), await answer.json()], [500, "no-store", { error: "not_configured" }]);
      assert.match(world.services.at(-1).log, /tokenHandler has neither a secret nor a key/);
    },
  ],
];
