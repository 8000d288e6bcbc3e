// The client's requests, and how it handles each kind of response.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenExchange } from "../src/exchange.ts";
import { valetkey, ValetkeyError } from "../src/index.ts";
import { answer, JOB, MODEL, offline, prediction, refusal, scripted, status, streamed } from "./script.mjs";

const SUCCEEDED = { status: "succeeded", output: ["https://cdn.example/a.png"] };

test("a create sends the token, a new idempotency key and JSON, and no cookies or referrer", async () => {
  const { result, requests } = await scripted([answer(201, prediction())], (client) => client.create(MODEL, { prompt: "p" }, { imageCount: 2 }));
  assert.equal(result.job_id, JOB);
  const [{ method, path, headers, body, init }] = requests;
  assert.deepEqual([method, path], ["POST", `/v1/${MODEL}/predictions`]);
  assert.match(headers.authorization, /^Bearer e30\./);
  assert.match(headers["idempotency-key"], /^[0-9a-f]{32}$/);
  assert.deepEqual(Object.keys(headers).sort(), ["authorization", "content-type", "idempotency-key"]);
  assert.deepEqual(JSON.parse(body), { input: { prompt: "p" }, image_count: 2 });
  assert.deepEqual([init.credentials, init.redirect, init.cache, init.referrerPolicy], ["omit", "error", "no-store", "no-referrer"]);
});

test("each create has a new idempotency key, unless the app passes one", async () => {
  const { requests } = await scripted([answer(201, prediction()), answer(201, prediction()), answer(201, prediction())], async (client) => {
    await client.create(MODEL, {});
    await client.create(MODEL, {});
    await client.create(MODEL, {}, { idempotencyKey: "mine" });
  });
  const keys = requests.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], "mine");
});

