// Keys: new ones, and the vendor's.
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Failure } from "../failure.ts";

/** Returns the vendor's key in a file, or on standard input for `-`. */
export function readKeyFile(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8").trim();
  } catch {
    throw new Failure(`--key-file ${path} cannot be read.`);
  }
}

/** Returns what tells keys apart and reveals nothing, as the Worker makes it (src/types/secret.rs). */
export function fingerprintOf(key: string): string {
  return createHash("sha256").update("valetkey key fingerprint\0").update(key).digest("hex").slice(0, 16);
}

/** Returns a key of the vendor's form that the vendor does not know, for a stand-in. */
export function newVendorKey(): string {
  return `sk_live_${randomBytes(24).toString("hex")}`;
}

/** Returns a JWK set for TOKEN_SIGNING_KEYS, with one new Ed25519 key. */
export function newSigningKeys(): string {
  const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return JSON.stringify({ keys: [{ kty, crv, kid: new Date().toISOString().slice(0, 10), x, d }] });
}

/** Returns a secret for the signatures of webhooks, as Standard Webhooks asks for. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}
