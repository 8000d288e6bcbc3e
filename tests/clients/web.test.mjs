// clients/web in Node, against the built Worker on real workerd, over a network that loses responses and connections.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tokenExchange } from "../../clients/web/dist/exchange.js";
import { proofKey, valetkey } from "../../clients/web/dist/index.js";
import { Proxy } from "./proxy.mjs";
import { MODEL, startClientStack } from "./stack.mjs";

/** Origins of pages in Capacitor (iOS, Android), Ionic, and Tauri (macOS and Linux; Windows with https). */
const APP_ORIGINS = ["capacitor://localhost", "https://localhost", "ionic://localhost", "tauri://localhost", "https://tauri.localhost"];
const FAR_AWAY = { timeout: 60_000 };
let stack;
let proxy;
let people = 0;

before(async () => {
  stack = await startClientStack({ origins: APP_ORIGINS });
  proxy = await Proxy.start(stack.origin);
}, FAR_AWAY);

after(async () => {
  await proxy?.stop();
  await stack?.stop();
});

/** Creates a client for a new user. `asked.times` counts the calls of its `getToken`. */
function somebody({ baseUrl = proxy.origin, plan, ...options } = {}) {
  const subject = `somebody-${(people += 1)}`;
  const asked = { times: 0 };
  const getToken = async () => {
    asked.times += 1;
    return stack.simulator.token(subject, plan);
  };
  return { subject, asked, client: valetkey({ baseUrl, getToken, ...options }) };
}

/** Runs `use`. Returns its result, and `of(route)`: the requests to that route of the vendor meanwhile. */
async function vendorWork(use) {
  const { next } = await stack.simulator.requests();
  const result = await use();
  const requests = await stack.simulator.vendorRequests(next);
  const of = (route) => requests.filter((request) => request.route === route);
  return { result, of };
}

test("a prompt becomes a picture", FAR_AWAY, async () => {
  const { client } = somebody();
  const states = [];
  const picture = await client.run(MODEL, { prompt: "A serene Japanese garden" }, { onUpdate: ({ status }) => states.push(status) });
  assert.equal(picture.status, "succeeded");
  assert.deepEqual([...new Set(states)], ["processing", "succeeded"]);
  const image = await fetch(picture.output[0]);
  assert.equal(image.headers.get("content-type"), "image/png");
});

test("a create whose response is lost is made once", FAR_AWAY, async () => {
  const { client } = somebody();
  const { result, of } = await vendorWork(() => {
    proxy.loseAnswer(/^POST \S+\/predictions /);
    return client.run(MODEL, { prompt: "A garden behind a wall" });
  });
  assert.equal(result.status, "succeeded");
  assert.equal(of("create").length, 1);
  assert.equal((await client.list()).data.length, 1);
  assert.equal((await client.account()).usage.credits_spent, "2.5");
});

test("events resume after a cut connection and ten seconds without a network, and none comes twice", FAR_AWAY, async () => {
  const { client } = somebody();
  // It runs for longer than the test, which cancels it.
  await stack.simulator.settings({ prediction_ms: 60_000 });
  const { job_id: jobId } = await client.create(MODEL, { prompt: "A garden in all four seasons" });
  await stack.simulator.settings({ prediction_ms: stack.predictionMs });
  const states = [];
  for await (const { status, cancel_requested: isCanceling } of client.events(jobId)) {
    states.push(isCanceling ? "canceling" : status);
    if (states.length > 1) continue;
    assert.ok(proxy.cut() > 0);
    await proxy.downFor(10_000);
    await client.cancel(jobId);
  }
  assert.equal(states[0], "processing");
  assert.equal(states.at(-1), "canceled");
  assert.equal(new Set(states).size, states.length, String(states));
});

test("`cancel` ends a prediction, and `run` rejects with `canceled`", FAR_AWAY, async () => {
  const { client } = somebody();
  const onUpdate = ({ status, job_id: jobId }) => {
    if (status === "processing") client.cancel(jobId);
  };
  const running = client.run(MODEL, { prompt: "A garden that takes long [slow]" }, { onUpdate });
  await assert.rejects(running, (error) => error.code === "canceled" && error.prediction.status === "canceled");
});

test("a failed prediction is an error with its code, its advice and the prediction", FAR_AWAY, async () => {
  const { client } = somebody();
  await assert.rejects(client.run(MODEL, { prompt: "A garden [fail]" }), (error) => {
    assert.deepEqual([error.code, error.advice, error.prediction.status], ["upstream_failed", "ask_user", "failed"]);
    return true;
  });
});

