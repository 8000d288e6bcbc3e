// The page's pure parts and the key scan, without a browser. Node strips the types of the page's own sources.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Creation } from "../../../site/demo/src/creation.ts";
import { clock, duration, failureText, KNOWN_CODES, problemText, progressText } from "../../../site/demo/src/messages.ts";
import { MAX_FAILED_LOOKS, nextDelayMs } from "../../../site/demo/src/polling.ts";
import { parsePrediction, parseProblem, parseRetryAfter } from "../../../site/demo/src/prediction.ts";
import { Problem } from "../../../site/demo/src/problem.ts";
import { readLifetimeMs, Session } from "../../../site/demo/src/session.ts";
import { tabSubject } from "../../../site/demo/src/settings.ts";
import { scan } from "../key-scan.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const ID = "pred_01jh0000000000000000000000";
const KEY = "sk_live_Qm8vT2xLr5YbN7cZ0wKd3PfHs6JgUe9A";

const prediction = (members) => parsePrediction({ job_id: ID, status: "processing", output: [], error: null, ...members });
const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const sourceText = (path) => readFileSync(join(ROOT, path), "utf8");

/** A `Creation` whose API gives these answers in turn, and whose clock does not wait. */
function creationOf(answers) {
  const calls = [];
  const next = (name) => async () => {
    calls.push(name);
    const answer = answers.shift();
    if (answer instanceof Problem) throw answer;
    return answer;
  };
  const api = { create: next("create"), get: next("get"), cancel: next("cancel") };
  const news = { seen: () => {}, lookFailed: () => calls.push("lookFailed"), cancelFailed: () => calls.push("cancelFailed") };
  const waits = [];
  const still = { now: () => 0, sleep: async (ms) => void waits.push(ms) };
  return { creation: new Creation(api, { prompt: "x", aspectRatio: "1:1" }, "key", news, still), calls, waits };
}

