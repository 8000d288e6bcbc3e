// The requests of the token exchange, and how it handles each kind of response.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenExchange } from "../src/exchange.ts";

const REQUEST = { forceRefresh: false };

/** Exchanges once with a `fetch` that returns `answer`. */
async function exchanged(answer, options = {}) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, ...init, form: Object.fromEntries(new URLSearchParams(init.body)) });
    return answer;
  };
  const exchange = tokenExchange({ baseUrl: "https://valetkey.test/", subjectToken: async () => "e30.e30.c2ln", fetch, ...options });
  return { result: await exchange(REQUEST), requests };
}

const answer = (status, body, headers) => new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
const good = () => answer(200, { access_token: "vk" });

test("an identity provider's token is sent in a form, without cookies", async () => {
  const { result, requests } = await exchanged(good(), { scope: "read", appCheck: () => "app" });
  assert.equal(result, "vk");
  const [{ url, method, headers, form, credentials, redirect }] = requests;
  assert.deepEqual([url, method, credentials, redirect], ["https://valetkey.test/auth/token", "POST", "omit", "error"]);
  assert.deepEqual([headers["content-type"], headers["x-firebase-appcheck"], headers.dpop], ["application/x-www-form-urlencoded", "app", undefined]);
  assert.deepEqual(form, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: "e30.e30.c2ln",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    scope: "read",
  });
});

test("a guest's Turnstile token is sent with its own token type", async () => {
  const { requests } = await exchanged(good(), { type: "turnstile" });
  assert.equal(requests[0].form.subject_token_type, "urn:valetkey:token-type:turnstile");
  assert.equal("scope" in requests[0].form, false);
});

test("temporary failures and refusals have different codes", async () => {
  const refusals = [
    [answer(400, { error: "invalid_grant", error_description: "The token is not accepted." }), { code: "no_token", status: 400, message: "The token is not accepted." }],
    [answer(429, {}, { "retry-after": "7" }), { code: "limiter_unavailable", status: 429, retryAfterSecs: 7 }],
    [answer(503, "", { "x-request-id": "req_1" }), { code: "limiter_unavailable", requestId: "req_1" }],
    [answer(200, "<html>a captive portal"), { code: "unreadable_answer", advice: "repeat" }],
  ];
  for (const [refusal, wanted] of refusals) await assert.rejects(exchanged(refusal), wanted);
});

test("a failure without a response has a code, and a credential that no header may hold is sent nowhere", async () => {
  const offline = async () => {
    throw new TypeError("fetch failed");
  };
  await assert.rejects(exchanged(undefined, { fetch: offline }), { name: "ValetkeyError", code: "network", advice: "repeat" });
  for (const options of [{ appCheck: () => "secret\nline" }, { subjectToken: () => undefined }, { subjectToken: () => "secret line" }]) {
    const failing = exchanged(good(), { ...options, fetch: () => assert.fail("a request was sent") });
    await assert.rejects(failing, (error) => error.code === "no_token" && !`${error.message} ${error.cause}`.includes("secret"));
  }
  await assert.rejects(exchanged(answer(200, null)), { code: "unreadable_answer" });
});