test("a refusal has code, status, request id and parameter, and nothing reaches the vendor", FAR_AWAY, async () => {
  const { client } = somebody();
  const { of } = await vendorWork(async () => {
    await assert.rejects(client.create(MODEL, { prompt: 5 }), (error) => {
      assert.deepEqual([error.code, error.status, error.param, error.advice], ["invalid_parameter", 400, "input.prompt", "ask_user"]);
      assert.match(error.requestId, /^req_/);
      return true;
    });
    await assert.rejects(client.create("acme/other", { prompt: "p" }), { code: "model_not_allowed" });
    await assert.rejects(client.get("pred_01jh0000000000000000000000"), { code: "not_found" });
    const { client: poor } = somebody({ plan: "poor" });
    await assert.rejects(poor.batch([1, 2].map(() => ({ model: MODEL, input: { prompt: "p" } }))), { code: "insufficient_credits", status: 402 });
  });
  assert.equal(of("create").length, 0);
});

test("with one concurrent prediction allowed, the second waits, reports its queue position, and both succeed", FAR_AWAY, async () => {
  const { client } = somebody({ plan: "narrow" });
  const places = [];
  const onUpdate = ({ queue }) => queue && places.push(queue.position);
  const pictures = await Promise.all(["one", "two"].map((prompt) => client.run(MODEL, { prompt }, { onUpdate })));
  assert.deepEqual(pictures.map(({ status }) => status), ["succeeded", "succeeded"]);
  assert.equal(places[0], 1);
});

test("twenty concurrent calls fetch one token", FAR_AWAY, async () => {
  const { client, asked } = somebody();
  await Promise.all(Array.from({ length: 20 }, () => client.account()));
  assert.equal(asked.times, 1);
});

test("a revoked token is replaced without an error", FAR_AWAY, async () => {
  const provider = somebody();
  const given = [];
  const exchange = tokenExchange({ baseUrl: stack.origin, subjectToken: () => stack.simulator.token(provider.subject) });
  const getToken = async (request) => {
    given.push(await exchange(request));
    return given.at(-1);
  };
  const client = valetkey({ baseUrl: stack.origin, getToken });
  await client.account();
  const revoked = await fetch(`${stack.origin}/auth/revoke`, { method: "POST", body: new URLSearchParams({ token: given[0] }) });
  assert.equal(revoked.status, 200);
  await client.account();
  assert.equal(given.length, 2);
});

test("a token exchange that is refused is the error `no_token` with the status", FAR_AWAY, async () => {
  const getToken = tokenExchange({ baseUrl: stack.origin, subjectToken: () => "e30.e30.c2ln" });
  await assert.rejects(valetkey({ baseUrl: stack.origin, getToken }).account(), { code: "no_token", status: 400 });
});

test("a batch whose response is lost is made once and read to its end", FAR_AWAY, async () => {
  const { client } = somebody();
  const { result: batch, of } = await vendorWork(async () => {
    proxy.loseAnswer(/^POST \S+\/batch /);
    const made = await client.batch(["one", "two", "three"].map((prompt) => ({ model: MODEL, input: { prompt } })));
    await Promise.all(made.predictions.map(({ job_id: jobId }) => client.wait(jobId)));
    return made;
  });
  assert.equal(of("create").length, 3);
  assert.equal((await client.getBatch(batch.batch_id)).status, "succeeded");
});

test("when more predictions are waited for than streams may be open, the others are polled", FAR_AWAY, async () => {
  const { client } = somebody();
  const items = Array.from({ length: 8 }, (_, index) => ({ model: MODEL, input: { prompt: `garden ${index}` } }));
  const { predictions } = await client.batch(items);
  const ended = await Promise.all(predictions.map(({ job_id: jobId }) => client.wait(jobId)));
  assert.deepEqual(new Set(ended.map(({ status }) => status)), new Set(["succeeded"]));
});

test("a file is uploaded, used in a prediction and deleted", FAR_AWAY, async () => {
  const { client } = somebody();
  const progress = [];
  const file = new Blob([Buffer.from("89504e470d0a1a0a", "hex"), new Uint8Array(2_000_000)], { type: "image/png" });
  const stored = await client.files.upload(file, { onProgress: (...numbers) => progress.push(numbers) });
  assert.deepEqual([stored.bytes, stored.content_type], [file.size, "image/png"]);
  assert.deepEqual(progress.at(-1), [file.size, file.size]);
  const { result, of } = await vendorWork(() => client.run(MODEL, { prompt: "The same at night", input_image: stored.file_id }));
  assert.equal(result.status, "succeeded");
  assert.doesNotMatch(of("create")[0].body, new RegExp(stored.file_id), "the vendor gets its own id of it");
  assert.equal((await client.files.list()).data.length, 1);
  await client.files.delete(stored.file_id);
  assert.equal((await client.files.list()).data.length, 0);
});

test("the list has pages, and a deleted prediction is no longer in it", FAR_AWAY, async () => {
  const { client } = somebody();
  for (const prompt of ["one", "two", "three"]) await client.run(MODEL, { prompt });
  const first = await client.list({ limit: 2 });
  const second = await client.list({ limit: 2, cursor: first.next_cursor });
  assert.deepEqual([first.data.length, second.data.length, second.next_cursor], [2, 1, null]);
  await client.delete(second.data[0].job_id);
  assert.equal((await client.list({ status: "succeeded" })).data.length, 2);
  assert.equal((await client.usage()).data[0].predictions, 3);
});

