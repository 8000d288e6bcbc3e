// Events: streams are resumed where they stopped, and replaced by polling where no stream is available.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, JOB, jwt, offline, prediction, refusal, scripted, status, streamed } from "./script.mjs";

const broken = new TypeError("terminated");
const DONE = { status: "succeeded", output: ["https://cdn.example/a.png"] };

async function statesOf(client, options) {
  const states = [];
  for await (const { status: state, queue } of client.events(JOB, options)) states.push(queue ? `${state} ${queue.position}` : state);
  return states;
}

const waiting = (position) => ({ status: "queued", queue: { position, eta_seconds: 10 } });

test("a stream is read to its end with one request", async () => {
  const steps = [streamed(status(1, waiting(2)), ": heartbeat\n\n", status(2).slice(0, 20), status(2).slice(20), status(3, DONE))];
  const { result, requests } = await scripted(steps, statesOf);
  assert.deepEqual(result, ["queued 2", "processing", "succeeded"]);
  assert.equal(requests[0].path, `/v1/predictions/${JOB}/events`);
  assert.equal(requests[0].headers.accept, "text/event-stream");
  assert.equal("last-event-id" in requests[0].headers, false);
});

test("a lost stream is resumed where it stopped, and no state is yielded twice", async () => {
  const steps = [streamed(status(4), broken), offline, offline, streamed(status(4)), streamed(status(5, DONE))];
  const { result, requests, waits } = await scripted(steps, statesOf);
  assert.deepEqual(result, ["processing", "succeeded"]);
  assert.deepEqual(requests.map(({ headers }) => headers["last-event-id"]), [undefined, "4", "4", "4", "4"]);
  assert.equal(waits.length, 4);
});

test("a stream that closes before the prediction ends is reopened with a new token", async () => {
  const steps = [streamed(status(1)), refusal(401, "invalid_token"), streamed(status(2, DONE))];
  const { result, tokens } = await scripted(steps, statesOf);
  assert.deepEqual(result, ["processing", "succeeded"]);
  assert.equal(tokens, 2);
});

test("after a 429 it polls, and yields only changes", async () => {
  const steps = [
    refusal(429, "rate_limited", { headers: { "retry-after": "1" } }),
    answer(200, prediction(waiting(2))), answer(200, prediction(waiting(2))), answer(200, prediction(waiting(1))), answer(200, prediction(DONE)),
  ];
  const { result, requests } = await scripted(steps, statesOf);
  assert.deepEqual(result, ["queued 2", "queued 1", "succeeded"]);
  assert.deepEqual(requests.slice(1).map(({ path }) => path), Array.from({ length: 4 }, () => `/v1/predictions/${JOB}`));
});

test("many polled predictions share the polls of a minute, and streams are requested again now and then", async () => {
  const full = () => refusal(429, "rate_limited", { headers: { "retry-after": "1" } });
  const jobs = 12;
  const looks = new Map();
  let areFull = true;
  const step = ({ path }) => {
    looks.set(path, (looks.get(path) ?? 0) + 1);
    if (path.endsWith("/events")) return areFull ? full() : streamed(status(9, DONE));
    return answer(200, prediction());
  };
  const steps = { shift: () => step, length: 0 };
  const paths = [];
  const { waits } = await scripted(steps, async (client) => {
    // By then each prediction has been polled and refused a stream for the second time.
    setTimeout(() => (areFull = false), 2_000);
    await Promise.all(Array.from({ length: jobs }, (_, index) => client.wait(`pred_${index}`)));
  }, { fetch: async (url) => {
    paths.push(new URL(url).pathname);
    return step({ path: paths.at(-1) });
  } });
  const shared = waits.filter((ms) => ms === 1_500 * jobs);
  assert.ok(shared.length >= jobs, `${shared.length} delays of the shared interval`);
  for (let index = 0; index < jobs; index += 1) {
    const refused = looks.get(`/v1/predictions/pred_${index}/events`);
    assert.ok(refused >= 2, `pred_${index} requested a stream ${refused} times`);
    assert.ok(looks.get(`/v1/predictions/pred_${index}`) >= 7 * (refused - 1));
  }
});

test("a Retry-After of over a minute is waited for while following", async () => {
  const limited = refusal(429, "rate_limited", { headers: { "retry-after": "65" } });
  const { result, waits } = await scripted([limited, answer(200, prediction(DONE))], statesOf);
  assert.deepEqual(result, ["succeeded"]);
  assert.ok(waits[0] >= 65_000, String(waits));
});

test("after a stream is silent for 35 s it polls", async () => {
  const silent = ({ signal }) => {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(status(1)));
        signal.addEventListener("abort", () => controller.error(signal.reason));
      },
    });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  };
  const { result, requests } = await scripted([silent, answer(200, prediction(DONE))], statesOf, { over: 35_000 });
  assert.deepEqual(result, ["processing", "succeeded"]);
  assert.equal(requests[1].path, `/v1/predictions/${JOB}`);
});

