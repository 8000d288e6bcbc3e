// `valetkey check`: each wrong setting is named with its line and column, all at once, and never with its value.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addVendorKey, createGateway, runTool } from "./machine.mjs";

const { folder, tool, gateway } = await createGateway("check", ["--origin", "https://app.example.com"]);
addVendorKey(gateway);

const SETTINGS = readFileSync(join(gateway, "valetkey.jsonc"), "utf8");
const SECRETS = readFileSync(join(gateway, ".dev.vars"), "utf8");
const WORKER = readFileSync(join(gateway, "wrangler.jsonc"), "utf8");

async function check({ settings = SETTINGS, secrets = SECRETS, worker = WORKER, env = {} } = {}) {
  writeFileSync(join(gateway, "valetkey.jsonc"), settings);
  writeFileSync(join(gateway, ".dev.vars"), secrets);
  writeFileSync(join(gateway, "wrangler.jsonc"), worker);
  return runTool(tool, ["check"], { cwd: gateway, env });
}

/** Replaces the only `from` in a text. */
function replaced(text, from, to) {
  assert.equal(text.split(from).length, 2, `one ${from}`);
  return text.replace(from, () => to);
}

/** Returns `line:column` of the only `part` of a text. */
function placeOf(text, part) {
  assert.equal(text.split(part).length, 2, `one ${part}`);
  const before = text.slice(0, text.indexOf(part)).split("\n");
  return `${before.length}:${before.at(-1).length + 1}`;
}

test("the settings that `create` writes are right", async () => {
  const { code, all } = await check();
  assert.equal(code, 0, all);
  assert.match(all, /valetkey\.jsonc is right: 3 variables, 4 secrets\./);
});

