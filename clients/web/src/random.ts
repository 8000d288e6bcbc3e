// Random ids.

/**
 * Returns 128 random bits in hex. Falls back to `Math.random` because React Native has no `crypto` without a polyfill.
 * That is enough for an idempotency key, which must be unique but not secret.
 */
export function randomId(): string {
  const random = new Uint8Array(16);
  const crypto: Partial<Crypto> | undefined = globalThis.crypto;
  crypto?.getRandomValues?.(random) ?? random.forEach((_, index) => (random[index] = Math.random() * 256));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
