// Tests the Worker's JavaScript against fakes of the platform that misbehave.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lastResort } from "../../src/cloudflare/runtime/last_resort.js";
import { closeStream, fetchBytes, openStream, readBody, writeStream } from "../../src/cloudflare/runtime/platform.js";
import { fetchVendor, relayStream } from "../../src/cloudflare/runtime/vendor_http.js";

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
const askVendor = () => fetchVendor("POST", "https://vendor.test/", "Bearer key", "agent", "{}", 20, 40, 100);

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
  const response = lastResort();
  const { error } = await response.json();
  assert.equal(response.status, 503);
  assert.deepEqual(Object.keys(error), ["type", "message", "code", "request_id"]);
  assert.match(error.request_id, /^req_0[0-9a-hjkmnp-tv-z]{25}$/);
  for (const [name, value] of Object.entries({ "x-request-id": error.request_id, "cache-control": "no-store", "retry-after": "1", vary: "Origin" })) {
    assert.equal(response.headers.get(name), value);
  }
  const [line] = logged.mock.calls[0].arguments;
  assert.equal(JSON.parse(line).alert, "no_answer");
});

/** A response that is written as the Worker writes it: nothing is written before it is read. */
class IdentityTransformStream extends TransformStream {
  constructor() {
    super({}, { highWaterMark: 1 }, { highWaterMark: 0 });
  }
}

const isAborted = async (response) => assert.rejects(response.text(), /late/);

test("a response whose client reads nothing in time is aborted, so that it never looks complete", async () => {
  globalThis.IdentityTransformStream = IdentityTransformStream;
  const [events, writer] = openStream("Content-Type: text/event-stream");
  await assert.rejects(writeStream(writer, "data: 1\n\n", 20), /late/);
  closeStream(writer);
  await isAborted(events);
  const fake = async () => new Response("data: 1\n\n");
  const [, relayed, done] = await withFetch(fake, () => relayStream("https://vendor.test/", "Bearer key", "agent", "[]", 10_000, 500, "Content-Type: text/event-stream"));
  assert.equal(await done, "ended");
  await isAborted(relayed);
});

test("a response that is read in time is complete", async () => {
  globalThis.IdentityTransformStream = IdentityTransformStream;
  const [events, writer] = openStream("Content-Type: text/event-stream");
  const text = events.text();
  await writeStream(writer, "data: 1\n\n", 10_000);
  closeStream(writer);
  assert.equal(await text, "data: 1\n\n");
  const fake = async () => new Response("data: 1\n\n");
  const [, relayed, done] = await withFetch(fake, () => relayStream("https://vendor.test/", "Bearer key", "agent", "[]", 10_000, 10_000, "Content-Type: text/event-stream"));
  assert.equal(await relayed.text(), "data: 1\n\n");
  assert.equal(await done, "ended");
});
