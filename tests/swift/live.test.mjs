// Tests clients/swift on this machine against the built Worker on real workerd, over a network that loses responses and
// connections. tests/swift/run.mjs compiles the client.
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { leftOvers, playScenario, useLiveStack } from "../clients/scenario.mjs";
import { MODEL } from "../clients/stack.mjs";
import { findToolchain } from "./toolchain.mjs";

const FAR_AWAY = { timeout: 90_000 };
const JOB = "pred_01jh0000000000000000000000";
const toolchain = findToolchain();
const program = toolchain.inside(join(toolchain.place, "tests/swift/live/.build/debug/Live"));
const live = useLiveStack(FAR_AWAY);

/** Runs a scenario of Live.swift as a new user. See `playScenario`. */
function play(scenario, argument, { baseUrl = live.proxy.origin, ...options } = {}) {
  const commandOf = (tokenUrl) => toolchain.command(program, scenario, baseUrl, tokenUrl, argument);
  return playScenario(live.stack, commandOf, options);
}

/** Starts an API for responses that the Worker cannot be made to send. `respond(request, response)` sends each. */
async function otherApi(respond) {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push({ at: performance.now(), method: request.method, url: request.url, headers: request.headers });
    request.resume();
    respond(request, response, seen);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => {
    server.closeAllConnections();
    server.close();
    leftOvers.delete(stop);
  };
  leftOvers.add(stop);
  return { baseUrl: `http://127.0.0.1:${server.address().port}`, seen, stop };
}

const prediction = (status) => JSON.stringify({ job_id: JOB, status, model: MODEL, created_at: "2026-01-15T10:30:00Z", output: [] });
const send = (response, status, body, headers = {}) => response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
const refuse = (response, status, code, headers) =>
  send(response, status, JSON.stringify({ error: { type: "api_error", message: "no", code, request_id: "req_1" } }), headers);
const spoiled = async (token) => (await token()).replace(/.{4}$/, "AAAA");

test("a prompt becomes a picture", FAR_AWAY, async () => {
  const { of, creates } = await play("run", "A serene Japanese garden 🌸");
  assert.deepEqual(of("ended"), ["succeeded 1"]);
  assert.deepEqual([...new Set(of("state"))], ["processing", "succeeded"]);
  assert.deepEqual([creates, of("token")], [1, ["false"]]);
});

test("a create whose response is lost is made once", FAR_AWAY, async () => {
  live.proxy.loseAnswer(/^POST \S+\/predictions /);
  const { of, creates } = await play("run", "A garden behind a wall");
  assert.deepEqual(of("ended"), ["succeeded 1"]);
  assert.equal(creates, 1);
});

test("a create that is repeated with its key is made once, and the key serves no other", FAR_AWAY, async () => {
  const { of, creates } = await play("key", "A garden");
  assert.deepEqual(of("same"), ["true"]);
  assert.match(of("error")[0], /^idempotency_mismatch 422 giveUp /);
  assert.equal(creates, 1);
});

test("events resume after a cut connection, and no state comes twice", FAR_AWAY, async () => {
  let cuts = 0;
  const onLine = (line) => {
    if (line === "state processing") cuts += live.proxy.cut();
  };
  const { of } = await play("events", "A garden in all four seasons", { onLine });
  assert.deepEqual(of("state"), ["processing", "succeeded"]);
  assert.ok(cuts > 0);
});

test("with more waits than a user may have streams, the others poll", FAR_AWAY, async () => {
  const { of, creates } = await play("waits", "garden");
  assert.deepEqual(of("ended"), Array(6).fill("succeeded"));
  assert.equal(creates, 6);
});

test("cancel ends a prediction, which can then be deleted", FAR_AWAY, async () => {
  const { of } = await play("cancel", "A garden that takes long [slow]");
  assert.match(of("state")[0], /^(processing true|canceled \w+)$/);
  assert.deepEqual([of("ended"), of("left")], [["canceled"], ["0"]]);
});

test("a canceled task leaves at once, and the prediction continues", FAR_AWAY, async () => {
  const { of } = await play("leave", "A garden");
  assert.deepEqual([of("left"), of("ended")], [["false"], ["succeeded"]]);
});

test("a failed prediction throws its reason", FAR_AWAY, async () => {
  const { of } = await play("run", "A garden [fail]");
  assert.match(of("error")[0], /^upstream_failed 0 askUser /);
});

test("a refused token is replaced once, and a second refusal is an error", FAR_AWAY, async () => {
  const mended = await play("create", "A garden", { give: (times, token) => (times === 1 ? spoiled(token) : token()) });
  assert.deepEqual([mended.of("state"), mended.of("token"), mended.creates], [["processing"], ["false", "true"], 1]);
  const refused = await play("create", "A garden", { give: (_, token) => spoiled(token) });
  assert.match(refused.of("error")[0], /^invalid_token 401 askUser /);
  assert.deepEqual([refused.of("token").length, refused.creates], [2, 0]);
});