/** [what is wrong, text to replace, its replacement, where the problem is, what it says]. */
const BROKEN = [
  ["a comma too many", '"concurrent_predictions": 5 }', '"concurrent_predictions": 5, }', undefined, /a comma before \} or \] is one too many/],
  ["a missing comma", '"ALLOWED_ORIGINS": ["https://app.example.com"],', '"ALLOWED_ORIGINS": ["https://app.example.com"]', undefined, /a comma is expected here/],
  ["a repeated member", '"credits": "2.5",', '"credits": "2.5", "credits": "3",', '"credits": "3"', /repeats a member/],
  ["an unknown setting", '"ALLOWED_ORIGINS"', '"ALLOWED_ORIGIN"', '"ALLOWED_ORIGIN"', /this is not a setting; known are ALLOWED_ORIGINS,/],
  ["a path in an origin", '["https://app.example.com"]', '["https://app.example.com/x"]', '"https://app.example.com/x"', /ALLOWED_ORIGINS: entry 1 is not exactly what a browser sends/],
  ["a wildcard in the second origin", '["https://app.example.com"]', '["https://app.example.com", "https://*.example"]', '"https://*.example"', /entry 2 has a wildcard/],
  ["an issuer without audience", '"audience": ["valetkey"],\n      "keys": { "secret": "APP_TOKEN_SECRET" },', '"keys": { "secret": "APP_TOKEN_SECRET" },', '{\n      "issuer": "https://app.example.com",', /ISSUERS: \[0\]\.audience is missing/],
  ["an http issuer", '"issuer": "https://app.example.com"', '"issuer": "http://app.example.com"', '"issuer": "http://app.example.com"', /\[0\]\.issuer is a URL, and not an https one/],
  ["an algorithm that does not exist", '"keys": { "secret": "APP_TOKEN_SECRET" },\n      "algorithms": ["HS256"]', '"keys": { "secret": "APP_TOKEN_SECRET" },\n      "algorithms": ["HS257"]', '"HS257"', /\[0\]\.algorithms\[0\] is not one of HS256, HS384/],
  ["a public key's algorithm for a secret", '"keys": { "secret": "APP_TOKEN_SECRET" },\n      "algorithms": ["HS256"]', '"keys": { "secret": "APP_TOKEN_SECRET" },\n      "algorithms": ["RS256"]', '"secret": "APP_TOKEN_SECRET"', /the algorithms are not HS/],
  ["a secret that is not set", '"secret": "APP_TOKEN_SECRET"', '"secret": "OTHER_SECRET"', '"secret": "OTHER_SECRET"', /names OTHER_SECRET, which is not set/],
  ["a secret in place of its name", '"secret": "APP_TOKEN_SECRET"', '"secret": "hunter2-hunter2-hunter2-hunter2-hunter2"', '"secret": "hunter2', /is not the name of a secret/],
  ["a lifetime of two hours", '"max_lifetime_secs": 3600', '"max_lifetime_secs": 7200', '"max_lifetime_secs": 7200', /\[1\]\.max_lifetime_secs is not an integer from 1 to 3600/],
  ["a misspelled member of an issuer", '"max_lifetime_secs": 300', '"max_lifetime_sec": 300', '"max_lifetime_sec": 300', /\[0\]\.max_lifetime_sec is not a setting; known are issuer, audience/],
  ["a plan without its budget", ', "daily_credits": "50" }', " }", '"default": {', /plans\.default\.daily_credits is missing/],
  ["a budget that is a number", '"daily_credits": "50"', '"daily_credits": 50', '"daily_credits": 50', /plans\.default\.daily_credits is not a decimal string/],
  ["a limit of zero", '"requests_per_minute": 60, "predictions_per_minute"', '"requests_per_minute": 0, "predictions_per_minute"', '"requests_per_minute": 0', /plans\.default\.requests_per_minute is not a whole number from 1 to 1000000/],
  ["a plan's model without a price", '"daily_credits": "50" }', '"daily_credits": "50", "models": ["acme/x"] }', '"acme/x"', /plans\.default\.models\[0\] is not one of the models in models/],
  ["a plan's name with a blank", '"default": {', '"default ": {', '"default ": {', /plans\(entry 0\) has a name that is not 1 to 32 of a-z/],
  ["a model's name in capitals", '"black-forest-labs/flux-kontext-max": {', '"Black-Forest-Labs/x": {', '"Black-Forest-Labs/x"', /models\(entry 0\) has a name that is not owner\/model in lower case/],
  ["an input of an unknown type", '"prompt": { "type": "string"', '"prompt": { "type": "text"', '"type": "text"', /input\.prompt\.type is not string, integer, number, boolean or array/],
  ["a rule that does not fit its type", '"prompt": { "type": "string", "required": true, "max_length": 4000 }', '"prompt": { "type": "string", "max": 4000 }', '"max": 4000', /input\.prompt\.max does not go with this type/],
  ["a queue that waits for nothing", '"concurrent_predictions": 5 }', '"concurrent_predictions": 5, "queue": { "max_wait_secs": 0 } }', '"max_wait_secs": 0', /key\.queue\.max_wait_secs is not a whole number from 1 to 3600/],
  ["a switch that is neither on nor off", '"POLICY": {', '"DEMO": "yes",\n  "POLICY": {', '"DEMO"', /DEMO: is not one of off, on/],
  ["a switch that is not text", '"POLICY": {', '"DEMO": true,\n  "POLICY": {', '"DEMO"', /DEMO: is not one of off, on/],
  ["development's settings", '"POLICY": {', '"DEV_LAN": "on",\n  "POLICY": {', '"DEV_LAN"', /DEV_LAN: is on, which is for development/],
  ["a vendor on this machine", '"POLICY": {', '"UPSTREAM_URL": "http://127.0.0.1:8788/v1",\n  "POLICY": {', '"UPSTREAM_URL"', /UPSTREAM_URL: is on a loopback host/],
  ["the vendor's key among the settings", '"POLICY": {', '"DEEPCREATIVE_API_KEY": "sk_live_0123456789abcdef0123",\n  "POLICY": {', '"DEEPCREATIVE_API_KEY"', /DEEPCREATIVE_API_KEY is a secret, and this file is not/],
  ["no list of issuers", /"ISSUERS": \[[^]*?\n {2}\],/.exec(SETTINGS)[0], '"ISSUERS": {},', '"ISSUERS"', /ISSUERS: is not a list/],
];

