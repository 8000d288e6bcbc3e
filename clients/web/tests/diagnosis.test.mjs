// Pages that never get a response: which origin to allow, or that the deployment cannot be reached. Node plays a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { valetkey } from "../src/index.ts";
import { answer, MODEL } from "./script.mjs";

const BASE = "https://valetkey.test";
const PAGE = "https://app.example";

/**
 * Makes an account request from a page on `origin`. Its `fetch` fails as in a page, except for the probes in a mode of
 * `modes`. Returns the error and the requests.
 */
async function ask({ origin = PAGE, modes = [], isOnline = true, baseUrl = BASE, getToken = () => "t", first } = {}) {
  const requests = [];
  const fails = async (url, { mode = "cors", headers, redirect }) => {
    requests.push({ url, mode, headers, redirect });
    if (first !== undefined && requests.length === 1) return first();
    if (url.endsWith("/healthz") && modes.includes(mode)) return answer(200, { status: "ok" });
    throw new TypeError("Failed to fetch");
  };
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { onLine: isOnline }, configurable: true });
  if (origin !== null) globalThis.location = { origin };
  try {
    const client = valetkey({ baseUrl, getToken, fetch: fails, maxTries: 1 });
    if (first !== undefined) await client.account();
    return { error: await client.create(MODEL, { prompt: "p" }).catch((thrown) => thrown), requests };
  } finally {
    Object.defineProperty(globalThis, "navigator", before);
    delete globalThis.location;
  }
}

test("a refused origin is told from a lost connection, with the origin to add, and is nothing to try again", async () => {
  const { error, requests } = await ask({ modes: ["no-cors"] });
  assert.deepEqual([error.code, error.advice], ["origin_not_allowed", "give_up"]);
  assert.equal(error.message, `${BASE} refuses pages of ${PAGE}: add ${PAGE} to its ALLOWED_ORIGINS.`);
  assert.equal(error.cause.message, "Failed to fetch");
  const probes = requests.slice(1);
  assert.deepEqual(probes.map(({ url, mode, redirect }) => [url, mode, redirect]), [[`${BASE}/healthz`, "cors", "follow"], [`${BASE}/healthz`, "no-cors", "follow"]]);
  assert.ok(probes.every(({ headers }) => headers === undefined), "the probes carry no token");
});

test("a deployment that cannot be reached says so, with both places to look at", async () => {
  const { error } = await ask();
  assert.deepEqual([error.code, error.advice], ["unreachable", "ask_user"]);
  assert.equal(error.message, `No response from ${BASE}. Check the address and the network, and that its ALLOWED_ORIGINS has ${PAGE}.`);
  assert.match(error.idempotencyKey, /^[0-9a-f]{32}$/);
});

test("a token exchange of a refused page is diagnosed too", async () => {
  const getToken = () => Promise.reject(new TypeError("Failed to fetch"));
  assert.equal((await ask({ getToken, modes: ["no-cors"] })).error.code, "origin_not_allowed");
  assert.equal((await ask({ getToken, modes: ["cors", "no-cors"] })).error.code, "network", "only the app's own backend is gone");
});

for (const [what, options] of [
  ["the deployment answers the page", { modes: ["cors", "no-cors"] }],
  ["the device is offline", { isOnline: false }],
  ["the page is the deployment's own", { origin: BASE }],
  ["the base URL is the page's own", { baseUrl: "" }],
  ["there is no page", { origin: null }],
  ["the deployment has answered before", { first: () => answer(200, {}) }],
]) {
  test(`a lost response may have arrived, and stays \`network\`: ${what}`, async () => {
    const { error } = await ask({ ...options });
    assert.deepEqual([error.code, error.advice], ["network", "repeat"]);
  });
}

test("a probe without end is given up after five seconds", async () => {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (call, ms, ...rest) => real(call, ms === 5_000 ? 5 : ms, ...rest);
  globalThis.location = { origin: PAGE };
  const hang = (url, { signal }) => (url.endsWith("/healthz") ? new Promise((_, reject) => signal.addEventListener("abort", reject)) : Promise.reject(new TypeError()));
  try {
    const client = valetkey({ baseUrl: BASE, getToken: () => "t", fetch: hang, maxTries: 1 });
    await assert.rejects(client.account(), { code: "unreachable" });
  } finally {
    globalThis.setTimeout = real;
    delete globalThis.location;
  }
});
