// `create`: what it writes for each way to sign in, and what it says when an answer is wrong.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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
  assert.deepEqual(ISSUERS.map(({ issuer }) => issuer), ["valetkey-cli", "valetkey-operator"]);
  assert.deepEqual(Object.keys(secretsOf("guests")).sort(), ["DEEPCREATIVE_API_KEY", "TOKEN_SIGNING_KEYS", "TURNSTILE_SECRET", "VALETKEY_CLI_SECRET", "VALETKEY_OPERATOR_SECRET"]);
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

test("the folder tracks its settings, and neither secrets nor what is generated", async () => {
  assert.equal((await create("tracked", [], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  const gateway = join(folder, "tracked");
  assert.equal((await runTool(tool, ["check"], { cwd: gateway })).code, 0);
  for (const name of [".dev.vars.production", "pictures/x.png", ".valetkey/dev-8787/.dev.vars", ".wrangler/state/x", "node_modules/x/y"]) {
    mkdirSync(dirname(join(gateway, name)), { recursive: true });
    writeFileSync(join(gateway, name), "");
  }
  const files = trackedFiles(gateway);
  const tracked = Object.keys(files).filter((name) => !name.startsWith("vendor/create-valetkey-"));
  assert.deepEqual(tracked.sort(), [".dev.vars.example", ".gitignore", ".npmrc", "README.md", "package.json", "valetkey.jsonc", "valetkey.schema.json", "wrangler.jsonc"]);
  assert.equal(settingsOf("tracked").$schema, "./valetkey.schema.json");
  assert.ok(!("vars" in parse(files["wrangler.jsonc"])));
  const { scripts } = JSON.parse(files["package.json"]);
  assert.deepEqual([scripts.build, scripts.deploy], ["valetkey check", "valetkey deploy"], "Workers Builds and the button run these");
});

test("the vendor's key may come from a file, and its text is not shown", async () => {
  writeFileSync(join(folder, "key"), `${VENDOR_KEY}\n`);
  const { code, all } = await create("filed", ["--key-file", "key"]);
  assert.equal(code, 0, all);
  assert.equal(secretsOf("filed").DEEPCREATIVE_API_KEY, VENDOR_KEY);
  assert.ok(!all.includes(VENDOR_KEY));
});

test("tokens of an operator have an issuer and a secret of their own, and open nothing but the operator's API", async () => {
  assert.equal((await create("operated", [], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  const [, cli, operator] = settingsOf("operated").ISSUERS;
  assert.deepEqual([operator.issuer, operator.keys, operator.use], ["valetkey-operator", { secret: "VALETKEY_OPERATOR_SECRET" }, ["admin"]]);
  assert.ok(!("use" in cli) && !("admins" in cli));
  const { VALETKEY_CLI_SECRET, VALETKEY_OPERATOR_SECRET } = secretsOf("operated");
  assert.ok(VALETKEY_OPERATOR_SECRET.length >= 64 && VALETKEY_OPERATOR_SECRET !== VALETKEY_CLI_SECRET);
});

test("without the issuer valetkey-cli, `token` and `picture` say where tokens come from", async () => {
  assert.equal((await create("strict", ["--no-cli-issuer"], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  for (const name of ["VALETKEY_CLI_SECRET", "VALETKEY_OPERATOR_SECRET"]) assert.ok(!(name in secretsOf("strict")));
  for (const args of [["token", "alice"], ["picture", "x"], ["token", "--operator"]]) {
    const { code, stdout, stderr } = await runTool(tool, args, { cwd: join(folder, "strict") });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /tokens come from your own (?:backend or )?identity provider/);
  }
  const textOf = (name) => readFileSync(join(folder, name, "README.md"), "utf8");
  assert.ok(textOf("operated").includes("valetkey token --operator") && !textOf("strict").includes("--operator"));
});

for (const [what, name, flags, expected] of [
  ["a folder that is not empty", "full", [], /is not empty/],
  ["a name that no host may have", "My_Gateway", [], /^The folder names the Worker, and "My_Gateway" is not 1 to 54 of/],
  ["an unknown way to sign in", "way", ["--sign-in", "okta"], /--sign-in is one of backend, auth0/],
  ["a provider without its domain", "bare", ["--sign-in", "auth0"], /name it with --domain/],
  ["guests without an address", "lost", ["--sign-in", "guests"], /name it with --public-url/],
  ["an unknown flag", "flag", ["--colour"], /^Unknown option '--colour'\. `valetkey create --help` lists the options\.$/],
  ["a folder that is a file", "file", [], /^file is a file: choose another folder\.$/],
  ["a domain with its scheme", "scheme", ["--sign-in", "auth0", "--domain", "https://x.auth0.com", "--audience", "a"], /^--domain is not of the form of example-app/],
  ["a project with a path", "path", ["--sign-in", "firebase", "--project", "a/../b"], /^--project is not of the form of example-app/],
  ["a pool without its region", "pool", ["--sign-in", "cognito", "--pool", "Example", "--client-id", "a"], /^--pool is not of the form of/],
  ["a flag of another way to sign in", "other", ["--domain", "x.auth0.com"], /^--domain goes with --sign-in auth0 or clerk or access, and not with backend\.$/],
  ["a key with every quote", "quotes", ["--key-file", "quotes.txt"], /^DEEPCREATIVE_API_KEY cannot be kept in \.dev\.vars/],
]) {
  test(`${what} is refused with one sentence`, async () => {
    mkdirSync(join(folder, "full/x"), { recursive: true });
    writeFileSync(join(folder, "file"), "");
    writeFileSync(join(folder, "quotes.txt"), "it's a `key`");
    const { code, stderr } = await create(name, flags);
    assert.equal(code, 1);
    assert.match(stderr.trim(), expected);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    // Another attempt finds no folder.
    assert.ok(["full", "file"].includes(name) || !existsSync(join(folder, name)));
  });
}

test("npx in the folder fetches no package by the name of a command", async () => {
  assert.equal((await create("npmrc")).code, 0);
  assert.match(readFileSync(join(folder, "npmrc/.npmrc"), "utf8"), /^yes=false$/m);
  const env = { ...process.env, npm_config_userconfig: join(folder, "no-such-npmrc") };
  const npm = (cwd) => execFileSync("npm", ["config", "get", "yes"], { cwd, env, encoding: "utf8" }).trim();
  assert.deepEqual([npm(join(folder, "npmrc")), npm(folder)], ["false", "null"]);
});

/** Puts the tool where npm would have installed it, with this entry in npm's lock file. */
function installed(name, entry) {
  const modules = join(folder, name, "node_modules");
  mkdirSync(modules, { recursive: true });
  cpSync(tool, join(modules, "create-valetkey"), { recursive: true });
  writeFileSync(join(modules, ".package-lock.json"), JSON.stringify({ packages: { "node_modules/create-valetkey": entry } }));
  return join(modules, "create-valetkey");
}

const VERSION = JSON.parse(readFileSync(join(tool, "package.json"), "utf8")).version;
for (const [from, entry, source] of [
  ["the registry", { resolved: `https://registry.npmjs.org/create-valetkey/-/create-valetkey-${VERSION}.tgz` }, VERSION],
  ["a registry that npm does not name", {}, VERSION],
  ["a file", { resolved: "file:../create-valetkey.tgz" }, `file:vendor/create-valetkey-${VERSION}.tgz`],
  ["a URL of releases", { resolved: `https://example.com/releases/create-valetkey-${VERSION}.tgz` }, `file:vendor/create-valetkey-${VERSION}.tgz`],
  ["git", { resolved: "git+ssh://git@example.com/x/create-valetkey.git#0" }, `file:vendor/create-valetkey-${VERSION}.tgz`],
]) {
  test(`a package from ${from} is depended on as ${source}`, async () => {
    const name = `from-${Object.keys(entry).length}-${from.replaceAll(/[^a-z]+/g, "-")}`;
    const { code, all } = await runTool(installed(`${name}-tool`, entry), ["create", name, "--yes", "--no-install"], { cwd: folder });
    assert.equal(code, 0, all);
    const { devDependencies } = JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8"));
    assert.equal(devDependencies["create-valetkey"], source);
  });
}

test("after an upgrade `check` refreshes the schema, and says so once", async () => {
  assert.equal((await create("upgraded", [], { DEEPCREATIVE_API_KEY: VENDOR_KEY })).code, 0);
  const path = join(folder, "upgraded/valetkey.schema.json");
  const now = readFileSync(path, "utf8");
  const check = () => runTool(tool, ["check"], { cwd: join(folder, "upgraded") });
  writeFileSync(path, "{}\n");
  const first = await check();
  assert.deepEqual([first.code, first.stderr.trim()], [0, "valetkey.schema.json is now that of the installed version: commit it."]);
  assert.equal(readFileSync(path, "utf8"), now);
  assert.equal((await check()).stderr, "");
  rmSync(path);
  assert.equal((await check()).code, 0);
  assert.ok(!existsSync(path), "who has no editor may remove it");
});

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
  assert.deepEqual(commands, ["create", "check", "dev", "deploy", "rollback", "rotate", "status", "picture", "token", "types"]);
  const page = readFileSync(join(ROOT, "docs/cli.md"), "utf8").split("\n## Commands\n")[1].split("\n## ")[0];
  assert.deepEqual([...page.matchAll(/^\| `([a-z]+)[^`]*` \| /gm)].map(([, name]) => name), commands);
  for (const command of commands) {
    const help = await runTool(tool, [command, "--help"], { cwd: folder });
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^Usage: valetkey ${command}`));
  }
});
