// Proofs of possession (DPoP, RFC 9449). A token that is bound to this key is useless to a thief who does not have the
// key.
import { check } from "./arguments.ts";
import { part } from "./errors.ts";

export interface Proof {
  /** HTTP method of the request. */
  method: string;
  /** URL of the request. In a page it may be relative to the page's own address. */
  url: string;
  /** Access token sent with the request. Absent when the request is for a token. */
  token?: string | undefined;
  /** Current time, Unix seconds. */
  nowSecs: number;
}

export interface ProofKey {
  /** The key's thumbprint (RFC 7638), base64url. A bound token carries it in `cnf.jkt`. */
  readonly thumbprint: string;
  /** Returns the value of the `DPoP` header for one request. */
  prove(proof: Proof): Promise<string>;
  /**
   * Deletes the stored key, for example when the user signs out. The next `proofKey` creates a new key. This object
   * keeps working until it is garbage-collected.
   */
  forget(): Promise<void>;
}

/**
 * Returns this browser's ES256 key, stored in IndexedDB under `name` and created on first use. The private key is not
 * extractable: an injected script can use it while the script runs, but cannot steal it. Without IndexedDB (Node) the
 * key lives as long as the returned object. Rejects without WebCrypto: on pages that are not served over https, and in
 * React Native.
 */
export async function proofKey(name = "default"): Promise<ProofKey> {
  return (await part(import("./keys.ts"))).madeKey(name);
}

/** Throws unless `key` is a `ProofKey`, a promise of one, or absent. */
export function checkKey(key: (Partial<ProofKey> & Partial<Promise<ProofKey>>) | undefined): void {
  check(key == null || typeof (key.prove ?? key.then) === "function", "dpop", "a key from proofKey()", key);
}
