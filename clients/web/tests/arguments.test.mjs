// Wrong arguments: each is refused before a request is sent, with a `ValetkeyError` that says what is wrong, where, and
// what is allowed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonOf } from "../src/arguments.ts";
import { tokenExchange } from "../src/exchange.ts";
import { hasEnded, proofKey, valetkey, ValetkeyError } from "../src/index.ts";
import { answer, JOB, MODEL, prediction, scripted } from "./script.mjs";

const circular = { prompt: "p" };
circular.self = circular;
const BASE = { baseUrl: "https://valetkey.test", getToken: () => "t" };
const FILE = new Blob(["x"], { type: "image/png" });

/** Checks the error of one wrong argument. `found` is what the message says it is. */
function refusal(param, found) {
  return (error) => {
    assert.ok(error instanceof ValetkeyError, `${error?.stack}`);
    assert.deepEqual([error.code, error.param], ["invalid_parameter", param]);
    assert.match(error.message, /^`[^`]+` must be [^]+, not [^]+\.$/);
    assert.ok(error.message.startsWith(`\`${param}\` must be `) && error.message.endsWith(`, not ${found}.`), error.message);
    return true;
  };
}

/** Calls with a wrong argument: the parameter, what the message says of it, and the call. */
const CALLS = [
  // Values that JSON cannot express, or that JSON.stringify would change.
  ["input.seed", "BigInt", (client) => client.create(MODEL, { seed: 1n })],
  ["input.a.b[1].c", "BigInt", (client) => client.run(MODEL, { a: { b: [0, { c: 1n }] } })],
  ["input.seed", "NaN", (client) => client.create(MODEL, { seed: NaN })],
  ["input.seed", "-Infinity", (client) => client.estimate(MODEL, { seed: -Infinity })],
  ["input.prompt", "Function", (client) => client.create(MODEL, { prompt: () => "p" })],
  ["input.prompt", "Promise", (client) => client.create(MODEL, { prompt: Promise.resolve("p") })],
  ["input.kind", "Symbol", (client) => client.create(MODEL, { kind: Symbol("a") })],
  ["input.more.image", "Blob", (client) => client.create(MODEL, { more: { image: FILE } })],
  ["input.image", "Uint8Array", (client) => client.create(MODEL, { image: new Uint8Array(2) })],
  ["input.more", "Map", (client) => client.create(MODEL, { more: new Map([["a", 1]]) })],
  ["input.self", "circular or nested too deeply", (client) => client.create(MODEL, circular)],
  ["image_count", "NaN", (client) => client.create(MODEL, {}, { imageCount: NaN })],
  ["image_count", "BigInt", (client) => client.estimate(MODEL, {}, { imageCount: 1n })],
  ["predictions[1].input.seed", "BigInt", (client) => client.batch([{ model: MODEL, input: {} }, { model: MODEL, input: { seed: 1n } }])],
  // An input that is no object, such as the event of a button whose `onClick` is the method itself.
  ["input", "Event", (client) => client.create(MODEL, new Event("click"))],
  ["input.nativeEvent", "Event", (client) => client.create(MODEL, { nativeEvent: new Event("click") })],
  ["input", "Undefined", (client) => client.run(MODEL)],
  ["input", "Null", (client) => client.estimate(MODEL, null)],
  ["input", "String", (client) => client.create(MODEL, "A serene Japanese garden")],
  ["input", "Array", (client) => client.create(MODEL, [])],
  ["items", "Object", (client) => client.batch({})],
  ["items", "Undefined", (client) => client.batch()],
  ["items[1]", "Null", (client) => client.batch([{ model: MODEL, input: {} }, null])],
  // Numbers.
  ["waitSecs", "NaN", (client) => client.create(MODEL, {}, { waitSecs: NaN })],
  ["waitSecs", "-1", (client) => client.run(MODEL, {}, { waitSecs: -1 })],
  ["waitSecs", "String", (client) => client.create(MODEL, {}, { waitSecs: "5" })],
  ["waitSecs", "Symbol", (client) => client.create(MODEL, {}, { waitSecs: Symbol("5") })],
  // Options: a string in their place, such as an idempotency key, would be ignored.
  ["options", "String", (client) => client.create(MODEL, {}, "my key")],
  ["options", "Null", (client) => client.run(MODEL, {}, null)],
  ["options", "String", (client) => client.batch([], "my key")],
  ["options", "Null", (client) => client.estimate(MODEL, {}, null)],
  ["options", "Null", (client) => client.files.upload(FILE, null)],
  ["onUpdate", "Object", (client) => client.run(MODEL, {}, { onUpdate: {} })],
  ["onUpdate", "Boolean", (client) => client.wait(JOB, { onUpdate: true })],
  ["onProgress", "String", (client) => client.files.upload(FILE, { onProgress: "log" })],
  ["signal", "Boolean", (client) => client.create(MODEL, {}, { signal: true })],
  ["signal", "AbortController", (client) => client.get(JOB, { signal: new AbortController() })],
  ["signal", "Object", (client) => client.events(JOB, { signal: {} }).next()],
  ["limit", "BigInt", (client) => client.list({ limit: 1n })],
  ["cursor", "Null", (client) => client.files.list({ cursor: null })],
  ["status", "Symbol", (client) => client.list({ status: Symbol("queued") })],
  // Ids and names.
  ["model", "Undefined", (client) => client.create(undefined, {})],
  ["model", "Symbol", (client) => client.model(Symbol("a"))],
  ["model", "Event", (client) => client.run(new Event("click"))],
  ["jobId", "Undefined", (client) => client.get()],
  ["jobId", "Object", (client) => client.wait(prediction())],
  ["jobId", '""', (client) => client.cancel("")],
  ["jobId", '".."', (client) => client.delete("..")],
  ["jobId", '"\ud83d"', (client) => client.get("\ud83d")],
  ["jobId", "Number", (client) => client.events(Object(5)).next()],
  ["batchId", "Null", (client) => client.getBatch(null)],
  ["fileId", "Array", (client) => client.files.get([])],
  ["fileId", '"."', (client) => client.files.delete(".")],
  // Files.
  ["file", "String", (client) => client.files.upload("/tmp/a.png")],
  ["file", "Undefined", (client) => client.files.upload()],
  ["file", "Uint8Array", (client) => client.files.upload(new Uint8Array(2))],
  ["contentType", "String", (client) => client.files.upload(FILE, { contentType: "image/png\n" })],
  ["contentType", "String", (client) => client.files.upload(FILE, { contentType: "imag\u00e9/png" })],
];