export default [
  ["every code of the API has a sentence", () => {
    const wire = [...sourceText("src/rejection.rs").matchAll(/wire\(\d{3}, [^,]+, "([a-z_]+)"/g)].map(([, code]) => code);
    const failures = [...sourceText("src/prediction.rs").matchAll(/Self::\w+ => "([a-z]+_[a-z]+)"/g)].map(([, code]) => code);
    assert.ok(wire.length >= 21 && failures.length >= 6, `read ${wire.length} and ${failures.length} codes`);
    assert.deepEqual(wire.filter((code) => !KNOWN_CODES.api.includes(code)), []);
    assert.deepEqual(failures.filter((code) => !KNOWN_CODES.prediction.includes(code)), []);
    const all = [...KNOWN_CODES.api, ...KNOWN_CODES.local].map((code) => problemText(new Problem(code)));
    for (const sentence of [...all, ...KNOWN_CODES.prediction.map(failureText)]) assert.match(sentence, /^[A-Z].*\.$/);
  }],
  ["an unknown code, and the name of an inherited member, get the general sentence", () => {
    for (const code of ["unknown", "constructor", "__proto__"]) {
      assert.match(problemText(new Problem(code)), /^Something went wrong/);
      assert.equal(failureText(code), "The picture could not be made.");
    }
  }],
  ["a parameter and a time to wait are put into words", () => {
    assert.match(problemText(new Problem("invalid_parameter", { param: "input.prompt" })), /^This description/);
    assert.match(problemText(new Problem("rate_limited", { retryAfterSecs: 1 })), /Try again in 1 second\.$/);
    assert.deepEqual([duration(0), duration(99), duration(180), duration(36_000)], ["in 1 second", "in 99 seconds", "in about 3 minutes", "in about 10 hours"]);
    assert.deepEqual([clock(7_400), clock(750_000)], ["0:07", "12:30"]);
  }],
  ["the queue is told with place and time", () => {
    const queued = prediction({ status: "queued", queue: { position: 3, eta_seconds: 40 } });
    assert.equal(progressText(queued, false), "You are number 3 in line, 40 seconds to go.");
    assert.equal(progressText(prediction({ status: "queued" }), false), "Waiting for a free place…");
    assert.equal(progressText(queued, true), "Canceling…");
  }],
  ["a prediction is read strictly", () => {
    for (const value of [null, [], "x", {}, { job_id: "pred_../../x", status: "queued" }, { job_id: ID, status: "done" }]) {
      assert.equal(parsePrediction(value), undefined, JSON.stringify(value));
    }
    assert.deepEqual(prediction({ output: ["https://a.example/1.png", 7, null] }).output, ["https://a.example/1.png"]);
    assert.equal(prediction({ status: "failed", error: { code: "timed_out" } }).errorCode, "timed_out");
  }],
  ["an error is read whatever its form", () => {
    const envelope = { error: { code: "upstream_error", request_id: "req_1", details: { job_id: ID, param: "input" } } };
    const problem = parseProblem(502, new Headers({ "retry-after": "3" }), envelope);
    assert.deepEqual([problem.code, problem.details.requestId, problem.details.jobId, problem.details.retryAfterSecs], ["upstream_error", "req_1", ID, 3]);
    for (const body of [undefined, null, "<html>", [], { error: "x" }, { error: { details: { job_id: "../x" } } }]) {
      const bare = parseProblem(500, new Headers({ "x-request-id": "req_2" }), body);
      assert.deepEqual([bare.code, bare.details.requestId, bare.details.jobId], ["unknown", "req_2", undefined]);
    }
    assert.deepEqual([parseRetryAfter("0"), parseRetryAfter("Wed, 21 Oct 2026 07:28:00 GMT"), parseRetryAfter("-1")], [0, undefined, undefined]);
  }],
  ["looks come less often with age and failures, and never before Retry-After", () => {
    assert.deepEqual([0, 14_999, 15_000, 60_000].map((age) => nextDelayMs(age, 0)), [1_000, 1_000, 2_000, 4_000]);
    assert.deepEqual([1, 2, 9].map((failures) => nextDelayMs(0, failures)), [2_000, 4_000, 15_000]);
    assert.deepEqual([nextDelayMs(0, 0, 7), nextDelayMs(0, 9, 1), nextDelayMs(0, 0, 86_400)], [7_000, 15_000, 60_000]);
  }],
  ["a create that fails but names its prediction is followed", async () => {
    const refused = new Problem("upstream_timeout", { status: 504, jobId: ID });
    const good = creationOf([refused, prediction({}), prediction({ status: "succeeded" })]);
    assert.equal((await good.creation.run()).prediction.status, "succeeded");
    const bad = creationOf([refused, prediction({ status: "failed", error: { code: "outcome_unknown" } })]);
    assert.deepEqual(await bad.creation.run(), { kind: "problem", problem: refused });
  }],
  ["a cancel before there is an id is sent as soon as there is one", async () => {
    const { creation, calls } = creationOf([prediction({}), prediction({ cancel_requested: true }), prediction({ status: "canceled" })]);
    await creation.cancel();
    assert.equal((await creation.run()).prediction.status, "canceled");
    assert.deepEqual(calls, ["create", "cancel", "get"]);
  }],
  ["failed looks are repeated so often and no more; a refusal is not repeated", async () => {
    const down = new Problem("network");
    const { creation, calls } = creationOf([prediction({}), ...Array.from({ length: MAX_FAILED_LOOKS }, () => down)]);
    assert.deepEqual(await creation.run(), { kind: "problem", problem: down });
    assert.equal(calls.filter((call) => call === "get").length, MAX_FAILED_LOOKS);
    const gone = creationOf([prediction({}), new Problem("not_found", { status: 404 })]);
    assert.equal((await gone.creation.run()).problem.code, "not_found");
  }],
  ["the same request under way is asked for again", async () => {
    const busy = new Problem("idempotency_in_progress", { status: 409, retryAfterSecs: 1 });
    const { creation, waits } = creationOf([busy, busy, prediction({ status: "succeeded" })]);
    assert.equal((await creation.run()).kind, "ended");
    assert.deepEqual(waits, [1_000, 1_000]);
  }],
  ["a token is kept until shortly before its end and shared by all who ask", async () => {
    let now = 0;
    let asked = 0;
    const answer = async () => ((asked += 1), Response.json({ token: jwt({ iat: 100, exp: 400, n: asked }) }));
    const session = new Session(async () => ({ sessionUrl: "/session", subject: "demo" }), answer, () => now);
    const [first, second] = await Promise.all([session.token(), session.token()]);
    assert.equal(first, second);
    now = 269_999;
    assert.equal(await session.token(), first);
    now = 270_000;
    const third = await session.token();
    assert.notEqual(third, first);
    session.discard(first);
    assert.equal(await session.token(), third);
    session.discard(third);
    assert.notEqual(await session.token(), third);
    assert.equal(asked, 3);
  }],
  ["a lifetime is read from a token or not at all", () => {
    assert.equal(readLifetimeMs(jwt({ iat: 100, exp: 400 })), 300_000);
    for (const token of ["", "a.b", jwt({ exp: 1 }), jwt({ iat: 2, exp: 1 }), jwt(null)]) assert.equal(readLifetimeMs(token), undefined, token);
  }],
  ["a tab's subject survives a reload, and a storage that refuses", () => {
    const items = new Map();
    const store = { getItem: (name) => items.get(name) ?? null, setItem: (name, value) => items.set(name, value) };
    assert.equal(tabSubject(() => store), tabSubject(() => store));
    assert.match(tabSubject(() => { throw new Error("blocked"); }), /^demo-[0-9a-f]{16}$/);
  }],
  ["the key scan finds the key, its tail and any piece, however it is written", () => {
    const encodings = {
      plain: (text) => text,
      base64: (text) => Buffer.from(text).toString("base64"),
      "base64, shifted by one": (text) => Buffer.from(`.${text}`).toString("base64"),
      "base64, shifted by two": (text) => Buffer.from(`..${text}`).toString("base64"),
      base64url: (text) => Buffer.from(text).toString("base64url"),
      hex: (text) => Buffer.from(text).toString("hex"),
      "hex in upper case": (text) => Buffer.from(text).toString("hex").toUpperCase(),
      percent: (text) => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
      "JSON escapes": (text) => [...text].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join(""),
      "HTML entities": (text) => [...text].map((c) => `&#${c.charCodeAt(0)};`).join(""),
      "UTF-16": (text) => Buffer.from(text, "utf16le"),
      reversed: (text) => [...text].reverse().join(""),
    };
    for (const [name, encode] of Object.entries(encodings)) {
      for (const part of [KEY, KEY.slice(8), KEY.slice(11, 27), KEY.slice(-16)]) {
        const content = Buffer.concat([Buffer.from("before "), Buffer.from(encode(part)), Buffer.from(" after")]);
        assert.notDeepEqual(scan(KEY, [{ what: "planted", content }]), [], `${name} of ${part}`);
      }
    }
    const clean = [{ what: "clean", content: `sk_live_ ${KEY.slice(8, 23)} Bearer ${jwt({ sub: "demo" })}` }];
    assert.deepEqual(scan(KEY, clean), []);
  }],
];