test("a user without credits gets an error, and nothing is retried", FAR_AWAY, async () => {
  const give = () => live.stack.simulator.token("swift-poor", "poor");
  assert.equal((await play("create", "one", { give })).creates, 1);
  const { of, creates } = await play("create", "two", { give });
  assert.match(of("error")[0], /^insufficient_credits 402 askUser /);
  assert.equal(creates, 0);
});

test("predictions can be listed, page by page", FAR_AWAY, async () => {
  const { of } = await play("list", "A garden");
  assert.deepEqual([of("list"), of("pages"), of("failed")], [["true"], ["2 1 end"], ["0"]]);
});

test("a file is uploaded with progress, used, listed and deleted", FAR_AWAY, async () => {
  const file = join(toolchain.place, `valetkey-swift-${process.pid}.png`);
  writeFileSync(file, Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(2_000_000)]));
  try {
    const { of } = await play("files", toolchain.inside(file));
    assert.deepEqual([of("stored"), of("files"), of("ended"), of("left")], [["image/png 2000008"], ["true end true"], ["succeeded"], ["0"]]);
    assert.match(of("error")[0], /^not_found 404 giveUp /);
    const progress = of("progress").map(Number);
    assert.ok(progress.length > 3 && progress.at(-1) === 1, `${progress}`);
    assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
    const mended = await play("upload", toolchain.inside(file), { give: (times, token) => (times === 1 ? spoiled(token) : token()) });
    assert.deepEqual([mended.of("stored"), mended.of("token").length], [["2000008"], 2]);
  } finally {
    rmSync(file);
  }
  assert.match((await play("upload", toolchain.inside(file))).of("error")[0], /^invalid_parameter 0 askUser .*valetkey-swift/);
});

test("an estimate costs nothing", FAR_AWAY, async () => {
  const { of, creates } = await play("estimate", "A garden");
  assert.deepEqual([of("credits"), creates], [["2.5"], 0]);
});

test("the account and the models can be read", FAR_AWAY, async () => {
  assert.deepEqual((await play("account", "-")).of("account"), ["default 0 0 20"]);
  assert.deepEqual((await play("models", "-")).of("models"), [`${MODEL} string 4000 true true`]);
});

