// Tests the Worker's JavaScript against fakes of the platform that misbehave.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { lastResort } from "../../scripts/last-resort.mjs";
import { callObject, fetchBytes, fetchUpstream, readBody } from "../../src/cloudflare/runtime/platform.js";

/** Returns a namespace whose objects reply with `steps` in turn, and `asked`: each message with its object and stub. */
function namespaceOf(...steps) {
  const asked = [];
  let stubs = 0;
  const getByName = (name) => {
    const stub = (stubs += 1);
    return {
      fetch: async (url, init) => {
        asked.push({ name, stub, message: init?.body ?? decodeURIComponent(new URL(url).search.slice(1)) });
        return steps.shift()();
      },
    };
  };
  return { namespace: { getByName }, asked };
}

const fails = (members) => () => {
  throw Object.assign(new Error("the object failed"), members);
};
const MESSAGE = '{"Get":1}';

test("an object's reply is read from its header or its body", async () => {
  const { namespace, asked } = namespaceOf(() => new Response(null, { headers: { reply: '"short"' } }), () => new Response('"long"'));
  assert.equal(await callObject(namespace, "alice", MESSAGE, 1_000), '"short"');
  const long = JSON.stringify({ Create: "x".repeat(2_000) });
  assert.equal(await callObject(namespace, "alice", long, 1_000), '"long"');
  assert.deepEqual(asked.map(({ message }) => message), [MESSAGE, long]);
});

test("a call that fails with a retryable error is sent once more, to a new stub", async () => {
  const { namespace, asked } = namespaceOf(fails({ retryable: true }), () => new Response("ok"));
  assert.equal(await callObject(namespace, "alice", MESSAGE, 1_000), "ok");
  assert.deepEqual(asked, [{ name: "alice", stub: 1, message: MESSAGE }, { name: "alice", stub: 2, message: MESSAGE }]);
});

test("a call is sent twice at most, and not again after `overloaded` or an error that is not retryable", async () => {
  for (const [tries, ...steps] of [
    [2, fails({ retryable: true }), fails({ retryable: true })],
    [1, fails({ retryable: true, overloaded: true })],
    [1, fails({ overloaded: true })],
    [1, fails({})],
  ]) {
    const { namespace, asked } = namespaceOf(...steps);
    await assert.rejects(callObject(namespace, "alice", MESSAGE, 1_000), /the object failed/);
    assert.equal(asked.length, tries);
  }
});

test("a call to an object that does not reply times out", async () => {
  const { namespace } = namespaceOf(() => new Promise(() => {}));
  await assert.rejects(callObject(namespace, "alice", MESSAGE, 20), /no answer in time/);
  const { namespace: halfway } = namespaceOf(() => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
  await assert.rejects(callObject(halfway, "alice", MESSAGE, 20), /no answer in time/);
});

test("a body is not read beyond its limit", async () => {
  let pulled = 0;
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array((pulled += 1) && 1_000)) }, { highWaterMark: 0 });
  assert.equal(await readBody(new Response(endless), 10_000), undefined);
  assert.equal(pulled, 11);
  assert.equal((await readBody(new Response(new Uint8Array(10_000)), 10_000)).byteLength, 10_000);
  assert.equal((await readBody(new Response(null), 10)).byteLength, 0);
});

/** Replaces `fetch` by `fake` while `use` runs. */
async function withFetch(fake, use) {
  const real = globalThis.fetch;
  globalThis.fetch = fake;
  try {
    return await use();
  } finally {
    globalThis.fetch = real;
  }
}

const silent = (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
const askVendor = () => fetchUpstream("POST", "https://vendor.test/", "Bearer key", "agent", "{}", 20, 40, 100);

test("a request to the vendor times out, and a failure carries no text of the error, which may hold the URL", async () => {
  assert.equal(await withFetch(silent, askVendor), "timed_out");
  assert.equal(await withFetch(async () => Promise.reject(new TypeError("https://vendor.test/ is down")), askVendor), "broken");
  const stalls = async (_, { signal }) => {
    const start = (controller) => signal.addEventListener("abort", () => controller.error(signal.reason));
    return new Response(new ReadableStream({ start }), { status: 201 });
  };
  assert.equal(await withFetch(stalls, askVendor), "timed_out", "headers alone are not a response");
});

test("no request follows a redirect", async () => {
  const inits = [];
  const fake = async (_, init) => {
    inits.push(init);
    return new Response(null, { status: 302, headers: { location: "https://elsewhere.test/" } });
  };
  const [status] = await withFetch(fake, askVendor);
  assert.equal(status, 302);
  assert.equal(await withFetch(fake, () => fetchBytes("https://keys.test/", {}, 1_000, 100)), undefined);
  assert.deepEqual(inits.map(({ redirect }) => redirect), ["manual", "manual"]);
});

test("when the core cannot make a response, the last resort has the API's error format", async (context) => {
  const logged = context.mock.method(console, "error", () => {});
  // As the shim has it: nothing but its own text.
  const response = new Function(`${lastResort}; return lastResort;`)()(new Error("a secret"));
  const { error } = await response.json();
  assert.equal(response.status, 503);
  assert.deepEqual(Object.keys(error), ["type", "message", "code", "request_id"]);
  assert.match(error.request_id, /^req_0[0-9a-hjkmnp-tv-z]{25}$/);
  for (const [name, value] of Object.entries({ "x-request-id": error.request_id, "cache-control": "no-store", "retry-after": "1", vary: "Origin" })) {
    assert.equal(response.headers.get(name), value);
  }
  const rejections = readFileSync(new URL("../../src/wire/rejection.rs", import.meta.url), "utf8");
  assert.ok(rejections.includes(`wire(503, API, "${error.code}", "${error.message}")`), "the words of src/wire/rejection.rs");
  const [line] = logged.mock.calls[0].arguments;
  assert.equal(JSON.parse(line).alert, "no_answer");
  assert.ok(!line.includes("secret"));
});