test("a create without a response is retried with the same key and body, and with growing delays", async () => {
  const steps = [offline, answer(200, "a captive portal"), refusal(409, "idempotency_in_progress", { headers: { "retry-after": "1" } }), answer(201, prediction())];
  steps[1] = new Response("<html>", { status: 200 });
  const { requests, waits } = await scripted(steps, (client) => client.create(MODEL, {}));
  assert.equal(new Set(requests.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  assert.equal(waits.length, 3);
  assert.ok(waits[0] >= 250 && waits[1] >= 500 && waits[2] >= 1000, String(waits));
});

test("a create fails after four tries, and the error has the idempotency key", async () => {
  const failing = scripted([offline, offline, offline, offline], (client) => client.create(MODEL, {}, { idempotencyKey: "k1" }));
  await assert.rejects(failing, (error) => error instanceof ValetkeyError && error.code === "network" && error.idempotencyKey === "k1" && error.advice === "repeat");
});

test("an error after the create has the key too: running again with it creates nothing twice", async () => {
  const lost = [answer(201, prediction()), refusal(403, "insufficient_permissions")];
  const { requests } = await scripted([...lost, answer(200, prediction(SUCCEEDED))], async (client) => {
    const error = await client.run(MODEL, {}).catch((thrown) => thrown);
    assert.deepEqual([error.code, error.jobId], ["insufficient_permissions", JOB]);
    await client.run(MODEL, {}, { idempotencyKey: error.idempotencyKey });
  });
  const [first, again] = requests.filter(({ method }) => method === "POST").map(({ headers }) => headers["idempotency-key"]);
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.equal(again, first);
});

test("if reading the prediction of a failed create fails too, the error has the key", async () => {
  const steps = [refusal(504, "upstream_timeout", { job_id: JOB }), offline, offline, offline, offline];
  const failing = scripted(steps, (client) => client.create(MODEL, {}, { idempotencyKey: "k1" }));
  await assert.rejects(failing, (error) => error.code === "network" && error.idempotencyKey === "k1" && error.jobId === JOB);
});

test("calls that share a failed request for a token each get an error with their own key", async () => {
  const getToken = () => Promise.reject(new Error("signed out"));
  await scripted([], async (client) => {
    const failures = await Promise.all(["k1", "k2"].map((idempotencyKey) => client.run(MODEL, {}, { idempotencyKey }).catch((error) => error)));
    assert.deepEqual(failures.map(({ code, idempotencyKey, cause }) => [code, idempotencyKey, cause.message]), [["no_token", "k1", "signed out"], ["no_token", "k2", "signed out"]]);
  }, { getToken });
});

test("a 404 for a retried delete means that the delete succeeded", async () => {
  await scripted([offline, refusal(404, "not_found"), offline, refusal(404, "not_found")], async (client) => {
    await client.delete(JOB);
    await client.files.delete("file_1");
  });
  await assert.rejects(scripted([refusal(404, "not_found")], (client) => client.delete(JOB)), { code: "not_found" });
});

test("the error of a batch without a response has the idempotency key", async () => {
  const { requests } = await scripted([offline, offline, offline, offline, answer(201, {})], async (client) => {
    const items = [{ model: MODEL, input: {} }];
    const { code, advice, idempotencyKey } = await client.batch(items).catch((thrown) => thrown);
    assert.deepEqual([code, advice], ["network", "repeat"]);
    await client.batch(items, { idempotencyKey });
  });
  assert.equal(new Set(requests.map(({ headers }) => headers["idempotency-key"])).size, 1);
});

test("a create that is still in progress is retried until it has a response", async () => {
  const busy = () => refusal(409, "idempotency_in_progress", { headers: { "retry-after": "1" } });
  const { requests } = await scripted([...Array.from({ length: 12 }, () => busy), answer(201, prediction())], (client) => client.create(MODEL, {}));
  assert.equal(requests.length, 13);
});

test("the client waits for Retry-After, up to a limit", async () => {
  const limited = (secs) => refusal(429, "rate_limited", { headers: { "retry-after": String(secs) } });
  const { waits } = await scripted([limited(7), answer(201, prediction())], (client) => client.create(MODEL, {}));
  assert.ok(waits[0] >= 7_000 && waits[0] <= 8_400, String(waits));
  await assert.rejects(
    scripted([limited(3_600)], (client) => client.create(MODEL, {})),
    (error) => error.code === "rate_limited" && error.retryAfterSecs === 3_600 && error.status === 429 && error.advice === "wait",
  );
  await assert.rejects(scripted([limited(7)], (client) => client.get(JOB), { longestWaitSecs: 5 }), { code: "rate_limited" });
});

test("the longest Retry-After of the per-minute limits is waited for, so a burst of creates succeeds", async () => {
  const limited = (code, secs) => refusal(429, code, { headers: { "retry-after": String(secs) } });
  const steps = [limited("rate_limited", 61), limited("rate_limited", 65), limited("too_many_predictions", 65), answer(201, prediction())];
  const { waits } = await scripted(steps, (client) => client.create(MODEL, {}));
  assert.ok(waits.every((ms) => ms >= 61_000 && ms <= 78_000), String(waits));
});

test("retries of a create in progress do not count as tries", async () => {
  const busy = () => refusal(409, "idempotency_in_progress", { headers: { "retry-after": "1" } });
  const { requests } = await scripted([busy, busy, busy, busy, busy, offline, offline, answer(201, prediction())], (client) => client.create(MODEL, {}));
  assert.equal(requests.length, 8);
});

test("a create that is in progress for over a minute fails", async () => {
  const real = performance.now;
  let ahead = 0;
  performance.now = () => real.call(performance) + ahead;
  const busy = () => {
    ahead += 25_000;
    return refusal(409, "idempotency_in_progress", { headers: { "retry-after": "1" } });
  };
  try {
    await assert.rejects(scripted([busy, busy, busy], (client) => client.create(MODEL, {})), { code: "idempotency_in_progress", advice: "repeat" });
  } finally {
    performance.now = real;
  }
});

test("a time-out has its own code and is retried", async () => {
  const hang = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { requests } = await scripted([hang, answer(201, prediction())], (client) => client.create(MODEL, {}), { over: 55_000 });
  assert.equal(requests.length, 2);
  await assert.rejects(scripted([hang], (client) => client.get(JOB), { over: 20_000, maxTries: 1 }), { code: "timeout", advice: "repeat" });
});

test("an invalid idempotency key is refused before any request is sent", async () => {
  await scripted([], async (client) => {
    for (const idempotencyKey of ["", "5 \u20ac", "a\nb", "x".repeat(256)]) {
      await assert.rejects(client.create(MODEL, {}, { idempotencyKey }), { code: "invalid_idempotency_key", advice: "give_up" });
      await assert.rejects(client.batch([], { idempotencyKey }), { code: "invalid_idempotency_key" });
    }
  });
});

for (const [httpStatus, code] of [
  [400, "invalid_parameter"], [402, "insufficient_credits"], [403, "model_not_allowed"], [404, "not_found"], [413, "body_too_large"],
  [422, "idempotency_mismatch"], [502, "upstream_rejected"], [503, "misconfigured"],
]) {
  test(`${httpStatus} ${code} is not retried`, async () => {
    const refused = scripted([refusal(httpStatus, code, { param: "input.prompt" })], (client) => client.create(MODEL, {}));
    await assert.rejects(refused, (error) => error.code === code && error.status === httpStatus && error.requestId === "req_1" && error.param === "input.prompt");
  });
}

test("after an error that names a prediction, the client reads it instead of retrying the create", async () => {
  const lost = () => refusal(504, "upstream_timeout", { job_id: JOB });
  const { result, requests } = await scripted([lost, answer(200, prediction(SUCCEEDED))], (client) => client.run(MODEL, {}));
  assert.equal(result.status, "succeeded");
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "GET"]);
  const failed = prediction({ status: "failed", error: { code: "outcome_unknown", message: "m" } });
  const error = await scripted([lost, answer(200, failed)], (client) => client.run(MODEL, {})).catch((thrown) => thrown);
  assert.deepEqual([error.code, error.jobId, error.prediction.error.code], ["upstream_timeout", JOB, "outcome_unknown"]);
  assert.equal(error.advice, "ask_user", "the same key would return the failed prediction again");
});

