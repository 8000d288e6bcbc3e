// Answers of a gateway that is not one's own: it must not write where it likes, steer the terminal, or get a token unsafely.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addVendorKey, createGateway, runTool } from "./machine.mjs";

const { folder, tool, gateway } = await createGateway("hostile");
addVendorKey(gateway);

const run = (args) => runTool(tool, args, { cwd: gateway });

/** What the server answers, by the beginning of the path. Its requests. */
let answers = {};
let requests = [];
let url;
let server;

before(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    const [, answer] = Object.entries(answers).find(([path]) => request.url.startsWith(path)) ?? [];
    response.writeHead(answer?.status ?? 200, { "content-type": answer?.type ?? "application/json", ...answer?.headers });
    if (answer?.endless === true) return void endless(response);
    response.end(typeof answer?.body === "string" ? answer.body : JSON.stringify(answer?.body ?? {}));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

function endless(response) {
  const chunk = Buffer.alloc(1024 * 1024);
  const write = () => {
    while (!response.destroyed && response.write(chunk)) {}
  };
  response.on("drain", write).on("error", () => {});
  write();
}

const prediction = (more) => ({ job_id: "pred_1", status: "succeeded", model: "a/b", output: [`${url}/out`], credits_used: "1", created_at: "2026-01-01T00:00:00Z", completed_at: "2026-01-01T00:00:01Z", error: null, ...more });

test("names and rules of models stay inside the strings and comments of the written types", async () => {
  const evil = '*/ }; } } export const evil = fetch("https://evil.example"); /*';
  const rule = { type: "string", max_length: evil, default: evil, format: "file", description: evil };
  answers = { "/v1/models": { body: { data: [{ id: `a/b"${evil}`, input: { [`prompt"${evil}`]: rule, size: { type: evil, enum: [`"${evil}`, evil] } } }] } } };
  const { code, stdout, all } = await run(["types", "--url", url, "--out", "-"]);
  assert.equal(code, 0, all);
  // As the compiler reads it, from left to right.
  const left = stdout.replaceAll(/\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|\/\/.*/g, "");
  assert.doesNotMatch(left, /evil/);
  assert.equal(left.replaceAll(/\s+/g, ""), "importtype{FileInput}from;declaremodule{interfaceModels{:{?:FileInput;?:|;};}}");
});

for (const [what, body] of [
  ["text", "hello"],
  ["null", null],
  ["a list", []],
  ["models without a name", { data: [{ input: {} }] }],
  ["a model that is null", { data: [null] }],
  ["a rule that is null", { data: [{ id: "a/b", input: { prompt: null } }] }],
]) {
  test(`${what} in place of the models is refused with one sentence`, async () => {
    answers = { "/v1/models": { body } };
    const { code, stderr } = await run(["types", "--url", url, "--out", "-"]);
    assert.equal(code, 1);
    assert.match(stderr.trim(), /^http:\S+ did not answer with a list of models: check --url\.$/);
  });
}

test("an id that is a path, and a type that is a member of every object, stay in the folder of pictures", async () => {
  answers = { "/v1/": { status: 201, body: prediction({ job_id: "../../../stolen" }) }, "/out": { type: "constructor", body: "picture" } };
  const { code, stdout, all } = await run(["picture", "x", "--url", url]);
  assert.equal(code, 0, all);
  assert.equal(stdout, "pictures/picture.bin\n");
  assert.deepEqual(readdirSync(join(gateway, "pictures")), ["picture.bin"]);
  assert.ok(!existsSync(join(folder, "stolen.bin")));
});

test("an output without an end is not read to its end", async () => {
  answers = { "/v1/": { status: 201, body: prediction() }, "/out": { type: "image/png", endless: true } };
  const { code, stderr } = await run(["picture", "x", "--url", url]);
  assert.equal(code, 1);
  assert.match(stderr, /The output is larger than 67108864 bytes or ended early/);
});

test("a gateway that refuses the token is asked about its secret", async () => {
  const error = { error: { type: "authentication_error", code: "invalid_token", message: "The token is not valid.", request_id: "req_1" } };
  answers = { "/v1/": { status: 401, body: error } };
  const { code, stderr } = await run(["picture", "x", "--url", url]);
  assert.equal(code, 1);
  assert.match(stderr, /refuses the token \(invalid_token\): is VALETKEY_CLI_SECRET the one of that deployment\?$/m);
});

test("a gateway that is none is told so", async () => {
  answers = { "/v1/": { status: 200, type: "text/html", body: "<p>hello</p>" } };
  const { code, stderr } = await run(["picture", "x", "--url", url]);
  assert.equal(code, 1);
  assert.match(stderr, /does not answer as a gateway: look at http:\S+\/readyz, and whether the address is right\.$/m);
});

test("control characters of a server do not reach the terminal", async () => {
  const message = "\u001b]0;owned\u0007\u001b[2J\u009b31m";
  const error = { error: { type: "permission_error", code: "model_not_allowed", message, request_id: "req_1" } };
  answers = { "/v1/": { status: 403, body: error } };
  const { code, stderr } = await run(["picture", "x", "--url", url]);
  assert.equal(code, 1);
  assert.match(stderr, /model_not_allowed: .*owned/);
  assert.doesNotMatch(stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

// --- the operator's API ------------------------------------------------------------------------------------------------

const OPERATOR_TOKEN = "eyJ.operators.token";
const status = (args = [], env = {}) => runTool(tool, ["status", "--url", url, ...args], { cwd: gateway, env: { VALETKEY_OPERATOR_TOKEN: OPERATOR_TOKEN, ...env } });

for (const [what, answer] of [
  ["a page that asks for a sign-in", { type: "text/html", body: "<!doctype html><title>Sign in</title>" }],
  ["a page of something else that does not have it", { status: 404, type: "text/html", body: "<h1>There is nothing here yet</h1>" }],
  ["null", { body: "null" }],
  ["a text without an end", { endless: true }],
]) {
  test(`${what} is no state, and is told apart from the gateway`, async () => {
    answers = { "/admin/api/state": answer };
    const { code, stderr } = await status();
    assert.equal(code, 1);
    assert.match(stderr.trim(), /^http:\S+\/admin\/api\/state has status \d+, and is no answer of the gateway\. If Cloudflare Access guards \/admin, set CLOUDFLARE_ACCESS_CLIENT_ID/);
  });
}

test("an operator's token follows no redirect", async () => {
  requests = [];
  answers = { "/admin/api/state": { status: 307, headers: { location: `${url}/elsewhere` } } };
  const { code, stderr } = await status();
  assert.equal(code, 1);
  assert.match(stderr, /has status 307 and leads to 127\.0\.0\.1:\d+, and is no answer of the gateway/);
  assert.deepEqual(requests.map((request) => request.url), ["/admin/api/state"]);
});

test("control characters of a gateway do not reach the terminal, not even in JSON", async () => {
  answers = { "/admin/api/state": { body: { rotation: { state: "\u009b31m\u001b[2J" } } } };
  const { code, stdout } = await status(["--json"]);
  assert.equal(code, 0);
  assert.match(stdout, /31m/);
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test("an operator's token that cannot be sent is named, and not printed", async () => {
  requests = [];
  for (const wrong of [`${OPERATOR_TOKEN}\n${OPERATOR_TOKEN}`, `${OPERATOR_TOKEN}€`]) {
    const { code, all } = await status([], { VALETKEY_OPERATOR_TOKEN: wrong });
    assert.equal(code, 1);
    assert.match(all.trim(), /^VALETKEY_OPERATOR_TOKEN has blanks, line ends or characters that no token has/);
    assert.ok(!all.includes(OPERATOR_TOKEN));
  }
  assert.deepEqual(requests, []);
});

test("a service token of Cloudflare Access goes along if both of its parts are set", async () => {
  answers = {};
  for (const [env, expected] of [
    [{ CLOUDFLARE_ACCESS_CLIENT_ID: "id.access", CLOUDFLARE_ACCESS_CLIENT_SECRET: "secret\n" }, ["id.access", "secret"]],
    [{ CLOUDFLARE_ACCESS_CLIENT_ID: "id.access" }, [undefined, undefined]],
  ]) {
    requests = [];
    await status(["--json"], env);
    const { headers } = requests[0];
    assert.deepEqual([headers["cf-access-client-id"], headers["cf-access-client-secret"]], expected);
    assert.equal(headers.authorization, `Bearer ${OPERATOR_TOKEN}`);
  }
});

for (const address of ["http://gateway.example", "http://192.168.1.20:8787", "ftp://127.0.0.1", "https://gateway.example/v1", "gateway.example", "http://127.0.0.1.evil.example", "https://user:pass@gateway.example", "http://localhost@evil.example"]) {
  test(`no token goes to ${address}`, async () => {
    requests = [];
    for (const args of [["types", "--out", "-"], ["picture", "x"]]) {
      const { code, stderr } = await run([...args, "--url", address]);
      assert.equal(code, 1);
      assert.match(stderr.trim(), /^--url is the gateway's https address without a path/);
    }
    assert.deepEqual(requests, []);
  });
}

test("a file or folder that cannot be written is named with what to do", async () => {
  writeFileSync(join(gateway, "file"), "");
  answers = { "/v1/": { status: 201, body: prediction() }, "/out": { type: "image/png", body: "picture" } };
  for (const args of [["types", "--out", "file/x.d.ts"], ["picture", "x", "--url", url, "--out", "file"]]) {
    const { code, stderr } = await run(args);
    assert.equal(code, 1);
    assert.match(stderr, /cannot be written \(.*\): choose another (?:file|folder) with --out/);
  }
});

test("names that every object has are neither commands, settings nor ways to sign in", async () => {
  for (const name of ["constructor", "toString", "__proto__"]) {
    const { code, stderr } = await run([name]);
    assert.deepEqual([code, stderr.trim()], [1, `There is no command "${name}": \`valetkey --help\` lists them.`]);
    const way = await runTool(tool, ["create", "other", "--yes", "--no-install", "--sign-in", name], { cwd: folder });
    assert.match(way.stderr.trim(), /^--sign-in is one of backend, /);
    const path = join(gateway, "valetkey.jsonc");
    const settings = readFileSync(path, "utf8");
    writeFileSync(path, settings.replace('"POLICY": {', `"${name}": {},\n  "POLICY": {`));
    const checked = await run(["check"]);
    writeFileSync(path, settings);
    assert.equal(checked.code, 1);
    assert.match(checked.stderr, /^valetkey\.jsonc:\d+:3: this is not a setting/m, name);
  }
});

test("a plan that POLICY does not have is refused, and not signed", async () => {
  const { code, stdout, stderr } = await run(["token", "alice", "--plan", "pro"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /POLICY has no plan "pro": --plan is one of default\./);
  assert.equal((await run(["token", "alice", "--plan", "default"])).code, 0);
});