// These run concurrently because they mostly wait.
describe("responses that the Worker cannot be made to send", { concurrency: true, ...FAR_AWAY }, () => {
  test("while the first create with a key is in flight, its refusals are not tries", FAR_AWAY, async () => {
    const answers = [
      (response) => refuse(response, 502, "upstream_error"),
      ...Array(4).fill((response) => refuse(response, 409, "idempotency_in_progress", { "retry-after": "1" })),
      (response) => refuse(response, 502, "upstream_error"),
      (response) => refuse(response, 502, "upstream_error"),
      (response) => send(response, 201, prediction("succeeded")),
    ];
    const { baseUrl, seen, stop } = await otherApi((_, response) => answers.shift()(response));
    const { of } = await play("create", "A garden", { baseUrl });
    stop();
    assert.deepEqual(of("state"), ["succeeded"]);
    assert.equal(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size, 1);
  });

  test("a stream resumes from the last event", FAR_AWAY, async () => {
    const event = (response, id, status) => response.write(`: heartbeat\n\nid: ${id}\nevent: status\ndata: ${prediction(status)}\n\n`);
    const { baseUrl, seen, stop } = await otherApi((request, response, { length }) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      event(response, length, length === 1 ? "processing" : "succeeded");
      // The first connection breaks in the middle of an event.
      if (length === 1) response.write("id: 7\nda", () => response.destroy());
    });
    const { of } = await play("follow", JOB, { baseUrl });
    stop();
    assert.deepEqual(of("ended"), ["succeeded"]);
    assert.deepEqual(seen.map(({ url, headers }) => [url, headers["last-event-id"]]), [
      [`/v1/predictions/${JOB}/events`, undefined],
      [`/v1/predictions/${JOB}/events`, "1"],
    ]);
  });

  test("after a 429 it polls eight times, slowly, and then requests a stream again", FAR_AWAY, async () => {
    let streams = 0;
    const { baseUrl, seen, stop } = await otherApi((request, response) => {
      if (!request.url.endsWith("/events")) return send(response, 200, prediction("processing"));
      if ((streams += 1) === 1) return refuse(response, 429, "rate_limited", { "retry-after": "1" });
      response.writeHead(200, { "content-type": "text/event-stream" }).end(`id: 2\nevent: status\ndata: ${prediction("succeeded")}\n\n`);
    });
    const { of } = await play("follow", JOB, { baseUrl });
    stop();
    assert.deepEqual(of("ended"), ["succeeded"]);
    assert.deepEqual(seen.map(({ url }) => url.endsWith("/events")), [true, ...Array(8).fill(false), true]);
    const polls = seen.slice(1, -1).map(({ at }) => at);
    for (const [index, at] of polls.slice(1).entries()) assert.ok(at - polls[index] > 1_400, `${at - polls[index]} ms`);
  });

  test("an upload whose response is lost is not repeated", FAR_AWAY, async () => {
    const { baseUrl, seen, stop } = await otherApi((request, response) => request.on("end", () => response.destroy()));
    const { of } = await play("upload", toolchain.inside(join(toolchain.place, "Package.swift")), { baseUrl });
    stop();
    assert.match(of("error")[0], /^network 0 repeat /);
    assert.deepEqual(seen.map(({ method, headers }) => [method, Number(headers["content-length"]) > 100]), [["POST", true]]);
  });

  test("a delete whose first response is lost succeeds", FAR_AWAY, async () => {
    const { baseUrl, stop } = await otherApi((_, response, { length }) => (length === 1 ? response.destroy() : refuse(response, 404, "not_found")));
    assert.deepEqual((await play("delete", "file_1", { baseUrl })).of("deleted"), ["file_1"]);
    stop();
  });

  test("a Retry-After is obeyed, and the page of a captive portal is recognized", FAR_AWAY, async () => {
    const { baseUrl, seen, stop } = await otherApi((_, response, { length }) => {
      if (length === 1) refuse(response, 429, "rate_limited", { "retry-after": "2" });
      else send(response, 403, "<html>Sign in to the hotel's network</html>", { "content-type": "text/html" });
    });
    const { of } = await play("get", JOB, { baseUrl });
    stop();
    assert.match(of("error")[0], /^unreadable_answer 403 repeat /);
    assert.equal(seen.length, 2);
    assert.ok(seen[1].at - seen[0].at > 2_000);
  });

  test("a redirect is not followed, so no other server gets the token", FAR_AWAY, async () => {
    const other = await otherApi((_, response) => send(response, 200, prediction("succeeded")));
    const { baseUrl, stop } = await otherApi((_, response) => response.writeHead(302, { location: `${other.baseUrl}/v1/x` }).end());
    const { of } = await play("get", JOB, { baseUrl });
    stop();
    other.stop();
    assert.match(of("error")[0], /^unreadable_answer 302 /);
    assert.equal(other.seen.length, 0);
  });

  test("a response without end is an error", FAR_AWAY, async () => {
    const { baseUrl, stop } = await otherApi((_, response) => {
      response.writeHead(404);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, "x")));
      };
      response.on("drain", more);
      more();
    });
    assert.match((await play("get", JOB, { baseUrl })).of("error")[0], /^unreadable_answer 404 /);
    stop();
  });
  test("all predictions that one client polls take turns", FAR_AWAY, async () => {
    const jobs = Array.from({ length: 6 }, (_, index) => `pred_01jh000000000000000000000${index}`);
    const { baseUrl, seen, stop } = await otherApi((request, response, { length }) => {
      if (request.url.endsWith("/events")) refuse(response, 429, "rate_limited", { "retry-after": "1" });
      else send(response, 200, prediction(length > 14 ? "succeeded" : "processing"));
    });
    const { of } = await play("follow-many", jobs.join(), { baseUrl });
    stop();
    assert.deepEqual(of("ended"), Array(6).fill("succeeded"));
    const polls = seen.filter(({ url }) => !url.endsWith("/events"));
    assert.ok(polls.length >= 14, `${polls.length} polls`);
    // Each of the first six polls belongs to a different prediction.
    assert.equal(new Set(polls.slice(0, 6).map(({ url }) => url)).size, 6);
    for (const [index, { at }] of polls.slice(1).entries()) assert.ok(at - polls[index].at > 1_300, `${at - polls[index].at} ms`);
  });

  test("a stream that stays silent is given up, and the client polls from then on", FAR_AWAY, async () => {
    let polls = 0;
    const { baseUrl, seen, stop } = await otherApi((request, response) => {
      if (!request.url.endsWith("/events")) send(response, 200, prediction((polls += 1) > 2 ? "succeeded" : "processing"));
    });
    const { of } = await play("follow", JOB, { baseUrl });
    stop();
    assert.deepEqual(of("ended"), ["succeeded"]);
    assert.deepEqual(seen.map(({ url }) => url.endsWith("/events")), [true, false, false, false]);
    // URLSession's own time-out would be 60 s.
    const silence = seen[1].at - seen[0].at;
    assert.ok(silence > 34_000 && silence < 55_000, `${silence} ms`);
  });
});
