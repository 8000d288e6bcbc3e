// Lost connections, temporary refusals, expired tokens: the page continues without the user.
import assert from "node:assert/strict";
import { Proxy } from "../../clients/proxy.mjs";
import { beginLong, DemoPage, onDemo, SLOW, withPace } from "../page.mjs";
import { signFor } from "../tokens.mjs";

const PROMPT = "A serene Japanese garden";
const OFFLINE_MS = 10_000;
/** The page renews a token after half of its lifetime; the API refuses it 5 s after it expires (leeway). */
const TOKEN_SECS = 4;

const isCreate = (url) => url.pathname.endsWith("/predictions");
const isEvents = (url) => url.pathname.endsWith("/events");

/** Returns an array of the headers of each request whose URL fits; it grows as requests are sent. */
function watch(page, fits) {
  const seen = [];
  page.on("request", (request) => {
    if (request.method() !== "OPTIONS" && fits(new URL(request.url()))) seen.push(request.headers());
  });
  return seen;
}

function refuse(code, retryAfterSecs) {
  const error = { type: "rate_limit_error", message: "-", code, request_id: "req_of_this_test" };
  return (route) => route.fulfill({ status: 429, headers: { "retry-after": String(retryAfterSecs) }, json: { error } });
}

/**
 * Loses the response to the next create. On a connection that it has used before, Chromium itself would send the request
 * again, so the create gets a new one.
 */
async function loseCreate({ page }, proxy) {
  await page.waitForLoadState("networkidle");
  proxy.cut();
  proxy.loseAnswer(/^POST \S+predictions /);
}

/** Opens the demo page behind a proxy that can cut its connections. */
async function withProxy({ stack, browser }, use) {
  const proxy = await Proxy.start(stack.origin);
  const demo = await DemoPage.open({ stack, browser }, { origin: proxy.origin });
  try {
    await use(demo, proxy);
  } finally {
    await demo.close();
    await proxy.stop();
  }
}

async function survivesTenSecondsOffline(world) {
  const { simulator } = world.stack;
  await withProxy(world, async (demo, proxy) => {
    const { next } = await simulator.requests();
    const streams = watch(demo.page, isEvents);
    const opened = demo.page.waitForResponse((response) => isEvents(new URL(response.url())));
    // It is still being made when the page is back online, also on a slow machine.
    await withPace(world.stack, 2_500, async () => {
      await demo.submit(SLOW);
      await demo.waitUntilMaking();
    });
    await opened;
    // `setOffline` does not close open streams, so the proxy cuts them.
    await demo.context.setOffline(true);
    await Promise.all([proxy.downFor(OFFLINE_MS), demo.waitUntilSaid("You are offline. Your picture is still being made.")]);
    assert.equal(await demo.problem.isVisible(), false);
    const before = streams.length;
    await demo.context.setOffline(false);
    await demo.waitUntilMaking();
    assert.ok((await demo.pictureWidth()) > 0);
    assert.ok(streams.length > before, "no stream was opened again");
    assert.equal(streams[0]["last-event-id"], undefined);
    assert.match(streams.at(-1)["last-event-id"], /^\d+$/, "the stream was not resumed");
    const creates = (await simulator.vendorRequests(next)).filter(({ route }) => route === "create");
    assert.equal(creates.length, 1);
  });
}

