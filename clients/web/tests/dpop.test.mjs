// Storage of the proof key without a working IndexedDB: the key then lives as long as the page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { proofKey } from "../src/dpop.ts";

const PROOF = { method: "GET", url: "https://valetkey.test/v1/account?a#b", token: "t", nowSecs: 1_000 };

/** Runs `use` with a fake IndexedDB that has this `open`. */
async function withDatabase(open, use) {
  globalThis.indexedDB = { open };
  try {
    await use();
  } finally {
    delete globalThis.indexedDB;
  }
}

/** Checks that a key proves, and returns it. */
async function works() {
  const key = await proofKey();
  const [header, claims] = (await key.prove(PROOF)).split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  assert.deepEqual([header.typ, header.alg, Object.keys(header.jwk).sort().join()], ["dpop+jwt", "ES256", "crv,kty,x,y"]);
  assert.deepEqual([claims.htm, claims.htu, claims.iat], ["GET", "https://valetkey.test/v1/account", 880]);
  return key;
}

test("without IndexedDB the key lives as long as the page", async () => {
  const [one, two] = [await works(), await works()];
  assert.notEqual(one.thumbprint, two.thumbprint);
  await one.forget();
});

test("a database that cannot be opened is ignored", async () => {
  const open = () => {
    const request = { error: new Error("blocked") };
    setTimeout(() => request.onerror());
    return request;
  };
  await withDatabase(open, works);
  const throws = () => {
    throw new Error("SecurityError");
  };
  await withDatabase(throws, works);
});

test("a database without the object store is ignored", async () => {
  const open = () => {
    const result = {
      close: () => {},
      transaction: () => {
        throw new Error("NotFoundError");
      },
    };
    const request = { result };
    setTimeout(() => request.onsuccess());
    return request;
  };
  await withDatabase(open, works);
});
