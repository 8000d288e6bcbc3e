// Tests worker.js and instance.js with a fake core: what happens to requests, objects and streams when its instance ends.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DeathWatch } from "../../src/cloudflare/runtime/death.js";
import { createWorker } from "../../src/cloudflare/worker.js";

const TRAP = new WebAssembly.RuntimeError("unreachable");
const CONTEXT = { waitUntil: () => {} };
const request = () => new Request("https://valetkey.test/");
const pending = () => new Promise(() => {});

/** Returns a core whose exports do what `parts` say, and what the worker did with it. */
function fakeCore(parts = {}) {
  const calls = { instances: 0, resets: 0 };
  let abort;
  const core = {
    initSync: () => (calls.instances += 1),
    start: (onAbort) => (abort = onAbort),
    __wbg_reset_state: () => (calls.resets += 1),
    begin: () => new Response("fine"),
    scheduled: async () => {},
    Ledger: class {},
    Dispatcher: class {},
    ...parts,
  };
  return { core, calls, abort: () => abort() };
}

/** A step of a driven request, as the core returns it. */
const step = (promise, resume, fallback) => [promise, fallback, { resume }];

let logged;
beforeEach(() => {
  mock.restoreAll();
  logged = [];
  mock.method(console, "error", (line) => logged.push(JSON.parse(line)));
});

test("a request that waits for nothing is answered in the call that begins it", () => {
  const { core } = fakeCore();
  assert.ok(createWorker(core).handlers.fetch(request(), {}, CONTEXT) instanceof Response);
});

test("a request is resumed with each promise's value or error", async () => {
  const { core } = fakeCore({
    begin: () =>
      step(Promise.resolve("a"), (...first) =>
        step(Promise.reject("b"), (...second) => new Response(JSON.stringify([first, second]))),
      ),
  });
  const response = await createWorker(core).handlers.fetch(request(), {}, CONTEXT);
  assert.deepEqual(await response.json(), [[true, "a"], [false, "b"]]);
});

test("a trap while a request begins is answered with the last resort, and the next request gets a new instance", async () => {
  let traps = 1;
  const { core, calls } = fakeCore({
    begin: () => {
      if (traps-- > 0) throw TRAP;
      return new Response("fine");
    },
  });
  const { handlers } = createWorker(core);
  const response = await handlers.fetch(request(), {}, CONTEXT);
  assert.equal(response.status, 503);
  assert.equal((await response.json()).error.code, "limiter_unavailable");
  assert.equal(calls.resets, 0, "not before the next handler");
  assert.equal(await (await handlers.fetch(request(), {}, CONTEXT)).text(), "fine");
  assert.equal(calls.resets, 1);
  assert.deepEqual(logged.map(({ alert }) => alert), ["instance_ended", "no_answer"]);
});

test("every exception that leaves the core synchronously ends the instance, not only a RuntimeError", async () => {
  for (const error of [TRAP, new RangeError("Maximum call stack size exceeded"), new Error("anything"), "a text"]) {
    const { core, calls } = fakeCore({ begin: () => { throw error; } });
    const { handlers } = createWorker(core);
    await handlers.fetch(request(), {}, CONTEXT);
    await handlers.fetch(request(), {}, CONTEXT);
    assert.equal(calls.resets, 1);
  }
});

test("all requests in flight are answered at once when the instance ends, each with what the core left for it", async () => {
  let count = 0;
  const { core, abort } = fakeCore({
    begin: () => {
      count += 1;
      return step(pending(), assert.fail, count === 1 ? undefined : [504, `X-Request-Id: req_${count}`, "{}"]);
    },
  });
  const { handlers } = createWorker(core);
  const responses = Array.from({ length: 20 }, () => handlers.fetch(request(), {}, CONTEXT));
  abort();
  const [first, ...others] = await Promise.all(responses);
  assert.equal(first.status, 503);
  for (const [index, response] of others.entries()) {
    assert.equal(response.status, 504);
    assert.equal(response.headers.get("x-request-id"), `req_${index + 2}`);
  }
});