test("estimate, models, balance, rate limits and a create that waits return their results", FAR_AWAY, async () => {
  const { client } = somebody();
  assert.equal((await client.estimate(MODEL, { prompt: "p" })).credits, "2.5");
  assert.equal((await client.models()).data[0].id, MODEL);
  assert.equal((await client.model(MODEL)).credits, "2.5");
  assert.equal((await client.balance()).daily_credits, "5000");
  assert.equal((await client.rateLimits()).predictions_per_minute.limit, 1000);
  const waited = await client.create(MODEL, { prompt: "p" }, { waitSecs: 30 });
  assert.equal(waited.status, "succeeded");
});

test("a DPoP-bound token comes from an exchange and is refused without a proof by its key", FAR_AWAY, async () => {
  const dpop = proofKey();
  const { subject } = somebody();
  const tokens = [];
  // A proof names the URL that it is for, so this client calls the Worker without the proxy.
  const exchange = tokenExchange({ baseUrl: stack.origin, subjectToken: () => stack.simulator.token(subject), dpop });
  const getToken = async (request) => {
    tokens.push(await exchange(request));
    return tokens.at(-1);
  };
  const client = valetkey({ baseUrl: stack.origin, getToken, dpop });
  const picture = await client.run(MODEL, { prompt: "A garden with a gate" });
  assert.equal(picture.status, "succeeded");
  assert.equal((await client.list({ limit: 1 })).data[0].job_id, picture.job_id);
  assert.equal(tokens.length, 1);
  const claims = JSON.parse(Buffer.from(tokens[0].split(".")[1], "base64url"));
  assert.equal(claims.cnf.jkt, (await dpop).thumbprint);

  const stolen = () => tokens[0];
  await assert.rejects(valetkey({ baseUrl: stack.origin, getToken: stolen }).account(), { code: "invalid_token" });
  await assert.rejects(valetkey({ baseUrl: stack.origin, getToken: stolen, dpop: proofKey() }).account(), { code: "invalid_token" });
});

for (const origin of APP_ORIGINS) {
  test(`CORS lets a page of ${origin} send and read every header that the client uses`, FAR_AWAY, async () => {
    const sent = ["authorization", "content-type", "dpop", "idempotency-key", "last-event-id", "prefer", "x-firebase-appcheck"];
    const url = `${stack.origin}/v1/account`;
    const preflight = await fetch(url, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": sent.join(",") },
    });
    assert.equal(preflight.status, 204);
    const allowed = preflight.headers.get("access-control-allow-headers").toLowerCase().split(/, */);
    assert.deepEqual(sent.filter((name) => !allowed.includes(name)), []);
    for (const method of ["GET", "POST", "DELETE"]) assert.match(preflight.headers.get("access-control-allow-methods"), new RegExp(method));
    const refused = await fetch(url, { headers: { origin } });
    for (const { headers } of [preflight, refused]) assert.equal(headers.get("access-control-allow-origin"), origin);
    const exposed = refused.headers.get("access-control-expose-headers").toLowerCase();
    for (const name of ["x-request-id", "retry-after"]) assert.match(exposed, new RegExp(name));
  });
}

test("a prompt that was cut inside a character becomes a picture", FAR_AWAY, async () => {
  const { client } = somebody();
  const cut = "A fox \ud83e\udd8a".slice(0, -1);
  const { result, of } = await vendorWork(() => client.run(MODEL, { prompt: cut }));
  assert.deepEqual([result.status, of("create").length], ["succeeded", 1]);
  const batch = await client.batch([{ model: MODEL, input: { prompt: cut } }]);
  assert.equal(batch.predictions.length, 1);
});

test("waitSecs of 2.5 holds the response until the prediction ends", FAR_AWAY, async () => {
  const { client } = somebody();
  const { status } = await client.create(MODEL, { prompt: "A garden" }, { waitSecs: 2.5 });
  assert.equal(status, "succeeded");
});

test("wrong arguments are refused before a token or a request", FAR_AWAY, async () => {
  const { client, asked } = somebody();
  const circular = {};
  circular.self = circular;
  const calls = [
    ["input.seed", () => client.create(MODEL, { seed: 1n })],
    ["input", () => client.create(MODEL, new Event("click"))],
    ["input.self", () => client.create(MODEL, circular)],
    ["waitSecs", () => client.create(MODEL, { prompt: "p" }, { waitSecs: NaN })],
    ["waitSecs", () => client.create(MODEL, { prompt: "p" }, { waitSecs: -1 })],
    ["baseUrl", async () => valetkey({ baseUrl: `${stack.origin}/v1`, getToken: () => "t" })],
  ];
  const { of } = await vendorWork(async () => {
    for (const [param, call] of calls) await assert.rejects(call, { name: "ValetkeyError", code: "invalid_parameter", advice: "ask_user", param });
  });
  assert.deepEqual([asked.times, of("create").length], [0, 0]);
});
