// From nothing to a picture, with the packed tool and without Rust: create, check, dev --mock, picture, deploy --dry-run.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { freePort } from "../support/ports.mjs";
import { addVendorKey, hasTerminal, Machine, tarball, trackedFiles, VENDOR_KEY } from "./machine.mjs";

const machine = new Machine();
after(() => machine.remove());

const gateway = join(machine.work, "my-gateway");
const startedAt = performance.now();
const seconds = () => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;

/** The values in .dev.vars. */
function secretsOf(folder) {
  return [...readFileSync(join(folder, ".dev.vars"), "utf8").matchAll(/^[A-Z_]+='(.+)'$/gm)].map(([, value]) => value);
}

test("the machine has no Rust, and an answer is not needed", async (t) => {
  assert.notEqual((await machine.run("sh", ["-c", "command -v cargo rustc make"])).code, 0);
  // npx takes a path that does not begin with a dot for a program.
  copyFileSync(tarball(), join(machine.work, basename(tarball())));
  const created = await machine.run("npx", ["--yes", `./${basename(tarball())}`, "my-gateway", "--yes", "--origin", "https://app.example.com"]);
  assert.equal(created.code, 0, created.all);
  t.diagnostic(`created and installed after ${seconds()}`);
  assert.equal(statSync(join(gateway, ".dev.vars")).mode & 0o777, 0o600);
  assert.match(created.stdout, /DEEPCREATIVE_API_KEY/);
  assert.match(created.stderr, /^npm install: wrangler and the gateway …$/m, "what it waits for");
});

test("the tool is in vendor/, and nothing asks a registry for it", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(gateway, "package.json"), "utf8"));
  assert.match(devDependencies["create-valetkey"], /^file:vendor\/create-valetkey-[\d.]+\.tgz$/);
  assert.match(devDependencies.wrangler, /^\d+\.\d+\.\d+$/);
  for (const [name, text] of Object.entries({ "README.md": readFileSync(join(gateway, "README.md"), "utf8") })) {
    assert.doesNotMatch(text, /npx (?!--no-install)/, name);
  }
});