for (const [what, from, to, place, expected] of BROKEN) {
  test(`${what} is named with its line and column`, async () => {
    const settings = replaced(SETTINGS, from, to);
    const { code, stderr, all } = await check({ settings });
    assert.equal(code, 1, all);
    assert.match(stderr, expected);
    const line = stderr.split("\n").find((line) => expected.test(line));
    // Where reading stops depends on the parser: the line is enough.
    const prefix = place === undefined ? /^valetkey\.jsonc:\d+:\d+: / : `valetkey.jsonc:${placeOf(settings, place)}: `;
    if (place === undefined) assert.match(line, prefix);
    else assert.ok(line.startsWith(prefix), `${line}\nis not at ${prefix}`);
    assert.ok(!all.includes("hunter2") && !all.includes("sk_live_0123"), all);
  });
}

for (const [from, to, place, expected] of [
  ['"preview_urls": false', '"preview_urls": true', '"preview_urls"', /preview_urls must be false, or not be here/],
  ['"mode": "deferred"', '"mode": "immediate"', '"mode"', /durable_objects\.code_update_strategy\.mode must be "deferred"/],
  ['"redact_query_string": true', '"redact_query_string": false', '"redact_query_string"', /observability\.redact_query_string must be true/],
  ['"traces": {\n      "enabled": false', '"traces": {\n      "enabled": true', undefined, /observability\.traces\.enabled must be false/],
]) {
  test(`wrangler.jsonc with ${to.replaceAll(/\s+/g, " ")} is refused`, async () => {
    const worker = replaced(WORKER, from, to);
    const { code, stderr } = await check({ worker });
    assert.equal(code, 1);
    const line = stderr.split("\n").find((line) => expected.test(line));
    assert.ok(line?.startsWith(place === undefined ? "wrangler.jsonc:" : `wrangler.jsonc:${placeOf(worker, place)}: `), stderr);
  });
}