for (const [param, found, call] of CALLS) {
  test(`${String(call).replace("(client) => client.", "")}: ${param} is ${found}`, async () => {
    // A call must reject, and not throw: `.catch` of its caller would not run.
    await scripted([], async (client) => assert.rejects(call(client), refusal(param, found)));
  });
}

/** Wrong options of the functions that create something, which throw. */
const MADE = [
  ["options", "Undefined", () => valetkey()],
  ["options", "String", () => valetkey("https://valetkey.test")],
  ["baseUrl", "Undefined", () => valetkey({ ...BASE, baseUrl: undefined })],
  ["baseUrl", "URL", () => valetkey({ ...BASE, baseUrl: new URL(BASE.baseUrl) })],
  ["getToken", "Undefined", () => valetkey({ baseUrl: "" })],
  ["getToken", "String", () => valetkey({ ...BASE, getToken: "secret" })],
  ["getToken", "Promise", () => valetkey({ ...BASE, getToken: Promise.resolve("secret") })],
  ["maxTries", "0", () => valetkey({ ...BASE, maxTries: 0 })],
  ["maxTries", "NaN", () => valetkey({ ...BASE, maxTries: NaN })],
  ["longestWaitSecs", "-1", () => valetkey({ ...BASE, longestWaitSecs: -1 })],
  ["longestWaitSecs", "String", () => valetkey({ ...BASE, longestWaitSecs: "70" })],
  ["appCheck", "String", () => valetkey({ ...BASE, appCheck: "secret" })],
  ["fetch", "Object", () => valetkey({ ...BASE, fetch: {} })],
  ["dpop", "AsyncFunction", () => valetkey({ ...BASE, dpop: proofKey })],
  ["exchange", "Undefined", () => tokenExchange()],
  ["baseUrl", "Null", () => tokenExchange({ baseUrl: null, subjectToken: () => "t" })],
  ["subjectToken", "String", () => tokenExchange({ baseUrl: "", subjectToken: "secret" })],
  ["type", "String", () => tokenExchange({ baseUrl: "", subjectToken: () => "t", type: "constructor" })],
  ["scope", "Array", () => tokenExchange({ baseUrl: "", subjectToken: () => "t", scope: ["read"] })],
  ["appCheck", "Boolean", () => tokenExchange({ baseUrl: "", subjectToken: () => "t", appCheck: true })],
  ["fetch", "Number", () => tokenExchange({ baseUrl: "", subjectToken: () => "t", fetch: Object(5) })],
  ["dpop", "Object", () => tokenExchange({ baseUrl: "", subjectToken: () => "t", dpop: {} })],
];

for (const [param, found, make] of MADE) {
  test(`${String(make).replace("() => ", "")}: ${param} is ${found}`, () => {
    assert.throws(make, (error) => refusal(param, found)(error) && !error.message.includes("secret"));
  });
}

