// Prints a JWK set for TOKEN_SIGNING_KEYS: the keys of the set on standard input, if any, and then a new Ed25519 key.
// Usage: node scripts/signing-key.mjs KID < keys.json

import { generateKeyPairSync } from "node:crypto";
import { text } from "node:stream/consumers";

const kid = process.argv[2];
if (!kid) throw new Error("KID is missing. Usage: node scripts/signing-key.mjs 2026-01 < keys.json");
const old = process.stdin.isTTY ? "" : await text(process.stdin);
const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
const keys = [...(old.trim() ? JSON.parse(old).keys : []), { kty, crv, kid, x, d }];
console.log(JSON.stringify({ keys }));