test("a stand-in's picture is made, and says what it is", async (t) => {
  const port = await freePort();
  const dev = await machine.start(gateway, ["dev", "--mock", "--port", String(port)], "Press Ctrl+C to stop");
  try {
    t.diagnostic(`running after ${seconds()}`);
    assert.match(dev.output(), /^Starting the Worker …$/m);
    const made = await machine.valetkey(gateway, ["picture", "A serene <Japanese> garden & a bridge"]);
    assert.equal(made.code, 0, made.all);
    t.diagnostic(`the first picture after ${seconds()} (aim: 90 s)`);
    const path = /^(pictures\/pred_\w+\.svg) \(a stand-in/m.exec(made.stdout)?.[1];
    const picture = readFileSync(join(gateway, path), "utf8");
    assert.match(picture, /stand-in/);
    assert.match(picture, /A serene &lt;Japanese&gt;/);
    assert.match(made.stderr, /processing/);

    const { stdout: token } = await machine.valetkey(gateway, ["token", "alice", "--scope", "read"]);
    const read = { headers: { authorization: `Bearer ${token.trim()}` } };
    assert.equal((await fetch(`http://127.0.0.1:${port}/v1/models`, read)).status, 200);
    // The development servers of pages choose their ports themselves.
    for (const [origin, status] of [["http://localhost:5173", 200], ["http://127.0.0.1:3000", 200], ["http://evil.example", 403], ["http://localhost.evil.example", 403]]) {
      assert.equal((await fetch(`http://127.0.0.1:${port}/v1/models`, { headers: { ...read.headers, origin } })).status, status, origin);
    }
    const refused = await fetch(`http://127.0.0.1:${port}/v1/black-forest-labs/flux-kontext-max/predictions`, { ...read, method: "POST" });
    assert.equal(refused.status, 403);

    const types = await machine.valetkey(gateway, ["types", "--url", `http://127.0.0.1:${port}`, "--out", "-"]);
    assert.match(types.stdout, /"black-forest-labs\/flux-kontext-max"/, types.all);
  } finally {
    await dev.stop();
  }
});

test("a phone on the same network may call with --lan, and sees nothing else", async (t) => {
  const port = await freePort();
  const network = "ip link set lo up && ip addr add 10.9.8.7/24 dev lo && ip addr add 10.9.8.8/24 dev lo";
  const inside = `${network} && PATH=$1 exec "$2" "$3" "$4" "$5"`;
  // A gateway with guests: Turnstile's stand-in, unlike the vendor's, is asked at a loopback address.
  const guests = join(machine.work, "my-guests");
  const flags = ["--yes", "--no-install", "--sign-in", "guests", "--public-url", "https://my-guests.example.workers.dev"];
  const made = await machine.valetkey(gateway, ["create", guests, ...flags], { env: { TURNSTILE_SECRET: "0x4AAAAAAAtest" } });
  assert.equal(made.code, 0, made.all);
  symlinkSync(join(gateway, "node_modules"), join(guests, "node_modules"));
  const phone = [machine.env.PATH, process.execPath, join(import.meta.dirname, "phone.mjs"), guests, String(port)];
  const path = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const can = await machine.run("/bin/sh", ["-c", `unshare --map-root-user --net sh -c '${network}'`], { env: path });
  if (can.code !== 0) {
    // Then at least this machine by its own address, or the sentence that there is none.
    t.diagnostic(`no network namespace: ${can.stderr}`);
    return callByOwnAddress(port);
  }
  const called = await machine.run("/bin/sh", ["-c", 'exec unshare --map-root-user --net sh -c "$@"', "sh", inside, "sh", ...phone], { env: path });
  assert.equal(called.code, 0, called.all);
  assert.deepEqual(JSON.parse(called.stdout), {
    isAddressShown: true,
    hasPicture: true,
    ready: 200,
    withoutToken: 401,
    withToken: 200,
    guest: 200,
    page: 200,
    otherPage: 403,
    reboundName: 503,
    // wrangler's explorer shows and changes everything that is stored.
    explorers: [404, 404, 404],
  });
});

async function callByOwnAddress(port) {
  const addresses = Object.values(networkInterfaces()).flat().filter(({ family, address }) => family === "IPv4" && /^(10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(address));
  if (addresses.length === 0) {
    const refused = await machine.valetkey(gateway, ["dev", "--mock", "--lan", "--port", String(port)]);
    return assert.match(refused.stderr, /has no private IPv4 address/);
  }
  const dev = await machine.start(gateway, ["dev", "--mock", "--lan", "--port", String(port)], "Press Ctrl+C to stop");
  try {
    const url = /Running at (\S+)/.exec(dev.output())[1];
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
  } finally {
    await dev.stop();
  }
}

test("`dev` says where the operator's page is, and serves it", async () => {
  const dev = await machine.start(gateway, ["dev", "--mock", "--port", String(await freePort())], "The operator's page is");
  try {
    const page = await fetch(/The operator's page is (\S+)/.exec(dev.output())[1]);
    assert.equal(page.status, 200);
    const text = await page.text();
    assert.match(text, /<title>Valetkey operator<\/title>/);
    // The page and `dev` name the same command. Its token opens the operator's API alone, and a user's token does not.
    const command = "npx --no-install valetkey token --operator";
    assert.ok(text.replaceAll(/<\/?span>/g, "").includes(command) && dev.output().includes(command));
    const tokens = await Promise.all([["--operator"], ["alice"]].map(async (args) => (await machine.valetkey(gateway, ["token", ...args])).stdout.trim()));
    const statuses = (path) => Promise.all(tokens.map(async (token) => (await fetch(new URL(path, page.url), { headers: { authorization: `Bearer ${token}` } })).status));
    assert.deepEqual([await statuses("/admin/api/state"), await statuses("/v1/predictions")], [[200, 401], [401, 200]]);
  } finally {
    await dev.stop();
  }
});

test("a second `dev` on the same port is refused, and leaves the first as it is", async () => {
  const port = await freePort();
  const dev = await machine.start(gateway, ["dev", "--mock", "--port", String(port)], "Press Ctrl+C to stop");
  try {
    const second = await machine.valetkey(gateway, ["dev", "--port", String(port)]);
    assert.equal(second.code, 1);
    assert.equal(second.stderr.trim(), `Port ${port} is in use: stop what uses it, or choose another with --port.`);
    assert.equal((await machine.valetkey(gateway, ["picture", "x"])).code, 0);
  } finally {
    await dev.stop();
  }
});

test("`dev` shows no secret of the environment, keeps it from other users, and leaves nothing to deploy", async () => {
  const port = await freePort();
  const env = { DEEPCREATIVE_API_KEY: "sk_live_OnlyInTheEnvironment" };
  const deployed = join(gateway, ".valetkey/wrangler.json");
  const before = existsSync(deployed) ? readFileSync(deployed, "utf8") : undefined;
  const dev = await machine.start(gateway, ["dev", "--port", String(port)], "Press Ctrl+C to stop", { ...env, WRANGLER_LOG: "debug" });
  const folder = join(gateway, `.valetkey/dev-${port}`);
  try {
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
    assert.equal(statSync(join(folder, ".dev.vars")).mode & 0o777, 0o600);
    assert.ok(!readFileSync(join(folder, "wrangler.json"), "utf8").includes("sk_live_"));
  } finally {
    await dev.stop();
  }
  assert.ok(!dev.output().includes("sk_live_"), dev.output());
  assert.ok(!existsSync(folder));
  assert.equal(existsSync(deployed) ? readFileSync(deployed, "utf8") : undefined, before);
});

test("Ctrl+C stops `dev` also before the Worker runs, and leaves no secret behind", { skip: hasTerminal() ? false : "no python3" }, async () => {
  for (const shown of ["Starting the Worker", "Press Ctrl+C to stop"]) {
    const port = await freePort();
    const steps = JSON.stringify([[shown, "\u0003"]]);
    const tool = join(gateway, "node_modules/create-valetkey/bin/valetkey.mjs");
    const args = [join(import.meta.dirname, "terminal.py"), steps, process.execPath, tool, "dev", "--mock", "--port", String(port)];
    // npx would end by the signal itself, before the tool.
    const stopped = await machine.run("env", [`PATH=${process.env.PATH}`, "python3", ...args], { cwd: gateway });
    assert.equal(stopped.code, 0, stopped.all);
    assert.ok(!existsSync(join(gateway, `.valetkey/dev-${port}`)) && !existsSync(join(gateway, ".valetkey/dev.json")));
  }
});

test("a stand-in never gets the vendor's key", async () => {
  const port = await freePort();
  const env = { DEEPCREATIVE_API_KEY: "sk_live_OnlyInTheEnvironment" };
  const dev = await machine.start(gateway, ["dev", "--mock", "--port", String(port)], "Press Ctrl+C to stop", env);
  try {
    const secrets = readFileSync(join(gateway, `.valetkey/dev-${port}/.dev.vars`), "utf8");
    assert.match(secrets, /^DEEPCREATIVE_API_KEY='sk_live_/m);
    assert.ok(!secrets.includes(env.DEEPCREATIVE_API_KEY));
  } finally {
    await dev.stop();
  }
});

test("without a gateway that runs, `picture` says how to start one", async () => {
  const { code, stderr } = await machine.valetkey(gateway, ["picture", "x"]);
  assert.equal(code, 1);
  assert.match(stderr, /No gateway runs yet: start one with `npx --no-install valetkey dev`/);
});

test("the folder deploys by a dry run, also by wrangler alone, and needs the vendor's key only then", async () => {
  const missing = await machine.valetkey(gateway, ["deploy", "--dry-run"]);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^\.dev\.vars:1:1: DEEPCREATIVE_API_KEY: is missing/m);
  addVendorKey(gateway);
  const { code, all, stdout } = await machine.valetkey(gateway, ["deploy", "--dry-run"]);
  assert.equal(code, 0, all);
  assert.match(stdout, /these secrets: DEEPCREATIVE_API_KEY, APP_TOKEN_SECRET, VALETKEY_CLI_SECRET/);
  // Without the redirect: what is tracked is a Worker by itself.
  const tracked = await machine.run("npx", ["--no-install", "wrangler", "deploy", "--dry-run", "--config", "wrangler.jsonc"], { cwd: gateway, env: { CI: "true" } });
  assert.equal(tracked.code, 0, tracked.all);
  // As Workers Builds does: `npm run build`, then wrangler.
  const built = await machine.run("npm", ["run", "build"], { cwd: gateway });
  assert.equal(built.code, 0, built.all);
  const alone = await machine.run("npx", ["--no-install", "wrangler", "deploy", "--dry-run"], { cwd: gateway, env: { CI: "true" } });
  assert.equal(alone.code, 0, alone.all);
  for (const binding of ["LEDGER", "DISPATCHER", "ADDRESS_RATE_LIMIT", "ASSETS", "POLICY"]) assert.match(alone.stdout, new RegExp(`env\\.${binding}\\b`));
});

test("secrets are neither printed nor tracked", async () => {
  const secrets = secretsOf(gateway);
  assert.equal(secrets.length, 4);
  assert.ok(secrets.includes(VENDOR_KEY));
  const outputs = [];
  for (const args of [["check"], ["deploy", "--dry-run"], ["deploy"], ["--help"], ["types", "--out", "-"]]) {
    outputs.push((await machine.valetkey(gateway, args, { env: { CI: "true" } })).all);
  }
  const files = trackedFiles(gateway);
  assert.ok(!(".dev.vars" in files) && ".dev.vars.example" in files && "wrangler.jsonc" in files, Object.keys(files).join(" "));
  for (const secret of secrets) {
    for (const text of [...outputs, ...Object.values(files)]) assert.ok(!text.includes(secret));
  }
});

test("without a login `deploy` says how to get one", async () => {
  const { code, stderr } = await machine.valetkey(gateway, ["deploy"], { env: { CI: "true" } });
  assert.equal(code, 1);
  assert.match(stderr, /set CLOUDFLARE_API_TOKEN/);
});
