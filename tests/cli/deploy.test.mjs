// `valetkey deploy` beside a wrangler that only notes how it was called: secrets through a pipe, waiting until it is ready.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { addVendorKey, createGateway, runTool, VENDOR_KEY } from "./machine.mjs";

const { tool, gateway } = await createGateway("deploy");
addVendorKey(gateway);

/** Notes its arguments and its standard input, and reports a deployment of a new Worker. */
const WRANGLER = `
const { readFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
if (args[0] === "deployments") {
  console.error("This Worker does not exist on your account. [code: 10007]");
  process.exit(1);
}
const file = args[args.indexOf("--secrets-file") + 1];
const secrets = args.includes("--secrets-file") ? readFileSync(file, "utf8") : null;
writeFileSync("called.json", JSON.stringify({ args, file, secrets }));
if (process.env.FAKE_CODE) process.exit(Number(process.env.FAKE_CODE));
writeFileSync(process.env.WRANGLER_OUTPUT_FILE_PATH, '{"type":"wrangler-session"}\\n{"type":"deploy","targets":["' + process.env.FAKE_TARGET + '"]}\\n');
`;
mkdirSync(join(gateway, "node_modules/wrangler/bin"), { recursive: true });
writeFileSync(join(gateway, "node_modules/wrangler/package.json"), '{"name":"wrangler","version":"4.164.0"}');
writeFileSync(join(gateway, "node_modules/wrangler/bin/wrangler.js"), WRANGLER);

/** Answers `/readyz`: 503 `failures` times, then 200. */
async function deployment(failures) {
  let left = failures;
  const server = createServer((_, response) => {
    response.writeHead(left > 0 ? 503 : 200).end(left > 0 ? '{"errors":[{"name":"POLICY"}]}' : "{}");
    left -= 1;
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

const env = (more) => ({ CLOUDFLARE_API_TOKEN: "t", CI: "true", ...more });
const called = () => JSON.parse(readFileSync(join(gateway, "called.json"), "utf8"));

test("secrets go through a pipe as JSON, in one deployment, and the next command is printed when it is ready", async () => {
  const { url, stop } = await deployment(2);
  const { code, all, stdout } = await runTool(tool, ["deploy"], { cwd: gateway, env: env({ FAKE_TARGET: url }) });
  stop();
  assert.equal(code, 0, all);
  const { args, file, secrets } = called();
  assert.deepEqual([args[0], file], ["deploy", "/dev/stdin"]);
  const names = ["DEEPCREATIVE_API_KEY", "APP_TOKEN_SECRET", "VALETKEY_CLI_SECRET", "VALETKEY_OPERATOR_SECRET"];
  assert.deepEqual(Object.keys(JSON.parse(secrets)), names);
  assert.equal(JSON.parse(secrets).DEEPCREATIVE_API_KEY, VENDOR_KEY);
  for (const secret of Object.values(JSON.parse(secrets))) assert.ok(!all.includes(secret) && !args.join(" ").includes(secret));
  assert.ok(stdout.includes(`npx --no-install valetkey picture "A serene Japanese garden" --url ${url}`), stdout);
  assert.ok(stdout.includes(`PUBLIC_URL is not set: add "PUBLIC_URL": "${url}" to valetkey.jsonc and deploy again`), stdout);
  assert.deepEqual(JSON.parse(readFileSync(join(gateway, ".valetkey/deployment.json"), "utf8")), { url });
});

test("without secrets here, those at Cloudflare stay as they are", async () => {
  const secrets = readFileSync(join(gateway, ".dev.vars"), "utf8");
  writeFileSync(join(gateway, ".dev.vars"), "");
  const { url, stop } = await deployment(0);
  const { code, all } = await runTool(tool, ["deploy"], { cwd: gateway, env: env({ FAKE_TARGET: url }) });
  stop();
  writeFileSync(join(gateway, ".dev.vars"), secrets);
  assert.equal(code, 0, all);
  assert.deepEqual(called().args, ["deploy"]);
});

test("a wrangler that fails ends the command with its code", async () => {
  const { code, stderr } = await runTool(tool, ["deploy"], { cwd: gateway, env: env({ FAKE_CODE: "7" }) });
  assert.equal(code, 1);
  assert.match(stderr, /wrangler ended with code 7/);
});

test("settings for development are never deployed", async () => {
  const path = join(gateway, "valetkey.jsonc");
  const settings = readFileSync(path, "utf8");
  writeFileSync(path, settings.replace('"POLICY": {', '"DEV_LAN": "on",\n  "POLICY": {'));
  rmSync(join(gateway, "called.json"), { force: true });
  const { code, stderr } = await runTool(tool, ["deploy"], { cwd: gateway, env: env() });
  writeFileSync(path, settings);
  assert.equal(code, 1);
  assert.match(stderr, /DEV_LAN: is on, which is for development/);
  assert.throws(called);
});
