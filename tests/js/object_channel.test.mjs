// Tests both ends of the channel to the Durable Objects, against each other and against stubs that fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  callObject, decodeReply, decodeRequest, encodeReply, encodeRequest,
} from "../../src/cloudflare/runtime/object_channel.js";

/** Sends a message through both ends; returns the message that arrived and the request that carried it. */
async function carry(message) {
  const request = new Request(...encodeRequest(message));
  return { request, arrived: await decodeRequest(request) };
}

/** Returns a namespace whose objects reply with `steps` in turn, and `asked`: each message with its object and stub. */
function namespaceOf(...steps) {
  const asked = [];
  let stubs = 0;
  const getByName = (name) => {
    const stub = (stubs += 1);
    return {
      fetch: async (...request) => {
        asked.push({ name, stub, message: await decodeRequest(new Request(...request)) });
        return steps.shift()();
      },
    };
  };
  return { namespace: { getByName }, asked };
}

const fails = (members) => () => {
  throw Object.assign(new Error("the object failed"), members);
};
const MESSAGE = '{"get":1}';

test("every message arrives as it was sent", async () => {
  for (const message of ['"check"', MESSAGE, '{"a":"%41 &=#?/+\\u00e9é🦀"}', ` ${MESSAGE}`, " ", "x".repeat(1_500), "x".repeat(1_501), "é".repeat(1_500)]) {
    assert.equal((await carry(message)).arrived, message);
  }
});

test("a message of up to 1,500 characters travels in the URL, a longer one in the body", async () => {
  assert.equal((await carry("x".repeat(1_500))).request.method, "GET");
  const { request } = await carry("x".repeat(1_501));
  assert.equal(request.method, "POST");
  assert.equal(request.url, "https://object/");
});

test("a message that holds what a user wrote is never in the URL, however short", async () => {
  const { request } = await carry(' {"prompt":"secret"}');
  assert.equal(request.method, "POST");
  assert.equal(request.url, "https://object/");
});

test("every reply arrives as it was sent", async () => {
  for (const reply of ["", '"ok"', '{"a":" ~"}', "é", "a\nb", "x".repeat(4_000), "x".repeat(4_001)]) {
    assert.equal(await decodeReply(encodeReply(reply)), reply);
  }
});

test("a reply of up to 4,000 printable ASCII characters travels in a header, any other in the body", () => {
  const inHeader = (reply) => encodeReply(reply).headers.has("reply");
  assert.ok(inHeader("x".repeat(4_000)));
  for (const reply of ["x".repeat(4_001), "é", "a\r\nSet-Cookie: b", "\u0000", "\u007f"]) assert.ok(!inHeader(reply), JSON.stringify(reply));
});

test("an object's reply is read from its header or its body", async () => {
  const { namespace, asked } = namespaceOf(() => encodeReply('"short"'), () => encodeReply("é"));
  assert.equal(await callObject(namespace, "alice", MESSAGE, 1_000), '"short"');
  const long = JSON.stringify({ create: "x".repeat(2_000) });
  assert.equal(await callObject(namespace, "alice", long, 1_000), "é");
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
  await assert.rejects(callObject(namespace, "alice", MESSAGE, 20), /no reply in time/);
  const { namespace: halfway } = namespaceOf(() => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
  await assert.rejects(callObject(halfway, "alice", MESSAGE, 20), /no reply in time/);
});
