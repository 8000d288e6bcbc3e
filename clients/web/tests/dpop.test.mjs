// Where the proof key is kept: in IndexedDB, or with the page where that cannot be had.
import assert from "node:assert/strict";
import { test } from "node:test";
import { proofKey } from "../src/dpop.ts";

const PROOF = { method: "GET", url: "https://valetkey.test/v1/account?a#b", token: "t", nowSecs: 1_000 };

/** Runs `use` with an IndexedDB whose `open` does this. */
async function withDatabase(open, use) {
  globalThis.indexedDB = { open };
  try {
    await use();
  } finally {
    delete globalThis.indexedDB;
  }
}

async function works() {
  const key = await proofKey();
  const [header, claims] = (await key.prove(PROOF)).split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  assert.deepEqual([header.typ, header.alg, Object.keys(header.jwk).sort().join()], ["dpop+jwt", "ES256", "crv,kty,x,y"]);
  assert.deepEqual([claims.htm, claims.htu, claims.iat], ["GET", "https://valetkey.test/v1/account", 880]);
  return key;
}

test("without a database the key lives as long as the page", async () => {
  const [one, two] = [await works(), await works()];
  assert.notEqual(one.thumbprint, two.thumbprint);
  await one.forget();
});

test("a database that cannot be opened is none", async () => {
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

test("a database whose store is missing holds up nobody", async () => {
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