test("a character split across chunks is decoded correctly", async () => {
  const bytes = new TextEncoder().encode(status(1, { status: "failed", error: { code: "upstream_failed", message: "\u00e4\u{1f600}" } }));
  const byByte = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const stream = new Response(byByte, { headers: { "content-type": "text/event-stream" } });
  const { result } = await scripted([stream], async (client) => client.wait(JOB));
  assert.equal(result.error.message, "\u00e4\u{1f600}");
});

test("with React Native's own fetch, which cannot stream, it polls from the start", async () => {
  const real = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { product: "ReactNative" }, configurable: true });
  const realFetch = globalThis.fetch;
  const steps = [answer(200, prediction()), answer(200, prediction(DONE))];
  const paths = [];
  globalThis.fetch = async (url) => {
    paths.push(new URL(url).pathname);
    return steps.shift();
  };
  try {
    const { result } = await scripted([], statesOf, { fetch: undefined, getToken: () => jwt() });
    assert.deepEqual(result, ["processing", "succeeded"]);
    assert.deepEqual(new Set(paths), new Set([`/v1/predictions/${JOB}`]));
  } finally {
    globalThis.fetch = realFetch;
    Object.defineProperty(globalThis, "navigator", real);
  }
});

test("a refusal is thrown", async () => {
  await assert.rejects(scripted([refusal(404, "not_found")], statesOf), { code: "not_found" });
  await assert.rejects(scripted([streamed(status(1)), refusal(403, "insufficient_permissions")], statesOf), { code: "insufficient_permissions" });
});

test("an unknown event is skipped, and the stream is reopened after an unreadable one", async () => {
  const steps = [streamed("event: other\ndata: {}\n\n", "event: status\ndata: {not json\n\n"), streamed(status(2, DONE))];
  const { result } = await scripted(steps, statesOf);
  assert.deepEqual(result, ["succeeded"]);
});

test("with a wrapped fetch that cannot stream it polls", async () => {
  const whole = () => Object.defineProperty(streamed(status(1)), "body", { value: undefined });
  const { result, requests } = await scripted([whole, answer(200, prediction(DONE))], statesOf);
  assert.deepEqual(result, ["succeeded"]);
  assert.equal(requests[1].path, `/v1/predictions/${JOB}`);
});

test("a Retry-After above the longest wait is thrown", async () => {
  const refused = refusal(503, "upstream_unavailable", { headers: { "retry-after": "3600" } });
  await assert.rejects(scripted([streamed(status(1)), refused], statesOf), { code: "upstream_unavailable", retryAfterSecs: 3_600 });
});

test("responses that are never a readable event stream are given up after three minutes", () =>
  withClock(61, async (advance) => {
    for (const answered of [() => new Response("<html>", { headers: { "content-type": "text/html" } }), () => streamed("event: status\ndata: {not json\n\n")]) {
      const step = () => {
        advance();
        return answered();
      };
      await assert.rejects(scripted([step, step, step, step], statesOf), { code: "unreadable_answer" });
    }
  }));

/** Runs `use` with a function that moves `performance.now` forward by `secs`. */
async function withClock(secs, use) {
  const real = performance.now;
  let ahead = 0;
  performance.now = () => real.call(performance) + ahead;
  try {
    return await use(() => (ahead += secs * 1000));
  } finally {
    performance.now = real;
  }
}

test("it gives up after three minutes of failures", () =>
  withClock(61, async (advance) => {
    const later = () => {
      advance();
      return offline();
    };
    const steps = [streamed(status(1)), later, later, later, later];
    await assert.rejects(scripted(steps, statesOf), { code: "network" });
    assert.equal(steps.length, 0);
  }));

test("it continues after the device slept for an hour", () =>
  withClock(3_600, async (advance) => {
    const wakes = () => {
      advance();
      return offline();
    };
    const { result } = await scripted([streamed(status(1)), wakes, offline, streamed(status(2, DONE))], statesOf);
    assert.deepEqual(result, ["processing", "succeeded"]);
  }));

test("it continues even if the first failure was before the device slept", () =>
  withClock(3_600, async (advance) => {
    const wakes = () => {
      advance();
      return offline();
    };
    const { result } = await scripted([streamed(status(1)), offline, wakes, offline, streamed(status(2, DONE))], statesOf);
    assert.deepEqual(result, ["processing", "succeeded"]);
  }));

test("a heartbeat resets the count of failures", () =>
  withClock(61, async (advance) => {
    const later = () => {
      advance();
      return offline();
    };
    const steps = [later, later, later, streamed(": heartbeat\n\n"), later, later, later, streamed(status(2, DONE))];
    assert.deepEqual((await scripted(steps, statesOf)).result, ["succeeded"]);
  }));

test("leaving the loop closes the connection", async () => {
  let signal;
  const steps = [(init) => {
    ({ signal } = init);
    return streamed(status(1), status(2), status(3));
  }];
  await scripted(steps, async (client) => {
    for await (const state of client.events(JOB)) {
      assert.equal(state.status, "processing");
      break;
    }
  });
  assert.equal(signal.aborted, true);
});

test("an aborted loop throws the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error("gone");
  const steps = [streamed(status(1), status(2, DONE))];
  const use = async (client) => {
    for await (const _ of client.events(JOB, { signal: controller.signal })) controller.abort(reason);
  };
  await assert.rejects(scripted(steps, use), (error) => error === reason);
});
