// `valetkey token`: what the token says, and what is refused.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createGateway, runTool } from "./machine.mjs";

const { folder, tool, gateway } = await createGateway("token");
const token = (args, env = {}) => runTool(tool, ["token", ...args], { cwd: gateway, env });
const secretOf = (name) => new RegExp(`^${name}='(.*)'$`, "m").exec(readFileSync(join(gateway, ".dev.vars"), "utf8"))[1];
const SECRET = secretOf("VALETKEY_CLI_SECRET");

/** Returns the claims of a printed token, whose signature is right. */
function claimsOf({ stdout }, secret = SECRET) {
  const [header, claims, signature] = stdout.trim().split(".");
  assert.equal(signature, createHmac("sha256", secret).update(`${header}.${claims}`).digest("base64url"));
  return JSON.parse(Buffer.from(claims, "base64url"));
}

test("a token is for its user, lives 15 minutes, and is the only thing that is printed", async () => {
  const printed = await token(["alice"]);
  assert.deepEqual([printed.code, printed.stderr], [0, ""]);
  assert.match(printed.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const { iss, aud, sub, iat, exp, jti, ...rest } = claimsOf(printed);
  assert.deepEqual([iss, aud, sub, exp - iat, rest], ["valetkey-cli", "valetkey", "alice", 900, {}]);
  assert.notEqual(jti, claimsOf(await token(["alice"])).jti);
});

test("--plan, --scope and --minutes become claims", async () => {
  const { plan, vk, iat, exp } = claimsOf(await token(["alice", "--plan", "default", "--scope", "create,read", "--minutes", "60"]));
  assert.deepEqual([plan, vk, exp - iat], ["default", { scope: ["create", "read"] }, 3_600]);
});

test("the secret may come from the environment, where CI has it", async () => {
  const path = join(gateway, ".dev.vars");
  const secrets = readFileSync(path, "utf8");
  const other = "0123456789abcdef0123456789abcdef";
  writeFileSync(path, "");
  const missing = await token(["alice"]);
  const printed = await token(["alice"], { VALETKEY_CLI_SECRET: other });
  writeFileSync(path, secrets);
  assert.deepEqual([missing.code, missing.stderr.trim()], [1, "VALETKEY_CLI_SECRET is missing: put it into .dev.vars, or into the environment."]);
  assert.equal(claimsOf(printed, other).sub, "alice");
});

/** Runs `use` with the settings changed, and puts them back. */
async function withSettings(from, to, use) {
  const path = join(gateway, "valetkey.jsonc");
  const text = readFileSync(path, "utf8");
  assert.ok(text.includes(from), from);
  writeFileSync(path, text.replace(from, to));
  try {
    await use();
  } finally {
    writeFileSync(path, text);
  }
}

test("--operator signs with a secret of its own for the issuer that only operates, for 15 minutes", async () => {
  const printed = await token(["--operator"]);
  assert.deepEqual([printed.code, printed.stderr], [0, ""]);
  const { iss, aud, sub, iat, exp, jti, ...rest } = claimsOf(printed, secretOf("VALETKEY_OPERATOR_SECRET"));
  assert.deepEqual([iss, aud, sub, exp - iat, typeof jti, rest], ["valetkey-operator", "valetkey-admin", "operator", 900, "string", {}]);
  const short = claimsOf(await token(["--operator", "--minutes", "3"]), secretOf("VALETKEY_OPERATOR_SECRET"));
  assert.equal(short.exp - short.iat, 180);
});

test("an operator's token lives no longer than its issuer allows, and names an operator of the settings", async () => {
  await withSettings('"max_lifetime_secs": 900,\n      "admins"', '"max_lifetime_secs": 120,\n      "admins"', async () => {
    const { iat, exp } = claimsOf(await token(["--operator"]), secretOf("VALETKEY_OPERATOR_SECRET"));
    assert.equal(exp - iat, 120);
    const { code, stderr } = await token(["--operator", "--minutes", "3"]);
    assert.equal(code, 1);
    assert.match(stderr.trim(), /^The issuer valetkey-operator allows 2 minutes: lower --minutes, or raise max_lifetime_secs/);
  });
  await withSettings('"operator": [', '"ann@example.com": [', async () => {
    assert.equal(claimsOf(await token(["--operator", "ann@example.com"]), secretOf("VALETKEY_OPERATOR_SECRET")).sub, "ann@example.com");
    const { code, stdout, stderr } = await token(["--operator"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr.trim(), /^The issuer valetkey-operator has no operator "operator": name one of ann@example\.com\.$/);
  });
});

for (const [what, args, expected] of [
  ["an operator of another name", ["--operator", "alice"], /^The issuer valetkey-operator has no operator "alice": name one of operator\.$/],
  ["two operators", ["--operator", "one", "two"], /^Name one operator at most/],
  ["an operator with a plan", ["--operator", "--plan", "default"], /^--plan is for a user's token/],
  ["an operator with a scope", ["--operator", "--scope", "read"], /^--scope is for a user's token/],
  ["an operator for 16 minutes", ["--operator", "--minutes", "16"], /^The issuer valetkey-operator allows 15 minutes/],
  ["no user", [], /^Name one user: `valetkey token alice`\.$/],
  ["two users", ["alice", "bob"], /^Name one user/],
  ["an hour and a minute", ["alice", "--minutes", "61"], /^--minutes is a whole number from 1 to 60\.$/],
  ["minutes that are no number", ["alice", "--minutes", "1h"], /^--minutes is a whole number from 1 to 60\.$/],
  ["an unknown scope", ["alice", "--scope", "create,admin"], /^--scope is a list of create, read, cancel, files\.$/],
  ["an empty scope, which would allow nothing", ["alice", "--scope", ","], /^--scope is a list of/],
  ["an unknown flag", ["--sub", "alice"], /^Unknown option '--sub'\. `valetkey token --help` lists the options\.$/],
]) {
  test(`${what} is refused with one sentence, and nothing is signed`, async () => {
    const { code, stdout, stderr } = await token(args);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr.trim(), expected);
  });
}

test("outside of a gateway's folder a command says where to run it", async () => {
  for (const args of [["check"], ["token", "alice"], ["types"], ["picture", "x"], ["dev"], ["deploy"]]) {
    const { code, stderr } = await runTool(tool, args, { cwd: folder });
    assert.deepEqual([code, stderr.trim()], [1, "There is no valetkey.jsonc here or in a folder above: run this in the folder that `create` made."]);
  }
});
