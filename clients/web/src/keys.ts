// Makes the keys of proofs of possession (DPoP, RFC 9449) and the proofs. Loaded by dpop.ts when an app asks for a key.
import { checkNumber, checkObject, checkType, invalid } from "./arguments.ts";
import type { ProofKey } from "./dpop.ts";
import { randomId } from "./random.ts";

const DATABASE = "valetkey";
const STORE = "keys";

/** Returns the key with this name. See `proofKey` in dpop.ts. */
export async function madeKey(name: string): Promise<ProofKey> {
  checkType("name", "string", name);
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) throw new Error("Proofs need WebCrypto: use https.");
  const keys = await storedKeys(name);
  const { kty, crv, x, y } = await subtle.exportKey("jwk", keys.publicKey);
  // RFC 7638, section 3: the thumbprint hashes the members in this (lexicographic) order, without whitespace.
  const jwk = { crv, kty, x, y };
  const hash = async (text: string): Promise<string> => base64url(await subtle.digest("SHA-256", bytes(text)));
  const thumbprint = await hash(JSON.stringify(jwk));
  const part = (value: object): string => base64url(bytes(JSON.stringify(value)));
  return {
    thumbprint,
    async prove(proof) {
      checkObject("proof", proof);
      const { method, url, token, nowSecs } = proof;
      checkType("method", "string", method);
      checkType("token", "string", token ?? "");
      checkNumber("nowSecs", nowSecs, 0);
      const ath = token === undefined ? undefined : await hash(token);
      const htu = urlOf(url);
      // The API accepts an `iat` from 300 s in the past to 60 s in the future. The middle of that range tolerates a
      // local clock that is up to 180 s wrong in either direction.
      const claims = { jti: randomId(), htm: method, htu, iat: nowSecs - 120, ath };
      const input = `${part({ typ: "dpop+jwt", alg: "ES256", jwk })}.${part(claims)}`;
      const signature = await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, bytes(input));
      return `${input}.${base64url(signature)}`;
    },
    forget: async () => {
      if (globalThis.indexedDB !== undefined) await inStore("readwrite", (store) => store.delete(name));
    },
  };
}

/** Returns the URL without its query and fragment (RFC 9449, section 4.2). */
function urlOf(url: string): string {
  checkType("url", "string", url);
  try {
    return new URL(url.replace(/[?#].*/, ""), globalThis.location?.href).href;
  } catch {
    throw invalid("url", "a URL", url);
  }
}

async function storedKeys(name: string): Promise<CryptoKeyPair> {
  const fresh = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  // The first stored key wins, from this page or another tab: `add` fails if there is one. Errors are ignored because
  // Node has no IndexedDB, and in some private windows it cannot be opened or cannot store a key.
  await inStore("readwrite", (store) => store.add(fresh, name)).catch(() => {});
  const stored = await inStore("readonly", (store): IDBRequest<CryptoKeyPair> => store.get(name)).catch(() => undefined);
  return stored ?? fresh;
}

function inStore<T>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      try {
        const transaction = opening.result.transaction(STORE, mode);
        const request = use(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => reject(transaction.error);
      } catch (error) {
        reject(error);
      }
      // `close` takes effect after the transaction has completed.
      opening.result.close();
    };
  });
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function base64url(data: ArrayBuffer | Uint8Array): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(data)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
