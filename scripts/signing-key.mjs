// Prints a JWK set with a new Ed25519 key for TOKEN_SIGNING_KEYS, before the keys of a set that comes on standard input.
// Usage: node scripts/signing-key.mjs KID < old-set.json

import { generateKeyPairSync } from "node:crypto";
import { text } from "node:stream/consumers";

const kid = process.argv[2];
if (!kid) throw new Error("say a name for the key: node scripts/signing-key.mjs 2026-01");
const old = process.stdin.isTTY ? "" : await text(process.stdin);
const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
const keys = [{ kty, crv, kid, x, d }, ...(old.trim() ? JSON.parse(old).keys : [])];
console.log(JSON.stringify({ keys }));