export default [
  ["ten seconds offline during an event stream change nothing", survivesTenSecondsOffline],
  [
    "a server that is down for a moment is shown, and the page continues",
    (world) => withProxy(world, async (demo, proxy) => {
      await beginLong(demo, world);
      await proxy.downWhile(() => demo.waitUntilSaid("No connection to the service. Trying again…"));
      await demo.waitUntilMaking();
      await demo.cancelAndWait();
      assert.equal(await demo.status.innerText(), "Canceled.");
    }),
  ],
  [
    "a create made offline is sent once, when the connection is back",
    onDemo(async (demo, { stack }) => {
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      const { next } = await stack.simulator.requests();
      const sent = watch(demo.page, isCreate);
      await demo.context.setOffline(true);
      await demo.waitUntilSaid("You are offline.");
      await demo.create.click();
      await demo.waitUntilSaid("You are offline. This continues when you are back online.");
      await demo.page.waitForTimeout(1_000);
      await demo.context.setOffline(false);
      assert.ok((await demo.pictureWidth()) > 0);
      const keys = sent.map((headers) => headers["idempotency-key"]).filter((key) => key !== undefined);
      assert.ok(keys.length >= 2, String(keys));
      assert.equal(new Set(keys).size, 1);
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 1);
    }),
  ],
  [
    "a create whose response is lost is repeated, and made once",
    (world) => withProxy(world, async (demo, proxy) => {
      const { simulator } = world.stack;
      const { next } = await simulator.requests();
      const sent = watch(demo.page, isCreate);
      await loseCreate(demo, proxy);
      await demo.submit(PROMPT);
      assert.ok((await demo.pictureWidth()) > 0);
      const keys = sent.map((headers) => headers["idempotency-key"]).filter((key) => key !== undefined);
      assert.deepEqual([keys.length, new Set(keys).size], [2, 1]);
      assert.equal((await simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 1);
      assert.deepEqual(await demo.gallery(1), [PROMPT]);
    }),
  ],
  [
    "a cancel after a lost response says that the picture may exist, and the gallery shows it",
    (world) => withProxy(world, async (demo, proxy) => {
      await withPace(world.stack, 8_000, async () => {
        // The create arrives; from then on there is no network.
        await loseCreate(demo, proxy);
        const lost = demo.page.waitForEvent("requestfailed", (request) => isCreate(new URL(request.url())));
        await demo.submit(PROMPT);
        await lost;
        await Promise.all([demo.context.setOffline(true), demo.waitUntilSaid("You are offline. This continues when you are back online.")]);
      });
      await demo.cancelAndWait();
      assert.match(await demo.status.innerText(), /^Canceled\. If the service already has the request, the picture appears in “Your pictures”\.$/);
      await demo.context.setOffline(false);
      assert.match((await demo.gallery(1))[0], /^(Making )?Picture from /);
      await demo.thumbs.locator("img").waitFor();
    }),
  ],
  [
    "when the events cannot be read, the page does not call the prediction failed, and shows its picture later",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      const error = { type: "api_error", message: "-", code: "misconfigured", request_id: "req_of_this_test" };
      await demo.page.route(isEvents, (route) => route.fulfill({ status: 503, json: { error } }), { times: 1 });
      await demo.submit(PROMPT);
      const text = await demo.problemText();
      assert.match(text, /^This service is not set up correctly\.[^]*req_of_this_test/);
      assert.equal(await demo.status.innerText(), "Your picture is still being made. It will appear in “Your pictures”.");
      const thumb = demo.page.locator("#gallery-list").getByRole("button", { name: PROMPT, exact: true });
      await thumb.locator("img").waitFor();
      await thumb.click();
      await demo.picture.waitFor();
      assert.equal(await demo.problem.isVisible(), false);
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 1);
    }),
  ],
  [
    "a create that is canceled while offline is not sent later",
    onDemo(async (demo, { stack }) => {
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      const { next } = await stack.simulator.requests();
      await demo.context.setOffline(true);
      await demo.create.click();
      await demo.waitUntilSaid("You are offline. This continues when you are back online.");
      await demo.cancelAndWait();
      assert.equal(await demo.status.innerText(), "Canceled.");
      await demo.context.setOffline(false);
      await demo.page.waitForTimeout(1_000);
      assert.deepEqual((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create"), []);
    }),
  ],
  [
    "when there is no response, the page says so, and another press sends the request again with the same key",
    onDemo(async (demo) => {
      const keys = [];
      await demo.page.route(isCreate, (route) => {
        if (route.request().method() !== "POST") return route.fallback();
        keys.push(route.request().headers()["idempotency-key"]);
        return keys.length <= 4 ? route.abort() : route.continue();
      });
      await demo.submit(PROMPT);
      await demo.waitUntilSaid("No connection to the service. Trying again…");
      assert.match(await demo.problemText(), /^The service cannot be reached\./);
      await demo.create.click();
      assert.ok((await demo.pictureWidth()) > 0);
      assert.match(keys[0], /^[0-9a-f]{32}$/);
      assert.deepEqual([keys.length, new Set(keys).size], [5, 1]);
      await demo.create.click();
      await demo.waitUntilEnded();
      assert.equal(new Set(keys).size, 2, "an answered request is not repeated");
    }),
  ],
  [
    "tokens that live four seconds are replaced while a prediction runs, and the user does not notice",
    async (world) => {
      let given;
      const prepare = async (context) => {
        given = await signFor(context, world.stack, { lifetimeSecs: TOKEN_SECS });
      };
      await onDemo(async (demo) => {
        const streams = watch(demo.page, isEvents);
        const said = new Set();
        await demo.page.exposeFunction("say", (text) => said.add(text));
        await demo.page.evaluate(() => {
          const status = document.getElementById("status");
          new MutationObserver(() => globalThis.say(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
        });
        await demo.submit(SLOW);
        assert.ok((await demo.pictureWidth()) > 0);
        assert.ok(given.length >= 3 && new Set(given).size === given.length, `${given.length} tokens`);
        assert.ok(streams.length >= 3, `${streams.length} streams`);
        assert.deepEqual(demo.recorder.answers.filter(({ status }) => status >= 400), []);
        assert.deepEqual([...said], ["Sending your description…", "Making your picture…", "Loading your picture…", "Your picture is ready."]);
        assert.deepEqual(demo.recorder.complaints, []);
      }, { prepare })(world);
    },
  ],
  [
    "a token that is refused when a stream is reopened is replaced, and the user does not notice",
    async (world) => {
      let given;
      const prepare = async (context) => {
        // The second token expired five minutes ago. The client does not notice: it takes its own clock to be wrong.
        const claims = (count) => (count === 1 ? { ageSecs: 600 } : { lifetimeSecs: count === 0 ? TOKEN_SECS : 300 });
        given = await signFor(context, world.stack, claims);
      };
      await onDemo(async (demo) => {
        await demo.submit(SLOW);
        assert.ok((await demo.pictureWidth()) > 0);
        const refused = demo.recorder.answers.filter(({ status }) => status === 401);
        assert.deepEqual(refused.map(({ url }) => new URL(url.split(" ")[1]).pathname.split("/").at(-1)), ["events"]);
        assert.ok(given.length >= 3, `${given.length} tokens`);
        assert.equal(await demo.problem.isVisible(), false);
      }, { prepare })(world);
    },
  ],
  [
    "a short Retry-After is waited for",
    onDemo(async (demo) => {
      const sentAt = [];
      demo.page.on("request", (request) => {
        if (request.method() === "POST" && isCreate(new URL(request.url()))) sentAt.push(performance.now());
      });
      await demo.page.route(isCreate, refuse("queue_full", 2), { times: 1 });
      await demo.submit(PROMPT);
      await demo.waitUntilSaid("The service is busy. Trying again soon…");
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(sentAt.length, 2);
      // Less than 2 s, since Playwright reports each request a little late.
      assert.ok(sentAt[1] - sentAt[0] > 1_500, `${sentAt[1] - sentAt[0]} ms`);
      assert.equal(await demo.problem.isVisible(), false);
    }),
  ],
  [
    "a long Retry-After is shown as a sentence, and nothing is sent meanwhile",
    onDemo(async (demo) => {
      const sent = watch(demo.page, isCreate);
      await demo.page.route(isCreate, refuse("queue_full", 180));
      await demo.submit(PROMPT);
      const text = await demo.problemText();
      assert.match(text, /^The queue is full\. Try again in about 3 minutes\./);
      assert.match(text, /req_of_this_test/);
      assert.equal(sent.length, 1);
    }),
  ],
  [
    "the limit of the user's own plan is shown with the time to wait",
    (world) => onDemo(async (demo) => {
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      await demo.create.click();
      assert.match(await demo.problemText(), /^You sent too many requests\. Try again in [3-6]\d seconds\.\n+Request id req_/);
    }, { prepare: (context) => signFor(context, world.stack, { plan: "slow" }) })(world),
  ],
];