test("the last fallback counts, and a step without one keeps it", async () => {
  const { core, abort } = fakeCore({
    begin: () =>
      step(Promise.resolve(), () => step(Promise.resolve(), () => step(pending(), assert.fail), [504, "A: b", null]), [503, "A: a", null]),
  });
  const response = createWorker(core).handlers.fetch(request(), {}, CONTEXT);
  await new Promise(setImmediate);
  abort();
  assert.equal((await response).status, 504);
});

test("a create that may have been admitted is withdrawn, and the Ledger's reply decides the response", async () => {
  for (const [reply, status] of [
    ['{"reply":"done"}', 503],
    ['{"reply":{"created":{"records":[]}}}', 504],
    [undefined, 503],
  ]) {
    const sent = [];
    const fetch = async (url) => {
      sent.push(url);
      if (reply === undefined) throw new Error("the object does not reply");
      return new Response(reply);
    };
    const namespace = { getByName: (name) => (sent.push(name), { fetch }) };
    const withdrawal = [namespace, "alice", '{"withdraw":1}', [504, "X-Request-Id: req_1", null]];
    const { core, abort } = fakeCore({ begin: () => step(pending(), assert.fail, [503, "X-Request-Id: req_1", null, withdrawal]) });
    const response = createWorker(core).handlers.fetch(request(), {}, CONTEXT);
    abort();
    assert.equal((await response).status, status);
    assert.deepEqual(sent, ["alice", `https://object/?${encodeURIComponent('{"withdraw":1}')}`]);
  }
});

test("a lost request has its line in the log", async () => {
  const { core, abort } = fakeCore({ begin: () => step(pending(), assert.fail, [504, "X-Request-Id: req_1\nVary: Origin", null]) });
  const response = createWorker(core).handlers.fetch(request(), {}, CONTEXT);
  abort();
  await response;
  const line = logged.find(({ event }) => event === "request");
  assert.deepEqual({ ...line, time: undefined }, { time: undefined, level: "error", event: "request", request_id: "req_1", status: 504, reason: "instance_ended" });
});

test("what a request leaves running ends with its instance", async () => {
  const waited = [];
  const { core, abort } = fakeCore({
    begin: (_request, _env, context) => {
      context.waitUntil(Promise.resolve("done"));
      context.waitUntil(pending());
      return new Response("fine");
    },
  });
  await createWorker(core).handlers.fetch(request(), {}, { waitUntil: (promise) => waited.push(promise) });
  assert.equal(await waited[0], "done");
  abort();
  assert.equal(await waited[1], undefined);
});

test("a request of an instance that has ended is never resumed, whenever its promise settles", async () => {
  let settle;
  let begun = 0;
  const { core, abort, calls } = fakeCore({
    begin: () => (begun++ === 0 ? step(new Promise((resolve) => (settle = resolve)), assert.fail) : new Response("fine")),
  });
  const { handlers } = createWorker(core);
  const response = handlers.fetch(request(), {}, CONTEXT);
  abort();
  assert.equal(await (await handlers.fetch(request(), {}, CONTEXT)).text(), "fine");
  assert.equal(calls.resets, 1);
  settle("late");
  assert.equal((await response).status, 503);
  await new Promise(setImmediate);
});

test("a trap while a request is resumed answers it with its fallback and ends the instance", async () => {
  const { core, calls } = fakeCore({ begin: () => step(Promise.resolve(), () => { throw TRAP; }, [504, "A: b", null]) });
  const { handlers } = createWorker(core);
  assert.equal((await handlers.fetch(request(), {}, CONTEXT)).status, 504);
  await handlers.scheduled({}, {}, CONTEXT);
  assert.equal(calls.resets, 1);
});