test("a proof key refuses what it cannot prove", async () => {
  await assert.rejects(proofKey(5), refusal("name", "5"));
  const key = await proofKey();
  const good = { method: "GET", url: "https://valetkey.test/v1/account", token: "t", nowSecs: 1_000 };
  await assert.rejects(key.prove(), refusal("proof", "Undefined"));
  await assert.rejects(key.prove({ ...good, url: undefined }), refusal("url", "Undefined"));
  await assert.rejects(key.prove({ ...good, url: "/v1/account" }), refusal("url", "/v1/account"));
  await assert.rejects(key.prove({ ...good, nowSecs: undefined }), refusal("nowSecs", "Undefined"));
  await assert.rejects(key.prove({ ...good, token: 5 }), refusal("token", "5"));
  await assert.rejects(key.prove({ ...good, method: undefined }), refusal("method", "Undefined"));
});

test("an input that is nested too deeply is refused", async () => {
  let deepest = [];
  for (let depth = 0; depth < 100_000; depth += 1) deepest = [deepest];
  await scripted([], (client) => assert.rejects(client.create(MODEL, { a: deepest }), { code: "invalid_parameter" }));
});

test("an idempotency key that is no text is refused, as `null` would be the same key for each create", async () => {
  await scripted([], async (client) => {
    for (const idempotencyKey of [null, 5, Symbol("k"), {}]) {
      await assert.rejects(client.create(MODEL, {}, { idempotencyKey }), { name: "ValetkeyError", code: "invalid_idempotency_key" });
      await assert.rejects(client.batch([], { idempotencyKey }), { name: "ValetkeyError", code: "invalid_idempotency_key" });
    }
  });
});

test("waitSecs is rounded up to whole seconds, and is at most 60", async () => {
  const waits = [2.5, 0.1, 3, 0, -0, 60.5, 1_000, Infinity];
  const { requests } = await scripted(waits.map(() => answer(201, prediction())), async (client) => {
    for (const waitSecs of waits) await client.create(MODEL, {}, { waitSecs });
  });
  assert.deepEqual(requests.map(({ headers }) => headers.prefer), ["wait=3", "wait=1", "wait=3", undefined, undefined, "wait=60", "wait=60", "wait=60"]);
});

test("methods that take nothing but a signal can be passed as callbacks", async () => {
  const { requests } = await scripted([answer(200, prediction()), answer(200, prediction()), answer(200, {})], async (client) => {
    await Promise.all(["pred_1", "pred_2"].map(client.get));
    await client.models(new Event("click"));
  });
  assert.deepEqual(requests.map(({ path }) => path), ["/v1/predictions/pred_1", "/v1/predictions/pred_2", "/v1/models"]);
});

test("options without a value count as absent", async () => {
  await scripted([answer(201, prediction({ status: "succeeded" })), answer(200, {}), answer(200, {})], async (client) => {
    await client.run(MODEL, {}, { waitSecs: undefined, imageCount: undefined, signal: null, onUpdate: null });
    await client.get(JOB, null);
    await client.list({ limit: undefined });
  }, { appCheck: null, dpop: null, maxTries: undefined, longestWaitSecs: undefined });
});

test("half of a surrogate pair is never sent", () => {
  const cut = "A fox \ud83e\udd8a".slice(0, -1);
  assert.deepEqual(JSON.parse(jsonOf({ prompt: cut, "k\udd8a": ["\udd8a\ud83e"], list: "\ud83e\udd8a" })), {
    prompt: "A fox \ufffd", "k\ufffd": ["\ufffd\ufffd"], list: "\ud83e\udd8a",
  });
  // Text that looks like an escape is sent unchanged.
  for (const text of ["\\ud83e", "\\\\ud83e", "\\\\\\ud83e\ud83e", "\u0000\n\"\\"]) {
    assert.equal(JSON.parse(jsonOf({ text })).text, text.replace(/\ud83e/u, "\ufffd"));
  }
});

test("a create whose prompt was cut inside a character sends readable JSON", async () => {
  const { requests } = await scripted([answer(201, prediction()), answer(201, {}), answer(200, {})], async (client) => {
    await client.create(MODEL, { prompt: "\ud83d" });
    await client.batch([{ model: MODEL, input: { prompt: "\ud83d" } }]);
    await client.estimate(MODEL, { prompt: "\ud83d" });
  });
  for (const { body } of requests) assert.ok(body.includes('"prompt":"\ufffd"'), body);
});

test("what JSON can express is sent unchanged", () => {
  const at = new Date(0);
  class Input {
    prompt = "p";
    left = undefined;
  }
  const shared = { a: [1, -0.5, true, null, "x"] };
  assert.equal(jsonOf(new Input()), '{"prompt":"p"}');
  assert.deepEqual(JSON.parse(jsonOf({ at, one: shared, two: shared, none: Object.assign(Object.create(null), { b: 1 }) })), {
    at: "1970-01-01T00:00:00.000Z", one: shared, two: shared, none: { b: 1 },
  });
  assert.equal(jsonOf({ url: new URL("https://a.example/") }), '{"url":"https://a.example/"}');
});

test("hasEnded of something else is false", () => {
  assert.deepEqual([undefined, null, "succeeded", {}].map(hasEnded), [false, false, false, false]);
});