for (const [what, from, to, expected] of [
  ["a name without quotes", '"POLICY": {', "POLICY: {", /a member's name is expected here|neither a text in quotes/],
  ["a text without its end", '"https://app.example.com"],', '"https://app.example.com],', /this text has no quote at its end/],
  ["a backslash that escapes nothing", '"audience": ["valetkey"],\n      "keys": { "secret": "APP_TOKEN_SECRET" }', '"audience": ["valet\\key"],\n      "keys": { "secret": "APP_TOKEN_SECRET" }', /a backslash itself is/],
  ["a comment without its end", "// The limits of your key", "/* The limits of your key", /this comment has no \*\//],
]) {
  test(`${what} is named in words`, async () => {
    const { code, stderr } = await check({ settings: replaced(SETTINGS, from, to) });
    assert.equal(code, 1);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /(?:Invalid|Unexpected|Expected)[A-Z]|[a-z]Expected/);
  });
}

test("a byte order mark and the line ends of Windows are no problem, another encoding is named once", async () => {
  assert.equal((await check({ settings: `\ufeff${SETTINGS.replaceAll("\n", "\r\n")}` })).code, 0);
  const { code, stderr } = await check({ settings: Buffer.from(SETTINGS, "utf16le") });
  assert.deepEqual([code, stderr.split("\n")[0]], [1, "valetkey.jsonc:1:1: is not UTF-8 text: save it as UTF-8"]);
  assert.match(stderr, /The settings have 1 problem/);
});

test("a comma too many is named where the next member would be", async () => {
  const settings = replaced(SETTINGS, '"concurrent_predictions": 5 }', '"concurrent_predictions": 5, }');
  const { stderr } = await check({ settings });
  const line = settings.split("\n").findIndex((line) => line.includes("5, }")) + 1;
  const column = settings.split("\n")[line - 1].indexOf("5, }") + 4;
  assert.ok(stderr.startsWith(`valetkey.jsonc:${line}:${column}: is not acceptable JSON`), stderr);
});

test("all problems are named at once, in the order of the lines", async () => {
  let settings = replaced(SETTINGS, '"daily_credits": "50"', '"daily_credits": 50');
  settings = replaced(settings, '"https://app.example.com"],', '"http://app.example.com"],');
  settings = replaced(settings, '"max_lifetime_secs": 3600', '"max_lifetime_secs": 0');
  const { stderr } = await check({ settings, secrets: SECRETS.replace(/sk_live_\w+/, "sk_live_your_key_goes_right_here") });
  const lines = stderr.split("\n").filter((line) => /^\S+:\d+:\d+: /.test(line));
  assert.deepEqual(lines.map((line) => /: (\w+): /.exec(line)[1]), ["DEEPCREATIVE_API_KEY", "ALLOWED_ORIGINS", "ISSUERS", "POLICY"]);
  assert.match(stderr, /The settings have 4 problems/);
  assert.match(lines[0], /^\.dev\.vars:\d+:1: DEEPCREATIVE_API_KEY: is a placeholder/);
});

test("a short secret is named, and not shown", async () => {
  const { code, stderr } = await check({ secrets: SECRETS.replace(/(APP_TOKEN_SECRET)='.*'/, "$1='hunter2'") });
  assert.equal(code, 1);
  assert.match(stderr, /^valetkey\.jsonc:\d+:\d+: ISSUERS: \[0\]\.keys\.secret names APP_TOKEN_SECRET, which is too short/m);
  assert.ok(!stderr.includes("hunter2"));
});

test("CI without secrets checks with stand-ins, and says which", async () => {
  const { code, stderr } = await check({ secrets: "", env: { CI: "true" } });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /not checked: DEEPCREATIVE_API_KEY, APP_TOKEN_SECRET, VALETKEY_CLI_SECRET/);
  const local = await check({ secrets: "" });
  assert.equal(local.code, 1);
});

test("CI without the secrets that a setting needs checks with stand-ins too: they are at Cloudflare", async () => {
  const guest = `"guest": { "requests_per_minute": 6, "predictions_per_minute": 2, "concurrent_predictions": 1, "daily_credits": "5", "pool_daily_credits": "50", "pool_waiting_share": 0.5 }`;
  const guests = replaced(SETTINGS, '"plans": {', `"plans": { ${guest},`);
  const own = '"PUBLIC_URL": "https://gateway.example.com", "TURNSTILE_SITE_KEY": "0x4AAAAAAAAAAAAAAAAAAAAA"';
  const hooks = '"ALERT_WEBHOOK_URL": "https://hooks.example.com/alerts", "EVENTS_WEBHOOK_URL": "https://hooks.example.com/ends"';
  for (const [settings, more, names] of [
    [guests, own, ["TOKEN_SIGNING_KEYS", "TURNSTILE_SECRET"]],
    [SETTINGS, hooks, ["ALERT_WEBHOOK_SECRET", "EVENTS_WEBHOOK_SECRET"]],
  ]) {
    const needy = replaced(settings, '"POLICY": {', `${more},\n  "POLICY": {`);
    const { code, stderr } = await check({ settings: needy, env: { CI: "true" } });
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`not checked: ${names.join(", ")}$`, "m"));
    assert.equal((await check({ settings: needy })).code, 1, "here they are missing");
  }
});

test("CI has secrets in its environment", async () => {
  const env = Object.fromEntries([...SECRETS.matchAll(/^([A-Z_]+)='(.*)'$/gm)].map(([, name, value]) => [name, value]));
  const { code, all } = await check({ secrets: "", env: { ...env, CI: "true" } });
  assert.equal(code, 0, all);
  assert.doesNotMatch(all, /not checked/);
});

