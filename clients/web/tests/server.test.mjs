// The endpoint of an app's backend that signs tokens.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { tokenHandler, userKey } from "../src/server.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const OPTIONS = { secret: SECRET, issuer: "https://app.example.com", audience: "valetkey", user: () => "u1" };
const ask = (handler, ...context) => handler(new Request("https://app.example.com/token", { method: "POST" }), ...context);
const EXPECTED = { issuer: OPTIONS.issuer, audience: OPTIONS.audience };

/** Asks a handler whose `user` returns this, and returns the verified claims of its token. */
async function claimsFor(found) {
  const response = await ask(tokenHandler({ ...OPTIONS, user: async () => found }));
  const { token } = await response.json();
  const { payload, protectedHeader } = await jwtVerify(token, new TextEncoder().encode(SECRET), EXPECTED);
  assert.deepEqual(protectedHeader, { alg: "HS256", typ: "JWT" });
  return payload;
}

test("a user's token is valid for five minutes, has an id of its own, and is never cached", async () => {
  const response = await ask(tokenHandler(OPTIONS));
  assert.deepEqual([response.status, response.headers.get("cache-control"), response.headers.get("content-type")], [200, "no-store", "application/json"]);
  const [one, two] = [await claimsFor("u1"), await claimsFor(7)];
  assert.deepEqual([one.sub, two.sub, one.exp - one.iat], ["u1", "7", 300]);
  assert.ok(Math.abs(one.iat - Date.now() / 1000) < 5);
  assert.match(one.jti, /^[0-9a-f-]{36}$/);
  assert.notEqual(one.jti, two.jti);
  assert.deepEqual(Object.keys(one).sort(), ["aud", "exp", "iat", "iss", "jti", "sub"]);
});

test("a plan and restrictions become claims, and only what is absent restricts nothing", async () => {
  const claims = await claimsFor({ sub: "u1", plan: "pro", scope: ["create", "read"], models: ["owner/model"] });
  assert.deepEqual([claims.plan, claims.vk], ["pro", { scope: ["create", "read"], models: ["owner/model"] }]);
  assert.deepEqual((await claimsFor({ sub: "u1", scope: [] })).vk, { scope: [] });
  assert.deepEqual((await claimsFor({ sub: "u1", models: "" })).vk, { models: "" });
  const absent = await claimsFor({ sub: "u1", plan: undefined, scope: null, models: undefined });
  assert.deepEqual([absent.plan, absent.vk], [undefined, undefined]);
});

test("without a signed-in user the response is 401, and is not cached either", async () => {
  for (const nobody of [null, undefined]) {
    const response = await ask(tokenHandler({ ...OPTIONS, user: () => nobody }));
    assert.deepEqual([response.status, response.headers.get("cache-control"), await response.json()], [401, "no-store", { error: "signed_out" }]);
  }
});

test("what cannot be a user's id, and a misspelled restriction, is an error and no token", async () => {
  const wrong = ["", " u1", "u1\n", "x".repeat(256), NaN, true, {}, [], { sub: "u1", scopes: ["read"] }, { sub: undefined }, { id: "u1" }];
  for (const found of wrong) await assert.rejects(ask(tokenHandler({ ...OPTIONS, user: () => found })), { name: "TypeError", message: /^valetkey: `user` must return / }, String(found));
  assert.equal((await claimsFor("\u{1f98a}".repeat(255))).sub.length, 510);
});

test("a weak or unusable secret, and wrong options, throw when the handler is made, without the secret", () => {
  for (const [changes, message] of [
    [{ secret: "short-secret" }, /^valetkey: `secret` has 12 bytes and needs 32: openssl rand/],
    [{ secret: `${SECRET}\n` }, /white space/],
    [{ secret: `{"keys":[${SECRET}]}` }, /plain text/],
    [{ secret: `-----BEGIN PRIVATE KEY-----${SECRET}` }, /plain text/],
    [{ secret: 5 }, /`secret` must be a text/],
    [{ key: { kty: "EC" } }, /`key` must be absent beside `secret`/],
    [{ secret: undefined, key: { kty: "OKP", crv: "Ed25519", x: "a" } }, /private key/],
    [{ secret: undefined, key: SECRET }, /not the JSON of a JWK/],
    [{ issuer: "" }, /`issuer` must be a text/],
    [{ audience: undefined }, /`audience` must be a text/],
    [{ user: "u1" }, /`user` must be a function/],
  ]) {
    assert.throws(() => tokenHandler({ ...OPTIONS, ...changes }), (error) => error instanceof TypeError && message.test(error.message) && !error.message.includes("short-secret") && !error.message.includes(SECRET));
  }
});

test("without a secret the handler can be made, responds with 500 and says so once in the log", async () => {
  const logged = [];
  const real = console.error;
  console.error = (text) => logged.push(text);
  try {
    for (const secret of [undefined, ""]) {
      const handler = tokenHandler({ ...OPTIONS, secret });
      for (let times = 0; times < 2; times += 1) {
        const response = await ask(handler);
        assert.deepEqual([response.status, response.headers.get("cache-control"), await response.json()], [500, "no-store", { error: "not_configured" }]);
      }
    }
  } finally {
    console.error = real;
  }
  assert.equal(logged.length, 2, "once for each handler");
  assert.match(logged[0], /^valetkey: tokenHandler has neither a secret nor a key/);
});

for (const [alg, kid] of [["EdDSA", undefined], ["ES256", "k1"], ["RS256", "k2"]]) {
  test(`a private key signs with ${alg}, as an object and as JSON`, async () => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const [jwk, open] = await Promise.all([privateKey, publicKey].map(async (key) => ({ ...(await exportJWK(key)), ...(kid && { kid }) })));
    for (const key of [jwk, JSON.stringify(jwk)]) {
      const { token } = await (await ask(tokenHandler({ ...OPTIONS, secret: undefined, key }))).json();
      const { protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: [open] }), EXPECTED);
      assert.deepEqual([protectedHeader.alg, protectedHeader.kid], [alg, kid]);
    }
  });
}

test("`user` gets the request and what the framework passes beside it", async () => {
  const seen = [];
  await ask(tokenHandler({ ...OPTIONS, user: (request, ...context) => void seen.push(request.method, ...context) }), "params", 2);
  assert.deepEqual(seen, ["POST", "params", 2]);
});

test("an error of `user` is the framework's to report", async () => {
  const failure = new Error("no database");
  await assert.rejects(ask(tokenHandler({ ...OPTIONS, user: () => Promise.reject(failure) })), (error) => error === failure);
});

test("a user's key is the one that Valetkey computes, by the vectors that its own tests read", async () => {
  const vectors = JSON.parse(readFileSync(new URL("../../../tests/vectors/user_keys.json", import.meta.url), "utf8"));
  assert.ok(vectors.length > 3);
  for (const { issuer, subject, key } of vectors) assert.equal(await userKey(issuer, subject), key);
  assert.equal(await userKey("a", 7), await userKey("a", "7"));
});
