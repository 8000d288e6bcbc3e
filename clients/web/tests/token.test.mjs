// The access token: one request serves concurrent calls, renewal is in time, and a refused token is replaced.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenSource } from "../src/token.ts";

const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const now = () => Math.floor(Date.now() / 1000);
let count = 0;
const lasting = (secs, since = now()) => jwt({ iat: since, exp: since + secs, jti: `${(count += 1)}` });

/** Creates a source whose `getToken` returns `tokens` in turn. A function among them is called. */
function sourceOf(...tokens) {
  const requests = [];
  const source = tokenSource(async (request) => {
    requests.push(request);
    const next = tokens.shift();
    return typeof next === "function" ? next() : next;
  }, async () => "thumb");
  return { source, requests };
}

/** Runs `use` with `performance.now` moved forward by `ms`. */
async function later(ms, use) {
  const real = performance.now;
  performance.now = () => real.call(performance) + ms;
  try {
    return await use();
  } finally {
    performance.now = real;
  }
}

test("twenty concurrent calls share one request, and later calls reuse the token", async () => {
  const { source, requests } = sourceOf(lasting(300));
  const tokens = await Promise.all(Array.from({ length: 20 }, () => source.get()));
  assert.equal(new Set([...tokens, await source.get()]).size, 1);
  assert.deepEqual(requests, [{ forceRefresh: false, thumbprint: "thumb" }]);
});

test("a token is renewed 30 seconds before it expires, a short-lived one at half its lifetime", async () => {
  for (const [secs, keptMs, goneMs] of [[300, 268_000, 271_000], [40, 18_000, 21_000]]) {
    const [first, second] = [lasting(secs), lasting(secs)];
    const { source } = sourceOf(first, second);
    assert.equal(await source.get(), first);
    assert.equal(await later(keptMs, () => source.get()), first);
    assert.equal(await later(goneMs, () => source.get()), second);
  }
});

test("a token from the app's cache is kept only for the rest of its lifetime", async () => {
  const [old, fresh] = [lasting(3600, now() - 3500), lasting(3600)];
  const { source } = sourceOf(old, fresh);
  assert.equal(await source.get(), old);
  assert.equal(await later(75_000, () => source.get()), fresh);
});

test("a refused token is replaced with forceRefresh; a newer token is kept", async () => {
  const [first, second] = [lasting(300), lasting(300)];
  const { source, requests } = sourceOf(first, second);
  const held = await source.get();
  source.refuse(held);
  assert.equal(await source.get(), second);
  source.refuse(held);
  assert.equal(await source.get(), second);
  assert.deepEqual(requests.map(({ forceRefresh }) => forceRefresh), [false, true]);
});

test("a refusal during a renewal forces another renewal without the app's cache", async () => {
  const [first, second] = [lasting(300), lasting(300)];
  let answer;
  const { source, requests } = sourceOf(first, () => new Promise((resolve) => (answer = resolve)), second);
  const held = await source.get();
  const renewing = await later(271_000, async () => [source.get()]);
  source.refuse(held);
  const fresh = source.get();
  // The app's cache still returns the refused token.
  answer(first);
  assert.equal(await renewing[0], first);
  assert.equal(await fresh, second);
  assert.equal(await source.get(), second);
  assert.deepEqual(requests.map(({ forceRefresh }) => forceRefresh), [false, false, true]);
});

test("a token that cannot be parsed is renewed after half a minute", async () => {
  const { source } = sourceOf("opaque", "opaque2");
  assert.equal(await source.get(), "opaque");
  assert.equal(await later(29_000, () => source.get()), "opaque");
  assert.equal(await later(31_000, () => source.get()), "opaque2");
  assert.ok(Math.abs(source.nowSecs() - now()) <= 1);
});

test("a local clock that is hours off is detected by a fresh token", async () => {
  for (const offset of [7_200, -7_200]) {
    const { source } = sourceOf(lasting(300, now() + offset));
    await source.get();
    assert.ok(Math.abs(source.nowSecs() - now() - offset) <= 1);
    const kept = await later(268_000, () => source.get());
    assert.ok(kept, "the token is kept for its lifetime");
  }
});

test("a local clock that is slightly ahead is detected by a fresh token after a refusal", async () => {
  const { source } = sourceOf(lasting(300, now() - 120), lasting(300, now() - 120));
  const token = await source.get();
  assert.ok(Math.abs(source.nowSecs() - now()) <= 1, "it could be an older token from a cache");
  source.refuse(token);
  await source.get();
  assert.ok(Math.abs(source.nowSecs() - now() + 120) <= 1);
});

test("a getToken that never settles does not block later calls", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const token = lasting(300);
  const { source, requests } = sourceOf(() => new Promise(() => {}), token);
  void source.get();
  context.mock.timers.tick(19_999);
  void source.get();
  context.mock.timers.tick(1);
  assert.equal(await source.get(), token);
  assert.equal(requests.length, 2);
});

test("network failures are recognized in the error messages of common libraries", async () => {
  const texts = [
    "TypeError: Failed to fetch", "TypeError: fetch failed", "TypeError: Load failed", "TypeError: NetworkError when attempting to fetch resource.",
    "TypeError: Network request failed", "AxiosError: Network Error", "FirebaseError: Firebase: Error (auth/network-request-failed).",
  ];
  for (const text of texts) {
    const [name, message] = text.split(/: (.*)/);
    const fails = () => {
      throw Object.assign(new Error(message), { name });
    };
    await assert.rejects(sourceOf(fails).source.get(), { code: "network" }, text);
  }
  // The app did not check that a user is signed in.
  await assert.rejects(sourceOf(() => null.getIdToken()).source.get(), { code: "no_token" });
});

test("a failure of getToken has a code and its cause, and does not affect the next call", async () => {
  const cause = new Error("signed out");
  const fails = () => {
    throw cause;
  };
  const offline = () => {
    throw new TypeError("fetch failed");
  };
  const token = lasting(300);
  const { source } = sourceOf(fails, offline, undefined, "two words", "line\nbreak", token);
  await assert.rejects(source.get(), (error) => error.code === "no_token" && error.cause === cause);
  await assert.rejects(source.get(), { code: "network" });
  for (let bad = 0; bad < 3; bad += 1) await assert.rejects(source.get(), { code: "no_token" });
  assert.equal(await source.get(), token);
});