test("a long policy is cut into variables of 5 KB, and the Worker's parser accepts them together", async () => {
  const models = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`acme/model-${index}`, { credits: "1", input: { prompt: { type: "string", enum: ["é".repeat(20)] } } }]));
  const settings = replaced(SETTINGS, '"black-forest-labs/flux-kontext-max": {', `${JSON.stringify(models).slice(1, -1)}, "black-forest-labs/flux-kontext-max": {`);
  const { code, all } = await check({ settings });
  assert.equal(code, 0, all);
  const { vars } = JSON.parse(readFileSync(join(gateway, ".valetkey/wrangler.json"), "utf8"));
  const parts = Object.keys(vars).filter((name) => name.startsWith("POLICY"));
  assert.ok(parts.length > 3, parts.join());
  for (const name of parts) assert.ok(Buffer.byteLength(vars[name]) <= 5_120);
  assert.ok("acme/model-119" in JSON.parse(parts.map((name) => vars[name]).join("")).models);
});

test("a policy that is too long for its 40 variables is refused", async () => {
  const models = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`acme/model-${index}`, { credits: "1", input: { prompt: { type: "string", enum: ["x".repeat(80)] } } }]));
  const settings = replaced(SETTINGS, '"black-forest-labs/flux-kontext-max": {', `${JSON.stringify(models).slice(1, -1)}, "black-forest-labs/flux-kontext-max": {`);
  const { code, stderr } = await check({ settings });
  assert.equal(code, 1);
  assert.match(stderr, /POLICY is longer than 40 variables/);
});

test("a variable over 5 KB is refused", async () => {
  const origins = Array.from({ length: 300 }, (_, index) => `https://app-${index}.example.com`);
  const { code, stderr } = await check({ settings: replaced(SETTINGS, '["https://app.example.com"]', JSON.stringify(origins)) });
  assert.equal(code, 1);
  assert.match(stderr, /^valetkey\.jsonc:\d+:3: ALLOWED_ORIGINS is longer than 5120 bytes/m);
});

const withVars = (vars) => replaced(WORKER, '"no_bundle": true,', `"no_bundle": true,\n  "vars": ${JSON.stringify(vars)},`);

test("a name as variable and as secret is refused", async () => {
  const worker = withVars({ APP_TOKEN_SECRET: "x" });
  const { code, stderr } = await check({ worker });
  assert.equal(code, 1);
  assert.ok(stderr.includes(`wrangler.jsonc:${placeOf(worker, '"APP_TOKEN_SECRET"')}: APP_TOKEN_SECRET is a variable and a secret`), stderr);
});

test("a setting in both files is refused", async () => {
  const { code, stderr } = await check({ worker: withVars({ POLICY: "{}" }) });
  assert.equal(code, 1);
  assert.match(stderr, /^wrangler\.jsonc:\d+:\d+: POLICY is also in valetkey\.jsonc: keep it there/m);
});

test("over 64 variables and secrets need the paid plan, over 128 nobody may have", async () => {
  const many = (count) => withVars(Object.fromEntries(Array.from({ length: count }, (_, index) => [`V${index}`, "x"])));
  const none = await check({ worker: many(57) });
  assert.deepEqual([none.code, none.stderr], [0, ""]);
  const paid = await check({ worker: many(58) });
  assert.equal(paid.code, 0);
  assert.match(paid.stderr, /warning: 65 variables and secrets are more than the 64 of the free plan/);
  const never = await check({ worker: many(122) });
  assert.equal(never.code, 1);
  assert.match(never.stderr, /129 variables and secrets are more than the 128 that a Worker may have/);
});

test("outside of a folder, `check` says where to run it", async () => {
  const { code, stderr } = await runTool(tool, ["check"], { cwd: folder });
  assert.equal(code, 1);
  assert.match(stderr, /There is no valetkey\.jsonc here or in a folder above/);
});
