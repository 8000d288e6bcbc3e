// Tests both ends of the sockets between the edge and a Ledger, with sockets that fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeathWatch } from "../../src/cloudflare/runtime/death.js";
import {
  acceptSocket, attachments, closeSocket, completeClose, nextOf, openSocket, tellSocket,
} from "../../src/cloudflare/runtime/sockets.js";

/** The edge's end of a socket, as the platform hands it out. */
class FakeSocket extends EventTarget {
  closed = [];
  accept() {
    this.isAccepted = true;
  }
  close(code) {
    this.closed.push(code);
  }
  arrive(type, members) {
    this.dispatchEvent(Object.assign(new Event(type), members));
  }
}

const namespaceOf = (answer) => ({ getByName: () => ({ fetch: answer }) });

/** Opens a socket whose first message has arrived. */
async function opened() {
  const socket = new FakeSocket();
  const opening = openSocket(namespaceOf(async () => ({ webSocket: socket })), "user", '"watch"', 1_000);
  await new Promise(setImmediate);
  socket.arrive("message", { data: "first" });
  const [reply, edge] = await opening;
  return { socket, reply, edge };
}

test("the first message is the reply, and the rest is read in order", async () => {
  const { socket, reply, edge } = await opened();
  assert.deepEqual([reply, socket.isAccepted], ["first", true]);
  socket.arrive("message", { data: "second" });
  socket.arrive("message", { data: "third" });
  socket.arrive("close", { code: 4000 });
  const items = [await nextOf(edge, 1_000), await nextOf(edge, 1_000), await nextOf(edge, 1_000)];
  assert.deepEqual(items, ["second", "third", 4000]);
});

test("a read that waits gets the next message, or nothing in time", async () => {
  const { socket, edge } = await opened();
  const waiting = nextOf(edge, 1_000);
  socket.arrive("message", { data: "told" });
  assert.equal(await waiting, "told");
  assert.equal(await nextOf(edge, 1), undefined);
});

test("an error is a lost socket, and nothing after the end counts", async () => {
  for (const [first, second, code, answered] of [["close", "error", 4401, [1000]], ["error", "close", 1006, []]]) {
    const { socket, edge } = await opened();
    socket.arrive(first, { code: 4401 });
    socket.arrive(second, { code: 1006 });
    assert.equal(await nextOf(edge, 1_000), code);
    assert.equal(await nextOf(edge, 1), undefined);
    edge.close();
    assert.deepEqual(socket.closed, answered, "the close of the Ledger is answered, and it has ended");
  }
});

test("closing ends a read that waits", async () => {
  const { socket, edge } = await opened();
  const waiting = nextOf(edge, 60_000);
  edge.close();
  assert.equal(await waiting, undefined);
  edge.close();
  assert.deepEqual(socket.closed, [1000]);
});

test("the end of the core's instance closes the socket", async () => {
  const { socket } = await opened();
  DeathWatch.announce();
  await new Promise(setImmediate);
  assert.deepEqual(socket.closed, [1000]);
});

test("an object that opens no socket replies as to any message", async () => {
  const answer = async (url, init) => {
    assert.deepEqual([url, init], ["https://object/?%22watch%22", { headers: { Upgrade: "websocket" } }]);
    return new Response(null, { headers: { reply: '"polled"' } });
  };
  assert.deepEqual(await openSocket(namespaceOf(answer), "user", '"watch"', 1_000), ['"polled"', undefined]);
});

test("a socket that is lost before its first message, or comes too late, is no socket", async () => {
  const lost = new FakeSocket();
  const opening = openSocket(namespaceOf(async () => ({ webSocket: lost })), "user", '"watch"', 1_000);
  await new Promise(setImmediate);
  lost.arrive("close", { code: 1006 });
  await assert.rejects(opening);

  const late = new FakeSocket();
  const answer = Promise.withResolvers();
  await assert.rejects(openSocket(namespaceOf(() => answer.promise), "user", '"watch"', 1));
  answer.resolve({ webSocket: late });
  await new Promise(setImmediate);
  assert.deepEqual(late.closed, [1000]);

  const silent = new FakeSocket();
  await assert.rejects(openSocket(namespaceOf(async () => ({ webSocket: silent })), "user", '"watch"', 1));
  assert.deepEqual(silent.closed, [1000]);
});

/** The state of an object, with the sockets that it accepted. */
function fakeState() {
  const sockets = [];
  const socketOf = (readyState) => ({
    readyState,
    sent: [],
    closed: [],
    send(text) {
      this.sent.push(text);
    },
    close(...given) {
      this.closed.push(given);
    },
    serializeAttachment(text) {
      this.attached = text;
    },
    deserializeAttachment() {
      return this.attached;
    },
  });
  return {
    socketOf,
    acceptWebSocket: (socket, [tag]) => sockets.push([tag, socket]),
    getWebSockets: (tag) => sockets.filter(([of]) => tag === undefined || of === tag).map(([, socket]) => socket),
  };
}

test("a Ledger tells and closes the open sockets of a tag", () => {
  const state = fakeState();
  const [one, other, closing] = [state.socketOf(1), state.socketOf(1), state.socketOf(2)];
  acceptSocket(state, one, "a", '{"n":1}', "first");
  acceptSocket(state, other, "b", '{"n":2}', "first");
  acceptSocket(state, closing, "a", '{"n":3}', "first");
  assert.deepEqual(JSON.parse(attachments(state)), [{ n: 1 }, { n: 2 }]);
  tellSocket(state, "a", '{"n":4}', "second");
  assert.deepEqual([one.sent, other.sent, closing.sent], [["first", "second"], ["first"], ["first"]]);
  assert.deepEqual(JSON.parse(attachments(state)), [{ n: 4 }, { n: 2 }]);
  closeSocket(state, "a", 4401);
  assert.deepEqual([one.closed, other.closed, closing.closed], [[[4401]], [], []]);
});

test("a close is answered, unless there was none", () => {
  for (const [code, answered] of [[1000, [[1000]]], [4000, [[1000]]], [1005, []], [1006, []]]) {
    const socket = fakeState().socketOf(2);
    completeClose(socket, code);
    assert.deepEqual(socket.closed, answered);
  }
});
