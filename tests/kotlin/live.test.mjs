// Tests clients/kotlin on Java against the built Worker on real workerd, over a network that loses responses and
// connections. tests/kotlin/run.mjs compiles the client and passes its location in KOTLIN_CLASSES.
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { playScenario, useLiveStack } from "../clients/scenario.mjs";

const FAR_AWAY = { timeout: 60_000 };
const live = useLiveStack(FAR_AWAY);

/** Runs a scenario of Live.kt as a new user. See `playScenario`. */
function play(scenario, argument, { baseUrl = live.proxy.origin, ...options } = {}) {
  const commandOf = (tokenUrl) => [
    process.env.JAVA,
    ...["-cp", process.env.KOTLIN_CLASSES, "valetkey.live.LiveKt", scenario, baseUrl, tokenUrl, argument],
  ];
  return playScenario(live.stack, commandOf, options);
}

/** Starts an API that returns `answers` in turn, for responses that the Worker cannot be made to send. */
async function otherApi(...answers) {
  const server = createServer((_, response) => {
    const { status, headers = {}, body } = answers.shift() ?? { status: 500, body: "one request too many" };
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${server.address().port}`;
  const stop = () => {
    server.closeAllConnections();
    server.close();
    return answers.length;
  };
  return { baseUrl, stop };
}

test("a prompt becomes a picture", FAR_AWAY, async () => {
  const { of, creates } = await play("run", "A serene Japanese garden");
  assert.deepEqual(of("ended"), ["SUCCEEDED 1"]);
  assert.deepEqual([...new Set(of("state"))], ["PROCESSING", "SUCCEEDED"]);
  assert.deepEqual([creates, of("token").length], [1, 1]);
});

test("a create whose response is lost is made once", FAR_AWAY, async () => {
  live.proxy.loseAnswer(/^POST \S+\/predictions /);
  // The JVM by itself repeats the request once. That response is lost too, so that the client has to repeat it.
  live.proxy.loseAnswer(/^POST \S+\/predictions /);
  const { of, creates } = await play("run", "A garden behind a wall");
  assert.deepEqual(of("ended"), ["SUCCEEDED 1"]);
  assert.equal(creates, 1);
});

test("events resume after a cut connection, and no state comes twice", FAR_AWAY, async () => {
  let cuts = 0;
  const onLine = (line) => {
    if (line === "state PROCESSING") cuts += live.proxy.cut();
  };
  const { of } = await play("events", "A garden in all four seasons", { onLine });
  assert.deepEqual(of("state"), ["PROCESSING", "SUCCEEDED"]);
  assert.ok(cuts > 0);
});

test("cancel ends a prediction", FAR_AWAY, async () => {
  const { of } = await play("cancel", "A garden that takes long [slow]");
  assert.match(of("state")[0], /^(PROCESSING true|CANCELED \w+)$/);
  assert.deepEqual(of("ended"), ["CANCELED"]);
});

test("a failed prediction throws its reason", FAR_AWAY, async () => {
  const { of } = await play("run", "A garden [fail]");
  assert.match(of("error")[0], /^upstream_failed /);
});

test("with more waits than a user may have streams, the others poll", FAR_AWAY, async () => {
  const { of, creates } = await play("waits", "garden");
  assert.deepEqual(of("ended"), Array(6).fill("SUCCEEDED"));
  assert.equal(creates, 6);
});

test("a refused token is replaced once, and a second refusal is an error", FAR_AWAY, async () => {
  const spoiled = async (token) => (await token()).replace(/.{4}$/, "AAAA");
  const mended = await play("create", "A garden", { give: (times, token) => (times === 1 ? spoiled(token) : token()) });
  assert.deepEqual([mended.of("state"), mended.of("token").length, mended.creates], [["PROCESSING"], 2, 1]);
  const refused = await play("create", "A garden", { give: (_, token) => spoiled(token) });
  assert.deepEqual([refused.of("error"), refused.of("token").length, refused.creates], [["invalid_token 401 null"], 2, 0]);
});

test("a user without credits gets an error, and nothing is retried", FAR_AWAY, async () => {
  const subject = `kotlin-poor-${Date.now()}`;
  const give = () => live.stack.simulator.token(subject, "poor");
  assert.equal((await play("create", "one", { give })).creates, 1);
  const { of, creates } = await play("create", "two", { give });
  assert.match(of("error")[0], /^insufficient_credits 402 /);
  assert.equal(creates, 0);
});

test("a file is uploaded", FAR_AWAY, async () => {
  const file = join(tmpdir(), `valetkey-kotlin-${process.pid}.png`);
  writeFileSync(file, Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(2_000_000)]));
  try {
    const made = await play("upload", file);
    assert.deepEqual([made.of("stored"), made.of("files"), made.of("file")], [["2000008 100"], ["true", "true"], ["true"]]);
    const spoiled = async (token) => (await token()).replace(/.{4}$/, "AAAA");
    const mended = await play("upload", file, { give: (times, token) => (times === 1 ? spoiled(token) : token()) });
    assert.deepEqual([mended.of("stored"), mended.of("token").length], [["2000008 100"], 2]);
  } finally {
    rmSync(file);
  }
});

test("predictions are listed page by page, and deleted", FAR_AWAY, async () => {
  const { of } = await play("list", "A garden");
  assert.deepEqual(["listed", "last", "succeeded", "left"].map(of), [["true"], ["null"], ["3"], ["true"]]);
});

test("models, their rules and a price can be read", FAR_AWAY, async () => {
  const { of } = await play("models", "A garden");
  assert.deepEqual([of("model"), of("price")], [["true string true"], ["true"]]);
});

test("coroutines run predictions at once", FAR_AWAY, async () => {
  const { of, creates } = await play("coroutines", "A garden");
  assert.deepEqual([of("ended"), creates], [Array(3).fill("SUCCEEDED"), 3]);
});

test("a prompt that was cut inside a character is accepted, and what JSON cannot express is refused", FAR_AWAY, async () => {
  // Java reads its arguments as UTF-8 only where the locale says so, so the scenario cuts the character itself.
  const cut = await play("cut", "-");
  assert.deepEqual([cut.of("state"), cut.creates], [["PROCESSING"], 1]);
  const { of, creates } = await play("refused", "-");
  assert.deepEqual([of("error"), of("token").length, creates], [["invalid_parameter null null"], 0, 0]);
});

test("the account can be read", FAR_AWAY, async () => {
  assert.deepEqual((await play("account", "-")).of("account"), ["default 0 0"]);
});

test("a Retry-After is obeyed, and the page of a captive portal is recognized", FAR_AWAY, async () => {
  const error = { type: "rate_limit_error", message: "slower", code: "rate_limited", request_id: "req_1" };
  const limited = { status: 429, headers: { "retry-after": "2" }, body: JSON.stringify({ error }) };
  const portal = { status: 403, headers: { "content-type": "text/html" }, body: "<html>Sign in to the hotel's network</html>" };
  const { baseUrl, stop } = await otherApi(limited, portal);
  const startedAt = performance.now();
  const { of } = await play("get", "pred_01jh0000000000000000000000", { baseUrl });
  assert.deepEqual(of("error"), ["unreadable_answer 403 null"]);
  assert.ok(performance.now() - startedAt > 2_000);
  assert.equal(stop(), 0);
});