/** A class of objects that count themselves and do what `handle` says. */
function objectClass(handle) {
  return class {
    static made = 0;
    constructor(...parameters) {
      this.constructor.made += 1;
      this.parameters = parameters;
    }
    handle(message) {
      return handle(message, this);
    }
    async alarm() {}
  };
}

test("an object is made once, answers in the turn that asks, and is made again after a trap", async () => {
  const Ledger = objectClass((message, { parameters }) => {
    if (message === '"trap"') throw TRAP;
    return JSON.stringify([message, ...parameters]);
  });
  const { core, calls } = fakeCore({ Ledger });
  const object = new (createWorker(core).Ledger)("state", "env");
  const ask = (message) => object.fetch(new Request(`https://object/?${encodeURIComponent(message)}`));
  assert.equal(Ledger.made, 0, "not before its first message");
  assert.equal(ask('"a"').headers.get("reply"), JSON.stringify(['"a"', "state", "env"]));
  ask('"b"');
  assert.equal(Ledger.made, 1);
  assert.throws(() => ask('"trap"'), TRAP);
  ask('"c"');
  assert.equal(Ledger.made, 2);
  assert.equal(calls.resets, 1);
});

test("a call of an object and an alarm in flight fail when the instance ends, so that the platform retries the alarm", async () => {
  const Dispatcher = objectClass(pending);
  Dispatcher.prototype.alarm = pending;
  const { core, abort } = fakeCore({ Dispatcher });
  const object = new (createWorker(core).Dispatcher)("state", "env");
  const [reply, alarm] = [object.fetch(new Request("https://object/?%22a%22")), object.alarm()];
  abort();
  await assert.rejects(reply, /instance/);
  await assert.rejects(alarm, /instance/);
});

test("a promise that settles leaves nothing behind that waits for the end", async () => {
  const before = DeathWatch.size;
  const { core } = fakeCore({ begin: () => step(Promise.resolve(), () => new Response("fine")) });
  assert.equal(await (await createWorker(core).handlers.fetch(request(), {}, CONTEXT)).text(), "fine");
  await new Promise(setImmediate);
  assert.equal(DeathWatch.size, before);
});

test("a request whose client has left is collected, though its promise never settles", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  let dropped = 0;
  const registry = new FinalizationRegistry(() => (dropped += 1));
  const before = DeathWatch.size;
  (() => {
    const { core } = fakeCore({
      begin: () => {
        const driven = { resume: assert.fail };
        registry.register(driven, undefined);
        return [pending(), undefined, driven];
      },
    });
    const { handlers } = createWorker(core);
    for (let count = 0; count < 100; count += 1) handlers.fetch(request(), {}, CONTEXT);
  })();
  assert.equal(DeathWatch.size, before + 100);
  for (let tries = 0; tries < 1_000 && (dropped < 100 || DeathWatch.size > before); tries += 1) {
    collect();
    await new Promise((resume) => setTimeout(resume, 10));
  }
  assert.deepEqual([dropped, DeathWatch.size], [100, before]);
});

test("a watch that is forgotten is not called", () => {
  const { core, abort } = fakeCore();
  createWorker(core);
  let called = 0;
  const watch = new DeathWatch(() => (called += 1));
  const other = new DeathWatch(() => (called += 10));
  watch.forget();
  abort();
  abort();
  assert.equal(called, 10);
  other.forget();
});

test("the handlers of a Ledger's sockets need no core, also after its instance has ended: none can trap", () => {
  const { core, abort, calls } = fakeCore({ Ledger: class { constructor() { assert.fail("the core was called"); } } });
  const ledger = new (createWorker(core).Ledger)({}, {});
  abort();
  const closed = [];
  const socket = { close: (code) => closed.push(code) };
  ledger.webSocketMessage(socket, "text");
  ledger.webSocketClose(socket, 1000, "");
  ledger.webSocketClose(socket, 1006, "");
  ledger.webSocketError(socket, new Error("lost"));
  assert.deepEqual([closed, calls.resets], [[1000], 0]);
});