test("after a refused token the request is retried once with a new token and the same key", async () => {
  const { requests, tokens } = await scripted([refusal(401, "invalid_token"), answer(201, prediction())], (client) => client.create(MODEL, {}));
  assert.equal(tokens, 2);
  assert.notEqual(requests[0].headers.authorization, requests[1].headers.authorization);
  assert.equal(requests[0].headers["idempotency-key"], requests[1].headers["idempotency-key"]);
  await assert.rejects(scripted([refusal(401, "invalid_token"), refusal(401, "invalid_token")], (client) => client.get(JOB)), { code: "invalid_token" });
});

test("an upload is not retried when it may have arrived, but is when it was refused", async () => {
  const file = new Blob(["x"], { type: "image/png" });
  await assert.rejects(scripted([offline], (client) => client.files.upload(file)), { code: "network" });
  const stored = { file_id: "file_1" };
  const progress = [];
  const onProgress = (...numbers) => progress.push(numbers);
  const steps = [refusal(503, "limiter_unavailable"), answer(201, stored)];
  const { requests } = await scripted(steps, (client) => client.files.upload(file, { onProgress }));
  assert.equal(requests[1].headers["content-type"], "image/png");
  assert.equal(requests[1].body, file);
  assert.deepEqual(progress, [[1, 1]]);
});

test("run rejects with the code of a prediction that failed or was canceled", async () => {
  const failed = { status: "failed", error: { code: "upstream_failed", message: "The vendor failed." } };
  await assert.rejects(
    scripted([answer(201, prediction()), streamed(status(2, failed))], (client) => client.run(MODEL, {})),
    (error) => error.code === "upstream_failed" && error.jobId === JOB && error.prediction.status === "failed" && error.advice === "ask_user",
  );
  await assert.rejects(scripted([answer(201, prediction({ status: "canceled" }))], (client) => client.run(MODEL, {})), { code: "canceled" });
});

test("run reports each state", async () => {
  const seen = [];
  const onUpdate = ({ status, queue }) => seen.push([status, queue?.position]);
  const queued = prediction({ status: "queued", queue: { position: 3, eta_seconds: 40 } });
  const steps = [answer(202, queued), streamed(status(1, queued), status(2), status(3, SUCCEEDED))];
  const { result } = await scripted(steps, (client) => client.run(MODEL, {}, { onUpdate }));
  assert.deepEqual(result.output, SUCCEEDED.output);
  assert.deepEqual(seen, [["queued", 3], ["queued", 3], ["processing", undefined], ["succeeded", undefined]]);
});

