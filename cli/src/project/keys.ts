// Keys that are made here.
import { generateKeyPairSync, randomBytes } from "node:crypto";

/** Returns a key of the vendor's form that the vendor does not know, for a stand-in. */
export function newVendorKey(): string {
  return `sk_live_${randomBytes(24).toString("hex")}`;
}

/** Returns a JWK set for TOKEN_SIGNING_KEYS, with one new Ed25519 key. */
export function newSigningKeys(): string {
  const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return JSON.stringify({ keys: [{ kty, crv, kid: new Date().toISOString().slice(0, 10), x, d }] });
}
