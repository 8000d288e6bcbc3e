// `create`: what it writes for each way to sign in, and what it says when an answer is wrong.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse } from "jsonc-parser";
import { PROVIDERS } from "../../cli/src/create/providers.ts";
import { ROOT, runTool, trackedFiles, unpack, VENDOR_KEY } from "./machine.mjs";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-create-")));
after(() => rmSync(folder, { recursive: true, force: true }));
const tool = unpack(join(folder, "tool"));
const create = (name, flags = [], env = {}) => runTool(tool, ["create", name, "--yes", "--no-install", ...flags], { cwd: folder, env });
const settingsOf = (name) => parse(readFileSync(join(folder, name, "valetkey.jsonc"), "utf8"));
const secretsOf = (name) => Object.fromEntries([...readFileSync(join(folder, name, ".dev.vars"), "utf8").matchAll(/^([A-Z_]+)='(.*)'$/gm)].map(([, key, value]) => [key, value]));

/** The entries of ISSUERS in docs/identity.md, by the heading above them. */
const IDENTITY = readFileSync(join(ROOT, "docs/identity.md"), "utf8");
function documented(title) {
  const section = IDENTITY.split(`\n### ${title}\n`)[1];
  return JSON.parse(/```json\n([^]*?)```/.exec(section)[1]);
}

for (const [way, provider] of Object.entries(PROVIDERS)) {
  test(`--sign-in ${way} writes the entry of docs/identity.md, which the Worker accepts`, async () => {
    const flags = provider.questions.flatMap(({ flag, example }) => [`--${flag}`, example]);
    const { code, all } = await create(way, ["--sign-in", way, ...flags], { DEEPCREATIVE_API_KEY: VENDOR_KEY });
    assert.equal(code, 0, all);
    assert.deepEqual(settingsOf(way).ISSUERS[0], documented(provider.title));
    const checked = await runTool(tool, ["check"], { cwd: join(folder, way) });
    assert.equal(checked.code, 0, checked.all);
  });
}

test("guests get signing keys, a plan with pools, and the gateway's own address", async () => {
  const env = { DEEPCREATIVE_API_KEY: VENDOR_KEY, TURNSTILE_SECRET: "0x4AAAAAAAtest" };
  const { code, all } = await create("guests", ["--sign-in", "guests", "--public-url", "https://g.example.workers.dev"], env);
  assert.equal(code, 0, all);
  const { POLICY, PUBLIC_URL, ISSUERS } = settingsOf("guests");
  assert.equal(PUBLIC_URL, "https://g.example.workers.dev");
  assert.ok(POLICY.plans.guest.pool_daily_credits);
  assert.deepEqual(ISSUERS.map(({ issuer }) => issuer), ["valetkey-cli"]);
  assert.deepEqual(Object.keys(secretsOf("guests")).sort(), ["DEEPCREATIVE_API_KEY", "TOKEN_SIGNING_KEYS", "TURNSTILE_SECRET", "VALETKEY_CLI_SECRET"]);
  const checked = await runTool(tool, ["check"], { cwd: join(folder, "guests") });
  assert.equal(checked.code, 0, checked.all);
});

test("each folder has secrets of its own, and no tracked file holds one", async () => {
  for (const name of ["one", "two"]) assert.equal((await create(name, [], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  const [one, two] = ["one", "two"].map(secretsOf);
  assert.notEqual(one.APP_TOKEN_SECRET, two.APP_TOKEN_SECRET);
  assert.ok(one.APP_TOKEN_SECRET.length >= 64);
  const files = trackedFiles(join(folder, "one"));
  for (const secret of Object.values(one)) for (const text of Object.values(files)) assert.ok(!text.includes(secret));
  assert.deepEqual([...files[".dev.vars.example"].matchAll(/^([A-Z_]+)=$/gm)].map(([, name]) => name).sort(), Object.keys(one).sort());
});

test("the vendor's key may come from a file, and its text is not shown", async () => {
  writeFileSync(join(folder, "key"), `${VENDOR_KEY}\n`);
  const { code, all } = await create("filed", ["--key-file", "key"]);
  assert.equal(code, 0, all);
  assert.equal(secretsOf("filed").DEEPCREATIVE_API_KEY, VENDOR_KEY);
  assert.ok(!all.includes(VENDOR_KEY));
});

test("without the issuer valetkey-cli, `token` and `picture` say where tokens come from", async () => {
  assert.equal((await create("strict", ["--no-cli-issuer"], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  assert.ok(!("VALETKEY_CLI_SECRET" in secretsOf("strict")));
  for (const args of [["token", "alice"], ["picture", "x"]]) {
    const { code, stdout, stderr } = await runTool(tool, args, { cwd: join(folder, "strict") });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /tokens come from your own backend or identity provider/);
  }
});

for (const [what, name, flags, expected] of [
  ["a folder that is not empty", "full", [], /is not empty/],
  ["a name that no host may have", "My_Gateway", [], /other characters than a-z, 0-9 and -/],
  ["an unknown way to sign in", "way", ["--sign-in", "okta"], /--sign-in is one of backend, auth0/],
  ["a provider without its domain", "bare", ["--sign-in", "auth0"], /name it with --domain/],
  ["guests without an address", "lost", ["--sign-in", "guests"], /name it with --public-url/],
  ["an unknown flag", "flag", ["--colour"], /create --help/],
]) {
  test(`${what} is refused with one sentence`, async () => {
    mkdirSync(join(folder, "full/x"), { recursive: true });
    const { code, stderr } = await create(name, flags);
    assert.equal(code, 1);
    assert.match(stderr, expected);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  });
}

test("an older Node is told so in one sentence", async () => {
  const { start } = await import(join(tool, "bin/start.mjs"));
  const lines = [];
  const version = Object.getOwnPropertyDescriptor(process, "versions");
  const { error } = console;
  const { exit } = process;
  try {
    Object.defineProperty(process, "versions", { ...version, value: { ...process.versions, node: "22.11.0" } });
    console.error = (line) => lines.push(line);
    process.exit = (code) => {
      throw new Error(`exit ${code}`);
    };
    assert.throws(() => start(["check"]), /exit 1/);
  } finally {
    Object.defineProperty(process, "versions", version);
    console.error = error;
    process.exit = exit;
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^valetkey needs Node 22\.12 or newer, and this is 22\.11\.0/);
});

test("every command has a help, and the overview names it", async () => {
  const { stdout } = await runTool(tool, ["--help"], { cwd: folder });
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
  assert.deepEqual(commands, ["create", "check", "dev", "deploy", "picture", "token", "types"]);
  const page = readFileSync(join(ROOT, "docs/cli.md"), "utf8").split("\n## Commands\n")[1].split("\n## ")[0];
  assert.deepEqual([...page.matchAll(/^\| `([a-z]+)[^`]*` \| /gm)].map(([, name]) => name), commands);
  for (const command of commands) {
    const help = await runTool(tool, [command, "--help"], { cwd: folder });
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^Usage: valetkey ${command}`));
  }
});