test("an aborted call rejects with the signal's reason and sends no more requests", async () => {
  const controller = new AbortController();
  const reason = new Error("the user went on");
  const hang = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const steps = [answer(201, prediction()), (init) => {
    setTimeout(() => controller.abort(reason));
    return hang(init);
  }];
  const { requests } = await scripted(steps, async (client) => {
    await assert.rejects(client.run(MODEL, {}, { signal: controller.signal }), (error) => error === reason);
    await assert.rejects(client.get(JOB, { signal: controller.signal }), (error) => error === reason);
  });
  assert.equal(requests.length, 2);
});

test("each call can be aborted", async () => {
  const signal = AbortSignal.abort("gone");
  const given = { signal };
  await scripted([], async (client) => {
    const { files } = client;
    const calls = [
      client.create(MODEL, {}, given), client.run(MODEL, {}, given), client.get(JOB, given), client.wait(JOB, given), client.cancel(JOB, given),
      client.delete(JOB, given), client.list(given), client.batch([], given), client.getBatch("batch_1", given), client.models(given),
      client.model(MODEL, given), client.estimate(MODEL, {}, given), client.account(given), client.usage(given), client.rateLimits(given),
      client.balance(given), files.upload(new Blob(["x"]), given), files.list(given), files.get("file_1", given), files.delete("file_1", given),
    ];
    const reasons = await Promise.all(calls.map((call) => call.then(() => "done", (reason) => reason)));
    assert.deepEqual(reasons, calls.map(() => "gone"));
  });
});

