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
  /** Forgets the key, as when the user signs out: the next `proofKey` makes another one. This object can prove until it is let go. */
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
  // The members of a thumbprint are in this order, without spaces.
  const jwk = { crv, kty, x, y };
  const hash = async (text: string): Promise<string> => base64url(await subtle.digest("SHA-256", bytes(text)));
  const thumbprint = await hash(JSON.stringify(jwk));
  const part = (value: object): string => base64url(bytes(JSON.stringify(value)));
  return {
    thumbprint,
    async prove({ method, url, token, nowSecs }) {
      const ath = token === undefined ? undefined : await hash(token);
      const htu = new URL(url.replace(/[?#].*/, ""), globalThis.location?.href).href;
      // The API takes proofs of the last 300 s and the next 60: in the middle, a clock may be wrong both ways.
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

async function storedKeys(name: string): Promise<CryptoKeyPair> {
  const fresh = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  // The first one counts, this page's or another tab's: `add` fails where there is one. Node has no database, and some private windows
  // have none that can be opened or that keeps a key.
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
