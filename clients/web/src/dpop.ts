// Proofs of possession (RFC 9449): a token that is bound to this key is worth nothing to whoever steals it.

const DATABASE = "valetkey";
const STORE = "keys";

export interface Proof {
  /** The request's method. */
  method: string;
  /** Its URL; on a page of the same origin also without it. */
  url: string;
  /** The token that is sent beside it; none where a token is asked for. */
  token?: string | undefined;
  /** Unix seconds. */
  nowSecs: number;
}

export interface ProofKey {
  /** RFC 7638, base64url: what a token names in `cnf.jkt`. */
  readonly thumbprint: string;
  /** The value of the header `DPoP`, for one request. */
  prove(proof: Proof): Promise<string>;
  /** Forgets the key, as when the user signs out: tokens that are bound to it end with it. */
  forget(): Promise<void>;
}

/**
 * This browser's key: ES256, made once, kept in IndexedDB under `name`. Its private half cannot be exported, so a script
 * that is injected can use it while it runs, and cannot take it away. Where there is no IndexedDB (Node) it lives as long as the
 * returned object. Rejects where there is no WebCrypto: on pages that are not served by https, and in React Native.
 */
export async function proofKey(name = "default"): Promise<ProofKey> {
  const { subtle } = globalThis.crypto ?? {};
  if (subtle === undefined) throw new Error("Proofs need WebCrypto: https.");
  const keys = await storedKeys(name);
  const { kty, crv, x, y } = await subtle.exportKey("jwk", keys.publicKey);
  const hash = async (text: string): Promise<string> => base64url(await subtle.digest("SHA-256", bytes(text)));
  // The members of a thumbprint are in this order, without spaces.
  const thumbprint = await hash(JSON.stringify({ crv, kty, x, y }));
  return {
    thumbprint,
    async prove({ method, url, token, nowSecs }) {
      const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
      const ath = token === undefined ? undefined : await hash(token);
      const htu = new URL(url.replace(/[?#].*/, ""), globalThis.location?.href).href;
      // The API takes proofs of the last 300 s and the next 60: in the middle, a clock may be wrong both ways.
      const claims = { jti: randomId(), htm: method, htu, iat: nowSecs - 120, ath };
      const input = `${base64url(bytes(JSON.stringify(header)))}.${base64url(bytes(JSON.stringify(claims)))}`;
      const signature = await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, bytes(input));
      return `${input}.${base64url(signature)}`;
    },
    forget: async () => {
      if (globalThis.indexedDB !== undefined) await inStore("readwrite", (store) => store.delete(name));
    },
  };
}

async function storedKeys(name: string): Promise<CryptoKeyPair> {
  const make = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  if (globalThis.indexedDB === undefined) return make();
  const get = (store: IDBObjectStore): IDBRequest<CryptoKeyPair | undefined> => store.get(name);
  const known = await inStore("readonly", get);
  if (known !== undefined) return known;
  const fresh = await make();
  // Another tab may have been faster; `add` fails then, and its key counts.
  await inStore("readwrite", (store) => store.add(fresh, name)).catch(() => {});
  return (await inStore("readonly", get)) ?? fresh;
}

function inStore<T>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const transaction = opening.result.transaction(STORE, mode);
      try {
        const request = use(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => reject(transaction.error);
      } catch (error) {
        // Some browsers' private windows cannot store a key.
        reject(error);
      }
      // Once the transaction has ended.
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

/**
 * 128 random bits in hex. React Native has no `crypto` without a polyfill: an idempotency key need not be a secret there, only new.
 */
export function randomId(): string {
  const random = new Uint8Array(16);
  const crypto: Partial<Crypto> | undefined = globalThis.crypto;
  if (crypto?.getRandomValues !== undefined) crypto.getRandomValues(random);
  else random.forEach((_, index) => (random[index] = Math.random() * 256));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