test("calls leave no listeners on a long-lived signal", async () => {
  let listeners = 0;
  const controller = new AbortController();
  const { signal } = controller;
  for (const [name, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
    const real = signal[name];
    signal[name] = function (...args) {
      listeners += step;
      return real.apply(this, args);
    };
  }
  const steps = [offline, answer(201, prediction()), offline, streamed(status(1), status(2, SUCCEEDED)), answer(200, prediction())];
  await scripted(steps, async (client) => {
    await client.run(MODEL, {}, { signal });
    await client.get(JOB, { signal });
  });
  assert.equal(listeners, 0);
});

test("a signal without a reason, as in React Native, rejects the call with an AbortError", async () => {
  const signal = { aborted: true, addEventListener: () => {}, removeEventListener: () => {} };
  await scripted([], (client) => assert.rejects(client.get(JOB, { signal }), { name: "AbortError" }));
});

test("the App Check token is sent, and one with a line break is not", async () => {
  const { requests } = await scripted([answer(200, {})], (client) => client.account(), { appCheck: async () => "e30.e30.c2ln" });
  assert.equal(requests[0].headers["x-firebase-appcheck"], "e30.e30.c2ln");
  const broken = scripted([], (client) => client.account(), { appCheck: () => "secret\nline" });
  await assert.rejects(broken, (error) => error.code === "no_token" && !JSON.stringify([error.message, `${error.cause}`]).includes("secret"));
});

test("a failed proof key is not a network failure", async () => {
  const cause = new Error("Proofs need WebCrypto: use https.");
  const failing = scripted([], (client) => client.account(), { dpop: Promise.reject(cause) });
  await assert.rejects(failing, (error) => error.code === "no_token" && error.advice === "ask_user" && error.cause === cause);
});

test("an upload drops the parameters of a blob's media type, such as a MediaRecorder's codecs", async () => {
  const { requests } = await scripted([answer(201, {})], (client) => client.files.upload(new Blob(["x"], { type: "video/webm;codecs=vp9" })));
  assert.equal(requests[0].headers["content-type"], "video/webm");
});

test("a call that waits for getToken can be aborted", async () => {
  const controller = new AbortController();
  const client = valetkey({ baseUrl: "https://valetkey.test", getToken: () => new Promise(() => {}) });
  const waiting = client.get(JOB, { signal: controller.signal });
  controller.abort("gone");
  await assert.rejects(waiting, (reason) => reason === "gone");
});

test("each method sends the right HTTP method and path", async () => {
  const steps = Array.from({ length: 16 }, () => answer(200, {}));
  const { requests } = await scripted(steps, async (client) => {
    await client.cancel(JOB);
    await client.delete(JOB);
    await client.list({ limit: 5, cursor: "a b", status: "queued" });
    await client.list();
    await client.batch([{ model: MODEL, input: { prompt: "p" }, imageCount: 1 }]);
    await client.getBatch("batch_1");
    await client.models();
    await client.model(MODEL);
    await client.estimate(MODEL, { prompt: "p" });
    await client.files.list({ limit: 1 });
    await client.files.get("file_1");
    await client.files.delete("file_1");
    await client.account();
    await client.usage();
    await client.rateLimits();
    await client.balance();
  });
  assert.deepEqual(requests.map(({ method, path }) => `${method} ${path}`), [
    `POST /v1/predictions/${JOB}/cancel`, `DELETE /v1/predictions/${JOB}`, "GET /v1/predictions?limit=5&cursor=a+b&status=queued", "GET /v1/predictions",
    "POST /v1/predictions/batch", "GET /v1/predictions/batch/batch_1", "GET /v1/models", `GET /v1/models/${MODEL}`, "POST /v1/estimate",
    "GET /v1/files?limit=1", "GET /v1/files/file_1", "DELETE /v1/files/file_1", "GET /v1/account", "GET /v1/account/usage",
    "GET /v1/account/rate-limits", "GET /v1/account/balance",
  ]);
  assert.deepEqual(JSON.parse(requests[4].body), { predictions: [{ model: MODEL, input: { prompt: "p" }, image_count: 1 }] });
  assert.match(requests[4].headers["idempotency-key"], /^[0-9a-f]{32}$/);
});

test("an empty response is not an error", async () => {
  const { result } = await scripted([answer(204)], (client) => client.delete(JOB));
  assert.equal(result, undefined);
});

test("model names and ids cannot lead to other routes", async () => {
  await scripted([], async (client) => {
    for (const model of ["../auth/token", "a/..", "../..", "a", "a/b/c", "a/b?x=1", "a/%2e%2e", "", "a b/c"]) {
      await assert.rejects(client.create(model, {}), { name: "ValetkeyError", code: "model_not_allowed" }, model);
      await assert.rejects(client.model(model), { name: "ValetkeyError", code: "model_not_allowed" }, model);
    }
  });
  const { requests } = await scripted([answer(200, {})], (client) => client.get("../../auth/token?x"));
  assert.equal(requests[0].path, "/v1/predictions/..%2F..%2Fauth%2Ftoken%3Fx");
});

test("baseUrl must be https, or http on this machine, without a path", () => {
  const getToken = () => "t";
  const unsafe = ["http://example.com", "http://localhost.example.com", "ftp://localhost", "//example.com", "https://", "https://user@example.com", "javascript:1"];
  const withPath = ["https://a/?b", "https://a/#b", "https://example.com/v1", "https://example.com/api/", "http://127.0.0.1:8787/v1", "http://localhost/api", "/v1"];
  const noUrl = ["https://a b", "https://a:b", "https://a:123456", "https://[x]", "https://a\\b", " https://a", "\nhttps://a", "https://a\n"];
  for (const baseUrl of [...unsafe, ...withPath, ...noUrl]) {
    const refusal = (error) => error instanceof ValetkeyError && error.code === "invalid_parameter" && error.param === "baseUrl" && error.message.includes(baseUrl);
    assert.throws(() => valetkey({ baseUrl, getToken }), refusal, baseUrl);
    assert.throws(() => tokenExchange({ baseUrl, subjectToken: getToken }), refusal, baseUrl);
  }
  const allowed = ["https://example.com", "https://example.com:8443/", "https://[2001:db8::1]:8443", "https://b\u00fccher.example"];
  for (const baseUrl of [...allowed, "http://localhost:8787", "http://127.0.0.1:1/", "http://[::1]:8787", "http://10.0.2.2:8787", ""]) {
    valetkey({ baseUrl, getToken });
  }
});

test("with allowHttp, baseUrl may be http on any machine, and nothing else changes", () => {
  const getToken = () => "t";
  for (const baseUrl of ["http://192.168.1.20:8787", "http://pc.local:8787/", "HTTP://10.0.0.5"]) {
    const refusal = { code: "invalid_parameter", param: "baseUrl", message: new RegExp(`with \`allowHttp: true\`.*, not "${baseUrl}"\\.$`) };
    assert.throws(() => valetkey({ baseUrl, getToken }), refusal, baseUrl);
    assert.throws(() => valetkey({ baseUrl, getToken, allowHttp: "no" }), refusal, "only `true` allows it");
    assert.throws(() => tokenExchange({ baseUrl, subjectToken: getToken }), refusal, baseUrl);
    valetkey({ baseUrl, getToken, allowHttp: true });
    tokenExchange({ baseUrl, subjectToken: getToken, allowHttp: true });
  }
  for (const baseUrl of ["http://192.168.1.20:8787/v1", "ftp://192.168.1.20", "http://u@192.168.1.20", "http://"]) {
    assert.throws(() => valetkey({ baseUrl, getToken, allowHttp: true }), { code: "invalid_parameter", param: "baseUrl" }, baseUrl);
  }
});

test("each result has the id of its request, which copies and JSON leave out", async () => {
  const numbered = (number, body) => answer(200, body, { "x-request-id": `req_${number}` });
  const steps = [numbered(1, prediction()), numbered(2, { data: [prediction()], next_cursor: null }), answer(200, {}), answer(204)];
  await scripted(steps, async (client) => {
    const made = await client.create(MODEL, {});
    assert.equal(made.requestId, "req_1");
    assert.deepEqual([{ ...made }, JSON.parse(JSON.stringify(made))], [prediction(), prediction()]);
    assert.equal((await client.list()).requestId, "req_2");
    assert.equal((await client.account()).requestId, undefined);
    assert.equal(await client.delete(JOB), undefined);
  });
  const stream = streamed(status(1, SUCCEEDED));
  stream.headers.set("x-request-id", "req_9");
  const { result } = await scripted([stream], (client) => client.wait(JOB));
  assert.equal(result.requestId, "req_9");
});

test("a response that is JSON but no object is unreadable", async () => {
  for (const body of [null, 5, "hello"]) {
    await assert.rejects(scripted([answer(200, body)], (client) => client.get(JOB), { maxTries: 1 }), { code: "unreadable_answer" });
  }
});

test("a list is a page to await, and all entries to iterate", async () => {
  const page = (ids, next) => answer(200, { data: ids.map((id) => prediction({ job_id: id })), next_cursor: next }, { "x-request-id": `req_${next}` });
  const pages = () => [page(["a", "b"], "c1"), page([], "c2"), page(["c"], null)];
  const { requests } = await scripted([...pages(), page(["a"], "c1")], async (client) => {
    const seen = [];
    for await (const { job_id: id, requestId } of client.list({ limit: 2, status: "queued" })) seen.push(`${id} ${requestId}`);
    assert.deepEqual(seen, ["a req_c1", "b req_c1", "c req_null"]);
    assert.equal((await client.list()).data.length, 1);
  });
  assert.deepEqual(requests.map(({ path }) => path.split("?")[1]), ["limit=2&status=queued", "limit=2&cursor=c1&status=queued", "limit=2&cursor=c2&status=queued", undefined]);
  const files = await scripted([answer(200, { data: [{ file_id: "file_1" }], next_cursor: null })], async (client) => {
    for await (const file of client.files.list()) return file.file_id;
  });
  assert.equal(files.result, "file_1");
});

test("an iteration that breaks off reads no further page, and a failed one throws", async () => {
  const page = () => answer(200, { data: [prediction()], next_cursor: "c1" });
  await scripted([page, page, refusal(403, "insufficient_permissions")], async (client) => {
    for await (const _ of client.list()) break;
    const iterate = async () => {
      for await (const _ of client.list());
    };
    await assert.rejects(iterate(), { code: "insufficient_permissions" });
  });
});
